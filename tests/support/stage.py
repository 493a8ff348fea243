"""A stage for tests of what happens to rows: small maps, bases in files, and two systems that answer from lists.

The tables are a library's: ``groups`` and ``items`` have companies, ``people`` and ``teams`` stand behind one lookup,
``units`` is read through a table without a map, and ``orders`` looks up all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pyarrow as pa
from upath import UPath

from dualsync.frames import to_arrow, to_pandas, write_table
from dualsync.mapping import Catalog, Column, Direction, Schema, TableMap
from dualsync.mapping.schema import Table
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.values import display_key, join_key
from dualsync.sync.plan.vocabulary import GLOBAL, JOIN_KEY, STATE
from dualsync.sync.reconcile.transform import Transform

Row = dict[str, Any]

DATAVERSE = {
    "cdm_company": "cdm_companyid:guid cdm_companycode:text",
    "group": "groupid:guid name:text company:lookup active:bool",
    "item": "itemid:guid number:text title:text parent:lookup company:lookup",
    "person": "personid:guid number:text",
    "team": "teamid:guid code:text",
    "unit": "unitid:guid symbol:text",
    "order": (
        "orderid:guid number:text group:lookup item:lookup owner:lookup unit:lookup measure:lookup maker:lookup "
        "lender:lookup company:lookup status:option amount:decimal.4 placed:instant due:date note:text flag:bool"
    ),
}
FINANCE = {
    "LegalEntities": "LegalEntityId:text Name:text",
    "Groups": "GroupId:text dataAreaId:text Active:enum",
    "Items": "ItemNumber:text ItemTitle:text ParentNumber:text dataAreaId:text",
    "People": "PersonnelNumber:text",
    "Teams": "TeamCode:text",
    "Units": "Symbol:text",
    "Orders": (
        "OrderNumber:text GroupId:text dataAreaId:text ItemNumber:text OwnerNumber:text OwnerTeam:text UnitSymbol:text "
        "MeasureSymbol:text MakerName:text LenderGroup:text LenderCompany:text LenderCode:text Status:enum "
        "Amount:decimal.6 Placed:date Due:date Note:text Channel:text Flag:enum"
    ),
}


def _map(name: str, dataverse: str, finance: str, /, **words: Any) -> TableMap:
    """A table map; keys and company are written as ``table id key,key company``."""
    table, record, key, *path = dataverse.split()
    entity, finance_key, *area = finance.split()
    told: dict[str, Any] = {
        "map": name,
        "title": name,
        "area": "reference",
        "scope": "company" if path else "global",
        "dataverse": {"table": table, "set": f"{table}s", "id": record, "key": key.split(",")},
        "finance": {"set": entity, "entity": entity, "key": finance_key.split(",")},
        "rows": {"created_by": "dataverse", "deleted_by": "dataverse", "leaves": "keep"},
    }
    if path:
        told["dataverse"]["company"], told["finance"]["company"] = path[0], area[0]
    for side in ("dataverse", "finance"):
        told[side] |= words.pop(side, {})
    for pairs in ("fields", "lookups"):
        told[pairs] = [{"way": "both", "evidence": "doc", **pair} for pair in words.pop(pairs, [])]
    return TableMap.model_validate(told | words)


BY_COMPANY = "company.cdm_companycode"


def _maps() -> list[TableMap]:
    return [
        _map(
            "legal_entities",
            "cdm_company cdm_companyid cdm_companycode",
            "LegalEntities LegalEntityId",
            integrated_by="LegalEntityId",
            fields=[{"dataverse": "cdm_companycode", "finance": "LegalEntityId"}],
        ),
        _map(
            "groups",
            f"group groupid name {BY_COMPANY}",
            "Groups GroupId dataAreaId",
            dataverse={"filter": "active eq true"},
            finance={"filter": "Active eq 'Yes'"},
            fields=[{"dataverse": "name", "finance": "GroupId"}],
        ),
        _map(
            "items",
            f"item itemid number {BY_COMPANY}",
            "Items ItemNumber dataAreaId",
            fields=[{"dataverse": "number", "finance": "ItemNumber"}, {"dataverse": "title", "finance": "ItemTitle"}],
            lookups=[
                {"dataverse": "parent", "map": "items", "on": {"number": "ParentNumber", "company": "dataAreaId"}}
            ],
        ),
        _map(
            "people",
            "person personid number",
            "People PersonnelNumber",
            finance={"write": "package", "target": "PeopleEntity"},
            fields=[{"dataverse": "number", "finance": "PersonnelNumber"}],
        ),
        _map("teams", "team teamid code", "Teams TeamCode", fields=[{"dataverse": "code", "finance": "TeamCode"}]),
        _map("units", "unit unitid symbol", "Units Symbol", fields=[{"dataverse": "symbol", "finance": "Symbol"}]),
        _map(
            "orders",
            f"order orderid number,group.name {BY_COMPANY}",
            "Orders OrderNumber,GroupId dataAreaId",
            dataverse={"quarantine_when": "note eq 'unclear'"},
            initial={"creates": "from_cutover", "dated_by": "placed"},
            fields=[
                {"dataverse": "number", "finance": "OrderNumber"},
                {"dataverse": "status", "finance": "Status", "values": {0: "Open", 1: "Closed"}},
                {"dataverse": "amount", "finance": "Amount"},
                {"dataverse": "placed", "finance": "Placed", "date": "date_only", "way": "to_finance"},
                {"dataverse": "due", "finance": "Due"},
                {"dataverse": "note", "finance": "Note", "truncate": 5},
                {"finance": "Channel", "constant": "Counter", "way": "to_finance"},
                {
                    "dataverse": "flag",
                    "finance": "Flag",
                    "values": {True: "Yes", False: "No"},
                    "wins": {"dataverse": "status eq 0", "else": "finance"},
                },
            ],
            lookups=[
                {"dataverse": "group", "map": "groups", "on": {"name": "GroupId", "company": "dataAreaId"}},
                {"dataverse": "item", "map": "items", "on": {"number": "ItemNumber", "company": "dataAreaId"}},
                {
                    "dataverse": "owner",
                    "targets": {
                        "person": {"map": "people", "on": {"number": "OwnerNumber"}},
                        "team": {"map": "teams", "on": {"code": "OwnerTeam"}},
                    },
                    "way": "to_finance",
                },
                {
                    "dataverse": "unit",
                    "map": "units",
                    "on": {"symbol": "UnitSymbol"},
                    "through": {"set": "uoms", "id": "uomid", "column": "symbol", "company": "company"},
                },
                {
                    "dataverse": "measure",
                    "map": "units",
                    "on": {"symbol": "MeasureSymbol"},
                    "through": {"set": "measures", "id": "measureid", "column": "unit", "lookup": True},
                    "way": "to_finance",
                },
                {
                    "dataverse": "maker",
                    "on": {"name": "MakerName"},
                    "through": {"set": "makers", "id": "makerid", "column": "name"},
                    "way": "to_finance",
                },
                {
                    "dataverse": "lender",
                    "map": "groups",
                    "on": {"name": "LenderGroup", BY_COMPANY: "LenderCode", "company": "LenderCompany"},
                },
            ],
        ),
    ]


def column(text: str) -> Column:
    """A column, written as ``name:kind`` or ``name:decimal.scale``."""
    name, _, kind = text.partition(":")
    kind, _, scale = kind.partition(".")
    options = {0: "No", 1: "Yes"} if kind == "enum" else None
    return Column(name, cast(Any, kind), None, int(scale) if scale else None, False, options, (), False, "")


def _schema() -> Schema:
    sides: tuple[tuple[Any, dict[str, str]], ...] = (("dataverse", DATAVERSE), ("finance", FINANCE))
    return Schema(
        [
            Table(side, name, {one.name: one for one in map(column, text.split())}, {})
            for side, tables in sides
            for name, text in tables.items()
        ]
    )


class System:
    """A system that answers from lists, and remembers what it was asked.

    Attributes:
        rows: Rows by the name of their set.
        asked: For each request: the set, and the ids or conditions.
    """

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.asked: list[tuple[str, list[Any]]] = []

    def read_ids(self, entity: str, ids: Iterable[str], select: Sequence[str]) -> list[Row]:
        """Rows by id, which is the first column asked for."""
        wanted = list(ids)
        self.asked.append((entity, wanted))
        return self._rows(entity, select, [{select[0]: one} for one in wanted])

    def read_keys(self, entity: str, conditions: Iterable[Row], select: Sequence[str]) -> list[Row]:
        """Rows that have all the values of one of the conditions, letter case aside."""
        wanted = list(conditions)
        self.asked.append((entity, wanted))
        return self._rows(entity, select, wanted)

    def _rows(self, entity: str, select: Sequence[str], conditions: list[Row]) -> list[Row]:
        return [
            {name: row.get(name) for name in select}
            for row in self.rows.get(entity, [])
            if any(all(_same(row.get(name), value) for name, value in one.items()) for one in conditions)
        ]


def _same(one: Any, other: Any) -> bool:
    return str(one).casefold() == str(other).casefold()


class Stage:
    """Maps, bases and systems for a test.

    Args:
        folder: Where bases are written.

    Attributes:
        companies: The integrated companies.
        bases: Which bases were asked for: map and company.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.companies = ("USMF", "GBSI")
        self.catalog, self.schema = Catalog(_maps()), _schema()
        self.dataverse, self.finance = System(), System()
        self.bases: list[tuple[str, str]] = []
        self.runtime = cast(
            Runtime,
            SimpleNamespace(
                settings=SimpleNamespace(companies=self.companies, time_zone="Europe/Paris"),
                catalog=self.catalog,
                schema=self.schema,
                systems=SimpleNamespace(dataverse=self.dataverse, finance=self.finance),
                company_ids={code: f"company {code}" for code in self.companies},
                base_path=self._base_path,
            ),
        )

    def parents(self, company: str = "USMF") -> Parents:
        """What answers about parents in a transfer of a company."""
        return Parents(self.runtime, company)

    def columns(self, name: str, direction: Direction, missing: Mapping[str, list[str]] | None = None) -> LegColumns:
        """The columns of a transfer."""
        return LegColumns(self.catalog[name], direction, self.schema, dict(missing or {}))

    def base(self, name: str, company: str, rows: Sequence[Row]) -> None:
        """Write the base of a map; join key and key are made of the values of the Finance key."""
        schema = self.columns(name, "to_finance").base_schema()
        made = []
        for row in rows:
            key = [row.get(f"f:{part}") for part in self.catalog[name].finance.key]
            made.append({"join_key": join_key(key), "key": display_key(key), **row})
        table = pa.Table.from_pylist([{field.name: row.get(field.name) for field in schema} for row in made], schema)
        write_table(self._path(name, company), table)

    def transfer(
        self, name: str, direction: Direction, company: str = "USMF", missing: Mapping[str, list[str]] | None = None
    ) -> Transform:
        """The transformation of a transfer."""
        leg = cast(Leg, SimpleNamespace(map=self.catalog[name], company=company, direction=direction))
        return Transform(leg, self.runtime, self.columns(name, direction, missing))

    def rows(self, name: str, direction: Direction, rows: Sequence[Row]) -> pd.DataFrame:
        """Rows of the sending side as a step reads them; what is not given is null."""
        columns = self.columns(name, direction)
        schema = pa.schema([*columns.raw_schema(columns.source), pa.field(STATE, pa.string())])
        key = columns.map.finance.key
        own = [{STATE: "in", JOIN_KEY: join_key([row.get(part) for part in key])} for row in rows]
        listed = [
            {field.name: (more | row).get(field.name) for field in schema} for more, row in zip(own, rows, strict=True)
        ]
        return to_pandas(pa.Table.from_pylist(listed, schema))

    def wanted(
        self, name: str, direction: Direction, rows: Sequence[Row], company: str = "USMF"
    ) -> list[dict[str, Any]]:
        """The rows of a transfer in the receiver's form."""
        transform = self.transfer(name, direction, company)
        made = transform.piece(self.rows(name, direction, rows))
        table = to_arrow(made, transform.schema)
        assert table.num_rows == len(rows)
        return cast("list[dict[str, Any]]", table.to_pylist())

    def _path(self, name: str, company: str) -> UPath:
        where = GLOBAL if self.catalog[name].scope == "global" else company
        return UPath(self._folder) / f"{name}.{where}.parquet"

    def _base_path(self, name: str, company: str) -> UPath | None:
        self.bases.append((name, company))
        path = UPath(self._folder) / f"{name}.{company}.parquet"
        return path if path.exists() else None
