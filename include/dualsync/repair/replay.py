"""Runs the ordinary steps on exactly the rows that a person chose, and tells what became of each.

Both sides are read anew, by record id and key. Bases, change tokens and open rows of all other rows stay as they are. A
row that fails again keeps its place among the open rows, with the fresh reason; one that is healed is closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dualsync.errors import RequestError, UnknownName
from dualsync.frames import Sets
from dualsync.ledger import LegRecord, OpenRow
from dualsync.mapping import Direction
from dualsync.spelling import nearest
from dualsync.sync.deletions import pending_deletions
from dualsync.sync.legs.leg import Leg, RunRef
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.legs.spec import Normal, Policy, RowRef, Rows, RunSpec
from dualsync.sync.lookups.records import read_key
from dualsync.sync.plan.vocabulary import ENDED, GLOBAL, WRITTEN, Action, LegState, Phase
from dualsync.sync.run.runs import RunSummary, reopen_run, start_run
from dualsync.sync.run.serial import run_all
from dualsync.sync.settle.outcome import end_rows

JOB = "replay_rows"
"""Name of the job in the ledger, and of the DAG."""

GONE = "gone"
"""How a chosen row ends that is no row of the map any more."""

FAILED = "failed"
"""How a chosen row ends whose transfer did not come to its end."""

HEALED = (*WRITTEN, Action.UNCHANGED, Action.SKIPPED, GONE)
"""How rows end that nobody has to look at any more."""


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of a chosen row, or would become of it in a dry run.

    Attributes:
        row: The row.
        action: create, update, delete, unchanged, skipped, conflict, waiting, quarantined; gone where it is no row of
            the map any more, failed where its leg did not come to an end.
        columns: The columns that an update writes.
        rule: The rule that holds it back, empty where none does.
        reason: Why it is held back, in words.
    """

    row: RowRef
    action: str
    columns: tuple[str, ...] = ()
    rule: str = ""
    reason: str = ""

    @property
    def healed(self) -> bool:
        """Whether nobody has to look at it any more."""
        return self.action in HEALED

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        words = asdict(self)
        return {**words.pop("row"), **words, "healed": self.healed}


def find_rows(
    runtime: Runtime,
    map_name: str,
    keys: Sequence[str],
    *,
    company: str | None = None,
    direction: str | None = None,
) -> list[RowRef]:
    """The rows that are held back under keys.

    Args:
        runtime: Maps and ledger.
        map_name: Their map.
        keys: Their keys as ``dualsync quarantine list`` shows them, or record ids.
        company: Only of this company.
        direction: Only of this direction.

    Raises:
        UnknownName: The map is not known, or has no such direction.
        RequestError: No row is held back under a key.
    """
    if map_name not in runtime.catalog:
        raise UnknownName([f"no table map '{map_name}'{nearest(map_name, runtime.catalog)}"])
    ways = runtime.catalog[map_name].directions
    if direction and direction not in ways:
        raise UnknownName([f"map {map_name} has no direction '{direction}'; it has {', '.join(ways)}"])
    open_rows = runtime.ledger.open_rows(
        map_name=map_name, direction=direction or None, company=company.upper() if company else None
    )
    rows: list[OpenRow] = []
    for key in keys:
        mine = [row for row in open_rows if key.strip().casefold() in (row.key.casefold(), row.join_key, row.record_id)]
        if not mine:
            place = f"map {map_name}{f' {direction}' if direction else ''}{f' of {company}' if company else ''}"
            raise RequestError(
                f"no row of {place} waits or is blocked under the key '{key}'; `dualsync quarantine list --map "
                f"{map_name} --state all` lists those that do, `dualsync explain {map_name} '{key}'` explains this one"
            )
        rows += [row for row in mine if row not in rows]
    return [_ref(runtime, row) for row in rows]


def _ref(runtime: Runtime, row: OpenRow) -> RowRef:
    if row.state == Action.DELETE:
        return RowRef(row.map, row.direction, row.company, row.join_key, row.record_id, Phase.DELETIONS.value)
    if row.direction == "to_dataverse":
        # of the sending side a row is only known by its key
        read_key(runtime.catalog[row.map], runtime.schema, row.key)
    return RowRef(row.map, row.direction, row.company, row.key, row.record_id)


def replay(
    runtime: Runtime, rows: Sequence[RowRef], *, dry_run: bool = False, by: str = "", run_id: str | None = None
) -> RunSummary:
    """Run the ordinary steps on exactly these rows.

    Args:
        runtime: Everything at hand.
        rows: The rows, of any maps, directions and companies; their legs run in the order of the maps.
        dry_run: Whether nothing may be written anywhere but in the run's own folder.
        by: Who asked for it; stands in the ledger with each leg.
        run_id: Identity of the run; one that was begun before goes on where it stopped.

    Returns:
        How the run ended; :func:`outcomes` says what became of each row.

    Raises:
        RequestError: No rows were named, or a company is not integrated.
    """
    if (run := started_run(runtime, run_id)) is not None:
        return run_all(run, runtime)
    if not rows:
        raise RequestError(
            "no rows were named; `dualsync quarantine list --state all` lists those that wait or are blocked"
        )
    return run_all(start_selected_run(runtime, JOB, rows, dry_run=dry_run, by=by, run_id=run_id), runtime)


def started_run(runtime: Runtime, run_id: str | None) -> RunRef | None:
    """A run that was begun before, opened again; None where there is none of that identity."""
    if run_id is None or runtime.stored_run(run_id) is None:
        return None
    return reopen_run(run_id, runtime)


def start_selected_run(
    runtime: Runtime,
    job: str,
    rows: Sequence[RowRef],
    *,
    dry_run: bool,
    policy: Policy | None = None,
    by: str = "",
    run_id: str | None = None,
) -> RunRef:
    """Begin a run of chosen rows. Guards do not look at it: each of its rows was named.

    Args:
        runtime: Everything at hand.
        job: Name of the job in the ledger.
        rows: The rows.
        dry_run: Whether nothing may be written.
        policy: By which policy it decides; as the maps say by default.
        by: Who asked for it.
        run_id: Identity of the run; a new one by default.
    """
    spec = RunSpec(
        job,
        Rows(tuple(rows)),
        policy=policy or Normal(),
        companies=[company for company in dict.fromkeys(row.company for row in rows) if company != GLOBAL],
        maps=list(dict.fromkeys(row.map for row in rows)),
        dry_run=dry_run,
        by=by,
        run_id=run_id or "",
    )
    return start_run(spec, runtime)


def outcomes(runtime: Runtime, run_id: str) -> list[RowOutcome]:
    """What became of each row of a run of chosen rows.

    Raises:
        RequestError: There is no such run.
    """
    run = run_of(runtime, run_id)
    rows: list[RowOutcome] = []
    legs = dict.fromkeys((row.map, row.direction, row.company, row.part) for row in run.rows)
    for map_name, direction, company, phase in legs:
        way: Direction = "to_finance" if direction == "to_finance" else "to_dataverse"
        leg = runtime.leg(run, map_name, way, company, phase)
        record = runtime.ledger.leg(run_id, map_name, direction, phase, company)
        rows += _deleted(leg, runtime, record) if phase == Phase.DELETIONS else _ended(leg, record)
    return rows


def run_of(runtime: Runtime, run_id: str) -> RunRef:
    """A run as its steps know it.

    Raises:
        RequestError: There is no such run.
    """
    run = runtime.stored_run(run_id)
    if run is None:
        raise RequestError(f"no run '{run_id}' in {runtime.runs_folder()}")
    return run


def _ended(leg: Leg, record: LegRecord | None) -> list[RowOutcome]:
    if record is None or record.state not in (*ENDED, LegState.HELD):
        message = record.message if record else "its leg did not begin"
        return [RowOutcome(row, FAILED, reason=message) for row in leg.rows]
    if not leg.folder.file("plan.parquet").exists():
        return [RowOutcome(row, GONE, reason="is no row of the map any more") for row in leg.rows]
    with Sets() as sets:
        end_rows(sets, leg.folder, record.state)
        rows = sets.fetch("SELECT join_key, key, id, action, rule, reason, columns FROM ended ORDER BY pos").to_pylist()
    by_id = {row["id"]: row for row in reversed(rows) if row["id"]}
    by_key = {str(row["key"] or row["join_key"]).casefold(): row for row in reversed(rows)}
    return [
        _outcome(row, by_id.get((row.record_id or "").lower()) or by_key.get(row.key.casefold())) for row in leg.rows
    ]


def _outcome(row: RowRef, ended: dict[str, Any] | None) -> RowOutcome:
    if ended is None:
        return RowOutcome(row, GONE, reason="is no row of the map any more")
    columns = tuple(ended["columns"] or ()) if ended["action"] == Action.UPDATE else ()
    return RowOutcome(row, ended["action"], columns, ended["rule"] or "", ended["reason"] or "")


def _deleted(leg: Leg, runtime: Runtime, record: LegRecord | None) -> list[RowOutcome]:
    if record is not None and record.state not in ENDED:
        return [RowOutcome(row, FAILED, reason=record.message) for row in leg.rows]
    still = {} if not leg.run.writes else {row.join_key: row for row in pending_deletions(leg, runtime)}
    return [
        RowOutcome(row, Action.WAITING.value, rule=still[row.key].rule, reason=still[row.key].reason)
        if row.key in still
        else RowOutcome(row, Action.DELETE.value if record is not None else GONE)
        for row in leg.rows
    ]
