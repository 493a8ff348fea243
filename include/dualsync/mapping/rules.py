"""Answers the business rules of a map for rows about to be written.

Great Expectations has no expectation over what a rule compares, so each rule becomes a column of yes and no, and its
expectation asks for yes. A row that the rule has nothing to say about has no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dualsync.decimals import EXACT
from dualsync.mapping.expressions import Expression

if TYPE_CHECKING:
    import pandas as pd

    from dualsync.mapping.model import Rule


def rule_check(rule: Rule) -> dict[str, Any]:
    """What a rule asks, as it stands in the meta of its expectation."""
    check: dict[str, Any] = {"columns": list(rule.columns), "new_rows": rule.on == "create"}
    if rule.product is None:
        return {**check, "holds": rule.holds}
    return {**check, "within": str(rule.product.within)}


def rule_answers(rows: pd.DataFrame, check: Mapping[str, Any]) -> pd.Series[Any]:
    """Whether each row fulfils a rule.

    Args:
        rows: Rows with the rule's columns, in Arrow-backed types.
        check: What :func:`rule_check` made of the rule.

    Returns:
        True, False or nothing for each row. Rows that lack a value in one of the columns have no answer, except where
        the rule is asked of new rows only: then emptiness is what it may be about.
    """
    import pandas as pd
    import pyarrow as pa

    names: list[str] = check["columns"]
    columns = [rows[name].array.__arrow_array__().to_pylist() for name in names]
    test = _expression(names, check["holds"]) if "holds" in check else _product(Decimal(check["within"]))
    answer_of: dict[tuple[Any, ...], bool | None] = {}  # rows with the same values are tested once
    answers: list[bool | None] = []
    for values in zip(*columns, strict=True):
        if values not in answer_of:
            silent = None in values and not check["new_rows"]
            answer_of[values] = None if silent else test(values)
        answers.append(answer_of[values])
    boolean = pa.bool_()
    return pd.Series(pd.array(pa.array(answers, type=boolean), dtype=pd.ArrowDtype(boolean)), index=rows.index)


def _expression(names: list[str], text: str) -> Callable[[tuple[Any, ...]], bool]:
    expression = Expression.parse(text)
    return lambda values: expression.matches(dict(zip(names, values, strict=True)))


def _product(within: Decimal) -> Callable[[tuple[Any, ...]], bool]:
    def holds(values: tuple[Any, ...]) -> bool:
        number, first, second = (Decimal(value) for value in values)
        return bool(abs(EXACT.subtract(number, EXACT.multiply(first, second))) <= within)

    return holds
