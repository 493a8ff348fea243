"""``$metadata``: the tables as CSDL ("Web API service documents", webapi/web-api-service-documents; OData CSDL 4.0)."""

from __future__ import annotations

from typing import cast
from xml.etree import ElementTree as ET

from dualsync_sandbox.dataverse.definitions import operations
from dualsync_sandbox.dataverse.model import Model, wire_name
from dualsync_sandbox.dataverse.writing.bulk import MESSAGES
from dualsync_sandbox.schema import Column, Table

NAMESPACE = "Microsoft.Dynamics.CRM"
_EDMX = "http://docs.oasis-open.org/odata/ns/edmx"
_EDM = "http://docs.oasis-open.org/odata/ns/edm"
_CAPABILITIES = "Org.OData.Capabilities.V1"
_CAPABILITIES_FILE = "http://vocabularies.odata.org/Org.OData.Capabilities.V1.xml"
_TYPES = {
    "guid": "Guid",
    "text": "String",
    "decimal": "Decimal",
    "bool": "Boolean",
    "option": "Int32",
    "instant": "DateTimeOffset",
    "date": "Date",
    "lookup": "Guid",
}


def csdl(model: Model, *, annotations: bool = False) -> bytes:
    """The document; ``annotations`` adds which sets track changes."""
    edmx = ET.Element("edmx:Edmx", {"Version": "4.0", "xmlns:edmx": _EDMX})
    if annotations:
        reference = ET.SubElement(edmx, "edmx:Reference", {"Uri": _CAPABILITIES_FILE})
        ET.SubElement(reference, "edmx:Include", {"Namespace": _CAPABILITIES})
    services = ET.SubElement(edmx, "edmx:DataServices")
    schema = ET.SubElement(services, "Schema", {"Namespace": NAMESPACE, "Alias": "mscrm", "xmlns": _EDM})
    ET.SubElement(schema, "EntityType", {"Name": "crmbaseentity", "Abstract": "true"})
    for table in model.tables.values():
        _entity_type(schema, model, table)
    operations.describe(schema, model)
    for message in MESSAGES:
        for table in model.tables.values():
            _message(schema, message, table)
    container = ET.SubElement(schema, "EntityContainer", {"Name": "System"})
    for table in model.tables.values():
        _entity_set(container, model, table, annotations=annotations)
    operations.contain(container)
    return cast(bytes, ET.tostring(edmx, encoding="utf-8", xml_declaration=True))


def _entity_type(schema: ET.Element, model: Model, table: Table) -> None:
    entity = ET.SubElement(schema, "EntityType", {"Name": table.name, "BaseType": "mscrm.crmbaseentity"})
    ET.SubElement(ET.SubElement(entity, "Key"), "PropertyRef", {"Name": table.id})
    for column in table.columns.values():
        ET.SubElement(entity, "Property", _property(table, column))
    for navigation, found in model.of(table).items():
        facts = {"Name": navigation, "Type": f"mscrm.{found.parent.name}", "Nullable": "true", "Partner": found.name}
        single = ET.SubElement(entity, "NavigationProperty", facts)
        related = {"Property": wire_name(found.column), "ReferencedProperty": found.parent.id}
        ET.SubElement(single, "ReferentialConstraint", related)
    for name, found in model.collections[table.name].items():
        facts = {"Name": name, "Type": f"Collection(mscrm.{found.child.name})", "Partner": found.navigation}
        ET.SubElement(entity, "NavigationProperty", facts)


def _property(table: Table, column: Column) -> dict[str, str]:
    edm = _TYPES.get(column.kind) or ("Int64" if column.type == "BigInt" else "Int32")
    facts = {"Name": wire_name(column), "Type": f"Edm.{'Double' if column.type == 'Double' else edm}"}
    if column.name == table.id:
        facts["Nullable"] = "false"
    if column.length:
        facts["MaxLength"] = str(column.length)
    if edm == "Decimal" and column.type != "Double":
        facts["Scale"] = str(column.scale)
    return facts


def _message(schema: ET.Element, name: str, table: Table) -> None:
    action = ET.SubElement(schema, "Action", {"Name": name, "IsBound": "true"})
    rows = f"Collection(mscrm.{table.name})"
    ET.SubElement(action, "Parameter", {"Name": "entityset", "Type": rows, "Nullable": "false"})
    ET.SubElement(action, "Parameter", {"Name": "Targets", "Type": rows, "Nullable": "false"})
    if name == "CreateMultiple":
        ET.SubElement(action, "ReturnType", {"Type": "mscrm.CreateMultipleResponse", "Nullable": "false"})


def _entity_set(container: ET.Element, model: Model, table: Table, *, annotations: bool) -> None:
    facts = {"Name": table.set, "EntityType": f"{NAMESPACE}.{table.name}"}
    entity_set = ET.SubElement(container, "EntitySet", facts)
    targets = {navigation: found.parent for navigation, found in model.of(table).items()}
    targets |= {name: found.child for name, found in model.collections[table.name].items()}
    for navigation, target in targets.items():
        ET.SubElement(entity_set, "NavigationPropertyBinding", {"Path": navigation, "Target": target.set})
    if annotations:
        annotation = ET.SubElement(entity_set, "Annotation", {"Term": f"{_CAPABILITIES}.ChangeTracking"})
        record = ET.SubElement(annotation, "Record")
        ET.SubElement(record, "PropertyValue", {"Property": "Supported", "Bool": "true"})
