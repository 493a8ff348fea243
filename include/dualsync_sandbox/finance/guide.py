"""What ``docs/sandbox.md`` says about Finance, written from the code."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dualsync_sandbox.documentation import Route, table
from dualsync_sandbox.finance import api, definitions
from dualsync_sandbox.finance.data_management import blobs, jobs, packages, recurring
from dualsync_sandbox.finance.known_sets import known_sets
from dualsync_sandbox.gateway.limits import FinanceLimits
from dualsync_sandbox.schema import SystemSchema

ROUTES = (
    Route("GET", "/data", "service document", "odata.md"),
    Route("GET", "/data/$metadata", "CSDL with entity types, keys, enums and text lengths", "odata.md"),
    Route("GET", "/data/SET", "rows, page by page", "odata.md"),
    Route("POST", "/data/SET", "create: 201 with the row, defaults filled in", "odata.md"),
    Route("GET", "/data/SET/$count", "number of rows", "odata.md"),
    Route("GET", "/data/SET(KEY)", "one row; all parts of the key, in any order", "odata.md"),
    Route("GET", "/data/SET(KEY)/FIELD", "one value", "odata.md"),
    Route("PATCH", "/data/SET(KEY)", "update: 204; 400 where there is no such row", "odata.md"),
    Route("PUT", "/data/SET(KEY)", "replace: other fields get their defaults", "odata.md"),
    Route("DELETE", "/data/SET(KEY)", "delete: 204; 400 where there is no such row", "odata.md"),
    Route("POST", "/data/$batch", "many requests in one; change sets are all or nothing", "odata.md"),
    Route(
        "POST",
        f"/data/{packages.SET}/Microsoft.Dynamics.DataEntities.ACTION",
        "data packages; see below",
        "data-management-api.md",
    ),
    Route(
        "GET",
        f"{definitions.ROOT}/PublicEntities",
        "entities with their properties, all or one (`('NAME')`)",
        "services-home-page.md",
    ),
    Route("GET", f"{definitions.ROOT}/PublicEnumerations", "enums with their members", "services-home-page.md"),
    Route("GET", f"{definitions.ROOT}/DataEntities", "entities of data management", "services-home-page.md"),
    Route(
        "PUT GET",
        f"{blobs.ROOT}/...",
        "files of data packages, by links that expire; by range, in blocks",
        "(Azure Storage)",
    ),
    Route("POST", f"{recurring.ROOT}/enqueue/JOB?entity=", "puts a file or package", "recurring-integrations.md"),
    Route("GET", f"{recurring.ROOT}/dequeue/JOB", "takes a message", "recurring-integrations.md"),
    Route("GET", f"{recurring.ROOT}/download/JOB", "its package", "recurring-integrations.md"),
    Route("POST", f"{recurring.ROOT}/ack/JOB", "acknowledges it", "recurring-integrations.md"),
)


def _routes() -> str:
    lines = ((route.methods.replace(" ", ", "), f"`{route.path}`", route.does, route.page) for route in ROUTES)
    return table(("method", "path", "does", "documentation"), lines)


def _query() -> str:
    options = ", ".join(f"`{name}`" for name in sorted(api.READ_OPTIONS))
    limits = FinanceLimits()
    unserved = len(known_sets() - SystemSchema.load("finance").by_set.keys() - {packages.SET})
    lines = (
        ("query options", f"{options}, `cross-company`"),
        ("in `$filter`", "`eq ne gt ge lt le and or not`; `*` inside of a text with `eq` and `ne`; enum literals"),
        ("refused with 501", "`$expand`, `$apply`, `add sub mul div divby mod`, functions, `has`, `in`, `null`"),
        ("sets refused with 501", f"the {unserved:,} other public sets that `finance/known_sets.txt` names"),
        ("largest page", f"{limits.page:,} rows"),
        ("operations in a batch", f"{api.LARGEST_BATCH:,}"),
        ("a job ends", f"at the {jobs.POLLS}rd question after it, or {jobs.PICK_UP.seconds} seconds later (assumed)"),
        ("links to files are good for", f"{blobs.URL_LIFE.seconds // 3600} hour"),
        ("files live", f"{blobs.BLOB_LIFE.days} days"),
        ("messages come again after", f"{recurring.AGAIN.seconds // 60} minutes"),
    )
    return table(("", ""), lines)


def _actions() -> str:
    lines = ((f"`{name}`", action.takes, action.gives) for name, action in packages.ACTIONS.items())
    return table(("action", "takes", "gives"), lines)


def _entities() -> str:
    lines = []
    for found in SystemSchema.load("finance").tables.values():
        keys = ", ".join(f"`{name}`" for name in found.keys[0].columns)
        assumed = sum(column.note.startswith("assumed") for column in found.columns.values())
        name = f"`{found.set}`" if found.public else "(by data package only)"
        lines.append((name, f"`{found.entity}`", found.label, keys, len(found.columns), assumed or ""))
    return table(("entity set", "type", "label", "key", "fields", "of them assumed in part"), lines)


SECTIONS: Mapping[str, Callable[[], str]] = {
    "finance-routes": _routes,
    "finance-query": _query,
    "finance-actions": _actions,
    "finance-entities": _entities,
}
