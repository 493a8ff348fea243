"""Sends rows again from the side that owns them, where that heals a break of the nightly reconciliation.

A re-send is a run of chosen rows (``repair/replay.py``) in which a column is carried from its owner although the owner
did not change it, and a row that is gone from the receiver is made there again. It never writes a column that the
sender does not own, never copies a row into the system that makes such rows, and posts no history. What it would do is
planned first, as a dry run; only what was planned is sent, and above a limit only once a person approved it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dualsync.controls.causes import CAUSES
from dualsync.errors import RequestError
from dualsync.ledger import BreakRecord
from dualsync.ledger.breaks import BreakFilter
from dualsync.mapping import Direction, TableMap
from dualsync.nightly.comparison.maps import PREFIX
from dualsync.repair.replay import GONE, RowOutcome, outcomes, start_selected_run, started_run
from dualsync.sync.legs.folders import read_json, write_json
from dualsync.sync.legs.markers import Stored, read_stored
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.legs.spec import Resend, RowRef
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.vocabulary import GLOBAL, WRITTEN, Action
from dualsync.sync.run.runs import RunSummary
from dualsync.sync.run.serial import run_all

JOB = "repair_breaks"
"""Name of the job in the ledger, and of the DAG."""

NEVER = {
    "duplicate_in_dataverse": "a re-send makes no row fewer: keep one of them",
    "duplicate_in_finance": "a re-send makes no row fewer: keep one of them",
    "wrong_owner": "it was made in the system that may not make it, and a re-send copies no such row",
    "filtered_out": "its row in Dataverse does not travel any more; a re-send takes nothing back",
    "balance": "a balance is made of many rows; look for the exceptions of these",
    "not_imported": "it has arrived; Import from staging is a job of Finance",
    "not_posted": "it has arrived; posting is a job of Finance",
    "signed_period": "its period was signed off; a person has to decide what holds",
}
"""Classes of breaks that no re-send heals, and why."""

PLAN = "resend.json"
"""The file with what a re-send would do, in the folder of the dry run that planned it."""

_PAGE = 1_000
_RECORD = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ResendLine:
    """What a re-send does for one break.

    Attributes:
        number: The break.
        control: Its control, or the map's comparison.
        company: Its company.
        key: Its key.
        break_class: Its class.
        field: Its column, empty where it is no matter of one.
        heals: Whether a re-send heals it.
        reason: What would be sent; else why not, and what helps.
        rows: The rows that are sent for it.
    """

    number: int
    control: str
    company: str
    key: str
    break_class: str
    field: str
    heals: bool
    reason: str
    rows: tuple[RowRef, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ResendPlan:
    """What a re-send would do.

    Attributes:
        run_id: The dry run that planned it; empty where there is nothing to plan.
        rows: How many rows would be written.
        limit: How many may be without a person agreeing.
        lines: What it does for each break.
    """

    run_id: str
    rows: int
    limit: int
    lines: tuple[ResendLine, ...]

    @property
    def held(self) -> bool:
        """Whether a person has to approve it."""
        return self.rows > self.limit

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "held": self.held}


class StoredPlan(Stored, frozen=True, kw_only=True):
    """A plan as :data:`PLAN` holds it; its fields are those of :class:`ResendPlan`."""

    run_id: str
    rows: int
    limit: int
    lines: tuple[ResendLine, ...]
    held: bool = False

    @property
    def plan(self) -> ResendPlan:
        """The plan."""
        return ResendPlan(self.run_id, self.rows, self.limit, self.lines)


def chosen_breaks(
    runtime: Runtime, numbers: Sequence[int] = (), chosen: BreakFilter | None = None
) -> list[BreakRecord]:
    """The breaks of these numbers, or the open ones of a filter.

    Raises:
        RequestError: There is no break of a number, or nothing was said that chooses.
    """
    nights = runtime.ledger.nights
    if numbers:
        found = {number: nights.one_break(number) for number in dict.fromkeys(numbers)}
        unknown = [str(number) for number, one in found.items() if one is None]
        if unknown:
            raise RequestError(
                f"there is no exception number {', '.join(unknown)}; `dualsync exceptions list` lists them"
            )
        return [one for one in found.values() if one is not None]
    if chosen is None or chosen == BreakFilter(still_open=True):
        raise RequestError("name exceptions by their numbers, or choose them by control, class or company")
    breaks: list[BreakRecord] = []
    while page := nights.breaks(chosen, after=breaks[-1].number if breaks else 0, limit=_PAGE):
        breaks += page
    return breaks


def plan_resend(
    runtime: Runtime, breaks: Sequence[BreakRecord], *, limit: int | None = None, run_id: str | None = None
) -> ResendPlan:
    """Find out what a re-send would do for breaks, writing nothing.

    Args:
        runtime: Everything at hand.
        breaks: The breaks.
        limit: How many rows may be written without a person agreeing; the setting ``guards.resend`` where None.
        run_id: Identity of the dry run; the plan of one that came to its end is found again.
    """
    allowed = runtime.settings.guards.resend if limit is None else limit
    if run_id is not None and (plan := read_plan(runtime, run_id)) is not None:
        return plan
    resends = {record.number: _Break(runtime, record) for record in breaks}
    rows = list(dict.fromkeys(row for resend in resends.values() for row in resend.rows))
    ended: dict[RowRef, RowOutcome] = {}
    if rows:
        run = started_run(runtime, run_id)
        run = run or start_selected_run(runtime, JOB, rows, dry_run=True, policy=Resend(), run_id=run_id)
        run_all(run, runtime)
        run_id = run.run_id
        ended = {outcome.row: outcome for outcome in outcomes(runtime, run_id)}
    lines = tuple(resend.line(ended) for resend in resends.values())
    written = {row for line in lines if line.heals for row in line.rows}
    plan = ResendPlan(run_id if rows and run_id else "", len(written), allowed, lines)
    if plan.run_id:
        stored = StoredPlan(run_id=plan.run_id, rows=plan.rows, limit=plan.limit, lines=plan.lines, held=plan.held)
        write_json(runtime.run_folder(plan.run_id) / PLAN, stored.content())
    return plan


def read_plan(runtime: Runtime, run_id: str) -> ResendPlan | None:
    """The plan that a dry run made, None where it made none."""
    place = runtime.run_folder(run_id) / PLAN
    content = read_json(place)
    return None if content is None else read_stored(content, StoredPlan, place).plan


def send(runtime: Runtime, planned: str, *, by: str = "", run_id: str | None = None) -> RunSummary:
    """Send what a dry run planned; rows that would be written otherwise by now are left out, and wait.

    Args:
        runtime: Everything at hand.
        planned: The dry run.
        by: Who approved it.
        run_id: Identity of the run; one that was begun before goes on where it stopped.

    Raises:
        RequestError: The run planned no re-send, or nothing that could be sent.
    """
    run = started_run(runtime, run_id)
    if run is None:
        plan = read_plan(runtime, planned)
        rows = list(dict.fromkeys(row for line in plan.lines if line.heals for row in line.rows)) if plan else []
        if not rows:
            raise RequestError(f"run '{planned}' planned no row to send again; `dualsync exceptions resend` plans one")
        run = start_selected_run(runtime, JOB, rows, dry_run=False, policy=Resend(planned), by=by, run_id=run_id)
    return run_all(run, runtime)


@dataclass(frozen=True, slots=True)
class Resent:
    """A re-send: what was planned, and how the sending ended; None where nothing was sent."""

    plan: ResendPlan
    summary: RunSummary | None
    rows: tuple[RowOutcome, ...] = ()


def resend(
    runtime: Runtime,
    breaks: Sequence[BreakRecord] | BreakFilter,
    *,
    dry_run: bool = True,
    limit: int | None = None,
    by: str = "",
) -> Resent:
    """Plan a re-send and, unless it is a dry run or more than the limit, send it.

    Args:
        runtime: Everything at hand.
        breaks: The breaks, or what chooses them.
        dry_run: Whether nothing may be sent.
        limit: How many rows may be written without a person agreeing.
        by: Who asked for it.
    """
    found = chosen_breaks(runtime, chosen=breaks) if isinstance(breaks, BreakFilter) else breaks
    plan = plan_resend(runtime, found, limit=limit)
    if dry_run or plan.held or not plan.rows:
        return Resent(plan, None)
    summary = send(runtime, plan.run_id, by=by)
    return Resent(plan, summary, tuple(outcomes(runtime, summary.run_id)))


class _Break:
    """A break, and the rows that carry what it is about."""

    def __init__(self, runtime: Runtime, record: BreakRecord) -> None:
        self._runtime = runtime
        self._record = record
        self._columns: dict[tuple[str, str], set[str]] = {}
        self._never_run: list[TableMap] = []
        self.why_not = self._refusal()
        self.rows = () if self.why_not else tuple(self._rows())
        if not self.why_not and not self.rows:
            self.why_not = self._no_rows()

    def line(self, ended: dict[RowRef, RowOutcome]) -> ResendLine:
        """What a re-send does for it."""
        record = self._record
        mine = [ended[row] for row in self.rows if row in ended]
        healing = [outcome for outcome in mine if self._heals(outcome)]
        if healing:
            reason = "; ".join(_in_words(outcome) for outcome in healing)
        else:
            reason = "; ".join(filter(None, (self.why_not or self._why(mine), self._mitigation())))
        rows = tuple(outcome.row for outcome in healing)
        words = (record.number, record.control, record.company, record.key, record.break_class, record.field)
        return ResendLine(*words, bool(healing), reason, rows)

    def _refusal(self) -> str:
        if self._record.resolved_at is not None:
            return "it is resolved already"
        return NEVER.get(self._record.break_class, "")

    def _no_rows(self) -> str:
        if not self._maps():
            return "it is about no single row of a table map"
        if not self._never_run:
            return "no table map carries it in the direction that would bring it"
        return f"this installation sends nothing of a map that it never carried over: {self._unknown()}"

    def _unknown(self) -> str:
        """The maps that have never run here, with what to do."""
        areas = {one.map: one.area for one in self._never_run}
        return ", ".join(f"run {area} for map {name}" for name, area in areas.items())

    def _maps(self) -> list[TableMap]:
        """The maps whose rows it can be about, with their parts."""
        record, catalog = self._record, self._runtime.catalog
        if record.control.startswith(PREFIX):
            name = record.control.removeprefix(PREFIX)
            names = [name] if name in catalog else []
        else:
            files = [found for found in catalog.declared.values() if found.enabled]
            names = [
                found.map for found in files if record.dataverse_id and found.dataverse.table == record.dataverse_table
            ]
            of_set = [found.map for found in files if record.finance_key and found.finance.set == record.finance_set]
            names = [name for name in names if name in of_set] or names or of_set
        return [catalog[part] for name in names for part in (name, *catalog.parts(name))]

    def _ways_of_class(self) -> tuple[Direction, ...]:
        match self._record.break_class:
            case "missing_in_finance":
                return ("to_finance",)
            case "missing_in_dataverse":
                return ("to_dataverse",)
            case _:
                return ("to_finance", "to_dataverse")

    def _rows(self) -> list[RowRef]:
        rows: list[RowRef] = []
        record = self._record
        record_id = record.dataverse_id.lower() if _RECORD.fullmatch(record.dataverse_id) else None
        for table_map in self._maps():
            company = GLOBAL if table_map.scope == "global" else record.company
            key = self._key(table_map)
            for way in table_map.directions:
                if way not in self._ways_of_class() or not self._carries(table_map, way) or not (record_id or key):
                    continue
                if self._runtime.ledger.has_settled(table_map.map, way, company):
                    rows.append(RowRef(table_map.map, way, company, key, record_id))
                else:
                    self._never_run.append(table_map)
        return rows

    def _key(self, table_map: TableMap) -> str:
        """Its key in a map, empty where it names none."""
        record = self._record
        text = record.key if record.control.startswith(PREFIX) else record.finance_key
        return text if text and len(text.split("|")) == len(table_map.finance.key) else ""

    def _carries(self, table_map: TableMap, way: Direction) -> bool:
        """Whether a direction carries the column that differs; notes its receiving columns."""
        record = self._record
        if not record.field or not record.control.startswith(PREFIX):
            return True
        sides = record.field.split(" / ")
        named = {
            pair.target
            for pair in LegColumns(table_map, way, self._runtime.schema).pairs
            if {" + ".join(pair.sources), pair.target} - {""} == set(sides)
        }
        self._columns[table_map.map, way] = named
        return bool(named)

    def _heals(self, outcome: RowOutcome) -> bool:
        row = outcome.row
        if outcome.action == Action.CREATE:
            return True
        named = self._columns.get((row.map, row.direction))
        return outcome.action == Action.UPDATE and (named is None or bool(named & set(outcome.columns)))

    def _why(self, mine: Sequence[RowOutcome]) -> str:
        """Why nothing would be sent."""
        reasons = [f"{one.action}: {one.reason}" for one in mine if one.reason and one.action not in (GONE, *WRITTEN)]
        if reasons:
            return "; ".join(dict.fromkeys(reasons))
        if all(one.action == GONE for one in mine):
            names = ", ".join(dict.fromkeys(one.row.map for one in mine))
            more = f"; it may be one of a map that never ran here: {self._unknown()}" if self._never_run else ""
            return f"it is no row of {names} as the sending side has it{more}"
        return "the side that owns it has nothing else to send: what the map carries is the same on both sides"

    def _mitigation(self) -> str:
        cause = CAUSES.get(self._record.cause)
        return f"what helps: {cause.mitigation}" if cause else ""


def _in_words(outcome: RowOutcome) -> str:
    row = outcome.row
    way = row.direction.replace("to_", "").title()
    what = "creates it" if outcome.action == Action.CREATE else f"writes {', '.join(outcome.columns)}"
    return f"{what} in {way} ({row.map})"
