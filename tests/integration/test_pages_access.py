"""Who may see and do what on the pages: every route is asked by everybody.

Roles are those of Airflow's SimpleAuthManager: a viewer may read every DAG, a user may also edit and trigger them, and
a user without a role may nothing. Where permissions have to differ between DAGs, the manager's answer is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dualsync.ledger import Ledger
from support.reconciled import NIGHT, PACK
from support.visits import HERE, ORIGIN, PAGE, Visitor

Visitors = Callable[..., Visitor]
SAMPLES = {
    "run_id": NIGHT,
    "name": "pages.css",
    "number": "2",
    "control": "R1",
    "company": "USPM",
    "period": "2026-02-01",
    "dag_id": "nightly_reconciliation",
    "dag_run_id": "x",
    "path": "index.html",
    "rest": "nowhere/at/all",
}
ROW = "?map=projects&direction=to_finance&company=USPM&row=prj-2"
FORMS = {"status": "accepted", "owner": "Eve", "control": "R1", "dry_run": "true", "run_id": PACK}

pytestmark = pytest.mark.usefixtures("reconciled_home")


def flat(routes: Any) -> Iterator[Any]:
    for route in routes:
        inner = getattr(getattr(route, "original_router", None), "routes", None)
        yield from flat(inner) if inner is not None else [route]


def routes() -> list[tuple[str, str, Any]]:
    """Method, path and route of everything the application answers to."""
    from dualsync_airflow.pages.app import create_app

    return [
        (method, re.sub(r"{(\w+)(:\w+)?}", lambda one: SAMPLES[one[1]], route.path), route)
        for route in flat(create_app().routes)
        for method in sorted(route.methods)
    ]


def asked(route: Any) -> set[Any]:
    """All that a route depends on."""

    def calls(dependant: Any) -> Iterator[Any]:
        yield dependant.call
        for one in dependant.dependencies:
            yield from calls(one)

    return set(calls(route.dependant))


def state(ledger: Ledger) -> Any:
    from airflow.models import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        runs = session.scalar(select(func.count()).select_from(DagRun))
    return ledger.nights.breaks(), ledger.nights.sign_offs(), runs


def test_every_route_refuses_whoever_is_not_signed_in_or_may_not_read(
    visitor: Visitors, reconciled_home: tuple[Path, Ledger]
) -> None:
    stranger, nobody = visitor(), visitor("nobody", None)
    before = state(reconciled_home[1])
    listed = routes()
    assert {path for method, path, _ in listed if method == "POST"} >= {"/breaks/2", "/breaks/2/resend", "/resend"}
    assert len(listed) > 20
    for method, path, _ in listed:
        words = {"data": FORMS} if method == "POST" else {}
        answer = stranger.ask(method, path + ROW, headers=HERE, **words)
        assert (answer.status_code, answer.text) in ((401, "Log in to Airflow first."), (401, "")), (method, path)
        answer = nobody.ask(method, path + ROW, headers=HERE, **words)
        assert answer.status_code == 403, (method, path)
        if method == "GET":
            answer = stranger.ask("GET", path, headers=PAGE)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/api/v2/auth/login?next=%2Fdualsync%2F"), path
    assert state(reconciled_home[1]) == before


def test_a_viewer_reads_everything_and_changes_nothing(visitor: Visitors, reconciled_home: tuple[Path, Ledger]) -> None:
    viewer = visitor("val", "viewer")
    before = state(reconciled_home[1])
    for method, path, route in routes():
        if route.path == "/{rest:path}":
            continue
        if method == "POST":
            answer = viewer.ask(method, path + ROW, headers=HERE, data=FORMS)
            assert answer.status_code == 403, path
            continue
        path = path.replace("/files/pages.css", "/files/exceptions.csv")
        answer = viewer.ask(method, path + (ROW if path.startswith("/quarantine/row") else ""), headers=PAGE)
        assert answer.status_code in (200, 303), (path, answer.text)
        assert '<form method="post"' not in answer.text, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"].startswith("private")
    assert state(reconciled_home[1]) == before


def test_no_route_forgets_to_ask() -> None:
    """Told by the routes themselves, so that one which answers before it asks is found too."""
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi.routing import APIRoute

    from dualsync_airflow.pages import access

    for method, path, route in routes():
        assert isinstance(route, APIRoute), path
        needed = {access.may_read, access.from_here, get_user}
        assert needed <= asked(route), path
        if method == "POST" and route.path != "/{rest:path}":
            assert asked(route) & {access.may_edit, access.may_replay, access.may_repair}, path


def test_nothing_describes_the_routes(visitor: Visitors) -> None:
    for path in ("/openapi.json", "/docs", "/redoc"):
        assert "no page at this address" in visitor("ann", "user").see(path, 404)


def test_a_form_of_another_address_is_refused(visitor: Visitors, reconciled_home: tuple[Path, Ledger]) -> None:
    user = visitor("ann", "user")
    form = {"status": "disputed", "owner": "Mallory"}
    for headers in (
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ):
        answer = user.ask("POST", "/breaks/2", data=form, headers=headers)
        assert answer.status_code == 403, headers
        assert "a page of another address" in answer.text
    assert [one.owner for one in reconciled_home[1].nights.breaks()] == ["", "", "", ""]
    bearer = {"Authorization": f"Bearer {user.token}"}
    for headers in (HERE, {"Origin": ORIGIN}, bearer):
        answer = user.ask("POST", "/breaks/4", data={"status": "open"}, headers=headers)
        assert answer.status_code == 303, headers


def test_each_change_asks_for_the_permission_of_its_own_dag(visitor: Visitors, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    allowed: set[tuple[str, str, str | None]] = set()

    def answer(self: Any, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
        entity = None if access_entity is None else access_entity.value
        return (str(method), details.id, entity) in allowed

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", answer)
    user = visitor("ann", "user")
    changes = {
        "/breaks/4": ("PUT", "nightly_reconciliation", None),
        "/packs/USPM/2026-01-01/review": ("PUT", "nightly_reconciliation", None),
        "/packs/USPM/2026-01-01/sign": ("PUT", "nightly_reconciliation", None),
        "/breaks/4/resend": ("POST", "repair_breaks", "RUN"),
        "/resend": ("POST", "repair_breaks", "RUN"),
        f"/quarantine/row/replay{ROW}": ("POST", "replay_rows", "RUN"),
    }
    read = ("GET", "nightly_reconciliation", None)
    for path, needed in changes.items():
        allowed.clear()
        allowed |= {read, *(one for one in changes.values() if one != needed)}
        assert user.send(path, FORMS).status_code == 403, path
        allowed |= {needed}
        assert user.send(path, {**FORMS, "status": "open", "owner": ""}).status_code in (303, 409), path
        allowed -= {read}
        assert user.send(path, FORMS).status_code == 403, path
    allowed |= {read, *changes.values()}
    assert "Save" in user.see("/breaks/2")
    allowed.clear()
    allowed.add(read)
    shown = user.see("/breaks/2") + user.see(f"/quarantine/row{ROW}") + user.see("/packs/USPM/2026-02-01")
    assert not any(word in shown for word in ("Save", "Send it again", "Replay this row", "Sign as"))


def test_data_docs_lead_nowhere_else(visitor: Visitors, reconciled_home: tuple[Path, Ledger]) -> None:
    from urllib.parse import quote

    viewer, night = visitor("val", "viewer"), quote(NIGHT)
    folder = reconciled_home[0] / "runs" / NIGHT / "data_docs"
    answer = viewer.ask("GET", f"/nights/{night}/data-docs/index.html")
    assert "Suites" in answer.text
    assert "script-src" not in answer.headers["content-security-policy"], "default-src 'none' forbids them"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert (
        viewer.ask("GET", f"/nights/{night}/data-docs/static/docs.css").headers["content-type"].startswith("text/css")
    )
    link = folder / "out.html"
    link.symlink_to(folder.parent / "verdict.json")
    for path in (
        "..%2Fverdict.json",
        "%2e%2e/verdict.json",
        "static/..%2F..%2Fverdict.json",
        "out.html",
        "static",
        "",
        "..%5Cverdict.json",
        "index.html%00",
        quote(str(folder.parent / "verdict.json"), safe=""),
    ):
        answer = viewer.ask("GET", f"/nights/{night}/data-docs/{path}")
        assert answer.status_code == 404, path
    link.unlink()
    for name in ("verdict.json", "..%2Fverdict.json", "nothing.csv"):
        assert viewer.ask("GET", f"/nights/{night}/files/{name}").status_code == 404, name
