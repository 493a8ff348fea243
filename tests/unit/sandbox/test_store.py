"""The sandbox's stores: what they check, what hooks see, and how quickly they fill."""

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.errors import (
    DeleteRestricted,
    DuplicateId,
    DuplicateKey,
    NotImplementedInSandbox,
    OutOfRange,
    ReferenceNotFound,
    Required,
    RowNotFound,
    SandboxError,
    StoreError,
    TooLong,
    UnknownColumn,
    UnknownOption,
    UnknownTable,
    WrongType,
)
from dualsync_sandbox.schema import SystemSchema, Table
from dualsync_sandbox.store import Event, Store, Tx

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def dataverse(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "dataverse.db", SystemSchema.load("dataverse"), Clock(NOON, frozen=True))
    yield store
    store.close()


@pytest.fixture
def finance(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "finance.db", SystemSchema.load("finance"), Clock(NOON, frozen=True))
    with store.transaction() as tx:
        tx.insert("LegalEntities", {"LegalEntityId": "USPM"})
    yield store
    store.close()


def test_every_schema_file_hangs_together() -> None:
    """Keys, relations and lookups name columns that exist, and defaults that the columns take."""
    for system in ("dataverse", "finance"):
        schema = SystemSchema.load(system)
        for table in schema.tables.values():
            assert table.source
            for key in table.keys:
                assert set(key.columns) <= table.columns.keys()
            for relation in table.relations:
                assert set(relation.columns) <= table.columns.keys()
                assert set(relation.target_columns) <= schema.tables[relation.target].columns.keys()
            for column in table.columns.values():
                assert column.targets.keys() <= schema.tables.keys()
                assert column.kind != "option" or column.default is None or column.default in column.options
                assert column.kind != "enum" or column.members


def test_rows_of_dataverse(dataverse: Store) -> None:
    with dataverse.transaction() as tx:
        made = tx.insert("account", {"name": "Reed", "creditlimit": Decimal("12.34565"), "creditonhold": True})
        row = tx.get("account", str(made["accountid"]).upper())
    assert row == made
    assert row["creditlimit"] == Decimal("12.3457")
    assert row["creditonhold"] is True
    assert row["createdon"] == row["modifiedon"] == "2026-03-01T12:00:00Z"
    assert row["statecode"] == 0
    assert row["accountnumber"] is None


def test_rows_of_finance_hold_no_nulls(finance: Store) -> None:
    with finance.transaction() as tx:
        row = tx.insert(
            "ProjectsV2",
            {"dataAreaId": "USPM", "ProjectId": "P1", "ProjectedStartDate": datetime(2026, 5, 1, tzinfo=UTC)},
        )
        assert None not in row.values()
        assert row["dataAreaId"] == "uspm"
        assert row["ProjectedStartDate"] == "2026-05-01T12:00:00Z"
        assert row["ActualStartDate"] == "1900-01-01T12:00:00Z"
        assert (row["ProjectStage"], row["RecVersion"]) == ("Created", 1)
        again = tx.update("ProjectsV2", row["RecId"], {"ProjectName": None})
    assert again["ProjectName"] == ""
    assert again["RecVersion"] != 1
    assert tx.find("ProjectsV2", ProjectId="p1", dataAreaId="USPM") == [again]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"name": "x" * 161}, TooLong),
        ({"name": 1}, WrongType),
        ({"creditlimit": 1.5}, WrongType),
        ({"creditlimit": Decimal("NaN")}, WrongType),
        ({"creditlimit": Decimal(10) ** 17}, OutOfRange),
        ({"creditonhold": 1}, WrongType),
        ({"customertypecode": 77}, UnknownOption),
        ({"customertypecode": True}, WrongType),
        ({"lastonholdtime": "yesterday"}, WrongType),
        ({"lastonholdtime": "1600-01-01T00:00:00Z"}, OutOfRange),
        ({"msdyn_vendor": "no guid"}, WrongType),
        ({"msdyn_vendor": str(uuid.uuid4())}, ReferenceNotFound),
        ({"nothing": 1}, UnknownColumn),
    ],
)
@pytest.mark.parametrize("bulk", [False, True])
def test_refused_values(dataverse: Store, values: dict[str, Any], error: type[StoreError], bulk: bool) -> None:
    with pytest.raises(error), dataverse.transaction() as tx:
        tx.insert_many("account", [values]) if bulk else tx.insert("account", values)
    with dataverse.reading() as reading:
        assert reading.count("account") == 0


@pytest.mark.parametrize("bulk", [False, True])
def test_keys_and_required_columns(dataverse: Store, bulk: bool) -> None:
    def put(table: str, **values: object) -> None:
        with dataverse.transaction() as tx:
            tx.insert_many(table, [values]) if bulk else tx.insert(table, values)

    row_id = str(uuid.uuid4())
    put("cdm_worker", cdm_workerid=row_id, cdm_workernumber="W1")
    with pytest.raises(DuplicateKey):
        put("cdm_worker", cdm_workernumber="w1")
    with pytest.raises(DuplicateId):
        put("cdm_worker", cdm_workerid=row_id)
    put("cdm_worker")
    put("cdm_worker")  # rows without the key's value are many
    with pytest.raises(Required):
        put("bookableresource")
    with pytest.raises(Required):
        put("salesorder", ordernumber="O", customerid=row_id)  # which table does it point to?
    with pytest.raises(UnknownTable):
        put("nothing")


def test_finance_refuses(finance: Store) -> None:
    with pytest.raises(ReferenceNotFound), finance.transaction() as tx:
        tx.insert("ProjectsV2", {"dataAreaId": "zzzz", "ProjectId": "P1"})
    with pytest.raises(Required), finance.transaction() as tx:
        tx.insert("ProjectsV2", {"dataAreaId": "uspm"})
    with pytest.raises(UnknownOption), finance.transaction() as tx:
        tx.insert("ProjectsV2", {"dataAreaId": "uspm", "ProjectId": "P", "ProjectStage": "created"})
    with pytest.raises(ReferenceNotFound), finance.transaction() as tx:
        tx.insert_many("ProjectTasks", [{"dataAreaId": "uspm", "ProjectId": "P", "TaskId": "1"}])
    with finance.transaction() as tx:
        project = tx.insert("ProjectsV2", {"dataAreaId": "uspm", "ProjectId": "P"})
        tx.insert_many("ProjectTasks", [{"dataAreaId": "USPM", "ProjectId": "p", "TaskId": "1"}])
    with pytest.raises(DeleteRestricted), finance.transaction() as tx:
        tx.delete("ProjectsV2", project["RecId"])
    with pytest.raises(RowNotFound), finance.transaction() as tx:
        tx.update("ProjectsV2", 1, {"ProjectName": "x"})


def test_hooks(dataverse: Store) -> None:
    seen: list[tuple[str, object, object]] = []

    def number(tx: Tx, event: Event) -> None:
        assert event.after is not None
        event.after.setdefault("telephone1", None)
        event.after["telephone1"] = event.after["telephone1"] or "0"

    def note(tx: Tx, event: Event) -> None:
        seen.append((event.kind, event.before and event.before["lastname"], event.after and event.after["lastname"]))
        if event.kind == "create":
            tx.update("contact", event.after["contactid"], {"firstname": "by the hook"})  # type: ignore[index]

    def refuse(tx: Tx, event: Event) -> None:
        if event.after is not None and event.changed("emailaddress1") and event.after["emailaddress1"]:
            raise StoreError("contact", "no mail")

    dataverse.on("contact", {"create", "update"}, number, when="before")
    dataverse.on("contact", {"create", "update", "delete"}, note)
    dataverse.on("contact", {"update"}, refuse)
    with dataverse.transaction() as tx:
        made = tx.insert("contact", {"lastname": "Reed"})
        row = tx.get("contact", made["contactid"])
        assert row is not None
        assert (row["telephone1"], row["firstname"]) == ("0", "by the hook")
        tx.delete("contact", made["contactid"])
    assert seen == [("create", None, "Reed"), ("update", "Reed", "Reed"), ("delete", "Reed", None)]
    with dataverse.transaction() as tx:
        kept = tx.insert("contact", {"lastname": "Ash"})["contactid"]
    with pytest.raises(StoreError, match="no mail"), dataverse.transaction() as tx:
        tx.update("contact", kept, {"lastname": "Elm", "emailaddress1": "a@b"})
    with dataverse.reading() as reading:
        assert reading.find_one("contact", contactid=kept)["lastname"] == "Ash"  # type: ignore[index]


def test_versions_grow_and_deletions_are_kept(dataverse: Store) -> None:
    with dataverse.transaction() as tx:
        first = tx.insert("contact", {"lastname": "A"})
        second = tx.insert("contact", {"lastname": "B"})
        changed = tx.update("contact", first["contactid"], {"lastname": "A"})
        tx.delete("contact", second["contactid"])
        latest = tx.version
        deleted = tx.query("SELECT id, version FROM _deleted").fetchall()
    assert first["versionnumber"] < second["versionnumber"] < changed["versionnumber"] < deleted[0][1] == latest
    assert deleted[0][0] == second["contactid"]
    with pytest.raises(DuplicateId), dataverse.transaction() as tx:
        tx.insert_many("contact", [{"contactid": first["contactid"], "lastname": "C"}])
    with dataverse.reading() as reading:
        assert reading.version == latest


def test_readers_see_a_snapshot_and_cannot_write(dataverse: Store) -> None:
    with dataverse.reading() as reading:
        before = reading.count("contact")
        done = threading.Event()

        def write() -> None:
            with dataverse.transaction() as tx:
                tx.insert("contact", {"lastname": "A"})
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        assert done.wait(5)
        writer.join()
        assert reading.count("contact") == before
        with pytest.raises(NotImplementedInSandbox):
            reading.insert("contact", {"lastname": "B"})
    with dataverse.reading() as reading:
        assert reading.count("contact") == before + 1


def test_clear_and_a_file_of_other_tables(tmp_path: Path, dataverse: Store) -> None:
    with dataverse.transaction() as tx:
        tx.insert("contact", {"lastname": "A"})
        version = tx.version
    dataverse.clear()
    with dataverse.reading() as reading:
        assert reading.count("contact") == 0
        assert reading.count("systemuser") == 1
        assert reading.change_floor > version
    with pytest.raises(SandboxError, match="other tables"):
        Store(tmp_path / "dataverse.db", SystemSchema.load("finance"), Clock())


def test_a_file_gains_the_tables_that_came_since(tmp_path: Path) -> None:
    """Rows outlive a sandbox that serves more tables than the one that wrote them; the new tables get first rows."""
    schema = SystemSchema.load("dataverse")
    older = {name: table for name, table in schema.tables.items() if name not in ("uom", "contact")}
    without = replace(schema, tables={name: _without_lookups_to("contact", table) for name, table in older.items()})
    whole = replace(schema, tables={**without.tables, "uom": schema.tables["uom"]})
    for tables in (without, whole, whole):
        store = Store(tmp_path / "older.db", tables, Clock())
        with store.transaction() as tx:
            assert tx.count("businessunit") == tx.count("systemuser") == 1
            if "uom" in tables.tables:
                tx.insert("uom", {"name": "Hour", "msdyn_symbol": uuid.uuid4().hex[:5]})
        store.close()
    with pytest.raises(SandboxError, match="other tables"):
        Store(tmp_path / "older.db", schema, Clock())


def _without_lookups_to(name: str, table: Table) -> Table:
    columns = {column.name: column for column in table.columns.values() if name not in column.targets}
    keys = tuple(key for key in table.keys if set(key.columns) <= columns.keys())
    return replace(table, columns=columns, keys=keys)


def test_filling_is_quick(dataverse: Store) -> None:
    """Fifty thousand plain rows take about half a second of CPU; the bound leaves room for a slow machine."""
    rows = ({"msdyn_tasknumber": f"T{number}", "msdyn_subject": "Task"} for number in range(50_000))
    started = time.process_time()
    with dataverse.transaction() as tx:
        assert tx.insert_many("msdyn_projecttask", rows, hooks=False) == 50_000
    assert time.process_time() - started < 5
