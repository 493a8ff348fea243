"""Records the played week anew: plays it in the sandbox, keeps what went into each decision and what came out.

Run by hand, from the root of the repository, where the decisions are meant to be others than they were::

    PYTHONPATH=include:plugins:tests python -m recorded.record_week

It runs the end-to-end tests named in :data:`PLAYED`, the played week among them, in this process, and takes down every
transfer of every run. That is more than a thousand, so those are kept that show something no other one shows (see
:func:`shown_by`). It takes about a quarter of an hour. Give names of test files as arguments to
look at fewer; ``--keep FOLDER`` keeps all that was recorded, ``--from FOLDER`` chooses anew from what was kept.
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pyarrow as pa
import pytest
from upath import UPath

from dualsync.frames import read_table
from dualsync.mapping import Catalog, Schema
from dualsync.mapping.catalog import MAPS_FOLDER
from dualsync.mapping.parts import part_name
from dualsync.mapping.words import TRIGGER
from dualsync.sync.documents.completeness import due
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.markers import Reconciled
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.reconcile import transform
from dualsync.sync.reconcile.approved import approved_plan
from dualsync.sync.reconcile.step import reconcile
from dualsync.sync.run import steps
from recorded.deciding import values_by_key
from recorded.legs import ARCHIVE, Answers, RecordedLeg, as_text, outcomes, plain, read_archive, write_archive

TESTS = Path(__file__).parents[1]

PLAYED = (
    "test_cycle_week",
    "test_setup_changes",
    "test_setup_owners",
    "test_setup_held_back",
    "test_setup_dry_runs",
    "test_cycle_owners",
    "test_cycle_held_back",
    "test_units_subcontracts",
    "test_repair_replay",
    "test_repair_resend",
    "more_plays",
)
"""Test files whose runs are recorded."""

LARGEST = 4000
"""A transfer with more rows, over all its tables, is not kept."""


class Recorder:
    """A pytest plugin that takes down every transfer of every run in this process.

    Args:
        folder: Where each transfer is put, as a file of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._answers: Answers = {}
        self._patches: list[Any] = [
            mock.patch.object(steps, "reconcile", partial(self._reconcile, reconcile)),
            mock.patch.object(transform, "Parents", partial(_Listening, self)),
        ]

    def pytest_sessionstart(self) -> None:
        """Begin to listen."""
        for patch in self._patches:
            patch.start()

    def pytest_sessionfinish(self) -> None:
        """Listen no more."""
        for patch in self._patches:
            patch.stop()

    def note(self, question: tuple[Any, ...], asked: Any, answers: dict[Any, Any]) -> None:
        """Take down what was answered about each of those that were asked about; nothing is an answer too."""
        known = self._answers.setdefault(as_text(question), {})
        known |= {as_text(one): answers.get(one) for one in asked}

    def _reconcile(self, real: Any, context: LegContext, *, full: bool) -> Reconciled:
        leg, runtime = context.leg, context.runtime
        self._answers = {}
        waiting = [unit.join_key for unit in due(leg, runtime)]
        trigger_base = _trigger_base(leg, runtime)
        done: Reconciled = real(context, full=full)
        if not any((runtime.settings.home / "maps").glob("*.yaml")):
            self._number += 1
            test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition("/")[2].partition(" ")[0]
            run = {name: value for name, value in leg.run.to_dict().items() if name != "folder"}
            cutover = runtime.settings.cutover.get(leg.company)
            tables: dict[str, Any] = {name: _table(leg.folder.file(f"{name}.parquet")) for name in _STEP}
            recorded = RecordedLeg(
                name=leg.label,
                test=test,
                map=leg.map.map,
                direction=leg.direction,
                company=leg.company,
                run=run,
                settings={
                    "companies": list(runtime.settings.companies),
                    "time_zone": runtime.settings.time_zone,
                    "cutover": None if cutover is None else cutover.isoformat(),
                },
                full=full,
                missing={side: sorted(names) for side, names in context.columns.missing.items()},
                due=waiting,
                base=_table(context.base),
                trigger_base=_table(trigger_base),
                lines=_table(leg.folder.file("lines.parquet")),
                approved=_table(approved_plan(leg, runtime)) if leg.run.approved else None,
                answers=self._answers,
                **tables,
            )
            (self._folder / f"{self._number:05d}.pickle").write_bytes(pickle.dumps(recorded))
        return done


_STEP = ("source", "want", "have", "plan", "deletes")


def _trigger_base(leg: Leg, runtime: Runtime) -> UPath | None:
    """The base that the header's own transfer looks at beside its own."""
    if leg.map.unit is None or leg.map.trigger is None or leg.map.sends_trigger:
        return None
    return runtime.base_path(part_name(leg.map.map, TRIGGER), leg.company)


def _table(path: UPath | str | None) -> pa.Table | None:
    return None if path is None or not UPath(path).exists() else read_table(UPath(path))


class _Listening(Parents):
    """``Parents`` that lets the recorder listen."""

    def __init__(self, recorder: Recorder, runtime: Runtime, company: str) -> None:
        super().__init__(runtime, company)
        self._recorder = recorder

    def finance_values(self, parent: Any, paths: Any, ids: Any, *, anywhere: bool = False) -> Any:
        found = super().finance_values(parent, paths, ids, anywhere=anywhere)
        answers = {row["id"]: plain([row[path] for path in paths]) for row in found.to_pylist()}
        self._recorder.note(("finance_values", parent.map, paths, anywhere), ids.to_pylist(), answers)
        return found

    def record_ids(self, parent: Any, paths: Any, keys: Any, *, company: str | None = None) -> Any:
        found = super().record_ids(parent, paths, keys, company=company)
        values = values_by_key(keys)
        answers = {values[row["join_key"]]: row["id"] for row in found.to_pylist()}
        self._recorder.note(("record_ids", parent.map, paths, company), values.values(), answers)
        return found

    def through(self, lookup: Any, ids: Any) -> Any:
        found = super().through(lookup, ids)
        answers = {one: plain([value]) for one, value in found.items()}
        self._recorder.note(("through", lookup.dataverse), ids, answers)
        return found

    def records_through(self, lookup: Any, values: Any) -> Any:
        found = super().records_through(lookup, values)
        answers = {value: found.get(text) for text, value in values.items()}
        self._recorder.note(("records_through", lookup.dataverse), values.values(), answers)
        return found

    def why_missing_records(self, parent: Any, attribute: str, ids: Any) -> Any:
        found = super().why_missing_records(parent, attribute, ids)
        answers = {row["id"]: [row["state"], row["rule"], row["reason"]] for row in found.to_pylist()}
        self._recorder.note(("why_missing_records", parent.map, attribute), ids.to_pylist(), answers)
        return found

    def why_missing_keys(self, parent: Any, columns: Any, keys: Any, *, company: str | None = None) -> Any:
        found = super().why_missing_keys(parent, columns, keys, company=company)
        values = values_by_key(keys)
        paths = [name for name in keys.columns if name != "join_key"]
        answers = {values[row["join_key"]]: [row["state"], row["rule"], row["reason"]] for row in found.to_pylist()}
        self._recorder.note(("why_missing_keys", parent.map, columns, paths, company), values.values(), answers)
        return found


# --- choosing -------------------------------------------------------------------------------------------------------


def shown_first(leg: RecordedLeg) -> set[tuple[Any, ...]]:
    """What a transfer shows that is to be shown at least once by those that are looked at first.

    Every map and direction, every action and rule in each direction, every option of a run, every company.
    """
    known = leg.base is not None
    shown: set[tuple[Any, ...]] = {("ran", leg.map, leg.direction), ("company", leg.direction, leg.company)}
    shown |= {("mode", leg.direction, leg.run["mode"], known)}
    shown |= {("option", name, leg.direction) for name in _options(leg)}
    shown |= {("ended", leg.direction, *outcome) for outcome in outcomes(leg.plan)}
    shown |= {("trigger base",)} if leg.trigger_base is not None else set()
    shown |= {("due",)} if leg.due else set()
    shown |= _facts(leg)
    shown |= {("wave",) for wave in leg.plan.column("wave").to_pylist() if wave}
    return shown | ({("deletes",)} if leg.deletes.num_rows else set())


def shown_by(leg: RecordedLeg) -> set[tuple[Any, ...]]:
    """What a transfer shows that is to be shown at least once by all that are kept.

    Of each map and direction a first and a later run, every action and rule, every column that is written or left.
    """
    way, known = (leg.map, leg.direction), leg.base is not None
    shown: set[tuple[Any, ...]] = shown_first(leg) | {("ran", *way, known), ("at home", *way, leg.company == "USPM")}
    if leg.deletes.num_rows:
        shown.add(("deletes", *way))
    for outcome in outcomes(leg.plan):
        shown |= {("ended", *way, *outcome), ("ended by", leg.direction, *outcome, known, *_options(leg))}
    columns = (leg.plan.column(name).to_pylist() for name in ("action", "columns", "keep"))
    for action, carried, kept in zip(*columns, strict=True):
        shown |= {("written", *way, name) for name in carried if action == "update"}
        shown |= {("kept", *way, action, name) for name in kept}
    return shown


def _facts(leg: RecordedLeg) -> set[tuple[Any, ...]]:
    """What was the case with single columns of rows that stand on both sides, and what became of them.

    A pair's ownership, whether each side moved since the base, whether both say the same, whether nothing is said, and
    whether the column was carried, kept or left.
    """
    table_map = maps()[leg.map]
    columns = LegColumns(table_map, cast(Any, leg.direction), schema(), leg.missing)
    pairs = [one for one in columns.pairs if one.sources and not one.key]
    based = {row["join_key"]: row for row in leg.base.to_pylist()} if leg.base is not None else {}
    held = set(leg.have.column("join_key").to_pylist())
    sender, receiver = ("d:", "f:") if leg.direction == "to_finance" else ("f:", "d:")
    adopts = table_map.initial.master == columns.source
    found: set[tuple[Any, ...]] = set()
    for row in leg.plan.to_pylist():
        if row["join_key"] not in held or row["action"] == "create":
            continue
        base = based.get(row["join_key"])
        for pair in pairs:
            want, have = row[f"w:{pair.target}"], row[f"h:{pair.target}"]
            moved: tuple[bool, ...] = ()
            if base is not None:
                source_moved = any(row[f"s:{name}"] != base[sender + name] for name in pair.sources)
                moved = (source_moved, not _alike(have, base[receiver + pair.target]))
            wins = pair.entry.wins if isinstance(pair.entry.wins, str) else "by condition"
            ownership = (wins == columns.source if wins != "by condition" else wins) if pair.both_ways else "one way"
            ended = "carried" if pair.target in (row["columns"] or ()) else ""
            ended = "kept" if pair.target in (row["keep"] or ()) else ended
            facts = (_alike(want, have), _alike(want, None), _alike(have, None))
            found.add(("facts", ownership, adopts, bool(leg.run["resend"]), moved, facts, ended))
    return found


def _alike(one: Any, other: Any) -> bool:
    """Whether two values say the same, roughly: an empty value is one that never was."""
    one, other = ((value.casefold() if isinstance(value, str) else value) or None for value in (one, other))
    return bool(one == other)


@cache
def maps() -> Catalog:
    """The table maps of today."""
    return Catalog.load(None)


@cache
def schema() -> Schema:
    """The columns of both systems."""
    return Schema.load()


def _options(leg: RecordedLeg) -> list[str]:
    """The options of the run that mean this transfer."""
    names = ("dry_run", "keys", "rows", "resend", "approved")
    return [name for name in names if leg.run[name] and (name != "keys" or leg.map in leg.run["keys"])]


def rows_of(leg: RecordedLeg) -> int:
    """The rows of all tables of a transfer."""
    base = 0 if leg.base is None else leg.base.num_rows
    return int(leg.source.num_rows + leg.have.num_rows + base)


def choose(folder: Path) -> Iterator[RecordedLeg]:
    """The transfers to keep: each shows something that no other one does, or that others show with more rows."""
    recorded = {file: pickle.loads(file.read_bytes()) for file in sorted(folder.rglob("*.pickle"))}
    small = {file: leg for file, leg in recorded.items() if rows_of(leg) <= LARGEST}
    first = _cover({file: shown_first(leg) for file, leg in small.items()}, small, [])
    kept = _cover({file: shown_by(leg) for file, leg in small.items()}, small, first)
    print(f"{len(kept)} of {len(recorded)} transfers are kept, {len(first)} of them to be looked at first")
    for number, file in enumerate(sorted(kept), 1):
        leg = small[file]
        yield replace(leg, name=f"{number:03d} {leg.name}", first=file in first)


def _cover(shows: dict[Path, set[tuple[Any, ...]]], legs: dict[Path, RecordedLeg], kept: list[Path]) -> list[Path]:
    """Those that are kept already, and more until they show all that there is."""
    kept = list(kept)
    left = set().union(*shows.values()) - set().union(*(shows[file] for file in kept))
    while left:
        # a transfer costs time whatever it holds, so that one row weighs little against another transfer
        file = max(shows, key=lambda one: len(shows[one] & left) / (200 + rows_of(legs[one])))
        left -= shows[file]
        kept.append(file)
    return kept


def main() -> int:
    """Record, choose, write the archive."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="*", default=PLAYED)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--from", dest="kept", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.kept or given.keep or Path(scratch)
        if given.kept is None:
            folder.mkdir(parents=True, exist_ok=True)
            files = [str(file) for name in given.tests for file in TESTS.rglob(f"{name}.py")]
            failed = pytest.main(
                ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", *files], plugins=[Recorder(folder)]
            )
            if failed:
                return int(failed)
        maps = {file.stem: file.read_text(encoding="utf-8") for file in sorted(MAPS_FOLDER.rglob("*.yaml"))}
        write_archive(ARCHIVE, choose(folder), maps)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size:,} bytes; its rows by action and rule, for the test:")
    counted = Counter(one for leg in read_archive()[0] for one in outcomes(leg.plan))
    for one, number in sorted(counted.items()):
        print(f"    {one}: {number},")
    return 0


if __name__ == "__main__":
    sys.exit(main())
