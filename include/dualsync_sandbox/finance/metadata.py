"""``/data/$metadata``: CSDL with entity types, enums and text lengths ("Open Data Protocol (OData)", odata.md).

That ``MaxLength`` stands in it is an assumption: the lengths come from the fields' extended data types.
"""

from __future__ import annotations

from functools import cache
from typing import cast
from xml.etree import ElementTree as ET

from dualsync_sandbox.protocol.odata import ENUM_NAMESPACE
from dualsync_sandbox.schema import Column, SystemSchema

NAMESPACE = ENUM_NAMESPACE.rstrip(".")
_EDM = {"Instant": "Edm.DateTimeOffset", "Date": "Edm.DateTimeOffset"}


def edm_type(column: Column) -> str:
    """The property's type as ``$metadata`` writes it."""
    if column.kind == "enum":
        return ENUM_NAMESPACE + column.enum
    return _EDM.get(column.type, f"Edm.{column.type}")


@cache
def csdl() -> bytes:
    """The document, made once."""
    schema = SystemSchema.load("finance")
    edmx = ET.Element("edmx:Edmx", {"Version": "4.0", "xmlns:edmx": "http://docs.oasis-open.org/odata/ns/edmx"})
    services = ET.SubElement(edmx, "edmx:DataServices")
    root = ET.SubElement(
        services, "Schema", {"Namespace": NAMESPACE, "xmlns": "http://docs.oasis-open.org/odata/ns/edm"}
    )
    for enum, members in schema.enums.items():
        element = ET.SubElement(root, "EnumType", {"Name": enum})
        for member, value in members.items():
            ET.SubElement(element, "Member", {"Name": member, "Value": str(value)})
    for table in schema.by_set.values():
        entity = ET.SubElement(root, "EntityType", {"Name": table.entity})
        key = ET.SubElement(entity, "Key")
        for name in table.keys[0].columns:
            ET.SubElement(key, "PropertyRef", {"Name": name})
        for column in table.columns.values():
            facts = {"Name": column.name, "Type": edm_type(column)}
            if column.kind not in ("text", "enum") or column.key:
                facts["Nullable"] = "false"
            if column.length:
                facts["MaxLength"] = str(column.length)
            if column.kind == "decimal":
                facts["Scale"] = "variable"
            ET.SubElement(entity, "Property", facts)
    container = ET.SubElement(root, "EntityContainer", {"Name": "Resources"})
    for table in schema.by_set.values():
        ET.SubElement(container, "EntitySet", {"Name": table.set, "EntityType": ENUM_NAMESPACE + table.entity})
    return cast(bytes, ET.tostring(edmx, encoding="utf-8", xml_declaration=True))
