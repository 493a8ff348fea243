"""Transfers that a guard stopped: what they would have done, and how a person approves just that.

The plan of a held leg stays in its run folder. Releasing runs the leg once on the rows that the plan would have
written, each read anew; a row that would be written otherwise by now was not what the person looked at, and is left out
(``approved.py``). Everything else of the leg comes with its next run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from upath import UPath

from dualsync.errors import ApprovalError
from dualsync.frames import Sets
from dualsync.ledger import LegRecord
from dualsync.repair.replay import RowOutcome, outcomes, start_selected_run, started_run
from dualsync.sync.deletions import HELD
from dualsync.sync.documents.completeness import SENT
from dualsync.sync.legs.leg import RunRef
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.legs.spec import Approved, RowRef
from dualsync.sync.plan.vocabulary import WRITTEN, LegState, Phase, RuleWord, has_rule_word
from dualsync.sync.run.runs import RunSummary
from dualsync.sync.run.serial import run_all

JOB = "release_held"
"""Name of the job in the ledger, and of the DAG."""

SAMPLE = 5
"""So many keys are named."""


@dataclass(frozen=True, slots=True)
class HeldLeg:
    """A leg that a guard held.

    Attributes:
        run_id: The run in which it was held.
        map: Its map.
        direction: Its direction.
        company: Its company.
        part: ``rows``, or ``deletes``.
        since: When it was held.
        message: What the guard said.
        planned: How many rows would be created, updated and deleted.
        sample: Some of their keys.
        missing: Why it cannot be released, empty where it can.
    """

    run_id: str
    map: str
    direction: str
    company: str
    part: str
    since: datetime
    message: str
    planned: dict[str, int]
    sample: tuple[str, ...]
    missing: str = ""

    @property
    def label(self) -> str:
        """The leg as it is named in messages."""
        return f"{self.map} {self.direction} of {self.company}{' (deletions)' if self.part == Phase.DELETIONS else ''}"

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Released:
    """What became of a held leg that was released.

    Attributes:
        leg: The leg.
        summary: The run that carried its plan out.
        rows: What became of each row.
    """

    leg: HeldLeg
    summary: RunSummary
    rows: tuple[RowOutcome, ...]

    @property
    def left_out(self) -> tuple[RowOutcome, ...]:
        """Rows that would be written otherwise by now, or not at all."""
        return tuple(row for row in self.rows if has_rule_word(row.rule, RuleWord.MOVED) or row.action not in WRITTEN)

    @property
    def summary_line(self) -> str:
        """What became of it, in one line."""
        done = len(self.rows) - len(self.left_out)
        text = f"{self.leg.label}: {done} of {len(self.rows)} rows released as they were planned"
        if self.left_out:
            named = ", ".join(row.row.key for row in self.left_out[:SAMPLE])
            text += f", {len(self.left_out)} left out, since they changed meanwhile or are blocked: {named}"
        return text


def held_legs(runtime: Runtime) -> list[HeldLeg]:
    """The legs that are held, oldest first."""
    return [_held(leg) for leg in runtime.ledger.held_legs(released_by=JOB)]


def held_leg(runtime: Runtime, run_id: str, map_name: str, direction: str, company: str, part: str) -> HeldLeg:
    """A leg that was held in a run, whether or not it still is.

    Raises:
        ApprovalError: It was not.
    """
    leg = runtime.ledger.leg(run_id, map_name, direction, part, company)
    if leg is None or leg.state != LegState.HELD:
        raise ApprovalError(f"{map_name} {direction} of {company} was not held in run '{run_id}'")
    return _held(leg)


def chosen_legs(
    runtime: Runtime, map_name: str | None, *, direction: str | None = None, company: str | None = None
) -> list[HeldLeg]:
    """The held legs of a map, or all.

    Raises:
        ApprovalError: None is held.
    """
    company = company.upper() if company else None
    legs = [
        leg
        for leg in held_legs(runtime)
        if map_name in (None, leg.map) and direction in (None, leg.direction) and company in (None, leg.company)
    ]
    if not legs:
        place = " ".join(filter(None, (map_name or "", direction or "", f"of {company}" if company else "")))
        raise ApprovalError(
            f"no transfer {f'({place}) ' if place else ''}needs approval; `dualsync approvals list` shows those that do"
        )
    return legs


def release(runtime: Runtime, legs: Sequence[HeldLeg], *, by: str, run_id: str | None = None) -> list[Released]:
    """Carry out what held legs had planned, and nothing else.

    Args:
        runtime: Everything at hand.
        legs: The legs, as the person saw them.
        by: Who releases them; stands in the ledger with each leg.
        run_id: Identity of the runs, with a number behind it; new ones by default. Runs that were begun before go on.

    Raises:
        ApprovalError: Nobody said who releases, or a plan is no longer there.
    """
    if not by.strip():
        raise ApprovalError("say who releases the transfers; it is kept with them")
    gone = [leg.missing for leg in legs if leg.missing]
    if gone:
        raise ApprovalError("; ".join(gone))
    released: list[Released] = []
    for number, leg in enumerate(legs, start=1):
        identity = None if run_id is None else f"{run_id}.{number}"
        run = started_run(runtime, identity) or _start_release(runtime, leg, by=by, run_id=identity)
        summary = run_all(run, runtime)
        released.append(Released(leg, summary, tuple(outcomes(runtime, run.run_id))))
    return released


def _start_release(runtime: Runtime, leg: HeldLeg, *, by: str, run_id: str | None) -> RunRef:
    # of deletions there is no plan to compare with: each is looked at again before it is carried out
    policy = None if leg.part == Phase.DELETIONS else Approved(leg.run_id)
    return start_selected_run(runtime, JOB, _rows(runtime, leg), dry_run=False, policy=policy, by=by, run_id=run_id)


def _held(leg: LegRecord) -> HeldLeg:
    words = (leg.run_id, leg.map, leg.direction, leg.company, leg.part, leg.started_at, leg.message)
    path = UPath(leg.folder) / (HELD if leg.part == Phase.DELETIONS else "plan.parquet")
    if not path.exists():
        missing = f"what run {leg.run_id} had planned for {leg.map} is no longer in {leg.folder}; run the area again"
        return HeldLeg(*words, {}, (), missing)
    with Sets() as sets:
        rows = _planned(sets, path, leg.part)
        counted = sets.fetch(f"SELECT action, count(*) AS n FROM {rows} GROUP BY action ORDER BY action").to_pylist()
        keys = sets.fetch(f"SELECT COALESCE(key, join_key) AS key FROM {rows} ORDER BY key LIMIT {SAMPLE}")
    return HeldLeg(*words, {row["action"]: row["n"] for row in counted}, tuple(keys.column(0).to_pylist()))


def _planned(sets: Sets, path: UPath, part: str) -> str:
    """SQL of the rows that a held leg would have written."""
    sets.view("plan", path)
    if part == Phase.DELETIONS:
        return "(SELECT *, 'delete' AS action, NULL::VARCHAR AS id FROM plan)"
    sets.view("failures", path.parent / "failures.parquet")
    return f"(SELECT * FROM plan WHERE {SENT})"


def _rows(runtime: Runtime, leg: HeldLeg) -> list[RowRef]:
    record = runtime.ledger.leg(leg.run_id, leg.map, leg.direction, leg.part, leg.company)
    assert record is not None
    deletes = leg.part == Phase.DELETIONS
    with Sets() as sets:
        rows = _planned(sets, UPath(record.folder) / (HELD if deletes else "plan.parquet"), leg.part)
        named = "join_key" if deletes else "COALESCE(key, join_key)"
        keys = sets.fetch(f"SELECT {named} AS key, id FROM {rows} ORDER BY 1").to_pylist()
    return [RowRef(leg.map, leg.direction, leg.company, row["key"], row["id"], leg.part) for row in keys]
