"""What one table map says: typed, frozen models named after the words of the YAML files.

A table map describes one pair of a Dataverse table and a Finance data entity: which rows travel, who owns them, which
columns pair up and in which way. The loader (``loader.py``) reads the files, ``catalog.py`` puts all maps together.
``docs/table-maps.md`` explains the words to people.
"""

from dualsync.mapping.model.documents import HeaderUnit, UnitLines
from dualsync.mapping.model.fields import ConditionalWins, Field, UnknownDefault
from dualsync.mapping.model.lookups import Lookup, Target, Through
from dualsync.mapping.model.parts import Part, PartFilter, PartOf
from dualsync.mapping.model.rows import Initial, Rows
from dualsync.mapping.model.rules import Opposite, Product, Reference, Rule
from dualsync.mapping.model.table_map import Mirrors, TableMap, receiving_columns
from dualsync.mapping.model.tables import DataverseSide, FinanceSide

__all__ = [
    "ConditionalWins",
    "DataverseSide",
    "Field",
    "FinanceSide",
    "HeaderUnit",
    "Initial",
    "Lookup",
    "Mirrors",
    "Opposite",
    "Part",
    "PartFilter",
    "PartOf",
    "Product",
    "Reference",
    "Rows",
    "Rule",
    "TableMap",
    "Target",
    "Through",
    "UnitLines",
    "UnknownDefault",
    "receiving_columns",
]
