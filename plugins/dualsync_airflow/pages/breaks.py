"""Pages of exceptions: the list with its filter, its download, one exception with both records, its forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse

from dualsync.controls.causes import CAUSES
from dualsync.controls.model import SEVERITIES
from dualsync.ledger import BreakRecord
from dualsync.ledger.breaks import STATUSES, BreakFilter
from dualsync.reports.exports import BREAK_COLUMNS, break_row, csv_line
from dualsync.reports.nights import NightReport
from dualsync.sync.legs.runtime import Runtime
from dualsync_airflow.pages import REPAIR_DAG, shown
from dualsync_airflow.pages.access import can_edit, can_trigger, may_edit, may_repair
from dualsync_airflow.pages.render import SAFE, go, page, query_of
from dualsync_airflow.pages.trigger import start

router = APIRouter()

ROWS = 50
"""Exceptions on one page."""

DOWNLOAD_ROWS = 2_000
"""Exceptions read at a time for the download."""

NOBODY = "-"
"""In addresses, the owner of exceptions that nobody looks after."""

STATES = {"open": True, "resolved": False, "all": None}


@dataclass(frozen=True, slots=True)
class ListFilter:
    """The filter of the list, as its form and its addresses have it. An empty field leaves nothing out.

    Attributes:
        state: ``open``, ``resolved`` or ``all``.
        order: ``oldest`` or ``newest``.
        night: Only those that this reconciliation was the last to see.
        gone: Only those that were gone in this reconciliation.
    """

    state: str
    order: str
    control: str
    company: str
    class_: str
    severity: str
    status: str
    owner: str
    text: str
    night: str
    gone: str

    @property
    def filter(self) -> BreakFilter:
        """Return the same for the ledger."""
        return BreakFilter(
            run_id=self.night or None,
            resolved_by=self.gone or None,
            control=self.control or None,
            company=self.company.upper() if self.company not in ("", "_global") else self.company or None,
            break_class=self.class_ or None,
            severity=self.severity or None,
            status=self.status or None,
            owner="" if self.owner == NOBODY else self.owner or None,
            text=self.text or None,
            still_open=STATES.get(self.state, True),
        )

    @property
    def words(self) -> dict[str, str]:
        """Return the same for an address, without what is as usual."""
        usual = {"state": "open", "order": "oldest"}
        given = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in given.items() if value and usual.get(name) != value}


def list_filter(
    state: str = "open",
    order: str = "oldest",
    control: str = "",
    company: str = "",
    class_: Annotated[str, Query(alias="class")] = "",
    severity: str = "",
    status: str = "",
    owner: str = "",
    text: str = "",
    night: str = "",
    gone: str = "",
) -> ListFilter:
    """Return the filter of an address."""
    return ListFilter(
        state, order, control.strip(), company.strip(), class_, severity, status, owner.strip(), text.strip(), night,
        gone,
    )  # fmt: skip


FilterDep = Annotated[ListFilter, Depends(list_filter)]


@router.get("/breaks")
def break_list(
    request: Request, user: GetUserDep, chosen: FilterDep, after: int | None = None, before: int | None = None
) -> Response:
    """List the exceptions that fit the filter, a page at a time."""
    opened = shown.runtime()
    lists = opened.ledger.lists
    listed = lists.breaks(chosen.filter, limit=ROWS, after=after, before=before, newest=chosen.order == "newest")
    rows = listed.rows
    alone = not listed.before and not listed.after
    # A search by text reads whole rows, so its hits are counted only if all of them are on this page.
    total = len(rows) if alone else None if chosen.text else opened.ledger.nights.count(chosen.filter)
    places = lists.places()
    words = chosen.words
    return page(
        request, user, "breaks.html",
        chosen=chosen,
        rows=rows,
        total=total,
        first=query_of(**words),
        previous=query_of(**words, before=str(rows[0].number)) if rows and listed.before else "",
        next=query_of(**words, after=str(rows[-1].number)) if rows and listed.after else "",
        download=query_of(**words),
        night=shown.latest(opened),
        controls=_counted(places, 0),
        companies=_counted(places, 1),
        owners=lists.owners(),
        states=STATES,
        statuses=STATUSES,
        severities=SEVERITIES,
        may_repair=can_trigger(user, REPAIR_DAG),
        causes=CAUSES,
    )  # fmt: skip


def _counted(places: list[tuple[str, str, int]], part: int) -> dict[str, int]:
    """Count open exceptions by control, or by company."""
    counts: dict[str, int] = {}
    for place in places:
        counts[str(place[part])] = counts.get(str(place[part]), 0) + place[2]
    return dict(sorted(counts.items()))


@router.get("/breaks.csv")
def download(chosen: FilterDep) -> Response:
    """Download all exceptions that fit the filter as CSV, written while they are read."""
    opened = shown.runtime()
    night = shown.latest(opened)
    if night is None:
        raise HTTPException(404, "No reconciliation has run yet, so there are no exceptions.")
    report = NightReport(opened.ledger, opened.catalog, night)
    headers = SAFE | {"Content-Disposition": 'attachment; filename="exceptions.csv"'}
    return StreamingResponse(_lines(opened, report, chosen), media_type="text/csv; charset=utf-8", headers=headers)


def _lines(opened: Runtime, report: NightReport, chosen: ListFilter) -> Iterator[bytes]:
    urls = report.verdict.get("environments", {})
    yield csv_line(BREAK_COLUMNS.names)
    after: int | None = None
    more = True
    while more:
        listed = opened.ledger.lists.breaks(chosen.filter, limit=DOWNLOAD_ROWS, after=after, newest=False)
        rows = [break_row(report, record, urls) for record in listed.rows]
        yield b"".join(csv_line([row[name] for name in BREAK_COLUMNS.names]) for row in rows)
        more = listed.after
        after = listed.rows[-1].number if listed.rows else None


@router.get("/breaks/{number}")
def one_break(request: Request, user: GetUserDep, number: int, done: str = "", run: str = "") -> Response:
    """Show one exception: both records, its cause, its history, and what can be done."""
    opened = shown.runtime()
    found = _break(opened, number)
    report = shown.report(opened, found.last_run)
    detail = report.detail(number)
    assert detail is not None
    return page(
        request, user, "break.html",
        found=found,
        detail=detail,
        sides=_sides(report, found, detail),
        statuses=STATUSES,
        may_edit=can_edit(user),
        may_repair=can_trigger(user, REPAIR_DAG),
        done=done,
        run=run,
        repair_dag=REPAIR_DAG,
    )  # fmt: skip


@router.post("/breaks/{number}", dependencies=[Depends(may_edit)])
def edit(
    request: Request,
    user: GetUserDep,
    number: int,
    status: Annotated[str, Form()],
    owner: Annotated[str, Form(max_length=120)] = "",
    comment: Annotated[str, Form(max_length=10_000)] = "",
) -> Response:
    """Store the owner, the status and the comment of an exception."""
    opened = shown.runtime()
    _break(opened, number)
    opened.ledger.nights.edit_break(
        number, user.get_name(), status=status, owner=owner.strip(), comment=comment.strip()
    )
    return go(request, "breaks", str(number), done="saved")


@router.post("/breaks/{number}/resend", dependencies=[Depends(may_repair)])
def resend_one(request: Request, user: GetUserDep, number: int, dry_run: Annotated[bool, Form()] = True) -> Response:
    """Start the DAG that sends the record of an exception again, in the name of the user."""
    _break(shown.runtime(), number)
    started = start(REPAIR_DAG, {"numbers": [number], "dry_run": dry_run}, user.get_name())
    return go(request, "breaks", str(number), done="waits" if started.paused else "started", run=started.run_id)


@router.post("/resend", dependencies=[Depends(may_repair)])
def resend_many(
    request: Request,
    user: GetUserDep,
    control: Annotated[str, Form()] = "",
    class_: Annotated[str, Form(alias="class")] = "",
    company: Annotated[str, Form()] = "",
    dry_run: Annotated[bool, Form()] = True,
) -> Response:
    """Start the DAG that sends the records of many exceptions again: of a control, a class, a company."""
    params = {"control": control, "class": class_, "company": company}
    given = {name: value for name, value in params.items() if value}
    if not given:
        raise HTTPException(400, "Choose a control, a class or a company first.")
    started = start(REPAIR_DAG, {**given, "dry_run": dry_run}, user.get_name())
    return go(request, "started", REPAIR_DAG, started.run_id, paused="1" if started.paused else "")


def _break(opened: Runtime, number: int) -> BreakRecord:
    # The database cannot hold larger numbers.
    record = opened.ledger.nights.one_break(number) if 0 < number < 1 << 63 else None
    if record is None:
        raise HTTPException(404, shown.NO_EXCEPTION)
    return record


# --- both records side by side ----------------------------------------------------------------------------------------


def _sides(report: NightReport, found: BreakRecord, detail: dict[str, Any]) -> dict[str, Any]:
    """Return both records: the pairs of columns that are compared, and the other columns of either.

    Returns:
        ``pairs``: lines of a pair with both values, and whether the pair is what differs, where there is one record on
        either side at most. ``dataverse`` and ``finance``: each record with its columns that are not in a pair.
    """
    differs = set(found.field.split(" / ")) - {""}
    pairs: list[dict[str, Any]] = []
    records = {side: [_filled(one) for one in detail[side]] for side in ("dataverse", "finance")}
    if max(len(one) for one in records.values()) <= 1:
        left, right = (next(iter(records[side]), {}) for side in ("dataverse", "finance"))
        pairs = [
            {
                "dataverse": here,
                "finance": there,
                "left": left.get(here),
                "right": right.get(there),
                "differs": bool(differs & {here, there}),
            }
            for here, there in report.pairs(found.control)
            if here in left or there in right
        ]
    shown_here = {pair["dataverse"] for pair in pairs}, {pair["finance"] for pair in pairs}
    rest = {
        side: [
            [(name, value, name in differs) for name, value in record.items() if name not in known]
            for record in records[side]
        ]
        for side, known in zip(("dataverse", "finance"), shown_here, strict=True)
    }
    return {"pairs": sorted(pairs, key=lambda pair: not pair["differs"]), **rest}


def _filled(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without annotations of the protocol and without empty columns."""
    return {name: value for name, value in record.items() if "@" not in name and value is not None}
