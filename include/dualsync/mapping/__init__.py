"""Table maps: the model, the loader, the catalog of all maps and what follows from them."""

from dualsync.errors import MapErrors
from dualsync.mapping.catalog import Catalog
from dualsync.mapping.expressions import Expression, ExpressionError
from dualsync.mapping.loader import read_map
from dualsync.mapping.model import (
    ConditionalWins,
    DataverseSide,
    Field,
    FinanceSide,
    HeaderUnit,
    Initial,
    Lookup,
    Opposite,
    Part,
    PartOf,
    Product,
    Reference,
    Rows,
    Rule,
    TableMap,
    Target,
    Through,
    UnitLines,
    UnknownDefault,
    receiving_columns,
)
from dualsync.mapping.schema import Column, Schema, Table
from dualsync.mapping.words import COMPANY_WORD, TRIGGER, EvidenceTag, Kind, Scalar
from dualsync.sides import DIRECTIONS, Direction, Side, Way

__all__ = [
    "COMPANY_WORD",
    "DIRECTIONS",
    "TRIGGER",
    "Catalog",
    "Column",
    "ConditionalWins",
    "DataverseSide",
    "Direction",
    "EvidenceTag",
    "Expression",
    "ExpressionError",
    "Field",
    "FinanceSide",
    "HeaderUnit",
    "Initial",
    "Kind",
    "Lookup",
    "MapErrors",
    "Opposite",
    "Part",
    "PartOf",
    "Product",
    "Reference",
    "Rows",
    "Rule",
    "Scalar",
    "Schema",
    "Side",
    "Table",
    "TableMap",
    "Target",
    "Through",
    "UnitLines",
    "UnknownDefault",
    "Way",
    "read_map",
    "receiving_columns",
]
