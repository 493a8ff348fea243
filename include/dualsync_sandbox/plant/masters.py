"""Exceptions in what actuals rest on: categories, contracts, projects, tasks, roles, forecasts [R28 to R33]."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.plant.ground import Ground, Planted, Rule

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row

_ONE = Decimal(1)


def _area(row: Row, column: str = "dataAreaId") -> str:
    return str(row[column]).upper()


def _mine(ground: Ground, table: str, **equals: object) -> list[Row]:
    """Rows of a Finance set of the integrated companies."""
    return [row for row in ground.rows(table, **equals) if row["dataAreaId"] in ground.areas]


# -- categories and roles


def category_lost(ground: Ground) -> Planted:
    """A shared category of a transaction category is gone."""
    rows = [row for row in ground.rows("SharedCategories") if not str(row["CategoryId"]).endswith("-5")]
    row = ground.choose(rows, lambda row: [row["CategoryId"]])
    ground.finance.remove("SharedCategories", row)
    number = str(row["CategoryId"])
    return Planted(
        "category-lost", f"shared category gone: {number}", "", (("R28", "missing_in_finance"),), (), (number,)
    )


def category_type(ground: Ground) -> Planted:
    """A shared category is of another type than its suffix says."""
    row = ground.choose(ground.rows("SharedCategories", CategoryType="Hour"), lambda row: [row["CategoryId"]])
    ground.finance.change("SharedCategories", row, {"CategoryType": "Item"})
    number = str(row["CategoryId"])
    return Planted(
        "category-type", f"type of shared category edited: {number}", "", (("R28", "status"),), (), (number,)
    )


def category_stranger(ground: Ground) -> Planted:
    """A shared category names a transaction category that does not exist."""
    row = ground.choose(ground.rows("SharedCategories", CategoryType="Hour"), lambda row: [row["CategoryId"]])
    number = f"TCN-{ground.rng.randrange(10**6):06d}"
    ground.finance.copy("SharedCategories", row, CategoryId=f"{number}-1", TransactionCategoryId=number)
    ground.take(f"{number}-1")
    found_by = (("R28", "relation"),)
    return Planted("category-stranger", f"category of nothing: {number}-1", "", found_by, (), (f"{number}-1",))


def role_lost(ground: Ground) -> Planted:
    """A company lacks a role."""
    row = ground.choose(_mine(ground, "ProjectRoles"), lambda row: [f"role {row['dataAreaId']} {row['RoleId']}"])
    ground.finance.remove("ProjectRoles", row)
    number = str(row["RoleId"])
    return Planted("role-lost", f"role gone: {number}", _area(row), (("R33", "missing_in_finance"),), (), (number,))


# -- contracts


def contract_lost(ground: Ground) -> Planted:
    """A project contract is gone from Finance."""
    rows = _mine(ground, "ProjectContractHeaders")
    row = ground.choose(rows, lambda row: [row["ProjectContractId"]])
    ground.finance.remove("ProjectContractHeaders", row)
    number = str(row["ProjectContractId"])
    found_by = (("R29", "missing_in_finance"), ("table:salesorder", "missing_in_finance"))
    return Planted("contract-lost", f"contract gone: {number}", _area(row), found_by, (), (number,))


def _source(ground: Ground) -> Row:
    rows = [row for row in _mine(ground, "ProjectFundingSources") if row["CustomerOrOrganization"]]
    return ground.choose(rows, lambda row: [row["ProjectContractID"], row["FundingSourceId"]])


def funding_source_lost(ground: Ground) -> Planted:
    """A contract customer has no funding source."""
    row = _source(ground)
    ground.finance.remove("ProjectFundingSources", row)
    found_by = (
        ("R29", "missing_in_finance"),
        ("table:msdyn_projectcontractsplitbillingrule", "missing_in_finance"),
    )
    records = (str(row["ProjectContractID"]), str(row["FundingSourceId"]))
    return Planted("funding-lost", f"funding source gone: {records[1]}", _area(row), found_by, (), records)


def funding_source_doubled(ground: Ground) -> Planted:
    """A contract customer has two funding sources."""
    row = _source(ground)
    number = f"{row['FundingSourceId']}B"
    ground.finance.copy("ProjectFundingSources", row, FundingSourceId=number)
    found_by = (
        ("R29", "duplicate_in_finance"),
        ("R29", "missing_in_dataverse"),
        ("table:msdyn_projectcontractsplitbillingrule", "wrong_owner"),
    )
    records = (str(row["ProjectContractID"]), number)
    return Planted("funding-doubled", f"funding source doubled: {number}", _area(row), found_by, (), records)


def _rule(ground: Ground) -> tuple[Row, str]:
    row = ground.choose(
        _mine(ground, "BillingRules"), lambda row: [f"rule {row['ProjectContractId']} {row['LineSequenceNumber']}"]
    )
    return row, f"{row['ProjectContractId']}|{row['LineSequenceNumber']}"


def billing_rule_lost(ground: Ground) -> Planted:
    """A contract line has no billing rule."""
    row, key = _rule(ground)
    ground.finance.remove("BillingRules", row)
    return Planted("rule-lost", f"billing rule gone: {key}", _area(row), (("R29", "missing_in_finance"),), (), (key,))


def billing_rule_doubled(ground: Ground) -> Planted:
    """A contract line has two billing rules."""
    row, key = _rule(ground)
    ground.finance.copy("BillingRules", row, BillingRuleId=f"{row['BillingRuleId']}"[-18:] + "-B")
    return Planted(
        "rule-doubled", f"billing rule doubled: {key}", _area(row), (("R29", "duplicate_in_finance"),), (), (key,)
    )


def billing_rule_type(ground: Ground) -> Planted:
    """A billing rule is of another kind than its contract line."""
    row, key = _rule(ground)
    other = "Milestone" if row["BillingRuleType"] == "TimeMaterial" else "TimeMaterial"
    ground.finance.change("BillingRules", row, {"BillingRuleType": other})
    return Planted("rule-type", f"type of billing rule edited: {key}", _area(row), (("R29", "status"),), (), (key,))


# -- projects and tasks


def _project(ground: Ground) -> Row:
    return ground.choose(_mine(ground, "ProjectsV2"), lambda row: [f"project {row['ProjectId']}"])


def stage_edited(ground: Ground) -> Planted:
    """A project is finished in Finance and open in Dataverse, or the other way round."""
    row = _project(ground)
    other = "InProcess" if row["ProjectStage"] == "Completed" else "Completed"
    ground.finance.change("ProjectsV2", row, {"ProjectStage": other})
    number = str(row["ProjectId"])
    found_by = (("R31", "status"), ("table:msdyn_project", "status"))
    return Planted("stage-edited", f"stage edited: {number}", _area(row), found_by, (), (number,))


def project_renamed(ground: Ground) -> Planted:
    """A project has another name in Finance."""
    row = _project(ground)
    ground.finance.change("ProjectsV2", row, {"ProjectName": "Renamed in Finance"})
    number = str(row["ProjectId"])
    found_by = (("table:msdyn_project", "text"),)
    return Planted("project-renamed", f"name edited: {number}", _area(row), found_by, (), (number,))


def project_stranger(ground: Ground) -> Planted:
    """A project was made in Finance, which may not make any."""
    row = _project(ground)
    number = f"FIN-{ground.rng.randrange(10**6):06d}"
    ground.finance.copy("ProjectsV2", row, ProjectId=number)
    ground.take(f"project {number}")
    found_by = (("table:msdyn_project", "wrong_owner"),)
    return Planted("project-stranger", f"project made in Finance: {number}", _area(row), found_by, (), (number,))


def _leaf(ground: Ground, used: Collection[object] = ()) -> Row:
    """An activity without others below it, whose task is none of some."""
    rows = _mine(ground, "ProjectTasks")
    parents = {(row["ProjectId"], row["ParentTaskElementId"]) for row in rows}
    leaves = [
        row
        for row in rows
        if (row["ProjectId"], row["TaskElementId"]) not in parents and str(row["TaskElementId"]).lower() not in used
    ]
    return ground.choose(leaves, lambda row: [row["TaskId"]])


def task_lost(ground: Ground) -> Planted:
    """An activity is gone from Finance."""
    row = _leaf(ground)
    ground.finance.remove("ProjectTasks", row)
    key = f"{row['ProjectId']}|{row['TaskId']}"
    found_by = (("R32", "missing_in_finance"), ("table:msdyn_projecttask", "missing_in_finance"))
    return Planted("task-lost", f"activity gone: {key}", _area(row), found_by, (), (key,))


def task_moved(ground: Ground) -> Planted:
    """An activity lies under another parent than its task: one that does not exist."""
    row = _leaf(ground)
    ground.finance.change("ProjectTasks", row, {"ParentTaskElementId": ground.new_id("parent")})
    key = f"{row['ProjectId']}|{row['TaskId']}"
    found_by: tuple[Rule, ...] = (("R32", "reference"), ("R32", "relation"))
    if row["ParentTaskElementId"]:
        # where Dataverse never said a parent, its own column does not differ: see filled_in_by_finance
        found_by = (*found_by, ("table:msdyn_projecttask", "reference"))
    return Planted("task-moved", f"parent edited: {key}", _area(row), found_by, (), (key,))


def task_from_nowhere(ground: Ground) -> Planted:
    """A task that was carried over, and that nothing else names, is gone from Dataverse."""
    row = _leaf(ground, _named_tasks(ground))
    (task,) = ground.rows("msdyn_projecttask", msdyn_projecttaskid=str(row["TaskElementId"]).lower())
    ground.dataverse.remove("msdyn_projecttask", task)
    key = f"{row['ProjectId']}|{row['TaskId']}"
    found_by = (("R32", "missing_in_dataverse"), ("table:msdyn_projecttask", "missing_in_dataverse"))
    return Planted("task-gone", f"task gone from Dataverse: {key}", _area(row), found_by, (), (key,))


def _named_tasks(ground: Ground) -> set[object]:
    """Ids of the tasks that a row of any table names, other tasks apart: a leaf has none below it."""
    return {
        row[column.name]
        for table, schema in ground.dataverse_tx.schema.tables.items()
        if table != "msdyn_projecttask"
        for column in schema.lookups
        if "msdyn_projecttask" in column.targets
        for row in ground.rows(table)
    }


# -- customers and vendors


def credit_edited(ground: Ground) -> Planted:
    """A customer that stands in both systems has another credit limit in Dataverse."""
    in_finance = {
        str(row["CustomerAccount"]) for row in _mine(ground, "CustomersV3") if row["PartyType"] == "Organization"
    }
    rows = [
        row
        for row in ground.rows("account", customertypecode=3)
        if ground.code(row, "msdyn_company") and str(row["accountnumber"]) in in_finance
    ]
    row = ground.choose(rows, lambda row: [f"account {row['accountid']}"])
    ground.dataverse.change("account", row, {"creditlimit": Decimal("987654.32")})
    number = str(row["accountnumber"])
    company = ground.code(row, "msdyn_company")
    return Planted(
        "credit-edited", f"credit limit edited: {number}", company, (("table:account", "amount"),), (), (number,)
    )


def rate_edited(ground: Ground) -> Planted:
    """An exchange rate differs in Dataverse."""
    rows = ground.rows("msdyn_currencyexchangerate")
    row = ground.choose(rows, lambda row: [row["msdyn_currencyexchangerateid"]])
    value = row["msdyn_exchangerate"]
    assert isinstance(value, Decimal)
    ground.dataverse.change("msdyn_currencyexchangerate", row, {"msdyn_exchangerate": value + Decimal("0.01")})
    record = str(row["msdyn_currencyexchangerateid"])
    found_by = (("table:msdyn_currencyexchangerate", "amount"),)
    return Planted("exchange-rate", f"rate edited: {record}", "", found_by, (), (record,))


# -- forecasts


def _forecast(ground: Ground) -> tuple[str, Row]:
    """A forecast of an estimate, and its set."""
    sets = {
        str(row["OriginId"]): (table, row)
        for table in ("ForecastHours", "ForecastExpenses", "ForecastItems")
        for row in _mine(ground, table)
        if row["OriginId"] != "00000000-0000-0000-0000-000000000000"
    }
    row = ground.choose((row for _, row in sets.values()), lambda row: [f"forecast {row['OriginId']}"])
    return sets[str(row["OriginId"])][0], row


def forecast_lost(ground: Ground) -> Planted:
    """An estimate has no forecast."""
    table, row = _forecast(ground)
    ground.finance.remove(table, row)
    origin = str(row["OriginId"]).lower()
    return Planted(
        "forecast-lost", f"forecast gone: {origin}", _area(row), (("R30", "missing_in_finance"),), (), (origin,)
    )


def forecast_doubled(ground: Ground) -> Planted:
    """An estimate has two forecasts."""
    table, row = _forecast(ground)
    ground.finance.copy(table, row, ForecastId=f"PFC-P{ground.rng.randrange(10**8):08d}")
    origin = str(row["OriginId"]).lower()
    return Planted(
        "forecast-doubled", f"forecast doubled: {origin}", _area(row), (("R30", "duplicate_in_finance"),), (), (origin,)
    )


def forecast_stranger(ground: Ground) -> Planted:
    """A forecast names an estimate that does not exist."""
    table, row = _forecast(ground)
    origin = ground.new_id("estimate")
    ground.take(f"forecast {origin}")
    ground.finance.copy(table, row, ForecastId=f"PFC-S{ground.rng.randrange(10**8):08d}", OriginId=origin)
    found_by = (("R30", "missing_in_dataverse"),)
    return Planted("forecast-stranger", f"forecast of no estimate: {origin}", _area(row), found_by, (), (origin,))


def forecast_edited(ground: Ground) -> Planted:
    """A forecast has another quantity than its estimate."""
    table, row = _forecast(ground)
    value = row["Quantity"]
    assert isinstance(value, Decimal)
    ground.finance.change(table, row, {"Quantity": value + _ONE})
    origin = str(row["OriginId"]).lower()
    return Planted(
        "forecast-edited", f"quantity of forecast edited: {origin}", _area(row), (("R30", "amount"),), (), (origin,)
    )


# -- what only looks like a break


def own_role(ground: Ground) -> Planted:
    """Finance may have roles of its own."""
    row = ground.choose(_mine(ground, "ProjectRoles"), lambda row: [f"role {row['dataAreaId']} {row['RoleId']}"])
    number = f"OWN-{ground.rng.randrange(10**6):06d}"
    ground.finance.copy("ProjectRoles", row, RoleId=number, Description="Only here")
    return Planted("own-role", f"role of Finance's own: {number}", _area(row), (), (), (number,))


def own_category(ground: Ground) -> Planted:
    """Finance may have shared categories without a transaction category."""
    row = ground.choose(ground.rows("SharedCategories"), lambda row: [row["CategoryId"]])
    number = f"OWN-{ground.rng.randrange(10**6):06d}"
    ground.finance.copy("SharedCategories", row, CategoryId=number, TransactionCategoryId="")
    return Planted("own-category", f"shared category of Finance's own: {number}", "", (), (), (number,))


def key_in_capitals(ground: Ground) -> Planted:
    """Neither system tells keys apart by letter case."""
    row = _project(ground)
    number = str(row["ProjectId"])
    ground.finance.change("ProjectsV2", row, {"ProjectId": number.lower()})
    return Planted(
        "key-case", f"project number in small letters: {number}", _area(row), (), (), (number, number.lower())
    )


def filled_in_by_finance(ground: Ground) -> Planted:
    """What Dataverse never said, Finance may fill in by itself."""
    bare = {row["msdyn_projectnumber"] for row in ground.rows("msdyn_project") if row["msdyn_description"] is None}
    rows = [row for row in _mine(ground, "ProjectsV2") if row["ProjectId"] in bare]
    row = ground.choose(rows, lambda row: [f"project {row['ProjectId']}"])
    ground.finance.change("ProjectsV2", row, {"Description": "Filled in by Finance"})
    number = str(row["ProjectId"])
    return Planted("filled-in", f"description only Finance knows: {number}", _area(row), (), (), (number,))


def elsewhere(ground: Ground) -> Planted:
    """A project of a company that is not integrated is nobody's business."""
    row = _project(ground)
    number = f"ELSE-{ground.rng.randrange(10**6):06d}"
    ground.finance.copy(
        "ProjectsV2", row, dataAreaId="demf", ProjectId=number, ProjectContractId="", CustomerAccountNumber=""
    )
    return Planted("elsewhere", f"project of a company that is not integrated: {number}", "", (), (), (number,))


def own_forecast(ground: Ground) -> Planted:
    """A forecast that Finance made itself has no estimate."""
    rows = _mine(ground, "ForecastHours")
    row = ground.choose(rows, lambda row: [f"forecast {row['OriginId']}"])
    number = f"PFC-O{ground.rng.randrange(10**8):08d}"
    ground.finance.copy("ForecastHours", row, ForecastId=number, OriginId="")
    return Planted("own-forecast", f"forecast of Finance's own: {number}", _area(row), (), (), (number,))


BREAKS = (
    category_lost, category_type, category_stranger, role_lost, contract_lost, funding_source_lost,
    funding_source_doubled, billing_rule_lost, billing_rule_doubled, billing_rule_type, stage_edited, project_renamed,
    project_stranger, task_lost, task_moved, task_from_nowhere, credit_edited, rate_edited, forecast_lost,
    forecast_doubled, forecast_stranger, forecast_edited,
)  # fmt: skip
LOOK_ALIKES = (own_role, own_category, key_in_capitals, filled_in_by_finance, elsewhere, own_forecast)
