"""Pages of breaks: the list that filters and pages, its download, one break with both records, what is done to it."""

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
"""Breaks of one page."""

DOWNLOAD_ROWS = 2_000
"""Breaks read at a time for the download."""

NOBODY = "-"
"""The owner of breaks that nobody looks after, in addresses."""

STATES = {"open": True, "resolved": False, "all": None}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the list is filtered by, as its form and its addresses say it; what is empty does not choose.

    Attributes:
        state: open, resolved or all.
        order: oldest or newest.
        night: Only those that this night saw last.
        gone: Only those that were gone in this night.
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
        """The same for the ledger."""
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
        """The same for an address; what is as usual is left out."""
        usual = {"state": "open", "order": "oldest"}
        given = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in given.items() if value and usual.get(name) != value}


def wanted(
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
) -> Wanted:
    """The filter of an address."""
    return Wanted(
        state, order, control.strip(), company.strip(), class_, severity, status, owner.strip(), text.strip(), night,
        gone,
    )  # fmt: skip


WantedDep = Annotated[Wanted, Depends(wanted)]


@router.get("/breaks")
def break_list(
    request: Request, user: GetUserDep, chosen: WantedDep, after: int | None = None, before: int | None = None
) -> Response:
    """The breaks that fit, a page at a time."""
    opened = shown.runtime()
    lists = opened.ledger.lists
    found = lists.breaks(chosen.filter, limit=ROWS, after=after, before=before, newest=chosen.order == "newest")
    rows = found.rows
    alone = not found.before and not found.after
    # a search by text reads whole rows: its hits are counted only where they are all here
    total = len(rows) if alone else None if chosen.text else opened.ledger.nights.count(chosen.filter)
    places = lists.places()
    words = chosen.words
    return page(
        request, user, "breaks.html",
        chosen=chosen,
        rows=rows,
        total=total,
        first=query_of(**words),
        previous=query_of(**words, before=str(rows[0].number)) if rows and found.before else "",
        next=query_of(**words, after=str(rows[-1].number)) if rows and found.after else "",
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
    """Open breaks by control, or by company."""
    found: dict[str, int] = {}
    for place in places:
        found[str(place[part])] = found.get(str(place[part]), 0) + place[2]
    return dict(sorted(found.items()))


@router.get("/breaks.csv")
def download(chosen: WantedDep) -> Response:
    """The breaks that fit, all of them, as CSV; written while they are read."""
    opened = shown.runtime()
    night = shown.latest(opened)
    if night is None:
        raise HTTPException(404, "There is no night yet, so there are no breaks.")
    report = NightReport(opened.ledger, opened.catalog, night)
    headers = SAFE | {"Content-Disposition": 'attachment; filename="breaks.csv"'}
    return StreamingResponse(_lines(opened, report, chosen), media_type="text/csv; charset=utf-8", headers=headers)


def _lines(opened: Runtime, report: NightReport, chosen: Wanted) -> Iterator[bytes]:
    urls = report.verdict.get("environments", {})
    yield csv_line(BREAK_COLUMNS.names)
    after: int | None = None
    more = True
    while more:
        found = opened.ledger.lists.breaks(chosen.filter, limit=DOWNLOAD_ROWS, after=after, newest=False)
        rows = [break_row(report, one, urls) for one in found.rows]
        yield b"".join(csv_line([row[name] for name in BREAK_COLUMNS.names]) for row in rows)
        more = found.after
        after = found.rows[-1].number if found.rows else None


@router.get("/breaks/{number}")
def one_break(request: Request, user: GetUserDep, number: int, done: str = "", run: str = "") -> Response:
    """One break: both records, its cause, its life, and what can be done."""
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
    """Take over who looks after a break, how far that person is, and what there is to know."""
    opened = shown.runtime()
    _break(opened, number)
    opened.ledger.nights.edit_break(
        number, user.get_name(), status=status, owner=owner.strip(), comment=comment.strip()
    )
    return go(request, "breaks", str(number), done="saved")


@router.post("/breaks/{number}/resend", dependencies=[Depends(may_repair)])
def resend_one(request: Request, user: GetUserDep, number: int, dry_run: Annotated[bool, Form()] = True) -> Response:
    """Start the DAG that sends the record of a break again, in the name of the user."""
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
    """Start the DAG that sends the records of many breaks again: of a control, a class, a company."""
    params = {"control": control, "class": class_, "company": company}
    given = {name: value for name, value in params.items() if value}
    if not given:
        raise HTTPException(400, "Choose a control, a class or a company first.")
    started = start(REPAIR_DAG, {**given, "dry_run": dry_run}, user.get_name())
    return go(request, "started", REPAIR_DAG, started.run_id, paused="1" if started.paused else "")


def _break(opened: Runtime, number: int) -> BreakRecord:
    # numbers beyond what a database can hold are not asked for
    found = opened.ledger.nights.one_break(number) if 0 < number < 1 << 63 else None
    if found is None:
        raise HTTPException(404, shown.NO_BREAK)
    return found


# --- both records side by side ----------------------------------------------------------------------------------------


def _sides(report: NightReport, found: BreakRecord, detail: dict[str, Any]) -> dict[str, Any]:
    """Both records: the pairs of columns that are compared, and the rest of either.

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
    """A record without the notes of the protocol and without empty columns."""
    return {name: value for name, value in record.items() if "@" not in name and value is not None}
