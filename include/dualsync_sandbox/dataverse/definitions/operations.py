"""The part of ``$metadata`` that describes functions, actions and the definitions of tables.

"Web API client errors" tells clients to look there for the name of a function or an action, and generated clients call
only what stands there. Names and types follow the Web API reference (webapi/reference); of complex types and metadata
types, the properties that are served or taken. Values of enumerations that stand for one word are declared as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as ET

from dualsync_sandbox.dataverse.definitions import facts
from dualsync_sandbox.dataverse.model import Model

_TEXTS = "Collection(Edm.String)"
#: Complex types, by name: properties and their types.
_COMPLEX: Mapping[str, Mapping[str, str]] = {
    "WhoAmIResponse": {"BusinessUnitId": "Edm.Guid", "UserId": "Edm.Guid", "OrganizationId": "Edm.Guid"},
    "CreateMultipleResponse": {"Ids": "Collection(Edm.Guid)"},
    "BulkDeleteResponse": {"JobId": "Edm.Guid"},
    "EntityRecordCountCollection": {
        "Count": "Edm.Int32",
        "IsReadOnly": "Edm.Boolean",
        "Keys": _TEXTS,
        "Values": "Collection(Edm.Int64)",
    },
    "RetrieveTotalRecordCountResponse": {"EntityRecordCountCollection": "mscrm.EntityRecordCountCollection"},
    "Object": {"Type": "Edm.String", "Value": "Edm.String"},
    "ConditionExpression": {
        "AttributeName": "Edm.String",
        "Operator": "mscrm.ConditionOperator",
        "Values": "Collection(mscrm.Object)",
    },
    "FilterExpression": {
        "FilterOperator": "mscrm.LogicalOperator",
        "Conditions": "Collection(mscrm.ConditionExpression)",
        "Filters": "Collection(mscrm.FilterExpression)",
    },
    "QueryExpression": {"EntityName": "Edm.String", "Criteria": "mscrm.FilterExpression"},
    "MetadataConditionExpression": {
        "PropertyName": "Edm.String",
        "ConditionOperator": "mscrm.MetadataConditionOperator",
        "Value": "mscrm.Object",
    },
    "MetadataFilterExpression": {
        "FilterOperator": "mscrm.LogicalOperator",
        "Conditions": "Collection(mscrm.MetadataConditionExpression)",
        "Filters": "Collection(mscrm.MetadataFilterExpression)",
    },
    "MetadataPropertiesExpression": {"AllProperties": "Edm.Boolean", "PropertyNames": _TEXTS},
    **{
        name: {"Properties": "mscrm.MetadataPropertiesExpression", "Criteria": "mscrm.MetadataFilterExpression"}
        for name in ("AttributeQueryExpression", "EntityKeyQueryExpression", "RelationshipQueryExpression")
    },
    "EntityQueryExpression": {
        "Properties": "mscrm.MetadataPropertiesExpression",
        "Criteria": "mscrm.MetadataFilterExpression",
        "AttributeQuery": "mscrm.AttributeQueryExpression",
        "KeyQuery": "mscrm.EntityKeyQueryExpression",
        "RelationshipQuery": "mscrm.RelationshipQueryExpression",
    },
    "LocalizedLabel": {"Label": "Edm.String", "LanguageCode": "Edm.Int32"},
    "Label": {
        "LocalizedLabels": "Collection(mscrm.LocalizedLabel)",
        "UserLocalizedLabel": "mscrm.LocalizedLabel",
    },
    **{
        name: {"Value": kind, "CanBeChanged": "Edm.Boolean", "ManagedPropertyLogicalName": "Edm.String"}
        for name, kind in (
            ("BooleanManagedProperty", "Edm.Boolean"),
            ("AttributeRequiredLevelManagedProperty", "Edm.String"),
        )
    },
    "AttributeTypeDisplayName": {"Value": "Edm.String"},
    "DateTimeBehavior": {"Value": "Edm.String"},
    "CascadeConfiguration": {"Delete": "Edm.String"},
    "DeletedMetadataCollection": {"Count": "Edm.Int32", "Keys": _TEXTS},
    "RetrieveMetadataChangesResponse": {
        "EntityMetadata": "Collection(mscrm.ComplexEntityMetadata)",
        "ServerVersionStamp": "Edm.String",
        "DeletedMetadata": "mscrm.DeletedMetadataCollection",
    },
}
_ENUMS: Mapping[str, Mapping[str, int]] = {
    "LogicalOperator": {"And": 0, "Or": 1},
    "ConditionOperator": {"Equal": 0, "In": 8},
    "MetadataConditionOperator": {"Equals": 0, "NotEquals": 1, "In": 2, "NotIn": 3},
}
#: Functions and actions bound to no table, by name: parameters, and the type of the answer.
_FUNCTIONS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "WhoAmI": ({}, "WhoAmIResponse"),
    "RetrieveTotalRecordCount": ({"EntityNames": _TEXTS}, "RetrieveTotalRecordCountResponse"),
    "RetrieveMetadataChanges": ({"Query": "mscrm.EntityQueryExpression"}, "RetrieveMetadataChangesResponse"),
}
_ACTIONS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "BulkDelete": (
        {
            "QuerySet": "Collection(mscrm.QueryExpression)",
            "JobName": "Edm.String",
            "SendEmailNotification": "Edm.Boolean",
            "ToRecipients": "Collection(mscrm.crmbaseentity)",
            "CCRecipients": "Collection(mscrm.crmbaseentity)",
            "RecurrencePattern": "Edm.String",
            "StartDateTime": "Edm.DateTimeOffset",
        },
        "BulkDeleteResponse",
    ),
}
#: Types of the properties of definitions that are neither text, truth value nor whole number.
_KNOWN = {
    "MetadataId": "Edm.Guid",
    "AttributeTypeName": "mscrm.AttributeTypeDisplayName",
    "RequiredLevel": "mscrm.AttributeRequiredLevelManagedProperty",
    "CanChangeTrackingBeEnabled": "mscrm.BooleanManagedProperty",
    "DateTimeBehavior": "mscrm.DateTimeBehavior",
    "CascadeConfiguration": "mscrm.CascadeConfiguration",
    "DisplayName": "mscrm.Label",
    "DisplayCollectionName": "mscrm.Label",
    "Description": "mscrm.Label",
    "Targets": _TEXTS,
    "KeyAttributes": _TEXTS,
}
#: Collections below the definition of a table, and what they hold.
_PARTS = {
    "Attributes": "AttributeMetadata",
    "Keys": "EntityKeyMetadata",
    "ManyToOneRelationships": "OneToManyRelationshipMetadata",
    "OneToManyRelationships": "OneToManyRelationshipMetadata",
    "ManyToManyRelationships": "ManyToManyRelationshipMetadata",
}
#: Sets of definitions, and the types of what they hold.
SETS = {"EntityDefinitions": "EntityMetadata", "RelationshipDefinitions": "RelationshipMetadataBase"}


def describe(schema: ET.Element, model: Model) -> None:
    """Add the types, functions and actions."""
    for name, members in _ENUMS.items():
        element = ET.SubElement(schema, "EnumType", {"Name": name})
        for member, value in members.items():
            ET.SubElement(element, "Member", {"Name": member, "Value": str(value)})
    for name, properties in _COMPLEX.items():
        _properties(ET.SubElement(schema, "ComplexType", {"Name": name}), properties)
    _definitions(schema, model)
    for tag, operations in (("Function", _FUNCTIONS), ("Action", _ACTIONS)):
        for name, (parameters, answer) in operations.items():
            element = ET.SubElement(schema, tag, {"Name": name})
            for parameter, kind in parameters.items():
                ET.SubElement(element, "Parameter", {"Name": parameter, "Type": kind})
            ET.SubElement(element, "ReturnType", {"Type": f"mscrm.{answer}", "Nullable": "false"})


def contain(container: ET.Element) -> None:
    """Add the sets of definitions, and what imports the functions and actions."""
    for name, kind in SETS.items():
        ET.SubElement(container, "EntitySet", {"Name": name, "EntityType": f"Microsoft.Dynamics.CRM.{kind}"})
    for name in _FUNCTIONS:
        ET.SubElement(container, "FunctionImport", {"Name": name, "Function": f"mscrm.{name}"})
    for name in _ACTIONS:
        ET.SubElement(container, "ActionImport", {"Name": name, "Action": f"mscrm.{name}"})


def _definitions(schema: ET.Element, model: Model) -> None:
    base = ET.SubElement(schema, "EntityType", {"Name": "MetadataBase", "Abstract": "true"})
    ET.SubElement(ET.SubElement(base, "Key"), "PropertyRef", {"Name": "MetadataId"})
    ET.SubElement(base, "Property", {"Name": "MetadataId", "Type": "Edm.Guid", "Nullable": "false"})
    tables = list(model.tables.values())
    entity = _typed(facts.entity_facts(tables[0]))
    table = _type(schema, "EntityMetadata", entity)
    for part, kind in _PARTS.items():
        facts_of = {"Name": part, "Type": f"Collection(mscrm.{kind})", "ContainsTarget": "true"}
        ET.SubElement(table, "NavigationProperty", facts_of)
    attributes, classes = _attributes(model)
    _type(schema, "AttributeMetadata", attributes)
    for name, own in classes.items():
        _type(schema, f"{name}AttributeMetadata", own, "AttributeMetadata")
    key = next(key for table in tables for key in table.keys)
    keys = _typed(facts.key_facts(tables[0], key))
    _type(schema, "EntityKeyMetadata", keys)
    relationship = _typed(facts.relationship_facts(next(iter(model.relationships.values()))))
    shared = {name: kind for name, kind in relationship.items() if not name.startswith(("Referenc", "Cascade"))}
    _type(schema, "RelationshipMetadataBase", shared)
    own = {name: kind for name, kind in relationship.items() if name not in shared}
    _type(schema, "OneToManyRelationshipMetadata", own, "RelationshipMetadataBase")
    _type(schema, "ManyToManyRelationshipMetadata", {}, "RelationshipMetadataBase")
    _complex_definitions(schema, entity, attributes | _merged(classes.values()), keys, relationship)


def _complex_definitions(schema: ET.Element, entity: Mapping[str, str], *parts: Mapping[str, str]) -> None:
    """The same as complex types, which ``RetrieveMetadataChanges`` gives."""
    names = ("ComplexAttributeMetadata", "ComplexEntityKeyMetadata", "ComplexOneToManyRelationshipMetadata")
    for name, properties in zip(names, parts, strict=True):
        _properties(ET.SubElement(schema, "ComplexType", {"Name": name}), {"MetadataId": "Edm.Guid", **properties})
    lists = zip(("Attributes", "Keys", "ManyToOneRelationships"), names, strict=True)
    listed = {part: f"Collection(mscrm.{name})" for part, name in lists}
    whole = {"MetadataId": "Edm.Guid", **entity, **listed}
    _properties(ET.SubElement(schema, "ComplexType", {"Name": "ComplexEntityMetadata"}), whole)


def _attributes(model: Model) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The properties that all columns have, and those of each class of columns."""
    shared: dict[str, str] = {}
    classes: dict[str, dict[str, str]] = {}
    for table in model.tables.values():
        for column in table.columns.values():
            typed = _typed(facts.attribute_facts(table, column))
            shared |= {name: kind for name, kind in typed.items() if name not in facts.FACETS}
            own = classes.setdefault(facts.class_of(column), {})
            own |= {name: kind for name, kind in typed.items() if name in facts.FACETS}
    return shared, classes


def _typed(known: facts.Facts) -> dict[str, str]:
    """The properties of a definition with their types."""
    return {name: _edm(name, value) for name, value in known.items() if name not in ("MetadataId", "@odata.type")}


def _edm(name: str, value: object) -> str:
    if name in _KNOWN:
        return _KNOWN[name]
    if isinstance(value, bool):
        return "Edm.Boolean"
    if name in ("MinValue", "MaxValue"):
        return "Edm.Double"
    return "Edm.Int32" if isinstance(value, int) else "Edm.String"


def _merged(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {name: kind for part in parts for name, kind in part.items()}


def _type(schema: ET.Element, name: str, properties: Mapping[str, str], base: str = "MetadataBase") -> ET.Element:
    element = ET.SubElement(schema, "EntityType", {"Name": name, "BaseType": f"mscrm.{base}"})
    _properties(element, properties)
    return element


def _properties(element: ET.Element, properties: Mapping[str, str]) -> None:
    for name, kind in properties.items():
        facts_of = {"Name": name, "Type": kind}
        if element.get("Name", "").endswith("Response") and kind.startswith("Edm."):
            facts_of["Nullable"] = "false"
        ET.SubElement(element, "Property", facts_of)
