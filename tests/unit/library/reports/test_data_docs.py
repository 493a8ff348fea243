"""The Data Docs of a reconciliation: offline, without row values, with the pass rates of those before it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import html
from upath import UPath

from dualsync.ledger import Ledger, NightRecord, SuiteResult
from dualsync.mapping import Catalog, Schema
from dualsync.mapping.suites import build_suite
from dualsync.nightly.quality import quality_path
from dualsync.reports.data_docs import build_data_docs
from dualsync.reports.nights import NightReport
from dualsync.sync.legs.folders import write_json

MOMENT = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield ledger
    ledger.close()


def night(folder: Path, number: int, period: str = "") -> NightRecord:
    moment = MOMENT + timedelta(days=number)
    return NightRecord(
        f"night-{number}",
        ("USPM",),
        period,
        moment,
        "equal",
        0,
        0,
        0,
        0,
        0,
        "1",
        str(folder / f"night-{number}"),
        moment,
    )


def kept(table_map: Any, schema: Schema, broken: int) -> dict[str, Any]:
    """What the night keeps of a suite; its first and last rule are broken."""
    rules = [{**rule, "rows": 40, "missing": 3, "broken": 0} for rule in build_suite(table_map, schema)["expectations"]]
    rules[0]["broken"] = rules[-1]["broken"] = broken
    return {"suite": table_map.map, "state": "checked", "expectations": rules}


def test_pages_need_no_network_no_script_and_show_every_rule(catalog: Catalog, ledger: Ledger, tmp_path: Path) -> None:
    suites = [
        SuiteResult("actuals", "checked", rows=40, refused=1, warned=2, held=5, rules=30, broken=2),
        SuiteResult("parties", "checked", rows=7, rules=4),
        SuiteResult("subcontracts", "not_run", reason="Finance has no <set>"),
        SuiteResult("workers", "failed", reason="failed: ValueError"),
    ]
    before = SuiteResult("actuals", "checked", rows=50, refused=5, rules=30, broken=1)
    ledger.nights.record(night(tmp_path, 0), [], [], [before])
    ledger.nights.record(night(tmp_path, 1, "2026-03-01"), [], [], [before])
    ledger.nights.record(night(tmp_path, 2), [], [], suites)
    ledger.nights.record(night(tmp_path, 3), [], [], [before])
    report = NightReport.of(ledger, catalog, "night-2")
    assert report is not None
    assert report.data_docs is None
    for name, broken in (("actuals", 2), ("parties", 0)):
        content = kept(catalog.declared[name], Schema.load(), broken)
        write_json(quality_path(report.folder, name), content)
    first = build_data_docs(report)
    assert first == UPath(tmp_path / "night-2" / "data_docs" / "index.html")
    assert report.data_docs == first.parent

    folder = Path(str(first.parent))
    pages = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert set(pages) == {"index.html", "static/data_docs.css", "suites/actuals.html", "suites/parties.html"}
    for name, path in pages.items():
        text = path.read_text(encoding="utf-8")
        assert "http://" not in text, name
        assert "https://" not in text, name
        if name.endswith(".html"):
            tree = html.fromstring(text)
            assert tree.xpath("//script | //img | //@onclick | //iframe") == []
            links = [str(link) for link in tree.xpath("//@href") if not str(link).startswith("#")]
            assert all((path.parent / link).resolve() in set(pages.values()) for link in links), links

    index = html.fromstring(pages["index.html"].read_text(encoding="utf-8"))
    lines = [[cell.text_content() for cell in row.xpath("td")] for row in index.xpath("//tbody/tr")]
    assert [(line[0], line[2], line[3], line[-1]) for line in lines] == [
        (catalog.declared["workers"].title, "failed: failed: ValueError", "-", ""),
        (catalog.declared["actuals"].title, "checked", "92.5 %", "90 %"),
        (catalog.declared["parties"].title, "checked", "100 %", ""),
        (catalog.declared["subcontracts"].title, "not tested: Finance has no <set>", "-", ""),
    ]
    page = html.fromstring(pages["suites/actuals.html"].read_text(encoding="utf-8"))
    rules = build_suite(catalog.declared["actuals"], Schema.load())["expectations"]
    assert len(page.xpath("//div[contains(@class,'ge-section')]//table/tbody/tr")) == len(rules)
    broken = page.xpath("//h2[text()='Broken rules']/following-sibling::table[1]//tr/td[1]/code/text()")
    assert broken == [rules[0]["meta"]["rule"], rules[-1]["meta"]["rule"]]
    assert len(page.xpath("//i[contains(@class,'fa-times') or contains(@class,'fa-exclamation')]")) >= 2


def test_pass_rates_go_back_night_by_night(catalog: Catalog, ledger: Ledger, tmp_path: Path) -> None:
    for number in range(4):
        rows = 0 if number == 2 else 3
        ledger.nights.record(
            night(tmp_path, number), [], [], [SuiteResult("parties", "checked", rows, warned=rows // 3)]
        )
    ledger.nights.record(night(tmp_path, 3), [], [], [SuiteResult("parties", "checked", 4, refused=1)])
    report = NightReport.of(ledger, catalog, "night-3")
    assert report is not None
    rates = [(one["run_id"], one["suite"], one["rate"]) for one in report.suite_rates(3)]
    assert rates == [
        ("night-3", "parties", Decimal("0.75")),
        ("night-2", "parties", None),
        ("night-1", "parties", Decimal("0.666666")),
    ]
    assert {one["area"] for one in report.suite_rates()} == {catalog.declared["parties"].area}
    assert NightReport.suite_total(report.suite_rates())["rate"] == Decimal("0.7")
