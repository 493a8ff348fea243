"""What the tables of legs say about the areas of a run."""

from datetime import UTC, datetime

from rich.console import Console

from dualsync.ledger import LegCounts, LegRecord
from dualsync.reports.legs import areas_table

NOW = datetime(2026, 3, 2, 18, tzinfo=UTC)


def leg(name: str, state: str = "settled", **counts: int) -> LegRecord:
    found = LegCounts(**counts)
    return LegRecord("r", name, "to_finance", "rows", "USPM", 1, state, None, 1, "", found, "", "", NOW, NOW)


def test_areas_are_summed_and_keep_their_order() -> None:
    areas = {"vendors_v2": "setup_configuration", "actuals": "estimates_actuals", "expenses": "expense_management"}
    legs = [
        leg("actuals", created=3, unchanged=1),
        leg("actuals", updated=2),
        leg("vendors_v2", created=1200),
        leg("actuals", "failed"),
    ]
    console = Console(width=120, record=True)
    console.print(areas_table("All", legs, areas, {"estimates_actuals": 4}))
    lines = [line.split() for line in console.export_text().splitlines() if line.strip()]
    assert lines[-3:] == [
        ["setup_configuration", "1,200", "0", "0", "0", "0", "0"],
        ["estimates_actuals", "3", "2", "0", "1", "4", "1"],
        ["expense_management", "0", "0", "0", "0", "0", "0"],
    ]
