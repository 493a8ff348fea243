"""What the tables of transfers say about the runs and areas."""

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from dualsync.ledger import LegCounts, LegRecord
from dualsync.reports.legs import areas_table, legs_table

NOW = datetime(2026, 3, 2, 18, tzinfo=UTC)


def leg(name: str, state: str = "settled", part: str = "rows", **counts: int) -> LegRecord:
    found = LegCounts(**counts)
    return LegRecord("r", name, "to_finance", part, "USPM", 1, state, None, 1, "", found, "", "", NOW, NOW)


def lines(table: Table) -> list[str]:
    console = Console(width=140, record=True)
    console.print(table)
    return [line.strip() for line in console.export_text().splitlines() if line.strip()]


def test_areas_are_summed_and_keep_their_order() -> None:
    areas = {"vendors_v2": "setup_configuration", "actuals": "estimates_actuals", "expenses": "expense_management"}
    legs = [
        leg("actuals", created=3, unchanged=1),
        leg("actuals", updated=2),
        leg("vendors_v2", created=1200),
        leg("actuals", "failed"),
    ]
    shown = lines(areas_table("All", legs, areas, {"estimates_actuals": 4}))
    assert [line.split()[-6:] for line in shown[-3:]] == [
        ["1,200", "0", "0", "0", "0", "0"],
        ["3", "2", "0", "1", "4", "1"],
        ["0", "0", "0", "0", "0", "0"],
    ]
    titles = ("Setup & configuration data", "Project estimates & actuals", "Expense management")
    assert [line.startswith(title) for line, title in zip(shown[-3:], titles, strict=True)] == [True] * 3


def test_transfers_have_their_state_and_those_without_work_are_counted() -> None:
    legs = [
        leg("actuals", "held", planned=3, waiting=3),
        leg("expenses", part="deletes", planned=1, deleted=1),
        leg("projects"),
    ]
    shown = lines(legs_table("run 1", legs))
    assert "actuals USPM to Finance 3 0 0 0 0 3 0 needs approval" in [" ".join(line.split()) for line in shown]
    assert "expenses USPM to Finance (deletions) 1 0 0 1 0 0 0 settled" in [" ".join(line.split()) for line in shown]
    assert shown[-1] == "1 more transfer had nothing to do"
