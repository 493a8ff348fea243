"""Estimates become forecasts as soon as their staging rows are written, and go with them [D1 to D4, D6].

A resource assignment is one hour forecast. Cost and sales estimates of an expense or a material are two rows with one
origin and become one forecast. The forecast model comes from the company's parameters. Assumed: an estimate that finds
no project category, or whose project finds no cost and revenue profile, is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.entries import profile_of
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.ledger.rates import rounded
from dualsync_sandbox.business.finance.setup.categories import project_category
from dualsync_sandbox.business.finance.setup.references import not_found
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, numbered
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.schema import NO_GUID

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

HOURS, HOUR_FORECASTS = "ProjEstimateHoursImport", "ForecastHours"


@dataclass(frozen=True, slots=True)
class Pairs:
    """A staging entity whose cost and sales rows become one forecast.

    Attributes:
        staging: The entity.
        forecasts: The forecasts.
        kind: ``ProjCategoryType`` of their categories.
        line: Column of the row's own estimate line.
        origin: Column of the line it belongs to; empty for a row that stands by itself or is the origin.
        project: Column of the project.
        currency: Column of the currency.
        quantity: Column of the quantity.
        carried: Forecast column by staging column.
    """

    staging: str
    forecasts: str
    kind: str
    line: str
    origin: str
    project: str
    currency: str
    quantity: str
    carried: dict[str, str]

    def key(self, row: Row) -> object:
        """Return the estimate line that cost and sales have in common."""
        return row[self.line] if row[self.origin] == NO_GUID else row[self.origin]


_COMMON = {
    "ActivityNumber": "ActivityNumber",
    "ContractLineId": "ContractLineId",
    "StartDate": "StartDate",
    "EndDate": "EndDate",
}
EXPENSES = Pairs(
    "ProjEstimateExpensesImports",
    "ForecastExpenses",
    "Cost",
    "EstimateLineId",
    "OriginEstimateLineId",
    "ProjectId",
    "CurrencyId",
    "Quantity",
    _COMMON | {"Description": "Description", "ResourceCategoryId": "RoleId", "ProjCDSResourceId": "ResourceId"},
)
ITEMS = Pairs(
    "ProjForecastSalesImport",
    "ForecastItems",
    "Item",
    "ForecastLineId",
    "ForecastLineIdOrigin",
    "ProjId",
    "Currency",
    "SalesQty",
    _COMMON | {"Comment": "Description", "ItemId": "ItemId", "ItemDescription": "ItemDescription"},
)


def _category(tx: Tx, table: str, settings: CompanySettings, row: Row, kind: str) -> str:
    """The category is one of the project's own company [D4]."""
    transaction_category = row["TransactionCategoryId"]
    found = project_category(tx, settings.area, transaction_category, kind, settings.categories[kind])
    if found is None:
        raise not_found(table, transaction_category, "Category", "Project categories")
    return found


def _check_profile(tx: Tx, table: str, area: object, project_id: object) -> None:
    """Refuse an estimate of a project that no rule gives a cost and revenue profile [D2]."""
    project = tx.find_one("ProjectsV2", dataAreaId=area, ProjectId=project_id)
    if project is not None and profile_of(tx, str(area), project) is None:
        raise BusinessRuleViolation(
            table, f"No project cost and revenue profile rule applies to project {project['ProjectId']}."
        )


def _write(tx: Tx, table: str, area: str, origin: object, values: Row | None) -> None:
    standing = tx.find_one(table, dataAreaId=area, OriginId=origin)
    if values is None:
        if standing is not None:
            tx.delete(table, standing["RecId"])
    elif standing is None:
        key = {"dataAreaId": area, "ForecastId": numbered(tx, area, "PFC"), "OriginId": origin}
        tx.insert(table, key | values)
    else:
        changes = {name: value for name, value in values.items() if standing[name] != value}
        if changes:
            tx.update(table, standing["RecId"], changes)


def _follow_hours(tx: Tx, event: Event) -> None:
    row = event.after or event.before
    assert row is not None
    area, origin = str(row["dataAreaId"]), row["EstimateHoursImportId"]
    if event.after is None:
        _write(tx, HOUR_FORECASTS, area, origin, None)
        return
    _check_profile(tx, HOURS, area, row["ProjectId"])
    settings = CompanySettings.of(tx, area)
    forecast = {
        "ProjectId": row["ProjectId"],
        "Model": settings.forecast_model,
        "CategoryId": _category(tx, HOURS, settings, row, "Hour"),
        "ActivityNumber": row["ActivityNumber"],
        "ContractLineId": row["ContractLineId"],
        "RoleId": row["ResourceCategoryId"],
        "ResourceId": row["ProjCDSResourceId"],
        "Description": row["Description"],
        "Quantity": row["Duration"],
        "CostAmount": row["PlannedCostAmount"],
        "SalesAmount": row["PlannedSalesAmount"],
        "StartDate": row["StartDate"],
    }
    _write(tx, HOUR_FORECASTS, area, origin, forecast)


def _rows(tx: Tx, pairs: Pairs, area: object, key: object) -> list[Row]:
    found = tx.find(pairs.staging, dataAreaId=area, **{pairs.origin: key})
    itself = tx.find(pairs.staging, dataAreaId=area, **{pairs.line: key})
    return [row for row in itself if pairs.key(row) == key and row not in found] + found


def _forecast(tx: Tx, pairs: Pairs, settings: CompanySettings, rows: list[Row]) -> Row:
    """One forecast of a cost row, a sales row, or both; the cost row speaks for both where it is there."""
    by_type = {str(row["TransType"]): row for row in rows}
    first = by_type.get("Cost", rows[0])
    forecast: Row = {theirs: first[ours] for ours, theirs in pairs.carried.items()}
    forecast |= {
        "ProjectId": first[pairs.project],
        "Model": settings.forecast_model,
        "CategoryId": _category(tx, pairs.staging, settings, first, pairs.kind),
        "Quantity": first[pairs.quantity],
    }
    for side, kind in (("Cost", "Cost"), ("Sales", "Sales")):
        row = by_type.get(kind)
        price = exact(row["Price"]) if row else exact(0)
        forecast[f"{side}Price"] = price
        forecast[f"{side}Amount"] = rounded(price * exact(row[pairs.quantity])) if row else exact(0)
        forecast[f"{side}CurrencyCode"] = row[pairs.currency] if row else ""
    sale = by_type.get("Sales", first)
    line_property = tx.find_one("LineProperties", dataAreaId=settings.area, BillingType=sale["BillingType"])
    forecast["LineProperty"] = line_property["LineProperty"] if line_property else ""
    return forecast


def _follow_pairs(tx: Tx, event: Event, pairs: Pairs) -> None:
    touched = {(str(row["dataAreaId"]), pairs.key(row)) for row in (event.before, event.after) if row is not None}
    if event.after is not None:
        _check_profile(tx, pairs.staging, event.after["dataAreaId"], event.after[pairs.project])
    for area, key in sorted(touched, key=str):
        rows = _rows(tx, pairs, area, key)
        forecast = _forecast(tx, pairs, CompanySettings.of(tx, area), rows) if rows else None
        _write(tx, pairs.forecasts, area, key, forecast)


def install(finance: Store) -> None:
    """Register the rules with Finance."""
    finance.on(HOURS, {"create", "update", "delete"}, _follow_hours)
    for pairs in (EXPENSES, ITEMS):
        finance.on(pairs.staging, {"create", "update", "delete"}, partial(_follow_pairs, pairs=pairs))
