"""What Dataverse says about tables, columns, keys and relationships, as the properties of its metadata.

Follows "Query table definitions using the Web API" (webapi/query-metadata-web-api) and the metadata entity types of the
Web API reference. Identities, labels and version numbers are the sandbox's own.
"""

from __future__ import annotations

import uuid

from dualsync_sandbox.dataverse.bodies import writable
from dualsync_sandbox.dataverse.model import Relationship
from dualsync_sandbox.schema import Column, Key, Table

Facts = dict[str, object]
_NAMESPACE = uuid.UUID("0a0b0c0d-0000-4000-8000-0000000000ed")
#: Attribute types that have option sets.
OPTION_TYPES = frozenset({"Picklist", "State", "Status", "Boolean"})
_CLASSES = {"Uniqueidentifier": "UniqueIdentifier"}
_CASCADES = {"cascade": "Cascade", "restrict": "Restrict", "removelink": "RemoveLink"}
#: Known properties of tables, columns and the like that are not served.
_UNSERVED = """
ActivityTypeMask AggregateOf AttributeOf AutoCreateAccessTeams AutoNumberFormat AutoRouteToOwnerQueue CalculationOf
CanBeDeep CanBeInCustomEntityAssociation CanBeInManyToMany CanBePrimaryEntityInRelationship
CanBeRelatedEntityInRelationship CanBeSecuredForCreate CanBeSecuredForRead CanBeSecuredForUpdate CanCreateAttributes
CanCreateCharts CanCreateForms CanCreateViews CanEnableSyncToExternalSearchIndex CanModifyAdditionalSettings
CanModifyMobileClientReadOnly CanModifyMobileClientVisibility CanTriggerWorkflow ColumnNumber CreatedOn DataProviderId
DataSourceId DatabaseLength DaysSinceRecordLastModified DefaultFormValue DeprecatedVersion EnforceStateTransitions
EntityColor EntityHelpUrl EntityHelpUrlEnabled ExternalCollectionName ExternalName FormulaDefinition HasActivities
HasChanged HasEmailAddresses HasFeedback HasNotes IconLargeName IconMediumName IconSmallName IconVectorName ImeMode
InheritsFrom InheritsOf IntroducedVersion IsAIRUpdated IsActivityParty IsAuditEnabled IsAvailableOffline IsBPFEntity
IsBusinessProcessEnabled IsChildEntity IsConnectionsEnabled IsCustomizable IsDataSourceSecret
IsDocumentManagementEnabled IsDocumentRecommendationsEnabled IsDuplicateDetectionEnabled IsEnabledForCharts
IsEnabledForExternalChannels IsEnabledForTrace IsFilterable IsGlobalFilterEnabled IsImportable
IsInteractionCentricEnabled IsKnowledgeManagementEnabled IsLocalizable IsLogical IsMSTeamsIntegrationEnabled
IsMailMergeEnabled IsMappable IsOfflineInMobileClient IsOneNoteIntegrationEnabled IsQuickCreateEnabled
IsReadOnlyInMobileClient IsReadingPaneEnabled IsRenameable IsRequiredForForm IsRetrieveAuditEnabled
IsRetrieveMultipleAuditEnabled IsRetrieveMultipleEnabled IsSLAEnabled IsSearchable IsSecured IsSolutionAware
IsSortableEnabled IsStateModelAware IsValidForForm IsValidForGrid IsValidForQueue IsVisibleInMobile
IsVisibleInMobileClient LinkedAttributeId MobileOfflineFilters ModifiedOn ObjectTypeCode OwnerId OwnerIdType
Privileges RecurrenceBaseEntityLogicalName ReportViewName SecurityTypes Settings SourceType
SourceTypeMask SyncToExternalSearchIndex UsesBusinessDataLabelTable YomiOf
"""
UNSERVED = frozenset(_UNSERVED.split())


def identity(*parts: str) -> str:
    """The MetadataId of something."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def _label(text: str) -> Facts:
    return {
        "UserLocalizedLabel": {"Label": text, "LanguageCode": 1033},
        "LocalizedLabels": [{"Label": text, "LanguageCode": 1033}],
    }


def _managed(value: object, name: str) -> Facts:
    return {"Value": value, "CanBeChanged": False, "ManagedPropertyLogicalName": name}


def entity_facts(table: Table) -> Facts:
    """A table's own properties. That each has change tracking and optimistic concurrency is assumed."""
    return {
        "MetadataId": identity(table.name),
        "LogicalName": table.name,
        "SchemaName": table.name,
        "EntitySetName": table.set,
        "LogicalCollectionName": table.set,
        "CollectionSchemaName": table.set,
        "PrimaryIdAttribute": table.id,
        "PrimaryNameAttribute": table.primary_name or None,
        "PrimaryImageAttribute": None,
        "ChangeTrackingEnabled": True,
        "CanChangeTrackingBeEnabled": _managed(True, "canchangetrackingbeenabled"),
        "IsOptimisticConcurrencyEnabled": True,
        "OwnershipType": "UserOwned" if "ownerid" in table.columns else "OrganizationOwned",
        "TableType": "Standard",
        "IsCustomEntity": "_" in table.name,
        "IsActivity": False,
        "IsIntersect": False,
        "IsLogicalEntity": False,
        "IsPrivate": False,
        "IsManaged": True,
        "IsValidForAdvancedFind": True,
        "DisplayName": _label(table.label),
        "DisplayCollectionName": _label(table.set),
        "Description": _label(""),
    }


def class_of(column: Column) -> str:
    """The metadata class of a column, without ``AttributeMetadata``."""
    return _CLASSES.get(column.type, column.type)


def _type_of(column: Column) -> str:
    if column.kind == "lookup":
        return "Owner" if column.name == "ownerid" else ("Customer" if column.polymorphic else "Lookup")
    return column.type


def attribute_facts(table: Table, column: Column) -> Facts:
    """A column's properties, those of its type included."""
    attribute_type = _type_of(column)
    own = writable(column)
    facts: Facts = {
        "@odata.type": f"#Microsoft.Dynamics.CRM.{class_of(column)}AttributeMetadata",
        "MetadataId": identity(table.name, column.name),
        "EntityLogicalName": table.name,
        "LogicalName": column.name,
        "SchemaName": column.name,
        "AttributeType": attribute_type,
        "AttributeTypeName": {"Value": f"{attribute_type}Type"},
        "IsPrimaryId": column.name == table.id,
        "IsPrimaryName": column.name == table.primary_name,
        "IsCustomAttribute": "_" in column.name,
        "IsManaged": True,
        "IsValidForRead": True,
        "IsValidForCreate": own,
        "IsValidForUpdate": own and column.name != table.id,
        "IsValidODataAttribute": True,
        "RequiredLevel": _managed("SystemRequired" if column.required else "None", "canmodifyrequirementlevelsettings"),
        "DisplayName": _label(column.name),
        "Description": _label(column.note),
    }
    return facts | _facets(column)


def _facets(column: Column) -> Facts:
    """What only columns of this type have."""
    if column.kind == "text":
        return {"MaxLength": column.length, "Format": "TextArea" if column.type == "Memo" else "Text"}
    if column.kind == "decimal":
        limit = 9_000_000_000_000_000_000 // 10 ** (column.scale or 0)
        return {"Precision": column.scale, "MinValue": -limit, "MaxValue": limit}
    if column.type == "Integer":
        return {"MinValue": -(2**31), "MaxValue": 2**31 - 1, "Format": "None"}
    if column.kind in ("instant", "date"):
        only_date = column.kind == "date"
        behaviour = {"Value": "DateOnly" if only_date else "UserLocal"}
        return {"Format": "DateOnly" if only_date else "DateAndTime", "DateTimeBehavior": behaviour}
    if column.kind == "lookup":
        return {"Targets": list(column.targets)}
    return {}


#: Properties that some types of columns have: no error where columns of all types are listed.
FACETS = frozenset(
    {"MaxLength", "Precision", "MinValue", "MaxValue", "Format", "DateTimeBehavior", "Targets", "DefaultValue"}
)


def option_set(table: Table, column: Column) -> Facts:
    """The options of a choice, a state, a status or a two-options column."""
    facts: Facts = {
        "MetadataId": identity(table.name, column.name, "options"),
        "Name": f"{table.name}_{column.name}",
        "IsGlobal": False,
        "OptionSetType": column.type,
    }
    if column.kind == "bool":
        return facts | {
            "TrueOption": {"Value": 1, "Label": _label("Yes")},
            "FalseOption": {"Value": 0, "Label": _label("No")},
        }
    return facts | {"Options": [{"Value": value, "Label": _label(label)} for value, label in column.options.items()]}


def key_facts(table: Table, key: Key) -> Facts:
    """An alternate key; its index is there from the start."""
    return {
        "MetadataId": identity(table.name, "key", key.name),
        "LogicalName": key.name,
        "SchemaName": key.name,
        "EntityLogicalName": table.name,
        "KeyAttributes": list(key.columns),
        "EntityKeyIndexStatus": "Active",
        "IsManaged": True,
    }


def relationship_facts(found: Relationship) -> Facts:
    """A relationship, which carries the names of the navigation properties of both sides."""
    return {
        "@odata.type": "#Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "MetadataId": identity(found.child.name, found.column.name, found.parent.name),
        "SchemaName": found.name,
        "RelationshipType": "OneToManyRelationship",
        "IsCustomRelationship": "_" in found.child.name,
        "IsManaged": True,
        "ReferencingEntity": found.child.name,
        "ReferencingAttribute": found.column.name,
        "ReferencingEntityNavigationPropertyName": found.navigation,
        "ReferencedEntity": found.parent.name,
        "ReferencedAttribute": found.parent.id,
        "ReferencedEntityNavigationPropertyName": found.name,
        "CascadeConfiguration": {"Delete": _CASCADES[found.column.on_delete]},
    }
