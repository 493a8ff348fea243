"""A small installation that has been reconciled for two nights, made by hand: what the pages in the Airflow UI show.

No system stands behind it. Its records, breaks and rows are few and chosen: texts that a browser or a spreadsheet
would run, a number that would be rounded up, a period to be signed off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import insert
from upath import UPath

from dualsync.controls.model import BREAK_SCHEMA
from dualsync.frames import write_table
from dualsync.ledger import ControlResult, Ledger, LegRecord, NightRecord, SuiteResult
from dualsync.ledger import tables as t
from dualsync.mapping import Catalog
from dualsync.nightly.coverage import COVERAGE
from dualsync.nightly.totals import TOTALS_SCHEMA
from dualsync.reports.exports import write_files
from dualsync.reports.nights import NightReport
from dualsync.reports.workbook import write_workbook

FIRST = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
RUN = "scheduled__2026-03-02T02:00:00+00:00"
EARLIER, NIGHT = "night-0", f"nightly_reconciliation.{RUN}"
PACK = "pack-USPM"
SHARE = "0.99999999"
SCRIPT = "<script>alert(1)</script>"
FORMULA = "=HYPERLINK(1)"
PROJECT = "11111111-0000-0000-0000-000000000001"
URLS = {"dataverse": "https://contoso.crm4.dynamics.com", "finance": "https://contoso.operations.dynamics.com"}


def found(key: str, control: str = "R1", **words: Any) -> dict[str, Any]:
    """A break, missing in Finance where nothing else is said."""
    return {
        "control": control,
        "check": "a",
        "company": "USPM",
        "key": key,
        "class": "missing_in_finance",
        "field": "",
        "severity": "critical",
        "dataverse_value": "960.0000",
        "finance_value": "",
        "amount": Decimal("1234567.895000"),
        "currency": "USD",
        "dataverse_table": "msdyn_actual",
        "dataverse_id": str(UUID(int=7)),
        "finance_set": "ProjActualsImports",
        "finance_key": "",
        "cause": "not_synced",
        "explanation": "",
        **words,
    }


TESTED = "2 of 3 checks; 1,000 of 1,200 rows; 900.00 of 1,000.00 USD"
COVERED = {
    "lines": [
        {
            "area": "estimates_actuals",
            "company": "USPM",
            "extract": extract,
            "title": title,
            "checks": 2,
            "rows": rows,
            "amounts": amounts,
            "untested": untested,
            "state": state,
        }
        for extract, title, rows, amounts, untested, state in (
            ("actuals", "Actuals", 1_000, {"USD": "900"}, {}, "tested"),
            ("journal_lines", "Lines of journals", 200, {"USD": "100"}, {"R5d": "the set is not offered"}, "partly"),
            ("staging", "Staging rows", None, {}, {"R3a": "the set is not offered", "R3b": "it too"}, "not"),
        )
    ],
    "checks": 3,
    "tested": 2,
    "limitations": {"R24b": ("Receipts are posted", "nothing public shows it")},
    "gaps": [
        {"name": "R5d", "reason": "the set is not offered", "accepted": ""},
        {"name": "R3a", "reason": "the set is not offered", "accepted": "known to the auditors (until 2026-12-31)"},
    ],
}
"""What was tested, as a reconciliation keeps it."""


def differing() -> dict[str, Any]:
    """A project whose name differs, of which both records are there."""
    return found(
        "PRJ-1",
        "map:projects",
        **{"class": "text"},
        field="msdyn_subject / ProjectName",
        severity="error",
        dataverse_value="Bridge",
        finance_value="Bridges",
        amount=None,
        currency="",
        dataverse_table="msdyn_project",
        dataverse_id=PROJECT,
        finance_set="ProjectsV2",
        finance_key="PRJ-1",
        cause="edited",
    )


def reconcile(home: Path, ledger_url: str | None = None) -> Ledger:
    """Make the installation, and return its ledger; the caller closes it.

    Args:
        home: Its home folder.
        ledger_url: Where its ledger lies; where it always does when left out.
    """
    ledger = Ledger.open(ledger_url or f"sqlite:///{home / '.dualsync' / 'ledger.db'}", lambda: FIRST)
    results = [
        ControlResult("R1", "USPM", "breaks", 1),
        ControlResult("R2", "USPM", "equal", 0),
        ControlResult("R3", "USPM", "not_run", 0, "the set is not offered"),
        ControlResult("map:projects", "USPM", "breaks", 1),
    ]
    before = [found("GONE"), differing()]
    suites = [SuiteResult("projects", "checked", rows=8, refused=1, rules=9, broken=1)]
    ledger.nights.record(_night(home, EARLIER, 0, matched="0.98"), results, [before], suites)
    breaks = [differing(), found(SCRIPT), found(FORMULA, company="GBPM", severity="warning", **{"class": "amount"})]
    suites = [
        SuiteResult("projects", "checked", rows=1_000, warned=2, rules=9, broken=1),
        SuiteResult("actuals", "not_run", reason="the set is not offered"),
    ]
    ledger.nights.record(_night(home, NIGHT, 1, matched=SHARE), results, [breaks], suites)
    ledger.nights.record(_night(home, PACK, 2, period="2026-02-01"), [ControlResult("R2", "USPM", "equal", 0)], [])
    for run_id, rows in ((EARLIER, before), (NIGHT, breaks), (PACK, [])):
        _files(ledger, run_id, rows)
    _records(UPath(home / "runs" / NIGHT))
    _open_rows(ledger)
    return ledger


def _night(home: Path, run_id: str, number: int, *, matched: str = "1", period: str = "") -> NightRecord:
    moment = FIRST + timedelta(days=number)
    counts = (0, 0, 0, 0, 0) if period else (1, 1, 1, 1, 0)
    folder = str(home / "runs" / run_id)
    verdict = "equal" if period else "breaks"
    return NightRecord(run_id, ("USPM",), period, moment, verdict, *counts, matched, folder, moment)


def _files(ledger: Ledger, run_id: str, breaks: list[dict[str, Any]]) -> None:
    report = NightReport.of(ledger, Catalog.load(), run_id)
    assert report is not None
    folder = report.folder
    verdict = {"environments": URLS, "version": "0.1.0", "inputs": "f00d", "new": 2, "resolved": 1, "tested": TESTED}
    totals = {"states": {"staged": {"state": "equal", "title": "Actuals carried over"}}, "balances": []}
    _json(folder / "verdict.json", verdict)
    _json(folder / COVERAGE, COVERED)
    _json(folder / "totals.json", totals | {"matched": {"": report.night.matched, "USPM": report.night.matched}})
    write_table(folder / "breaks.parquet", pa.Table.from_pylist(breaks, schema=BREAK_SCHEMA))
    amounts = {name: Decimal("1500.500000") for name in TOTALS_SCHEMA.names if name.endswith(("amount", "accounting"))}
    group = {"totals": "staged", "company": "USPM", "period": date(2026, 2, 1), "project": "PRJ-1", "currency": "USD"}
    row = {**group, "type": "Cost", "class": "Time", "dataverse_rows": 2, "finance_rows": 2, **amounts}
    write_table(folder / "totals.parquet", pa.Table.from_pylist([row], schema=TOTALS_SCHEMA))
    write_workbook(report, "UTC")
    write_files(report)
    docs = folder / "data_docs"
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "index.html").write_text('<!doctype html><link rel="stylesheet" href="static/docs.css"><h1>Suites</h1>')
    (docs / "static").mkdir()
    (docs / "static" / "docs.css").write_text("h1 {}")


def _records(folder: UPath) -> None:
    """Both records of the differing project, as the night has read and compared them."""
    record = {"msdyn_projectid": PROJECT, "msdyn_subject": "Bridge", "msdyn_comments": SCRIPT, "@odata.etag": "1"}
    other = {"dataAreaId": "uspm", "ProjectID": "PRJ-1", "ProjectName": "Bridges"}
    for side, name, row in (("dataverse", "msdyn_project", record), ("finance", "ProjectsV2", other)):
        write_table(folder / "raw" / side / f"{name}.parquet", pa.Table.from_pylist([row]))
    pair = {"dataverse": "msdyn_subject", "finance": "ProjectName", "normalised": "spaces at the end"}
    _json(folder / "sides" / "projects" / "USPM" / "done.json", {"normalisation": [pair]})


def _open_rows(ledger: Ledger) -> None:
    seen = {"first_seen": FIRST, "last_seen": FIRST, "run_id": "run-1"}
    rows = [
        ("projects", "to_finance", "USPM", "prj-2", "PRJ-2", "quarantined", "name", f"no name {SCRIPT}"),
        ("projects", "to_finance", "USPM", "prj-3", "PRJ-3", "quarantined", "name", "no name"),
        ("project_tasks", "to_finance", "_global", "t|1", "T|1", "waiting", "", "waits for projects PRJ-2"),
    ]
    names = ("map", "direction", "company", "join_key", "key", "state", "rule", "reason")
    with ledger._engine.begin() as connection:
        connection.execute(insert(t.open_rows), [dict(zip(names, row, strict=True)) | seen for row in rows])


def many_breaks(ledger: Ledger, number: int) -> None:
    """Fill the ledger with as many breaks of the latest night, a tenth of them resolved, without reconciling them."""
    from dualsync.ledger.breaks import first_sight

    night = ledger.nights.night(NIGHT)
    assert night is not None
    severities = ("critical", "error", "warning")
    shared = {**first_sight(night), "last_seen": night.moment, "last_run": night.run_id}

    def row(place: int) -> dict[str, Any]:
        words = {"control": f"R{place % 40 + 1}", "severity": severities[place % 3], "amount": "12.34"}
        gone = {"resolved_at": night.moment, "resolved_run": night.run_id} if place % 10 == 0 else {}
        return {**found(f"KEY-{place:06d}"), **shared, **words, **gone, "fingerprint": f"many-{place}"}

    with ledger._engine.begin() as connection:
        connection.execute(insert(t.breaks), [row(place) for place in range(number)])


def leg(run_id: str) -> LegRecord:
    """A leg of a run that was held."""
    from dualsync.ledger import LegCounts

    counts = LegCounts(rows_read=3, planned=3, unchanged=3)
    names = (run_id, "projects", "to_finance", "rows", "USPM", 1, "held", 1, None, "hash", counts)
    return LegRecord(*names, "would delete 101 rows", "", FIRST, FIRST)


def _json(path: UPath, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
