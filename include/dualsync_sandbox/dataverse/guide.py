"""What ``docs/sandbox.md`` says about Dataverse, written from the code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from dualsync_sandbox.dataverse import api, batches, errors, functions, known_names
from dualsync_sandbox.dataverse.reading import expand, paging, requests, rows
from dualsync_sandbox.dataverse.writing import bulk
from dualsync_sandbox.documentation import Route, table
from dualsync_sandbox.gateway.endpoint import LONGEST_URL
from dualsync_sandbox.protocol.odata import LIST_FUNCTIONS, TEXT_FUNCTIONS
from dualsync_sandbox.schema import SystemSchema

ROUTES = (
    Route("GET", "(nothing)", "service document", "webapi/web-api-service-documents"),
    Route("GET", "$metadata", "CSDL; `annotations=true` adds change tracking", "webapi/web-api-service-documents"),
    Route("GET", "SET", "rows, page by page; with a preference or a token, changes", "webapi/query/overview"),
    Route("POST", "SET", "create, also related rows with it", "webapi/create-entity-web-api"),
    Route("GET", "SET/$count", "number of rows, or of changes since a token", "webapi/query/count-rows"),
    Route("GET", "SET(KEY)", "one row, by id or alternate key", "webapi/retrieve-entity-using-web-api"),
    Route("PATCH", "SET(KEY)", "update or upsert", "use-upsert-insert-update-record"),
    Route("DELETE", "SET(KEY)", "delete", "webapi/update-delete-entities-using-web-api"),
    Route("GET", "SET(KEY)/NAME", "a property (`/$value`), or related rows", "webapi/retrieve-related-entities-query"),
    Route("PUT DELETE", "SET(KEY)/COLUMN", "a single column", "webapi/update-delete-entities-using-web-api"),
    Route("PUT DELETE", "SET(KEY)/LOOKUP/$ref", "a lookup", "webapi/associate-disassociate-entities-using-web-api"),
    Route(
        "POST DELETE",
        "SET(KEY)/COLLECTION/$ref",
        "a row of a collection, named in the body, by key or by `$id`",
        "webapi/associate-disassociate-entities-using-web-api",
    ),
    Route(
        "POST",
        "SET/Microsoft.Dynamics.CRM.MESSAGE",
        "CreateMultiple, UpdateMultiple, UpsertMultiple: all or nothing",
        "bulk-operations",
    ),
    Route("POST", "BulkDelete", "deletes rows of given ids, later", "delete-data-bulk"),
    Route("POST", "$batch", "many requests in one", "webapi/execute-batch-operations-using-web-api"),
    Route(
        "GET", "EntityDefinitions", "tables; `$select`, `$filter`, `$expand`, `$count`", "webapi/query-metadata-web-api"
    ),
    Route("GET", "EntityDefinitions(LogicalName='TABLE')", "one table", "webapi/query-metadata-web-api"),
    Route(
        "GET",
        "EntityDefinitions(LogicalName='TABLE')/PART",
        "Attributes (also by type), Keys, ManyToOneRelationships, OneToManyRelationships, ManyToManyRelationships",
        "webapi/query-metadata-web-api",
    ),
    Route("GET", "RelationshipDefinitions", "all relationships", "webapi/query-metadata-web-api"),
    Route("GET", "RetrieveMetadataChanges(Query=@p)", "definitions in one call", "query-schema-definitions"),
    Route("GET", "WhoAmI", "the caller, and the hint for parallel requests", "webapi/use-web-api-functions"),
    Route("GET", "RetrieveTotalRecordCount(EntityNames=[...])", "numbers of rows", "webapi/query/count-rows"),
    Route("GET", "sdkmessagefilters", "the probe for bulk messages", "bulk-operations"),
)


def _routes() -> str:
    lines = ((route.methods.replace(" ", ", "), f"`{route.path}`", route.does, route.page) for route in ROUTES)
    return table(("method", "below `/api/data/v9.2/`", "does", "documentation"), lines)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _query() -> str:
    seconds = int(bulk.BULK_DELETE_AFTER.total_seconds())
    lines = (
        ("query options", _code(sorted(requests.LIST_OPTIONS)) + ", parameter aliases in `$filter` and `$orderby`"),
        ("refused as the service does", _code(sorted(requests.UNSUPPORTED))),
        ("refused with 501", "`$apply`, " + _code(requests.OTHER_QUERIES)),
        ("text functions", _code(sorted(TEXT_FUNCTIONS)) + ", with `%`, `_`, `[..]` and `[^..]`"),
        ("query functions", _code(f"Microsoft.Dynamics.CRM.{name}" for name in sorted(LIST_FUNCTIONS))),
        ("lambdas", "`any`, `all` over one-to-many relationships"),
        ("inside `$expand`", _code(sorted(expand.OPTIONS))),
        ("preferences", _code([*requests.APPLIED, "odata.continue-on-error", "return=representation"])),
        ("headers refused with 501", _code([*api.UNPLAYED_HEADERS, "mscrm.suppressduplicatedetection: false"])),
        (
            "paths refused with 501",
            "the names below, which every environment knows; changes of definitions, actions bound to a row",
        ),
        ("functions refused with 501", _code(sorted(known_names.FUNCTIONS))),
        ("actions refused with 501", _code(sorted(known_names.ACTIONS))),
        ("sets refused with 501", _code(sorted(known_names.TABLES | known_names.DEFINITIONS))),
        ("annotations", _code([rows.FORMATTED, rows.LOOKUP_NAME, rows.NAVIGATION, *requests.COUNTS])),
        ("largest page, and count", f"{rows.LARGEST_PAGE:,} rows"),
        ("expansions in a query", expand.MOST_EXPANSIONS),
        ("requests in a batch", f"{batches.MOST_OPERATIONS:,}"),
        ("longest URL", f"{LONGEST_URL // 1024} KB, {batches.LONGEST_URL // 1024} KB inside of a batch"),
        ("change tokens are good for", f"{paging.CHANGES_KEPT.days} days"),
        ("bulk deletes run after", f"{seconds} seconds by the sandbox's clock, with the next request"),
        ("`x-ms-dop-hint`", functions.PARALLEL_HINT),
    )
    return table(("", ""), lines)


def _codes() -> str:
    lines = (
        (f"`{code}`" if code else "(empty)", known.statuses, known.meaning) for code, known in errors.CODES.items()
    )
    return table(("code", "status", "means"), lines)


def _tables() -> str:
    lines = []
    for found in SystemSchema.load("dataverse").tables.values():
        keys = "; ".join(", ".join(f"`{name}`" for name in key.columns) for key in found.keys)
        assumed = sum(column.note.startswith("assumed") for column in found.columns.values())
        lines.append((f"`{found.name}`", f"`{found.set}`", keys, len(found.columns), assumed or ""))
    return table(("table", "entity set", "alternate keys", "columns", "of them assumed in part"), lines)


SECTIONS: Mapping[str, Callable[[], str]] = {
    "dataverse-routes": _routes,
    "dataverse-query": _query,
    "dataverse-errors": _codes,
    "dataverse-tables": _tables,
}
