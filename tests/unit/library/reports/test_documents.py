"""Documents as people see them."""

from datetime import UTC, datetime, timedelta

from rich.console import Console

from dualsync.ledger import DocumentRecord
from dualsync.ledger.documents import Document, documents_of
from dualsync.reports.documents import documents_table

EARLY = datetime(2026, 3, 1, 8, tzinfo=UTC)
LATE = EARLY + timedelta(hours=1)


def record(key: str, lines: str, expected: int, there: int, since: datetime, *, complete: bool) -> DocumentRecord:
    return DocumentRecord("orders", "USPM", key.casefold(), key, None, lines, expected, there, complete, since, "run-1")


RECORDS = [
    record("A", "order_lines", 3, 2, LATE, complete=False),
    record("A", "orders_trigger", 0, 0, EARLY, complete=False),
    record("B", "order_lines", 2, 2, EARLY, complete=True),
    record("B", "orders_trigger", 0, 0, LATE, complete=True),
]


def test_a_document_is_complete_when_all_its_lines_and_its_trigger_are() -> None:
    missing = ("order_lines", "orders_trigger")
    first = Document("orders", "USPM", "A", 3, 2, missing, EARLY)
    second = Document("orders", "USPM", "B", 2, 2, (), LATE)
    assert documents_of(RECORDS) == [first, second]
    assert documents_of(RECORDS, incomplete=True) == [first]
    assert (first.state, second.state) == ("incomplete", "complete")
    assert second.to_dict() | {"since": None} == {
        "map": "orders",
        "company": "USPM",
        "key": "B",
        "state": "complete",
        "expected": 2,
        "acknowledged": 2,
        "missing": (),
        "since": None,
    }


def test_the_table_has_a_line_for_each_document() -> None:
    console = Console(width=120, highlight=False)
    with console.capture() as captured:
        console.print(documents_table(documents_of(RECORDS)))
    lines = [line.split() for line in captured.get().splitlines() if "USPM" in line]
    assert lines == [
        ["orders", "USPM", "A", "incomplete", "3", "2", "2026-03-01", "08:00", "order_lines,", "orders_trigger"],
        ["orders", "USPM", "B", "complete", "2", "2", "2026-03-01", "09:00"],
    ]
