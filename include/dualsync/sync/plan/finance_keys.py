"""How a row of Finance is named: by its company and the columns of its key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dualsync.mapping import Schema, TableMap
from dualsync.sync.plan.values import to_wire
from dualsync.sync.plan.vocabulary import GLOBAL


def company_values(table_map: TableMap, company: str) -> dict[str, Any]:
    """The column of Finance that names a row's company, with its code as Finance writes it.

    Args:
        table_map: The map.
        company: The company's code; of a map that knows no companies there is no such column.
    """
    return {} if company == GLOBAL else {str(table_map.finance.company): company.lower()}


def finance_key(table_map: TableMap, schema: Schema, company: str, parts: Sequence[Any]) -> dict[str, Any]:
    """The columns that name one row of Finance, with their values on the wire, company first.

    Args:
        table_map: The map.
        schema: Types of the columns.
        company: The row's company.
        parts: The values of the integration key, in its order.
    """
    entity = table_map.finance
    key = company_values(table_map, company)
    for name, value in zip(entity.key, parts, strict=True):
        key[name] = to_wire(value, schema.column("finance", entity.set, name), "finance")
    return key
