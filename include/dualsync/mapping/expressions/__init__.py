"""The filter language of the table maps: OData ``$filter`` with comparisons, and/or/not, text functions and ``in``.

One expression is evaluated in three places that must agree: by the remote system (OData text), by DuckDB over a whole
frame (SQL) and in Python for single rows. Text compares without regard to case, as both systems do, and an empty text
is the same as no value, because Finance has no nulls.

Filters of exported dual-write maps are X++; :meth:`Expression.parse` takes them too and turns them into OData.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from dualsync.mapping.expressions.odata import to_odata
from dualsync.mapping.expressions.parser import parse_odata
from dualsync.mapping.expressions.rows import holds
from dualsync.mapping.expressions.sql import to_sql
from dualsync.mapping.expressions.tree import ExpressionError, Junction, Node, Not
from dualsync.mapping.expressions.xpp import from_xpp, is_xpp
from dualsync.sql import quoted

if TYPE_CHECKING:
    from dualsync.mapping.schema import Table

__all__ = ["Expression", "ExpressionError"]


@dataclass(frozen=True)
class Expression:
    """A parsed filter. The empty text is the filter that every row matches.

    Attributes:
        text: The filter as OData.
    """

    text: str
    _node: Node | None

    @staticmethod
    def parse(text: str) -> Expression:
        """Read a filter, OData or X++.

        Raises:
            ExpressionError: The text is not a filter of this language.
        """
        return _parse(text.strip())

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns the filter reads, each once, in order of appearance."""
        return () if self._node is None else tuple(dict.fromkeys(_columns(self._node)))

    def to_sql(self, table: str | None = None, begin: str = "") -> str:
        """DuckDB SQL that is true or false, never null.

        Args:
            table: Name to qualify the quoted columns with.
            begin: What the columns' names begin with in that table.
        """
        qualifier = f"{quoted(table)}." if table else ""
        return "TRUE" if self._node is None else to_sql(self._node, lambda name: qualifier + quoted(begin + name))

    def to_odata(self, table: Table) -> str:
        """The ``$filter`` for a table of one side; empty where there is nothing to filter.

        Finance enums become typed literals and Finance texts compare with ``''`` instead of null.
        """
        return "" if self._node is None else to_odata(self._node, table)

    def matches(self, row: Mapping[str, Any]) -> bool:
        """True if a row, values by column name, matches. Columns the row lacks have no value."""
        return self._node is None or holds(self._node, row)


@lru_cache(maxsize=256)
def _parse(text: str) -> Expression:
    if not text:
        return Expression("", None)
    odata = from_xpp(text) if is_xpp(text) else text
    return Expression(odata, parse_odata(odata, text))


def _columns(node: Node) -> Iterator[str]:
    match node:
        case Not():
            yield from _columns(node.operand)
        case Junction():
            for operand in node.operands:
                yield from _columns(operand)
        case _:
            yield node.column
