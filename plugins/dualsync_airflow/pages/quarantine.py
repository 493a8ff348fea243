"""Pages of blocked and waiting rows: the list, one row with its reason, and trying it again."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import Response

from dualsync.controls.causes import CAUSES
from dualsync.errors import DualsyncError
from dualsync.ledger import OpenRow
from dualsync.ledger.lists import OpenRowFilter, OpenRowId
from dualsync.repair.explain import explain
from dualsync.settings import Settings
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.vocabulary import GLOBAL
from dualsync_airflow.pages import REPLAY_DAG, shown
from dualsync_airflow.pages.access import can_trigger, may_replay
from dualsync_airflow.pages.render import go, page, query_of
from dualsync_airflow.pages.trigger import start

log = logging.getLogger(__name__)

router = APIRouter()

ROWS = 50
"""Rows of one page."""

STATES = ("quarantined", "waiting", "conflict", "delete")
_NAMES = ("map", "direction", "company", "row")
_GONE = "This row is no longer blocked or waiting: it reached the other system, or its record was deleted."


def identity(map: str, direction: str, company: str, row: str) -> OpenRowId:
    """Return what identifies a row in an address."""
    return map, direction, company, row


Identity = Annotated[OpenRowId, Depends(identity)]


@router.get("/quarantine")
def quarantine(
    request: Request,
    user: GetUserDep,
    state: str = "quarantined",
    map: str = "",
    company: str = "",
    text: str = "",
    after: str = "",
    before: str = "",
) -> Response:
    """List the blocked and waiting rows, a page at a time."""
    opened = shown.runtime()
    state = state if state in (*STATES, "all") else "quarantined"
    chosen = OpenRowFilter(
        state=None if state == "all" else state,
        map=map or None,
        company=company or None,
        text=text.strip() or None,
    )
    listed = opened.ledger.lists.open_rows(chosen, limit=ROWS, after=_place(after), before=_place(before))
    words = {"state": "" if state == "quarantined" else state, "map": map, "company": company, "text": text.strip()}
    counted = opened.ledger.count_open_rows()
    numbers = dict.fromkeys(STATES, 0)
    for (*_, each), number in counted.items():
        numbers[each] = numbers.get(each, 0) + number
    rows = listed.rows
    return page(
        request, user, "quarantine.html",
        rows=[(row, link(row)) for row in rows],
        chosen=chosen,
        state=state,
        numbers=numbers,
        maps=sorted({name for name, *_ in counted}),
        companies=sorted({company for _, _, company, _ in counted}),
        first=query_of(**words),
        previous=query_of(**words, before=_named(rows[0])) if rows and listed.before else "",
        next=query_of(**words, after=_named(rows[-1])) if rows and listed.after else "",
    )  # fmt: skip


@router.get("/quarantine/row")
def one_row(
    request: Request, user: GetUserDep, chosen: Identity, look: bool = False, done: str = "", run: str = ""
) -> Response:
    """Show one row: the rule that stops it, the remedy, and, if asked for, both records as they are now."""
    opened = shown.runtime()
    row = _row(opened, chosen)
    cause = CAUSES.get(row.state)
    records, trouble = _look(opened, row) if look else ([], "")
    return page(
        request, user, "row.html",
        row=row,
        link=link(row),
        cause=cause,
        look=look,
        records=records,
        trouble=trouble,
        may_replay=can_trigger(user, REPLAY_DAG),
        done=done,
        run=run,
        replay_dag=REPLAY_DAG,
    )  # fmt: skip


@router.post("/quarantine/row/replay", dependencies=[Depends(may_replay)])
def replay(request: Request, user: GetUserDep, chosen: Identity, dry_run: Annotated[bool, Form()] = False) -> Response:
    """Start the DAG that tries one row again, in the name of the user."""
    row = _row(shown.runtime(), chosen)
    params = {
        "map": row.map,
        "direction": row.direction,
        "company": row.company,
        "keys": [row.key or row.record_id or row.join_key],
        "dry_run": dry_run,
    }
    started = start(REPLAY_DAG, params, user.get_name())
    words = dict(zip(_NAMES, chosen, strict=True))
    return go(request, "quarantine", "row", **words, done="waits" if started.paused else "started", run=started.run_id)


def link(row: OpenRow) -> str:
    """Return the query that identifies a row."""
    return query_of(**dict(zip(_NAMES, (row.map, row.direction, row.company, row.join_key), strict=True)))


def _row(opened: Runtime, chosen: OpenRowId) -> OpenRow:
    row = opened.ledger.lists.open_row(chosen)
    if row is None:
        raise HTTPException(404, _GONE)
    return row


def _named(row: OpenRow) -> str:
    return f"{row.map}\n{row.direction}\n{row.company}\n{row.join_key}"


def _place(text: str) -> OpenRowId | None:
    """Return the row that a page begins after or ends before."""
    parts = text.split("\n", 3)
    return (parts[0], parts[1], parts[2], parts[3]) if len(parts) == 4 else None


def _look(opened: Runtime, row: OpenRow) -> tuple[list[dict[str, Any]], str]:
    """Return both records as the systems have them now, or why they could not be read."""
    company = None if row.company == GLOBAL else row.company
    try:
        with Runtime(_with_connections(), opened.catalog, opened.schema, opened.ledger) as connected:
            return explain(connected, row.map, row.key, company), ""
    except DualsyncError as error:
        log.warning("both systems could not be read for a page", exc_info=error)
        return [], str(error)


def _with_connections() -> Settings:
    """Return the settings, with the two systems of Airflow's connections where these exist."""
    from airflow.models.connection import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from dualsync_airflow.connections.hooks import DataverseHook, FinanceHook, endpoint_of

    endpoints: dict[str, Any] = {}
    for hook in (DataverseHook, FinanceHook):
        try:
            connection = Connection.get_connection_from_secrets(hook.default_conn_name)
        except AirflowNotFoundException:
            continue
        endpoints[hook.side] = endpoint_of(connection)
    return Settings.load(endpoints)
