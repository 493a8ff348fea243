"""What Dataverse says about itself: ``EntityDefinitions`` and ``$metadata``.

Follows "Query table definitions using the Web API" (webapi/query-metadata-web-api) and "Web API service documents".
Only the properties a client of tables, columns, keys and lookups reads are served; asking for another is refused.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from functools import cache
from typing import cast
from xml.etree import ElementTree as ET

from dualsync_sandbox.dataverse.errors import NO_SUCH_RESOURCE, NOT_FOUND, URI_ERROR
from dualsync_sandbox.dataverse.rows import wire_name
from dualsync_sandbox.errors import NotImplementedInSandbox
from dualsync_sandbox.http import ApiError, Call, Reply
from dualsync_sandbox.keys import split_segment
from dualsync_sandbox.odata import selected
from dualsync_sandbox.schema import Column, SystemSchema, Table

Facts = dict[str, object]
_NAMESPACE = uuid.UUID("0a0b0c0d-0000-4000-8000-0000000000ed")
_CAST = re.compile(r"Microsoft\.Dynamics\.CRM\.(\w+)AttributeMetadata")
_OPTION_TYPES = frozenset({"Picklist", "State", "Status", "Boolean"})
_EDM = {
    "guid": "Guid",
    "text": "String",
    "decimal": "Decimal",
    "bool": "Boolean",
    "option": "Int32",
    "instant": "DateTimeOffset",
    "date": "Date",
    "lookup": "Guid",
}


def _identity(*parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def _label(text: str) -> Facts:
    return {
        "UserLocalizedLabel": {"Label": text, "LanguageCode": 1033},
        "LocalizedLabels": [{"Label": text, "LanguageCode": 1033}],
    }


def entity_facts(table: Table) -> Facts:
    """The table's own metadata properties."""
    return {
        "MetadataId": _identity(table.name),
        "LogicalName": table.name,
        "SchemaName": table.name,
        "EntitySetName": table.set,
        "LogicalCollectionName": table.set,
        "PrimaryIdAttribute": table.id,
        "PrimaryNameAttribute": table.primary_name or None,
        "ChangeTrackingEnabled": True,
        "CanChangeTrackingBeEnabled": {
            "Value": True,
            "CanBeChanged": True,
            "ManagedPropertyLogicalName": "canchangetrackingbeenabled",
        },
        "IsOptimisticConcurrencyEnabled": True,
        "DisplayName": _label(table.label),
    }


def _attribute_type(column: Column) -> tuple[str, str]:
    """AttributeType and the name of the metadata class."""
    if column.kind == "lookup":
        if column.name == "ownerid":
            return "Owner", "Lookup"
        return ("Customer" if column.polymorphic else "Lookup"), "Lookup"
    return column.type, {"Uniqueidentifier": ""}.get(column.type, column.type)


def attribute_facts(table: Table, column: Column) -> Facts:
    """A column's metadata properties, those of its type included."""
    attribute_type, kind = _attribute_type(column)
    facts: Facts = {
        "@odata.type": f"#Microsoft.Dynamics.CRM.{kind}AttributeMetadata",
        "MetadataId": _identity(table.name, column.name),
        "EntityLogicalName": table.name,
        "LogicalName": column.name,
        "SchemaName": column.name,
        "AttributeType": attribute_type,
        "AttributeTypeName": {"Value": f"{attribute_type}Type"},
        "IsPrimaryId": column.name == table.id,
        "IsPrimaryName": column.name == table.primary_name,
        "IsValidForRead": True,
        "IsValidForCreate": column.name not in ("createdon", "modifiedon", "createdby", "modifiedby", "versionnumber"),
        "IsValidForUpdate": column.name
        not in ("createdon", "modifiedon", "createdby", "modifiedby", "versionnumber", table.id),
        "RequiredLevel": {"Value": "SystemRequired" if column.required else "None", "CanBeChanged": False},
        "DisplayName": _label(column.name),
    }
    if column.kind == "text":
        facts["MaxLength"] = column.length
    elif column.kind == "decimal":
        limit = 9_000_000_000_000_000_000 // 10 ** (column.scale or 0)
        facts |= {"Precision": column.scale, "MinValue": -limit, "MaxValue": limit}
    elif column.kind == "int" and column.type == "Integer":
        facts |= {"MinValue": -(2**31), "MaxValue": 2**31 - 1}
    elif column.kind in ("instant", "date"):
        only_date = column.kind == "date"
        facts |= {"Format": "DateOnly" if only_date else "DateAndTime"}
        facts["DateTimeBehavior"] = {"Value": "DateOnly" if only_date else "UserLocal"}
    elif column.kind == "lookup":
        facts["Targets"] = list(column.targets)
    return facts


def _option_set(column: Column) -> Facts:
    if column.kind == "bool":
        return {"TrueOption": {"Value": 1, "Label": _label("Yes")}, "FalseOption": {"Value": 0, "Label": _label("No")}}
    options = [{"Value": value, "Label": _label(label)} for value, label in column.options.items()]
    return {"IsGlobal": False, "OptionSetType": column.type, "Options": options}


def key_facts(table: Table) -> list[Facts]:
    """The alternate keys."""
    return [
        {
            "MetadataId": _identity(table.name, "key", key.name),
            "LogicalName": key.name,
            "SchemaName": key.name,
            "EntityLogicalName": table.name,
            "KeyAttributes": list(key.columns),
            "EntityKeyIndexStatus": "Active",
        }
        for key in table.keys
    ]


def relationship_facts(schema: SystemSchema, table: Table) -> list[Facts]:
    """The many-to-one relationships, which carry the names of the navigation properties."""
    behaviour = {"cascade": "Cascade", "restrict": "Restrict", "removelink": "RemoveLink"}
    return [
        {
            "MetadataId": _identity(table.name, column.name, target),
            "SchemaName": f"{table.name}_{column.name}_{target}",
            "ReferencingEntity": table.name,
            "ReferencingAttribute": column.name,
            "ReferencingEntityNavigationPropertyName": navigation,
            "ReferencedEntity": target,
            "ReferencedAttribute": schema.tables[target].id,
            "CascadeConfiguration": {"Delete": behaviour[column.on_delete]},
        }
        for column in table.lookups
        for target, navigation in column.targets.items()
    ]


class Metadata:
    """Answers metadata requests.

    Args:
        schema: of Dataverse.
    """

    def __init__(self, schema: SystemSchema) -> None:
        self._schema = schema

    def answer(self, call: Call, segments: list[str]) -> Reply:
        """``EntityDefinitions`` and what lies below it."""
        _, key = split_segment(segments[0])
        base = f"{call.service}/$metadata#EntityDefinitions"
        if key is None:
            if len(segments) > 1:
                raise ApiError(404, NO_SUCH_RESOURCE, f"Resource not found for the segment '{segments[1]}'.")
            tables = [table for table in self._schema.tables.values() if _matches(call, entity_facts(table))]
            return Reply.json(200, {"@odata.context": base, "value": [self._entity(call, table) for table in tables]})
        table = self._table(key)
        if len(segments) == 1:
            return Reply.json(200, {"@odata.context": f"{base}/$entity", **self._entity(call, table)})
        return self._below(call, table, segments[1:], f"{base}('{table.name}')")

    def _table(self, key: str) -> Table:
        match = re.fullmatch(r"LogicalName\s*=\s*'(\w+)'", key)
        if match is None:
            for table in self._schema.tables.values():
                if key.lower() == _identity(table.name):
                    return table
        elif match[1] in self._schema.tables:
            return self._schema.tables[match[1]]
        raise ApiError(404, NOT_FOUND, f"Could not find an entity with the specified key ({key}).")

    def _entity(self, call: Call, table: Table) -> Facts:
        facts = _chosen(entity_facts(table), call.options.get("$select"))
        for name, inner in _expansions(call.options.get("$expand", "")):
            lists: dict[str, Callable[[], list[Facts]]] = {
                "Attributes": lambda: [attribute_facts(table, column) for column in table.columns.values()],
                "Keys": lambda: key_facts(table),
                "ManyToOneRelationships": lambda: relationship_facts(self._schema, table),
            }
            if name not in lists:
                raise NotImplementedInSandbox("$expand", name)
            facts[name] = [_chosen(item, inner) for item in lists[name]()]
        return facts

    def _below(self, call: Call, table: Table, segments: list[str], base: str) -> Reply:
        name, key = split_segment(segments[0])
        lists: dict[str, Callable[[], list[Facts]]] = {
            "Keys": lambda: key_facts(table),
            "ManyToOneRelationships": lambda: relationship_facts(self._schema, table),
        }
        if name in lists and key is None and len(segments) == 1:
            found = [_chosen(facts, call.options.get("$select")) for facts in lists[name]() if _matches(call, facts)]
            return Reply.json(200, {"@odata.context": f"{base}/{name}", "value": found})
        if name != "Attributes":
            raise NotImplementedInSandbox(f"EntityDefinitions(...)/{segments[0]}")
        return self._attributes(call, table, key, segments[1:], f"{base}/Attributes")

    def _attributes(self, call: Call, table: Table, key: str | None, rest: list[str], base: str) -> Reply:
        columns = list(table.columns.values()) if key is None else [_attribute(table, key)]
        cast_to = ""
        if rest:
            cast_to = _cast_name(rest)
            columns = [column for column in columns if _attribute_type(column)[1] == cast_to]
        found = []
        for column in columns:
            facts = attribute_facts(table, column)
            if _matches(call, facts):
                chosen = _chosen(facts, call.options.get("$select"))
                for name, _ in _expansions(call.options.get("$expand", "")):
                    if cast_to not in _OPTION_TYPES or name not in ("OptionSet", "GlobalOptionSet"):
                        raise ApiError(400, URI_ERROR, f"Could not find a property named '{name}' to expand.")
                    chosen[name] = _option_set(column) if name == "OptionSet" else None
                found.append(chosen)
        if key is not None:
            if not found:
                raise ApiError(404, NOT_FOUND, "The attribute is of another type.")
            return Reply.json(200, {"@odata.context": f"{base}/$entity", **found[0]})
        return Reply.json(200, {"@odata.context": base, "value": found})


def _attribute(table: Table, key: str) -> Column:
    match = re.fullmatch(r"LogicalName\s*=\s*'(\w+)'", key)
    if match is None or match[1] not in table.columns:
        raise ApiError(404, NOT_FOUND, f"Could not find an attribute with the specified key ({key}).")
    return table.columns[match[1]]


def _cast_name(rest: list[str]) -> str:
    match = _CAST.fullmatch(rest[0])
    if match is None or len(rest) > 1:
        raise NotImplementedInSandbox("EntityDefinitions(...)/Attributes/" + "/".join(rest))
    return match[1]


def _chosen(facts: Facts, select: str | None) -> Facts:
    """``$select`` on metadata: the named properties, ``MetadataId`` and the type."""
    names = selected(select)
    if not names:
        return dict(facts)
    for name in names:
        # The properties of other attribute types are no error where rows of all types are listed.
        if name not in facts and name not in _ATTRIBUTE_PROPERTIES:
            raise ApiError(400, "0x0", f"Could not find a property named '{name}'.")
    kept = [name for name in facts if name in names or name in ("MetadataId", "@odata.type")]
    return {name: facts[name] for name in kept}


_ATTRIBUTE_PROPERTIES = frozenset(
    {"MaxLength", "Precision", "MinValue", "MaxValue", "Format", "DateTimeBehavior", "Targets"}
)


def _expansions(text: str) -> list[tuple[str, str | None]]:
    """``$expand`` of metadata: names, each with an optional ``$select``."""
    found: list[tuple[str, str | None]] = []
    for match in re.finditer(r"\s*(\w+)(?:\(([^()]*(?:\([^()]*\))?[^()]*)\))?\s*(?:,|$)", text):
        inner = match[2]
        if inner is not None and not inner.startswith("$select="):
            raise NotImplementedInSandbox("$expand", inner)
        found.append((match[1], inner.removeprefix("$select=") if inner else None))
    return found


def _matches(call: Call, facts: Facts) -> bool:
    """``$filter`` on metadata: equality on text and true/false properties, joined by ``or``."""
    text = call.options.get("$filter")
    if text is None:
        return True
    for part in re.split(r"\s+or\s+", text):
        match = re.fullmatch(r"\s*\(?\s*(\w+)\s+eq\s+(?:'((?:[^']|'')*)'|(true|false))\s*\)?\s*", part)
        if match is None:
            raise NotImplementedInSandbox("$filter on metadata", part.strip())
        if match[1] not in facts:
            raise ApiError(400, "0x0", f"Could not find a property named '{match[1]}'.")
        wanted: object = match[2].replace("''", "'") if match[2] is not None else match[3] == "true"
        if facts[match[1]] == wanted:
            return True
    return False


@cache
def csdl(schema_name: str = "dataverse") -> bytes:
    """``$metadata``: CSDL of all tables."""
    schema = SystemSchema.load("dataverse")
    assert schema_name == schema.system
    edmx = ET.Element("edmx:Edmx", {"Version": "4.0", "xmlns:edmx": "http://docs.oasis-open.org/odata/ns/edmx"})
    services = ET.SubElement(edmx, "edmx:DataServices")
    root = ET.SubElement(
        services,
        "Schema",
        {"Namespace": "Microsoft.Dynamics.CRM", "Alias": "mscrm", "xmlns": "http://docs.oasis-open.org/odata/ns/edm"},
    )
    base = ET.SubElement(root, "EntityType", {"Name": "crmbaseentity", "Abstract": "true"})
    assert base is not None
    for table in schema.tables.values():
        entity = ET.SubElement(root, "EntityType", {"Name": table.name, "BaseType": "mscrm.crmbaseentity"})
        ET.SubElement(ET.SubElement(entity, "Key"), "PropertyRef", {"Name": table.id})
        for column in table.columns.values():
            ET.SubElement(entity, "Property", _property(column))
        for navigation, (column, target) in table.navigation.items():
            property_ = ET.SubElement(
                entity, "NavigationProperty", {"Name": navigation, "Type": f"mscrm.{target}", "Nullable": "true"}
            )
            related = {"Property": wire_name(column), "ReferencedProperty": schema.tables[target].id}
            ET.SubElement(property_, "ReferentialConstraint", related)
    container = ET.SubElement(root, "EntityContainer", {"Name": "System"})
    for table in schema.tables.values():
        entity_set = ET.SubElement(
            container, "EntitySet", {"Name": table.set, "EntityType": f"Microsoft.Dynamics.CRM.{table.name}"}
        )
        for navigation, (_, target) in table.navigation.items():
            binding = {"Path": navigation, "Target": schema.tables[target].set}
            ET.SubElement(entity_set, "NavigationPropertyBinding", binding)
    return cast(bytes, ET.tostring(edmx, encoding="utf-8", xml_declaration=True))


def _property(column: Column) -> dict[str, str]:
    edm = _EDM.get(column.kind) or ("Int64" if column.type == "BigInt" else "Int32")
    facts = {"Name": wire_name(column), "Type": f"Edm.{'Double' if column.type == 'Double' else edm}"}
    if column.length:
        facts["MaxLength"] = str(column.length)
    if edm == "Decimal" and column.type != "Double":
        facts["Scale"] = str(column.scale)
    if column.required:
        facts["Nullable"] = "false"
    return facts
