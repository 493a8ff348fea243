"""What a Finance environment says about its entities: key columns, types, members of enumerations.

``$metadata`` is the one documented source. It describes every public entity at once and may be tens of megabytes, so it
is read once for each client and as a stream [FO2].
"""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from dualsync.errors import SchemaMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualsync.systems.http import Service


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column: its type (``Edm.String``, or the full name of an enumeration) and the enumeration's members."""

    type: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntityInfo:
    """One entity.

    Attributes:
        set_name: Public collection name, as in URLs.
        entity: Public entity name.
        keys: Key columns, in the order of the metadata.
        columns: All columns by name.
    """

    set_name: str
    entity: str
    keys: tuple[str, ...]
    columns: Mapping[str, ColumnInfo]

    def column(self, name: str) -> ColumnInfo:
        """One column.

        Raises:
            SchemaMismatch: The environment does not have it.
        """
        try:
            return self.columns[name]
        except KeyError:
            raise SchemaMismatch(f"Finance entity {self.set_name} has no column {name}") from None


class FinanceMetadata:
    """Reads the description of all entities once. Thread-safe."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._entities: dict[str, EntityInfo] | None = None

    def of_set(self, set_name: str) -> EntityInfo:
        """One entity by its public collection name.

        Raises:
            SchemaMismatch: The environment has none.
        """
        with self._lock:
            if self._entities is None:
                headers = {"Accept": "application/xml"}
                self._entities = self._service.get("$metadata", headers=headers, parse=parse_metadata)
        try:
            return self._entities[set_name]
        except KeyError:
            raise SchemaMismatch(f"Finance has no public entity {set_name}") from None


def parse_metadata(body: bytes) -> dict[str, EntityInfo]:
    """Entities by collection name from a CSDL document.

    Raises:
        ValueError: It is none.
    """
    types: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {}
    enumerations: dict[str, tuple[str, ...]] = {}
    sets: dict[str, str] = {}
    tags = ("{*}EntityType", "{*}EnumType", "{*}EntitySet")
    try:
        for _, node in etree.iterparse(io.BytesIO(body), tag=tags, resolve_entities=False, no_network=True):
            name, kind = node.get("Name"), etree.QName(node).localname
            if kind == "EntitySet":
                sets[name] = node.get("EntityType").rpartition(".")[2]
            elif kind == "EnumType":
                enumerations[name] = tuple(member.get("Name") for member in node.iterfind("{*}Member"))
            else:
                keys = tuple(part.get("Name") for part in node.iterfind("{*}Key/{*}PropertyRef"))
                types[name] = keys, {column.get("Name"): column.get("Type") for column in node.iterfind("{*}Property")}
            node.clear()
    except etree.XMLSyntaxError as error:
        raise ValueError("the metadata is not complete XML") from error
    columns = {kind: ColumnInfo(kind) for _, properties in types.values() for kind in properties.values()}
    for kind in columns:
        if not kind.startswith("Edm."):
            columns[kind] = ColumnInfo(kind, enumerations.get(kind.rpartition(".")[2], ()))
    return {
        set_name: EntityInfo(
            set_name, entity, types[entity][0], {name: columns[kind] for name, kind in types[entity][1].items()}
        )
        for set_name, entity in sets.items()
        if entity in types
    }
