"""What the pages show of a reconciled installation, and what their forms do."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from dualsync.ledger import Ledger, RunRecord
from dualsync.mapping.areas import area_title
from dualsync_airflow.pages import shown
from support.paths import ROOT
from support.reconciled import EARLIER, FIRST, FORMULA, NIGHT, PACK, RUN, SCRIPT, URLS, leg, many_breaks, reconcile
from support.visits import Visitor

Visitors = Callable[..., Visitor]
ROW = "?map=projects&direction=to_finance&company=USPM&row=prj-2"


@pytest.fixture
def ann(visitor: Visitors, reconciled_home: tuple[Path, Ledger]) -> Visitor:
    return visitor("ann", "user")


@pytest.fixture
def ledger(reconciled_home: tuple[Path, Ledger]) -> Ledger:
    return reconciled_home[1]


def test_the_share_of_the_amount_matched_is_the_first_number(ann: Visitor) -> None:
    text = ann.see("/")
    assert text.startswith("99.9999 % of the tested amounts match."), "cut, never rounded up to all"
    assert "1 critical 1 error 1 warning 2 new 1 resolved 1 not tested 0 failed" in text
    assert "Reconciliation as at 2026-03-02 02:00 (UTC) exceptions" in text, "close packages are left out"
    assert "the set is not offered" in text
    assert "Age in days critical error warning 0-1 1 1 1 2-7 8-30 30+" in text
    assert f"Dataverse {URLS['dataverse']}" in text
    earlier = ann.see(f"/nights/{EARLIER}")
    assert earlier.startswith("98 % of the tested amounts")
    assert "to the latest reconciliation" in earlier


def test_data_quality_stands_with_its_rates_over_the_nights(ann: Visitor) -> None:
    text = ann.see("/")
    assert "projects 1,000 2 1 of 9 99.8 %" in text
    assert "actuals not tested the set is not offered" in text
    assert "Data Docs" in text
    assert 'aria-label="Pass rate of projects: 87.5' in ann.ask("GET", "/").text


def test_pages_load_nothing_from_elsewhere_and_run_no_script_of_the_data(ann: Visitor) -> None:
    paths = ("/", "/breaks", "/breaks/2", "/breaks/3", "/quarantine", f"/quarantine/row{ROW}", "/packs", "/controls/R1")
    for path in paths:
        answer = ann.ask("GET", path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
        assert "unsafe" not in policy
        assert SCRIPT not in answer.text
        assert re.findall(r"<script[^>]*>", answer.text) == ['<script src="/dualsync/static/pages.js">']
        assert not re.search(r"(?:src|<link[^>]* href)=\"(?!/dualsync/)", answer.text)
        assert not re.search(r"\son\w+=|\sstyle=", answer.text), "the policy forbids them"
        assert '<html lang="en">' in answer.text
        assert 'href="#content"' in answer.text
    assert "&lt;script&gt;" in ann.ask("GET", "/breaks").text


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("", [SCRIPT, "PRJ-1", FORMULA]),
        ("?state=resolved", ["GONE"]),
        ("?state=all", ["GONE", SCRIPT, "PRJ-1", FORMULA]),
        ("?severity=error", ["PRJ-1"]),
        ("?company=gbpm", [FORMULA]),
        ("?control=map:projects", ["PRJ-1"]),
        ("?class=amount&status=open", [FORMULA]),
        ("?text=bridges", ["PRJ-1"]),
        ("?owner=Bob", []),
        ("?owner=-&severity=critical", [SCRIPT]),
        (f"?night={quote(NIGHT)}&severity=warning", [FORMULA]),
    ],
)
def test_breaks_are_filtered_on_the_page_and_in_its_download(ann: Visitor, query: str, keys: list[str]) -> None:
    text = ann.see(f"/breaks{query}")
    assert {key for key in ("GONE", SCRIPT, "PRJ-1", FORMULA) if key in text} == set(keys)
    answer = ann.ask("GET", f"/breaks.csv{query}")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["key"] for row in rows} == {key.replace("=", "'=", 1) if key == FORMULA else key for key in keys}
    assert answer.headers["content-disposition"] == 'attachment; filename="exceptions.csv"'


def test_amounts_stand_in_full_with_their_currency(ann: Visitor) -> None:
    text = ann.see("/breaks?severity=critical")
    assert "1,234,567.895 USD" in text


def test_a_break_shows_both_records_and_marks_what_differs(ann: Visitor, ledger: Ledger) -> None:
    number = next(one.number for one in ledger.nights.breaks() if one.key == "PRJ-1")
    html = ann.ask("GET", f"/breaks/{number}").text
    text = ann.see(f"/breaks/{number}")
    assert "msdyn_subject differs Bridge Bridges ProjectName" in text
    assert "Change it back, or send the row again from its owner." in text
    assert "@odata" not in text
    assert f"{URLS['dataverse']}/main.aspx?pagetype=entityrecord&amp;etn=msdyn_project&amp;id=" in html
    assert f"{URLS['finance']}/data/ProjectsV2?cross-company=true" in html
    assert "2 reconciliations in a row" in text
    missing = ann.see("/breaks/3")
    assert "Stands in Dataverse and not in Finance. USPM, R1" in missing
    assert "open in Finance" not in missing, "it is not there"


def test_a_break_gets_owner_status_and_comment(ann: Visitor, ledger: Ledger) -> None:
    answer = ann.send("/breaks/1", {"status": "in_progress", "owner": " Bob ", "comment": "asked"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/dualsync/breaks/1?done=saved")
    one = ledger.nights.one_break(1)
    assert one is not None
    assert (one.status, one.owner, one.comment, one.edited_by) == ("in_progress", "Bob", "asked", "ann")
    assert "Saved." in ann.see("/breaks/1?done=saved")
    refused = ann.send("/breaks/1", {"status": "nonsense"})
    assert refused.status_code == 409
    assert "no status &#39;nonsense&#39;" in refused.text
    assert ann.send("/breaks/1", {}).status_code == 400


@pytest.mark.parametrize(
    ("path", "form", "dag_id", "conf"),
    [
        ("/breaks/2/resend", {"dry_run": "true"}, "repair_breaks", {"numbers": [2], "dry_run": True}),
        ("/breaks/2/resend", {"dry_run": "false"}, "repair_breaks", {"numbers": [2], "dry_run": False}),
        (
            "/resend",
            {"control": "R1", "class": "", "company": "USPM", "dry_run": "true"},
            "repair_breaks",
            {"control": "R1", "company": "USPM", "dry_run": True},
        ),
        (
            f"/quarantine/row/replay{ROW}",
            {"dry_run": "false"},
            "replay_rows",
            {"map": "projects", "direction": "to_finance", "company": "USPM", "keys": ["PRJ-2"], "dry_run": False},
        ),
    ],
)
def test_rows_are_sent_again_in_the_name_of_whoever_pressed(
    ann: Visitor, repair_dags: None, path: str, form: dict[str, str], dag_id: str, conf: dict[str, Any]
) -> None:
    from airflow.models import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    answer = ann.send(path, form)
    assert answer.status_code == 303, answer.text
    where = urlsplit(answer.headers["location"])
    run_id = parse_qs(where.query).get("run", [where.path.rpartition("/")[2].replace("%3A", ":").replace("%2B", "+")])[
        0
    ]
    with create_session() as session:
        run = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one()
        assert (run.conf, run.triggering_user_name) == (conf, "ann")
    text = ann.see(answer.headers["location"].removeprefix("/dualsync"))
    assert run_id in text
    assert "is paused, so the run waits" in text, "DAGs are paused when they are new"


def test_what_cannot_be_started_is_said(ann: Visitor, repair_dags: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Choose a control, a class or a company" in ann.send("/resend", {"dry_run": "true"}).text
    monkeypatch.setattr("dualsync_airflow.pages.breaks.REPAIR_DAG", "unknown")
    answer = ann.send("/breaks/2/resend", {"dry_run": "true"})
    assert answer.status_code == 409
    assert "Airflow has no DAG unknown." in answer.text


def test_quarantine_is_listed_and_explained(ann: Visitor) -> None:
    text = ann.see("/quarantine")
    assert "2 quarantined 1 waiting 0 conflict" in text
    assert "PRJ-2" in text
    assert "T|1" not in text
    assert "T|1" in ann.see("/quarantine?state=all")
    assert "PRJ-3" not in ann.see("/quarantine?text=script")
    text = ann.see(f"/quarantine/row{ROW}")
    assert "In quarantine. Correct the row where it was entered, then let it be sent again" in text
    assert "They could not be read: dataverse is not configured" in ann.see(f"/quarantine/row{ROW}&look=true")
    assert "no longer blocked or waiting" in ann.see("/quarantine/row?map=x&direction=y&company=z&row=1", 404)


def test_a_period_is_signed_by_one_and_confirmed_by_another(visitor: Visitors, ann: Visitor, ledger: Ledger) -> None:
    assert "USPM 2026-02-01 agrees 100 %" in ann.see("/packs")
    text = ann.see("/packs/USPM/2026-02-01")
    assert "Actuals carried over USD 2 2 1,500.50 1,500.50 0.00" in text
    assert "Sign as ann" in text
    answer = ann.send("/packs/USPM/2026-02-01/sign", {"run_id": PACK, "comment": "fine"})
    assert answer.headers["location"] == "/dualsync/packs/USPM/2026-02-01?done=signed"
    (signed,) = ledger.nights.sign_offs()
    assert (signed.prepared_by, signed.run_id, signed.comment) == ("ann", PACK, "fine")
    text = ann.see("/packs/USPM/2026-02-01?done=signed")
    assert f"Digest of the package {signed.digest}" in text
    assert "Another person has to confirm it." in text
    assert "cannot review it too" in ann.send("/packs/USPM/2026-02-01/review", {}).text
    again = ann.send("/packs/USPM/2026-02-01/sign", {"run_id": PACK})
    assert again.status_code == 409
    assert visitor("ben", "user").send("/packs/USPM/2026-02-01/review", {}).status_code == 303
    assert "Reviewed by ben" in ann.see("/packs/USPM/2026-02-01?done=reviewed")
    assert "no close package" in ann.see("/packs/USPM/2031-01-01", 404)


def test_a_dag_run_leads_to_its_report(ann: Visitor, ledger: Ledger) -> None:
    assert ann.see(f"/dags/nightly_reconciliation/runs/{quote(RUN, safe='')}").startswith("99.9999 %")
    assert "no report yet" in ann.see("/dags/nightly_reconciliation/runs/manual__1")
    assert "moved no rows" in ann.see("/dags/sync_cycle/runs/manual__1")
    run_id = "sync_cycle.manual__2"
    ledger.start_run(
        RunRecord(run_id, "sync_cycle", "full", False, ("USPM",), ("projects",), "held", "0.1.0", FIRST, None)
    )
    ledger.save_leg(leg(run_id))
    text = ann.see("/dags/sync_cycle/runs/manual__2")
    assert "projects to Finance USPM needs approval 3 3 would delete 101 rows" in text
    assert ann.ask("GET", "/dags/sync_cycle").headers["location"] == "/dualsync/"


def test_a_control_tells_what_it_compares_and_how_its_nights_were(ann: Visitor) -> None:
    text = ann.see("/controls/R1")
    assert "Actuals to be carried over" in text
    assert "missing in Finance USPM 1" in text
    assert text.count("2026-03-0") == 2
    assert "Projects" in ann.see("/controls/map:projects")
    assert "no control or table map with this id" in ann.see("/controls/R99", 404)


def test_files_of_a_night_can_be_taken(ann: Visitor) -> None:
    night = quote(NIGHT)
    framed = ann.ask("GET", f"/nights/{night}/data-docs")
    assert f'src="/dualsync/nights/{quote(NIGHT, safe="")}/data-docs/index.html"' in framed.text
    assert "frame-src 'self'" in framed.headers["content-security-policy"]
    for name, start in (("reconciliation.xlsx", b"PK"), ("exceptions.csv", b"number,"), ("totals.parquet", b"PAR1")):
        answer = ann.ask("GET", f"/nights/{night}/files/{name}")
        assert answer.content.startswith(start)
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'


@pytest.fixture
def elsewhere(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The pages are of another installation, whose ledger is empty; its URL."""
    monkeypatch.setenv("DUALSYNC_HOME", str(tmp_path))
    monkeypatch.setenv("DUALSYNC_LEDGER_URL", ledger_url)
    yield ledger_url
    shown._ledger(ledger_url).close()


def test_what_is_not_there_is_said_kindly(
    ann: Visitor, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("/breaks/99", "/breaks/0", "/breaks/-1", f"/breaks/{1 << 70}", "/breaks/abc", "/nights/none", "/x"):
        assert "To the overview" in ann.see(path, 404), path
    request.getfixturevalue("elsewhere")
    text = ann.see("/")
    assert "The reconciliation has not run yet." in text
    assert "nightly_reconciliation" in text
    assert "No reconciliation has run yet." in ann.see("/breaks")
    assert "No row is blocked or waiting" in ann.see("/quarantine?state=all")
    assert "No reconciliation has run yet" in ann.see("/breaks.csv", 404)
    monkeypatch.setenv("DUALSYNC_TIME_ZONE", "Nowhere")
    assert "is no known time zone" in ann.see("/", 409)


def test_every_page_names_its_time_zone(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALSYNC_TIME_ZONE", "Asia/Tokyo")
    paths = ("/", "/breaks", "/breaks/2", "/quarantine", f"/quarantine/row{ROW}", "/packs", "/packs/USPM/2026-02-01",
             "/controls/R1", f"/nights/{quote(NIGHT)}/data-docs", "/dags/sync_cycle/runs/manual__1")  # fmt: skip
    for path in paths:
        assert ann.see(path).endswith("All times on this page are in Asia/Tokyo."), path
    assert ann.see("/nowhere", 404).endswith("All times on this page are in Asia/Tokyo.")
    assert "Reconciliation as at 2026-03-02 11:00 (Asia/Tokyo)" in ann.see("/")


def test_areas_are_called_as_people_call_them(ann: Visitor) -> None:
    text = ann.see("/")
    assert area_title("estimates_actuals") in text
    assert "estimates_actuals" not in text
    assert "estimates actuals" not in text


def test_a_long_list_is_walked_page_by_page(visitor: Visitors, tmp_path: Path, elsewhere: str) -> None:
    ledger = reconcile(tmp_path, elsewhere)
    many_breaks(ledger, 240)
    ann = visitor("ann", "user")

    def page(query: str) -> tuple[list[int], dict[str, str]]:
        html = ann.ask("GET", f"/breaks{query}").text
        numbers = [int(one) for one in re.findall(r'data-label="No."><a href="/dualsync/breaks/(\d+)"', html)]
        return numbers, {
            rel: link.replace("&amp;", "&") for rel, link in re.findall(r'rel="(\w+)" href="([^"]+)"', html)
        }

    for query in ("?severity=error", "?order=newest", "?state=all&control=R7", "?text=KEY-0000"):
        seen, links = page(query)
        before = []
        while "next" in links:
            before.append(seen[-50:])
            numbers, links = page(links["next"])
            seen += numbers
            assert page(links["prev"])[0] == before[-1]
        assert len(seen) == len(set(seen))
        assert seen == sorted(seen, reverse="newest" in query)
        lines = ann.ask("GET", f"/breaks.csv{query}").text.splitlines()
        assert len(lines) - 1 == len(seen)
        assert len(seen) > (5 if "control" in query else 50)
    ledger.close()


def test_open_rows_are_walked_page_by_page(ledger: Ledger) -> None:
    from dualsync.ledger.lists import OpenRowFilter

    every = ledger.lists.open_rows(OpenRowFilter(), limit=10)
    assert [one.key for one in every.rows] == ["T|1", "PRJ-2", "PRJ-3"]
    identity = [(one.map, one.direction, one.company, one.join_key) for one in every.rows]
    second = ledger.lists.open_rows(OpenRowFilter(), limit=1, after=identity[0])
    assert ([one.key for one in second.rows], second.before, second.after) == (["PRJ-2"], True, True)
    back = ledger.lists.open_rows(OpenRowFilter(), limit=2, before=identity[2])
    assert ([one.key for one in back.rows], back.before, back.after) == (["T|1", "PRJ-2"], False, True)


def test_a_component_that_serves_no_pages_is_spared_them() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import dualsync_plugin, json, sys; print(json.dumps(sorted(sys.modules)))",
        ],
        env={"PYTHONPATH": ":".join([*sys.path, str(ROOT / "plugins")]), "PATH": "/usr/bin"},
        capture_output=True,
        check=True,
        text=True,
    )
    loaded = set(json.loads(told.stdout.splitlines()[-1]))
    assert "dualsync_airflow.pages.registration" in loaded
    heavy = {"pandas", "pyarrow", "duckdb", "dualsync.reports.nights", "dualsync_airflow.pages.app"}
    assert not loaded & heavy


def test_figures_are_written_to_their_last_digit() -> None:
    from dualsync.decimals import money
    from dualsync_airflow.pages.render import path_of, percent, query_of
    from dualsync_airflow.pages.trend import Trend

    assert [money(Decimal(one)) for one in ("1E+3", "-0.5", "12.3456780", "0")] == [
        "1,000.00",
        "-0.50",
        "12.345678",
        "0.00",
    ]
    assert [percent(one) for one in ("1", "0.9999999", "0", "0.5", "")] == ["100 %", "99.9999 %", "0 %", "50 %", ""]
    assert path_of("nights", "a/b:c+d ?") == "/nights/a%2Fb%3Ac%2Bd%20%3F"
    assert query_of(class_="x&y", none=None, empty="") == "?class=x%26y"
    assert Trend.of([(FIRST, Decimal(1))]) is None
    line = Trend.of([(FIRST + timedelta(days=day), Decimal(value)) for day, value in enumerate((0, 10, 5))])
    assert line is not None
    assert line.points == "4.0,44.0 120.0,4.0 236.0,24.0"


def test_records_are_looked_up_with_the_connections_of_airflow(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    from dualsync_airflow.pages.quarantine import _with_connections

    for name, host in (("DATAVERSE_DEFAULT", URLS["dataverse"]), ("DYNAMICS_FINANCE_DEFAULT", URLS["finance"])):
        extra = {"authority": "https://login.microsoftonline.com/tenant"}
        words = {"conn_type": "http", "host": host, "login": "app", "password": "hidden", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(words))
    settings = _with_connections()
    assert {side: settings.endpoint(side).url for side in ("dataverse", "finance")} == URLS
