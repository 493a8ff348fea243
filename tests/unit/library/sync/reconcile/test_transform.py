"""A transfer's rows in the receiver's form: fields, identity, and what keeps a row from going on."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dualsync.frames import to_arrow
from dualsync.mapping import TableMap
from dualsync.sync.legs.leg import Leg
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.reconcile.transform import Transform
from support.stage import Stage

ORDER = {"orderid": "o1", "number": "A-1", "group": "g1"}


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A stage on which group g1 has arrived."""
    stage.base("groups", "USMF", [{"id": "g1", "f:GroupId": "Books"}])
    return stage


def one(stage: Stage, words: dict[str, Any]) -> dict[str, Any]:
    (row,) = stage.wanted("orders", "to_finance", [ORDER | words])
    return row


def stop(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["stop"], row["rule"], row["reason"]


def test_fields_in_the_receivers_form(stage: Stage) -> None:
    row = one(
        stage,
        {
            "status": 1,
            "amount": Decimal("12.3456"),
            "placed": datetime(2026, 3, 31, 22, 30, tzinfo=UTC),
            "due": date(2026, 4, 30),
            "note": "In a hurry",
            "flag": True,
            "@version": 'W/"7"',
        },
    )
    wanted = {name: row[f"w:{name}"] for name in ("Status", "Amount", "Placed", "Due", "Note", "Channel", "Flag")}
    assert wanted == {
        "Status": "Closed",
        "Amount": Decimal("12.345600"),
        "Placed": date(2026, 4, 1),
        "Due": date(2026, 4, 30),
        "Note": "In a ",
        "Channel": "Counter",
        "Flag": "Yes",
    }
    assert stop(row) == (None, None, None)
    assert row["s:amount"] == Decimal("12.3456")
    assert row["c:status"] == 1
    assert (row["version"], row["state"], row["dated"]) == ('W/"7"', "in", date(2026, 4, 1))
    assert (row["id"], row["key"], row["join_key"]) == ("o1", "A-1|Books", "a-1|books")


def test_fields_to_dataverse(stage: Stage) -> None:
    row = stage.wanted(
        "orders",
        "to_dataverse",
        [{"OrderNumber": "A-1", "GroupId": "books", "Status": "closed", "Amount": Decimal("0.00005"), "Flag": "NO"}],
    )[0]
    assert (row["w:status"], row["w:amount"], row["w:flag"]) == (1, Decimal("0.0001"), False)
    assert (row["id"], row["key"], row["join_key"]) == (None, "A-1|books", "a-1|books")
    assert (row["w:group"], row["dated"]) == ("g1", None)
    assert stop(row) == (None, None, None)


def test_nothing_stays_nothing(stage: Stage) -> None:
    row = one(stage, {})
    assert {name for name, value in row.items() if name.startswith("w:") and value is not None} == {
        "w:OrderNumber",
        "w:GroupId",
        "w:Channel",
    }
    assert stop(row) == (None, None, None)


def test_a_value_that_the_map_does_not_know(stage: Stage) -> None:
    row = one(stage, {"status": 7})
    assert stop(row) == (
        "quarantined",
        "orders.Status.unknown_value",
        (
            "status holds a value that the value map to Status does not know; add it to the map, or give the row one "
            "of the known values"
        ),
    )
    assert row["w:Status"] is None


def test_a_value_that_was_of_the_wrong_type(stage: Stage) -> None:
    row = one(stage, {"@problem": "amount holds a value that is no decimal", "status": 7})
    assert row["stop"] == "quarantined"
    assert row["rule"] == "orders.type"
    assert row["reason"].startswith("amount holds a value that is no decimal; status holds a value that")


def test_a_row_that_the_filter_cannot_tell(stage: Stage) -> None:
    row = one(stage, {"@state": "unclear", "note": "unclear"})
    assert stop(row) == (
        "quarantined",
        "orders.unclear",
        "the filter cannot tell whether it travels (note eq 'unclear'); fill note",
    )
    assert one(stage, {"@state": None})["stop"] is None


# --- identity -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "key"), [({"number": None}, "?|Books"), ({"group": None}, "A-1|?")])
def test_a_key_that_is_not_whole(stage: Stage, words: dict[str, Any], key: str) -> None:
    row = one(stage, words)
    assert stop(row) == (
        "quarantined",
        "orders.key",
        "the integration key is not complete: fill number + group.name",
    )
    assert (row["join_key"], row["key"]) == (None, key)


def test_only_rows_that_are_in_need_a_whole_key(stage: Stage) -> None:
    assert one(stage, {"number": None, "@state": "deleted"})["stop"] is None


def test_a_key_that_is_not_whole_for_a_reason_that_is_told(stage: Stage) -> None:
    stage.dataverse.rows["groups"] = [{"groupid": "g9", "active": True, "company": "company USMF"}]
    assert stop(one(stage, {"group": "g9"}))[:2] == ("waiting", "groups.waiting")


@pytest.mark.parametrize("direction", ["to_finance", "to_dataverse"])
def test_a_key_that_is_too_long(stage: Stage, direction: Any) -> None:
    number = "x" * 375
    given = ORDER | {"number": number} if direction == "to_finance" else {"OrderNumber": number, "GroupId": "Books"}
    assert len(f"{number}|Books") > 380
    (row,) = stage.wanted("orders", direction, [given])
    label = "number + group.name" if direction == "to_finance" else "OrderNumber + GroupId"
    assert stop(row) == ("quarantined", "orders.key", f"the integration key {label} is too long")
    fits = {name: value[1:] if value == number else value for name, value in given.items()}
    assert stage.wanted("orders", direction, [fits])[0]["stop"] is None


def test_rows_of_companies_that_are_not_integrated_are_skipped(stage: Stage) -> None:
    rows = stage.wanted(
        "legal_entities", "to_dataverse", [{"LegalEntityId": code} for code in ("usmf", "DEMF", None)], "_global"
    )
    assert [stop(row) for row in rows] == [
        (None, None, None),
        ("skipped", "legal_entities.company", "its company is not integrated"),
        ("quarantined", "legal_entities.key", "the integration key is not complete: fill LegalEntityId"),
    ]


# --- frames ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["to_finance", "to_dataverse"])
@pytest.mark.parametrize("name", ["orders", "items", "legal_entities", "people"])
def test_no_rows(stage: Stage, name: str, direction: Any) -> None:
    transform = stage.transfer(name, direction)
    made = transform.piece(stage.rows(name, direction, []))
    assert made.empty
    assert to_arrow(made, transform.schema).schema == transform.schema
    assert not stage.dataverse.asked + stage.finance.asked


def test_every_column_has_the_type_of_the_schema(stage: Stage) -> None:
    transform = stage.transfer("orders", "to_finance")
    made = transform.piece(stage.rows("orders", "to_finance", [ORDER | {"status": 0}, ORDER]))
    for field in transform.schema:
        assert made[field.name].array.__arrow_array__().type == field.type, field.name


def test_rows_keep_their_order_whatever_their_index(stage: Stage) -> None:
    rows = stage.rows("orders", "to_finance", [ORDER | {"orderid": f"o{n}", "status": n} for n in range(4)])
    made = stage.transfer("orders", "to_finance").piece(rows.iloc[[3, 1, 0]])
    assert made["id"].tolist() == ["o3", "o1", "o0"]
    assert made["w:Status"].tolist()[1:] == ["Closed", "Open"]
    assert made["rule"].tolist()[0] == "orders.Status.unknown_value"


def test_columns_that_the_live_systems_do_not_have_are_left_out(stage: Stage) -> None:
    missing = {"finance": ["OwnerTeam", "MakerName"], "dataverse": ["placed"]}
    transform = stage.transfer("orders", "to_finance", missing=missing)
    rows = stage.rows("orders", "to_finance", [ORDER | {"owner": "t1", "owner@type": "team", "maker": "m1"}])
    stage.base("teams", "_global", [{"id": "t1", "f:TeamCode": "T"}])
    made = transform.piece(rows.drop(columns=["placed"]))
    assert {"w:OwnerTeam", "w:MakerName", "w:Placed", "s:placed"}.isdisjoint(made.columns)
    assert made["w:OwnerNumber"].isna().all()
    assert made["dated"].isna().all()
    assert made["stop"].isna().all()


def test_a_value_that_is_only_compared_holds_no_row(stage: Stage) -> None:
    words = stage.catalog["orders"].model_dump(by_alias=True, exclude_unset=True)
    status = next(field for field in words["fields"] if field.get("dataverse") == "status")
    status |= {"way": "to_finance", "read_only": True}
    orders = TableMap.model_validate(words)
    columns = LegColumns(orders, "to_finance", stage.schema, compared=True)
    leg = cast(Leg, SimpleNamespace(map=orders, company="USMF", direction="to_finance"))
    transform = Transform(leg, stage.runtime, columns)
    rows = stage.rows("orders", "to_finance", [ORDER | {"status": 7}, ORDER | {"status": 1}])
    unknown, known = to_arrow(transform.piece(rows), transform.schema).to_pylist()
    assert (unknown["w:Status"], known["w:Status"]) == (None, "Closed")
    assert stop(unknown) == stop(known) == (None, None, None)
    assert one(stage, {"status": 7})["rule"] == "orders.Status.unknown_value", "where it is written, it holds the row"
