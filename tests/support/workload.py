"""Changes to a synchronised world that give several maps something to write, and a picture of where all of it ended."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from upath import UPath

from dualsync.frames import read_table
from support.worlds import World

MAPS = ["exchange_rates", "customers_v3", "projects", "project_tasks"]
"""In their order: without alternate key; both ways and with references among its own rows; to Finance; a tree."""

BATCHES = {"dataverse_writes": 2, "finance_writes": 2}
"""Small, so that every leg has several batches."""

_OF_NO_MEANING = {"RecId", "RecVersion", "_created", "_modified", "createdon", "modifiedon", "versionnumber"}
_VERSIONS = {"dataverse_version", "finance_version"}


def row_id(name: str) -> str:
    """A record id of one's own choosing."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def company_id(world: World, code: str) -> str:
    """The record id of a company."""
    with world.sandbox.dataverse_store.reading() as tx:
        return str(tx.find("cdm_company", cdm_companycode=code)[0]["cdm_companyid"])


def projects(world: World, code: str) -> list[dict[str, Any]]:
    """The projects of a company in Dataverse, by number."""
    company = company_id(world, code)
    with world.sandbox.dataverse_store.reading() as tx:
        found = [dict(row) for row in tx.find("msdyn_project", msdyn_owningcompany=company)]
    return sorted(found, key=lambda row: str(row["msdyn_projectnumber"]))


def change_project(world: World, project: dict[str, Any], **values: Any) -> None:
    """Change columns of a project as a user of Dataverse would."""
    with world.sandbox.dataverse_store.transaction() as tx:
        tx.update("msdyn_project", project["msdyn_projectid"], values)


def add_task(world: World, project: dict[str, Any], number: str, parent: str | None = None, **values: Any) -> str:
    """A new task in Dataverse; ``parent`` is the number of another task made here."""
    record = row_id(number)
    row = {
        "msdyn_projecttaskid": record,
        "msdyn_tasknumber": number,
        "msdyn_subject": f"Task {number}",
        "msdyn_project": project["msdyn_projectid"],
        "msdyn_owningcompany": project["msdyn_owningcompany"],
        "msdyn_parenttask": None if parent is None else row_id(parent),
        **values,
    }
    with world.sandbox.dataverse_store.transaction() as tx:
        tx.insert("msdyn_projecttask", row)
    return record


def add_customers(world: World, area: str, invoiced_by: dict[str, str], **values: Any) -> None:
    """New customers in Finance, each with its invoice account."""
    with world.sandbox.finance_store.transaction() as tx:
        model = dict(tx.find("CustomersV3", dataAreaId=area)[0])
        kept = ("CustomerGroupId", "SalesCurrencyCode", "PartyType", "PaymentTerms", "PaymentMethod", "SalesTaxGroup")
        for account in invoiced_by:
            row = {name: model[name] for name in kept} | {
                "dataAreaId": area,
                "CustomerAccount": account,
                "OrganizationName": f"Customer {account}",
                "InvoiceAccount": "",
            }
            tx.insert("CustomersV3", row | values)
        for account, invoice in invoiced_by.items():
            (row,) = tx.find("CustomersV3", dataAreaId=area, CustomerAccount=account)
            tx.update("CustomersV3", row["RecId"], {"InvoiceAccount": invoice})


def change_much(world: World, companies: Sequence[str]) -> None:
    """New, changed and deleted rows on both sides."""
    for code in companies:
        first, second, third = projects(world, code)[:3]
        for project in (first, second, third):
            change_project(world, project, msdyn_subject=f"Renamed {project['msdyn_projectnumber']}")
        add_task(world, first, f"N-{code}-1")
        add_task(world, first, f"N-{code}-2", parent=f"N-{code}-1")
        add_task(world, first, f"N-{code}-3", parent=f"N-{code}-2")
        add_task(world, second, f"N-{code}-4")
        add_task(world, second, f"N-{code}-5")
        with world.sandbox.dataverse_store.transaction() as tx:
            tasks = [dict(row) for row in tx.scan("msdyn_projecttask", msdyn_project=third["msdyn_projectid"])]
            parents = {row["msdyn_parenttask"] for row in tasks}
            leaf = next(row for row in tasks if row["msdyn_projecttaskid"] not in parents)
            tx.delete("msdyn_projecttask", leaf["msdyn_projecttaskid"])
        chain = {f"N-{code}-1": f"N-{code}-3", f"N-{code}-2": f"N-{code}-1", f"N-{code}-3": f"N-{code}-3"}
        add_customers(world, code.lower(), chain)
    with world.sandbox.finance_store.transaction() as tx:
        model = dict(next(tx.scan("ExchangeRatesCDSEntity")))
        for day in range(1, 6):
            changes = {"ValidFrom": f"2031-01-0{day}T12:00:00Z", "ValidTo": f"2031-01-0{day}T12:00:00Z"}
            tx.insert("ExchangeRatesCDSEntity", _new(model) | changes)


def _new(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _OF_NO_MEANING}


def picture(world: World) -> dict[str, list[str]]:
    """Every row of both systems, of the bases and of the open rows, without what differs from run to run.

    Record ids that Dataverse chooses itself are replaced by the row's key.
    """
    tables: dict[str, list[dict[str, Any]]] = {}
    for system in ("dataverse", "finance"):
        with closing(sqlite3.connect(world.home / "sandbox" / f"{system}.db")) as connection:
            connection.row_factory = sqlite3.Row
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                if not name.startswith(("_", "sqlite_")):
                    tables[f"{system} {name}"] = [
                        _new(dict(row)) for row in connection.execute(f'SELECT * FROM "{name}"')
                    ]
    with world.runtime() as runtime:
        for name in MAPS:
            for base in runtime.ledger.bases(name):
                rows = read_table(UPath(base.path)).to_pylist()
                # Finance knows no null: what was never said reads as nothing or zero, and both mean the same.
                tables[f"base {name} {base.company}"] = [
                    {column: value or None for column, value in row.items() if column not in _VERSIONS} for row in rows
                ]
        tables["open"] = [
            {"leg": [row.map, row.direction, row.company], "key": row.key, "state": row.state, "reason": row.reason}
            for row in runtime.ledger.open_rows()
        ]
    names_of_accounts = {row["accountid"]: f"account {row['accountnumber']}" for row in tables["dataverse account"]}
    shown: dict[str, list[str]] = {}
    for name, rows in tables.items():
        texts = [
            json.dumps({c: names_of_accounts.get(str(v), v) for c, v in row.items()}, sort_keys=True, default=str)
            for row in rows
        ]
        shown[name] = sorted(texts)
    return shown


def differences(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, tuple[list[str], list[str]]]:
    """By table, the rows that only one of two pictures has."""
    found = {}
    for name in one.keys() | other.keys():
        left, right = one.get(name, []), other.get(name, [])
        if left != right:
            found[name] = ([row for row in left if row not in right], [row for row in right if row not in left])
    return found
