"""The one place where recorded transfers meet the code that decides: replaced when that code is.

:func:`decide` gives what was recorded to today's reconcile step, and :func:`transform_again` to its transformation.
Both speak to no system and to no ledger.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from unittest import mock

import pandas as pd
import pyarrow as pa
from upath import UPath

from dualsync.frames import read_table, to_arrow, to_pandas, write_table
from dualsync.mapping import Catalog, Lookup, Schema
from dualsync.sync.documents import triggers
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.folders import LegFolder
from dualsync.sync.legs.leg import Leg, RunRef
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.missing import Missing, missing_table
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.reconcile import approved, transform
from dualsync.sync.reconcile import step as reconcile
from recorded.legs import RecordedLeg, as_text, differences, read_archive, value_of


class Decision(NamedTuple):
    """What a transfer decides: the plan, and the rows that are to be deleted."""

    plan: pa.Table
    deletes: pa.Table


def decide(recorded: RecordedLeg) -> Decision:
    """Decide a recorded transfer anew, with the code as it is now.

    Args:
        recorded: The transfer.

    Returns:
        The plan and the deletions; to be the same as those that were recorded.
    """
    with tempfile.TemporaryDirectory(prefix="recorded-") as folder:
        leg, runtime = _leg(recorded, Path(folder)), _runtime(recorded, Path(folder))
        # the wanted rows stand where the step reads its rows from, and the transformation leaves them as they are
        write_table(leg.folder.file("source.parquet"), recorded.want)
        base = _written(Path(folder), "base", recorded.base)
        columns = LegColumns(leg.map, leg.direction, runtime.schema, recorded.missing)
        context = LegContext(leg, runtime, columns, UPath(base) if base else None, 0)
        with ExitStack() as stack:
            for place, name, stand_in in (
                (reconcile, "Transform", _Untouched),
                (reconcile, "write_receiver_rows", _have_of(recorded)),
                (triggers, "_verdicts", _lines_of(recorded)),
                (approved, "approved_plan", _approved_of(recorded, Path(folder))),
            ):
                stack.enter_context(mock.patch.object(place, name, stand_in))
            reconcile.reconcile(context, full=recorded.full)
        plan, deletes = (read_table(leg.folder.file(f"{name}.parquet")) for name in ("plan", "deletes"))
        # which updates replace a value is said since the recording was made
        return Decision(plan.drop_columns(["replaces"]), deletes)


def transform_again(recorded: RecordedLeg) -> pa.Table:
    """Transform the rows of a recorded transfer anew, with the code as it is now.

    Args:
        recorded: The transfer.

    Returns:
        The wanted rows; to be the same as those that were recorded.

    Raises:
        KeyError: The code asks something about parents that it did not ask when the transfer was recorded.
    """
    with tempfile.TemporaryDirectory(prefix="recorded-") as folder:
        leg, runtime = _leg(recorded, Path(folder)), _runtime(recorded, Path(folder))
        columns = LegColumns(leg.map, leg.direction, runtime.schema, recorded.missing)
        with mock.patch.object(transform, "Parents", return_value=_Answering(recorded)):
            made = transform.Transform(leg, runtime, columns)
        return to_arrow(made.piece(to_pandas(recorded.source)), made.schema)


def decided_otherwise(legs: Iterable[RecordedLeg]) -> dict[str, list[str]]:
    """By the name of the transfer, what is decided otherwise than it was; empty where nothing is."""
    return _different((leg.name, (leg.plan, leg.deletes), decide(leg)) for leg in legs)


def transformed_otherwise(legs: Iterable[RecordedLeg]) -> dict[str, list[str]]:
    """By the name of the transfer, what is transformed otherwise than it was; empty where nothing is."""
    return _different((leg.name, (leg.want,), (transform_again(leg),)) for leg in legs)


def _different(compared: Iterable[tuple[str, Sequence[pa.Table], Sequence[pa.Table]]]) -> dict[str, list[str]]:
    found = {
        name: [text for one, other in zip(told, now, strict=True) for text in differences(one, other)]
        for name, told, now in compared
    }
    return {name: texts for name, texts in found.items() if texts}


_DEFERS = re.compile(r"^ +defer: true\n|, defer: true", re.MULTILINE)


@cache
def maps() -> Catalog:
    """The table maps as they were recorded, without a word that the format has no more and that decided nothing."""
    _, texts = read_archive()
    with tempfile.TemporaryDirectory(prefix="recorded-maps-") as folder:
        for name, text in texts.items():
            Path(folder, f"{name}.yaml").write_text(_DEFERS.sub("", text), encoding="utf-8")
        return Catalog.load(Path(folder))


@cache
def _schema() -> Schema:
    return Schema.load()


def _leg(recorded: RecordedLeg, folder: Path) -> Leg:
    run = RunRef.from_dict({**recorded.run, "folder": str(folder)})
    place = LegFolder(UPath(folder) / "leg", 1)
    place.path.mkdir(parents=True)
    return Leg(run, maps()[recorded.map], cast(Any, recorded.direction), recorded.company, "rows", place)


def _runtime(recorded: RecordedLeg, folder: Path) -> Runtime:
    """What a decision asks of a runtime, from what was recorded."""
    told = recorded.settings
    cutover = {} if told["cutover"] is None else {recorded.company: date.fromisoformat(told["cutover"])}
    settings = SimpleNamespace(companies=tuple(told["companies"]), time_zone=told["time_zone"], cutover=cutover)
    documents = [SimpleNamespace(join_key=key) for key in recorded.due or ()]
    trigger = _written(folder, "trigger_base", recorded.trigger_base)
    return cast(
        Runtime,
        SimpleNamespace(
            settings=settings,
            catalog=maps(),
            schema=_schema(),
            ledger=SimpleNamespace(documents=lambda **_: documents),
            base_path=lambda *_: None if trigger is None else UPath(trigger),
        ),
    )


def _written(folder: Path, name: str, table: pa.Table | None) -> str | None:
    if table is None:
        return None
    path = folder / f"{name}.parquet"
    write_table(UPath(path), table)
    return str(path)


class _Untouched(transform.Transform):
    """Stands in for the transformation: the rows are in the wanted form already."""

    def piece(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows


def _have_of(recorded: RecordedLeg) -> Any:
    def have(leg: Leg, *_: Any) -> None:
        write_table(leg.folder.file("have.parquet"), recorded.have)

    return have


def _approved_of(recorded: RecordedLeg, folder: Path) -> Any:
    return lambda *_: UPath(str(_written(folder, "approved", recorded.approved)))


def _lines_of(recorded: RecordedLeg) -> Any:
    def verdicts(leg: Leg, runtime: Runtime, sets: Any, asked: str, step: str) -> list[dict[str, Any]]:
        assert recorded.lines is not None
        found: list[dict[str, Any]] = recorded.lines.to_pylist()
        headers = set(sets.fetch(asked).column(0).to_pylist())
        return [row for row in found if row["join_key"] in headers]

    return verdicts


class _Answering:
    """Stands in for ``Parents``: answers as was answered when the transfer was recorded."""

    def __init__(self, recorded: RecordedLeg) -> None:
        self._answers = recorded.answers

    def _of(self, question: tuple[Any, ...], asked: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        for one in asked:
            answer = self._answers[as_text(question)][as_text(one)]
            if answer is not None:
                yield one, answer

    def finance_values(self, parent: Any, paths: Any, ids: pa.Array, *, anywhere: bool = False) -> pa.Table:
        found = self._of(("finance_values", parent.map, paths, anywhere), ids.to_pylist())
        rows = [(one, *value_of(answer)) for one, answer in found]
        columns = zip(*rows, strict=True) if rows else [[]] * (1 + len(paths))
        return pa.table(dict(zip(["id", *paths], map(pa.array, columns), strict=True)))

    def record_ids(self, parent: Any, paths: Any, keys: pd.DataFrame, *, company: str | None = None) -> pa.Table:
        found = self._by_key(("record_ids", parent.map, paths, company), keys)
        columns = {"join_key": list(found), "id": list(found.values())}
        return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})

    def through(self, lookup: Lookup, ids: Any) -> dict[Any, Any]:
        return {one: value_of(a)[0] for one, a in self._of(("through", lookup.dataverse), ids)}

    def records_through(self, lookup: Lookup, values: dict[str, Any]) -> dict[str, str]:
        found = dict(self._of(("records_through", lookup.dataverse), list(values.values())))
        return {text: found[value] for text, value in values.items() if value in found}

    def why_missing_records(self, parent: Any, attribute: str, ids: pa.Array) -> pa.Table:
        question = ("why_missing_records", parent.map, attribute)
        return missing_table("id", {one: Missing(*answer) for one, answer in self._of(question, ids.to_pylist())})

    def why_missing_keys(
        self, parent: Any, columns: Any, keys: pd.DataFrame, *, company: str | None = None
    ) -> pa.Table:
        paths = [name for name in keys.columns if name != "join_key"]
        found = self._by_key(("why_missing_keys", parent.map, columns, paths, company), keys)
        return missing_table("join_key", {text: Missing(*answer) for text, answer in found.items()})

    def _by_key(self, question: tuple[Any, ...], keys: pd.DataFrame) -> dict[str, Any]:
        values = values_by_key(keys)
        found = dict(self._of(question, list(values.values())))
        return {text: found[value] for text, value in values.items() if value in found}


def values_by_key(keys: pd.DataFrame) -> dict[str, tuple[Any, ...]]:
    """The values of each key, by its join key."""
    columns = [keys[name].array.__arrow_array__().to_pylist() for name in keys.columns if name != "join_key"]
    return dict(zip(keys["join_key"].tolist(), zip(*columns, strict=True), strict=True))
