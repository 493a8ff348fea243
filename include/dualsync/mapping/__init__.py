"""Table maps: the model, the loader, the catalog of all maps and what follows from them."""

from dualsync.errors import MapErrors
from dualsync.mapping.catalog import Catalog
from dualsync.mapping.expressions import Expression, ExpressionError
from dualsync.mapping.loader import read_map
from dualsync.mapping.model import (
    COMPANY_WORD,
    DIRECTIONS,
    ConditionalWins,
    DataverseSide,
    Direction,
    Field,
    FinanceSide,
    Initial,
    Later,
    Lookup,
    Opposite,
    Product,
    Reference,
    Rows,
    Rule,
    Side,
    TableMap,
    Target,
    Through,
    UnknownDefault,
    Way,
    receiving_columns,
)
from dualsync.mapping.schema import Column, Schema, Table

__all__ = [
    "COMPANY_WORD",
    "DIRECTIONS",
    "Catalog",
    "Column",
    "ConditionalWins",
    "DataverseSide",
    "Direction",
    "Expression",
    "ExpressionError",
    "Field",
    "FinanceSide",
    "Initial",
    "Later",
    "Lookup",
    "MapErrors",
    "Opposite",
    "Product",
    "Reference",
    "Rows",
    "Rule",
    "Schema",
    "Side",
    "Table",
    "TableMap",
    "Target",
    "Through",
    "UnknownDefault",
    "Way",
    "read_map",
    "receiving_columns",
]
