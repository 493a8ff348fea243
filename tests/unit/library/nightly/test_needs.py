"""What is lost where a system lacks a set or a column: derived from the queries, without a night."""

from __future__ import annotations

import pytest

from dualsync.controls.extracts import Extract, extracts
from dualsync.controls.registry import controls
from dualsync.nightly.needs import reads, uses
from dualsync.nightly.totals import totals_read
from dualsync.nightly.views import with_parents

QUERIES = {
    f"{control.id}{check.id}": control.query(check) for control in controls().values() for check in control.asked
}


def test_a_query_reads_what_stands_in_it_and_no_more() -> None:
    assert reads("SELECT s.import_id FROM staging s JOIN actuals a ON a.id = s.actual_id") == ("actuals", "staging")
    assert reads("SELECT 1 AS staging") == ()
    assert reads("SELECT id FROM actuals", "SELECT import_id FROM staging") == ("actuals", "staging")


def test_a_column_counts_where_the_query_cannot_do_without_it() -> None:
    query = "SELECT s.import_id, s.amount AS voucher FROM staging s"
    assert uses(query, "staging", "amount")
    assert not uses(query, "staging", "voucher"), "a name of its own"
    assert not uses(query, "staging", "currency")


@pytest.mark.parametrize("extract", extracts().values(), ids=lambda one: one.extract)
def test_an_extract_that_is_hidden_costs_a_check(extract: Extract) -> None:
    """So a night without it cannot be equal."""
    needed = {name for name, query in QUERIES.items() if extract.extract in with_parents(reads(query))}
    assert needed or extract.extract in totals_read(), f"nothing reads {extract.extract}"


def test_what_is_judged_is_read_and_its_amount_is_known() -> None:
    """An amount that goes wrong is seen in money: the rows that critical checks judge say what they are worth."""
    judged = {
        check.judges
        for control in controls().values()
        for check in control.asked
        if (check.severity or control.severity) == "critical"
    }
    assert {name for name in judged if extracts()[name].money is None} == WITHOUT_AMOUNT


WITHOUT_AMOUNT = {
    *("assignments", "estimate_lines", "expense_distributions", "expense_forecasts", "hour_forecasts"),
    *("item_forecasts", "material_usages", "vendor_lines"),
}
"""Extracts that critical checks judge, and that have no amount of their own. It may only get shorter."""


def test_the_columns_that_each_check_cannot_do_without_are_known() -> None:
    """Most checks read a key and an amount at least; one that needs no column would agree with nothing there."""
    for name, query in QUERIES.items():
        needed = [
            column for extract in reads(query) for column in extracts()[extract].columns if uses(query, extract, column)
        ]
        assert needed, name
