"""What a Dataverse environment says about its tables: columns, lookups, alternate keys, navigation properties.

Nothing of this is guessed. Entity set names can be changed and do not follow from the table's name; navigation
properties are case sensitive and differ from the column for many lookups.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dualsync.errors import NotFound, SchemaMismatch
from dualsync.systems.odata import text_literal, with_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualsync.systems.http import Service

LOOKUPS = frozenset({"Lookup", "Customer", "Owner"})
NUMBERS = frozenset({"Money", "Decimal"})

_TABLE = "LogicalName,EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled"
_PARTS = (
    "Attributes($select=LogicalName,AttributeType),"
    "Keys($select=LogicalName,KeyAttributes,EntityKeyIndexStatus),"
    "ManyToOneRelationships($select=ReferencingAttribute,ReferencedEntity,ReferencingEntityNavigationPropertyName)"
)


@dataclass(frozen=True, slots=True)
class AttributeInfo:
    """One column.

    Attributes:
        type: Dataverse's AttributeType, such as ``String``, ``Money``, ``Picklist``, ``Lookup``, ``Customer``.
        targets: Logical names of the tables a lookup may point to, sorted.
        max_length: Characters a text may have.
        precision: Decimal places of a number.
        options: Number and label of each choice.
        date_behavior: ``UserLocal``, ``DateOnly`` or ``TimeZoneIndependent``.

    The last four are None unless the facets were asked for.
    """

    type: str
    targets: tuple[str, ...] = ()
    max_length: int | None = None
    precision: int | None = None
    options: Mapping[int, str] | None = None
    date_behavior: str | None = None

    @property
    def is_lookup(self) -> bool:
        """True if the column refers to a row of another table."""
        return self.type in LOOKUPS


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """An alternate key. It can be used only when ``active``: Dataverse builds its index in the background."""

    name: str
    columns: tuple[str, ...]
    active: bool


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table.

    Attributes:
        table: Logical name.
        set_name: Entity set name, as in URLs.
        primary_id: Attribute of the record id.
        change_tracking: True if the service can tell what changed.
        attributes: Columns by logical name.
        keys: Alternate keys.
        navigation: Navigation property by lookup attribute and target table.
    """

    table: str
    set_name: str
    primary_id: str
    change_tracking: bool
    attributes: Mapping[str, AttributeInfo]
    keys: tuple[KeyInfo, ...] = ()
    navigation: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def attribute(self, name: str) -> AttributeInfo:
        """One column.

        Raises:
            SchemaMismatch: The environment does not have it.
        """
        try:
            return self.attributes[name]
        except KeyError:
            raise SchemaMismatch(f"Dataverse table {self.table} has no column {name}") from None

    def wire_name(self, name: str) -> str:
        """The name of a column in ``$select``, ``$filter`` and rows: lookups are read as ``_name_value``."""
        return f"_{name}_value" if self.attribute(name).is_lookup else name


class DataverseMetadata:
    """Reads table descriptions once for each client. Thread-safe."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.RLock()
        self._plain: dict[str, TableInfo] = {}
        self._full: dict[str, TableInfo] = {}
        self._tables: dict[str, str] = {}

    def table(self, table: str, *, facets: bool = False) -> TableInfo:
        """One table by its logical name; with ``facets`` also lengths, precisions, options and date behaviours.

        Raises:
            SchemaMismatch: The environment has no such table.
        """
        tables = self._full if facets else self._plain
        with self._lock:
            if table not in tables:
                tables[table] = self._load(table, facets=facets)
                self._tables[tables[table].set_name] = table
            return tables[table]

    def of_set(self, set_name: str) -> TableInfo:
        """One table by its entity set name.

        Raises:
            SchemaMismatch: The environment has no such set.
        """
        with self._lock:
            if set_name not in self._tables:
                options = {"$select": "LogicalName", "$filter": f"EntitySetName eq {text_literal(set_name)}"}
                definitions = self._service.get(with_query("EntityDefinitions", options))["value"]
                if not definitions:
                    raise SchemaMismatch(f"Dataverse has no entity set {set_name}")
                self._tables[set_name] = definitions[0]["LogicalName"]
            return self.table(self._tables[set_name])

    def _load(self, table: str, *, facets: bool) -> TableInfo:
        path = f"EntityDefinitions(LogicalName={text_literal(table)})"
        try:
            definition = self._service.get(with_query(path, {"$select": _TABLE, "$expand": _PARTS}))
        except NotFound as error:
            raise SchemaMismatch(f"Dataverse has no table {table}") from error
        navigation: dict[tuple[str, str], str] = {}
        targets: defaultdict[str, set[str]] = defaultdict(set)
        for row in definition["ManyToOneRelationships"]:
            attribute, target = row["ReferencingAttribute"], row["ReferencedEntity"]
            navigation[attribute, target] = row["ReferencingEntityNavigationPropertyName"]
            targets[attribute].add(target)
        details = self._facets(f"{path}/Attributes") if facets else {}
        attributes = {
            row["LogicalName"]: AttributeInfo(
                type=row["AttributeType"],
                targets=tuple(sorted(targets[row["LogicalName"]])),
                **details.get(row["LogicalName"], {}),
            )
            for row in definition["Attributes"]
        }
        keys = tuple(
            KeyInfo(row["LogicalName"], tuple(row["KeyAttributes"]), row["EntityKeyIndexStatus"] == "Active")
            for row in definition["Keys"]
        )
        return TableInfo(
            table=definition["LogicalName"],
            set_name=definition["EntitySetName"],
            primary_id=definition["PrimaryIdAttribute"],
            change_tracking=definition["ChangeTrackingEnabled"],
            attributes=attributes,
            keys=keys,
            navigation=navigation,
        )

    def _facets(self, path: str) -> dict[str, dict[str, Any]]:
        """Facets by column. Each lives on a type of its own and needs a cast [DV10]."""

        def of(kind: str, select: str, expand: str = "") -> list[dict[str, Any]]:
            cast = f"{path}/Microsoft.Dynamics.CRM.{kind}AttributeMetadata"
            rows: list[dict[str, Any]] = self._service.get(with_query(cast, {"$select": select, "$expand": expand}))[
                "value"
            ]
            return rows

        facets: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for kind in ("String", "Memo"):
            for row in of(kind, "LogicalName,MaxLength"):
                facets[row["LogicalName"]]["max_length"] = row["MaxLength"]
        for kind in ("Decimal", "Money"):
            for row in of(kind, "LogicalName,Precision"):
                facets[row["LogicalName"]]["precision"] = row["Precision"]
        for row in of("DateTime", "LogicalName,DateTimeBehavior"):
            facets[row["LogicalName"]]["date_behavior"] = row["DateTimeBehavior"]["Value"]
        for kind in ("Picklist", "State", "Status"):
            for row in of(kind, "LogicalName", "OptionSet($select=Options)"):
                options = (row.get("OptionSet") or {}).get("Options", ())
                facets[row["LogicalName"]]["options"] = {option["Value"]: _label(option) for option in options}
        return facets


def _label(option: Mapping[str, Any]) -> str:
    localized = (option.get("Label") or {}).get("UserLocalizedLabel") or {}
    return str(localized.get("Label", ""))
