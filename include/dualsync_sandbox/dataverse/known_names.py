"""Names that every environment answers to and the sandbox does not play: they are refused by name, not denied.

"Web API client errors" says that the code 0x8006088a means a wrong name, so a client that meets it looks for its own
mistake. Functions and actions: Web API Function Reference and Web API Action Reference (webapi/reference/functions,
webapi/reference/actions), those bound to no table. Tables: the entity set paths of the Web API EntityType Reference
(webapi/reference/entitytypes) and, of Project Operations and dual-write, of their own tables. The lists are not whole:
what each environment adds is not known here.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words(
    """
    CheckIncomingEmail CheckPromoteEmail CalculateRollupField ExportFieldTranslation FetchXmlToQueryExpression
    FormatAddress GetTimeZoneCodeByLocalizedName GetValidManyToMany GetValidReferencedEntities
    GetValidReferencingEntities InitializeFrom IsComponentCustomizable IsDataEncryptionActive IsValidStateTransition
    QueryMultipleSchedules QuerySchedule RetrieveAllEntities RetrieveApplicationRibbon RetrieveAuditPartitionList
    RetrieveAvailableLanguages RetrieveCurrentOrganization RetrieveDataEncryptionKey RetrieveDependenciesForDelete
    RetrieveDependenciesForUninstall RetrieveDependentComponents RetrieveDeploymentLicenseType
    RetrieveDeprovisionedLanguages RetrieveDuplicates RetrieveEntity RetrieveEntityChanges RetrieveEntityRibbon
    RetrieveExchangeRate RetrieveFormattedImportJobResults RetrieveInstalledLanguagePackVersion
    RetrieveInstalledLanguagePacks RetrieveLicenseInfo RetrieveLocLabels RetrieveMissingComponents
    RetrieveMissingDependencies RetrieveOrganizationInfo RetrieveOrganizationResources RetrieveProcessInstances
    RetrieveProvisionedLanguagePackVersion RetrieveProvisionedLanguages RetrieveRequiredComponents RetrieveTimestamp
    RetrieveVersion Rollup Search ValidateRecurrenceRule
    """
)
ACTIONS = _words(
    """
    AddSolutionComponent ApplyRoutingRule AutoMapEntity Book BulkDetectDuplicates CalculatePrice CanBeReferenced
    CanBeReferencing CancelSalesOrder CanManyToMany CloneAsPatch CloneAsSolution CloseIncident CloseQuote
    ConvertQuoteToSalesOrder ConvertSalesOrderToInvoice CreateCustomerRelationships CreateEntities CreateInstance
    DeleteAndPromote DeleteAuditData DeleteOptionValue DeprovisionLanguage ExportSolution ExportSolutionAsync
    FullTextSearchKnowledgeArticle GenerateInvoiceFromOpportunity GenerateQuoteFromOpportunity
    GenerateSalesOrderFromOpportunity GetTrackingTokenEmail GrantAccess ImportFieldTranslation ImportSolution
    ImportSolutionAsync ImportTranslation InsertOptionValue InsertStatusValue InstantiateTemplate LoseOpportunity
    Merge ModifyAccess OrderOption PropagateByExpression ProvisionLanguage PublishAllXml PublishXml
    QueryExpressionToFetchXml RemoveParent RemoveSolutionComponent Reschedule ReviseQuote RevokeAccess RouteTo
    SendEmailFromTemplate SendTemplate SetLocLabels SetProcess UnlockInvoicePricing UnlockSalesOrderPricing
    UnpublishDuplicateRule UpdateOptionValue UpdateProductProperties UpdateSolutionComponent UpdateStateValue
    Validate WinOpportunity WinQuote
    """
)
TABLES = _words(
    """
    activitypointers annotations appmodules appointments asyncoperations attributes audits bookableresourcebookings
    bookableresourcecategoryassns bookableresourcecharacteristics bookingstatuses bulkdeletefailures
    bulkdeleteoperations calendars campaigns characteristics competitors connectionreferences connectionroles
    connections contracts customapis customapirequestparameters customapiresponseproperties discounttypes
    duplicaterules emails emailserverprofiles entitlements entities environmentvariabledefinitions
    environmentvariablevalues equipments faxes fieldpermissions fieldsecurityprofiles goals importfiles importjobs
    importmaps imports incidents knowledgearticles leads letters lists mailboxes metrics msdyn_dualwriteentitymaps
    msdyn_dualwriteruntimeconfigs msdyn_fiscalcalendarperiods msdyn_projectapprovals msdyn_projectteams
    msdyn_timeentrysettings msdyn_transactionorigins opportunities opportunityproducts organizations phonecalls
    pluginassemblies plugintracelogs plugintypes positions pricelevels principalobjectaccessset privileges
    processsessions processstages productpricelevels publishers queueitems queues quotedetails reports roles
    savedqueries sdkmessageprocessingstepimages sdkmessageprocessingsteps sdkmessagerequests sdkmessageresponses
    sdkmessages serviceendpoints sharepointdocumentlocations sharepointsites sites sitemaps slas solutioncomponents
    solutions subjects systemforms systemuserrolescollection tasks teammemberships teams templates territories
    timezonedefinitions timezonerules uomschedules userqueries usersettingscollection webresourceset workflows
    """
)
#: Paths of definitions that are none of the above (webapi/query-metadata-web-api, "Query global choices").
DEFINITIONS = frozenset({"GlobalOptionSetDefinitions", "ManagedPropertyDefinitions"})


def kind_of(name: str) -> str:
    """What a name that is not played stands for; empty where it is not known."""
    kinds = {"function": FUNCTIONS, "action": ACTIONS, "table": TABLES, "definitions": DEFINITIONS}
    return next((kind for kind, names in kinds.items() if name in names), "")
