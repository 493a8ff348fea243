"""``/data/$metadata``: CSDL with entity types, enums, text lengths and the actions of data management.

Follows "Open Data Protocol (OData)" (odata.md) and, for the actions, "Data management package REST API". That
``MaxLength`` stands in it is an assumption: the lengths come from the fields' extended data types. Of the set that the
actions are bound to only the key is declared, since its rows are not served.
"""

from __future__ import annotations

from functools import cache
from typing import cast
from xml.etree import ElementTree as ET

from dualsync_sandbox.finance.data_management.packages import ACTIONS
from dualsync_sandbox.finance.data_management.packages import SET as DATA_MANAGEMENT
from dualsync_sandbox.protocol.odata import ENUM_NAMESPACE
from dualsync_sandbox.schema import Column, SystemSchema

NAMESPACE = ENUM_NAMESPACE.rstrip(".")
#: The type of the rows of data management's set, and the types of what its actions take and give beside text.
_GROUP = "DataManagementDefinitionGroup"
_TAKEN = {"execute": "Boolean", "overwrite": "Boolean", "reExecute": "Boolean", "count": "Int32"}
_GIVEN = {"GenerateImportTargetErrorKeysFile": "Boolean"}
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
    _data_management(root)
    container = ET.SubElement(root, "EntityContainer", {"Name": "Resources"})
    for table in schema.by_set.values():
        ET.SubElement(container, "EntitySet", {"Name": table.set, "EntityType": ENUM_NAMESPACE + table.entity})
    facts = {"Name": DATA_MANAGEMENT, "EntityType": ENUM_NAMESPACE + _GROUP}
    ET.SubElement(container, "EntitySet", facts)
    return cast(bytes, ET.tostring(edmx, encoding="utf-8", xml_declaration=True))


def _data_management(root: ET.Element) -> None:
    """The set that data management's actions are bound to, and the actions."""
    entity = ET.SubElement(root, "EntityType", {"Name": _GROUP})
    ET.SubElement(ET.SubElement(entity, "Key"), "PropertyRef", {"Name": "Name"})
    ET.SubElement(entity, "Property", {"Name": "Name", "Type": "Edm.String", "Nullable": "false"})
    rows = f"Collection({ENUM_NAMESPACE}{_GROUP})"
    for name, action in ACTIONS.items():
        element = ET.SubElement(root, "Action", {"Name": name, "IsBound": "true"})
        ET.SubElement(element, "Parameter", {"Name": DATA_MANAGEMENT, "Type": rows})
        for taken in action.takes.partition(" (")[0].split(", "):
            ET.SubElement(element, "Parameter", {"Name": taken, "Type": f"Edm.{_TAKEN.get(taken, 'String')}"})
        ET.SubElement(element, "ReturnType", {"Type": f"Edm.{_GIVEN.get(name, 'String')}"})
