"""OData query options over one table, compiled to SQL."""

from __future__ import annotations

from dualsync_sandbox.protocol.odata.filters import ENUM_NAMESPACE, FilterCompiler, Where
from dualsync_sandbox.protocol.odata.operands import (
    Collections,
    Members,
    Operand,
    QueryError,
    Resolver,
    UnknownProperty,
    own_column,
)
from dualsync_sandbox.protocol.odata.options import order_by, order_terms, selected, whole
from dualsync_sandbox.protocol.odata.parsing import (
    CRM_NAMESPACE,
    LIST_FUNCTIONS,
    TEXT_FUNCTIONS,
    Parsed,
    parse_filter,
)

__all__ = [
    "CRM_NAMESPACE",
    "ENUM_NAMESPACE",
    "LIST_FUNCTIONS",
    "TEXT_FUNCTIONS",
    "Collections",
    "FilterCompiler",
    "Members",
    "Operand",
    "Parsed",
    "QueryError",
    "Resolver",
    "UnknownProperty",
    "Where",
    "order_by",
    "order_terms",
    "own_column",
    "parse_filter",
    "selected",
    "whole",
]
