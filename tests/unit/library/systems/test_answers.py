"""The meaning of refusals, by the bodies that the two services are known to send, and of literals in URLs."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from dualsync import errors
from dualsync.systems import dataverse, finance
from dualsync.systems.finance.metadata import parse_metadata
from dualsync.systems.odata import guid_literal, literal, wire_value, with_query

GUID = "6f1f7a0c-5d5b-4c8e-9a3b-0d1f2e3c4b5a"


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (404, "0x80040217", "account With Id = 1 Does Not Exist", errors.NotFound),
        (404, "0x80060891", "A record with the specified key values does not exist", errors.NotFound),
        (404, "0x8006088a", "Resource not found for the segment 'accountz'.", errors.SchemaMismatch),
        (412, "0x80040237", "A record with matching key values already exists.", errors.AlreadyExists),
        (412, "0x80060892", "Entity Key K violated.", errors.AlreadyExists),
        (412, "", "A record with matching key values already exists.", errors.AlreadyExists),
        (412, "0x80060882", "The version of the existing record doesn't match", errors.RowChanged),
        (412, "0x80040333", "A duplicate detection rule was hit.", errors.Refused),
        (400, "0x80044331", "A validation error occurred.", errors.Refused),
        (400, "0x80044352", "Version stamp associated with the client has expired.", errors.ChangeTokenExpired),
        (400, "0x80044150", "Generic SQL error: deadlock", errors.Unavailable),
        (400, "0x80044151", "SQL timeout", errors.TimedOut),
        (403, "0x80040220", "Principal user is missing prvWriteAccount privilege", errors.Refused),
        (501, "", "Not implemented", errors.Refused),
    ],
)
def test_refusals_of_dataverse(status: int, code: str, message: str, kind: type[errors.DualsyncError]) -> None:
    """The code decides, and the status only where it says nothing [DV8]."""
    error = dataverse.classify(status, {"error": {"code": code, "message": message}}, "raw")
    assert type(error) is kind
    assert message in str(error)
    if isinstance(error, errors.Refused):
        assert (error.status, error.code, error.message) == (status, code, message)


@pytest.mark.parametrize("data", [None, [], {"error": "text"}, {"Message": "text"}])
def test_dataverse_answers_of_another_shape_say_nothing(data: Any) -> None:
    assert dataverse.classify(400, data, "") is None


def test_failures_of_dataverse_itself_say_nothing_either() -> None:
    assert dataverse.classify(503, {"error": {"code": "0x0", "message": "busy"}}, "") is None


def inner(message: str, **deeper: Any) -> dict[str, Any]:
    return {"error": {"code": "", "message": "An error has occurred.", "innererror": {"message": message, **deeper}}}


@pytest.mark.parametrize(
    ("status", "data", "kind", "message"),
    [
        (
            400,
            inner(
                "Write failed for table row of type 'CustCustomerV3Entity'. Infolog: Warning: The value 'Local' in"
                " field 'Customer group' is not found in the related table 'Customer groups'.; Warning: validateField"
                " failed on field 'CustCustomerV3Entity.CustomerGroupId'."
            ),
            errors.Refused,
            "The value 'Local' in field 'Customer group' is not found in the related table 'Customer groups'.",
        ),
        (400, inner("No resources were found when selecting for update."), errors.NotFound, "No resources were found"),
        (
            500,
            inner(
                "Write failed for table row of type 'X'. Infolog: Error: Cannot create a record in X (X). The record "
                "already exists.; Error: validateWrite failed on data source 'X'."
            ),
            errors.AlreadyExists,
            "Cannot create a record in X (X). The record already exists.",
        ),
        (
            400,
            inner("Cannot edit a record in X. An update conflict occurred due to another user process deleting it."),
            errors.RowChanged,
            "Cannot edit a record in X.",
        ),
        (
            400,
            inner(
                "Exception has been thrown by the target of an invocation.",
                internalexception={"message": "An unexpected X++ error occurred."},
            ),
            errors.Refused,
            "An unexpected X++ error occurred.",
        ),
        (
            404,
            {"Message": "No HTTP resource was found that matches the request URI 'https://x/data/Nope'."},
            errors.SchemaMismatch,
            "no such public entity",
        ),
    ],
)
def test_refusals_of_finance(status: int, data: Any, kind: type[errors.DualsyncError], message: str) -> None:
    error = finance.classify(status, data, "raw")
    assert type(error) is kind
    assert message in str(error)
    if isinstance(error, errors.Refused):
        assert "validate" not in error.message


def test_failures_of_finance_itself_say_nothing() -> None:
    assert finance.classify(503, None, "<h1>Bad gateway</h1>") is None
    assert finance.classify(500, inner("An unexpected failure of the server."), "") is None


def test_messages_of_the_infolog() -> None:
    text = "Write failed. Infolog: Error: Field 'A; B' must be filled in.; Info: Look; Error: Look; "
    assert finance.clean_messages(text) == ["Field 'A; B' must be filled in.", "Look"]
    only_noise = "Infolog: Warning: validateWrite failed on data source 'ProjTable (ProjTable)'."
    assert finance.clean_messages(only_noise) == ["validateWrite failed on data source 'ProjTable (ProjTable)'."]
    assert finance.clean_messages("Plain text; with more") == ["Plain text; with more"]


def test_literals() -> None:
    assert [literal(one) for one in (None, True, 7, Decimal("1E+2"), "O'Neil", UUID(GUID), date(2026, 1, 2))] == [
        "null", "true", "7", "100", "'O''Neil'", GUID, "2026-01-02",
    ]  # fmt: skip
    assert literal(datetime(2026, 1, 2, 3, 4, 5, 999, tzinfo=timezone(timedelta(hours=1)))) == "2026-01-02T02:04:05Z"
    with pytest.raises(TypeError):
        literal(0.1)
    with pytest.raises(ValueError, match="zone"):
        literal(datetime(2026, 1, 2))  # noqa: DTZ001  refused for that reason


def test_guids_cannot_smuggle_anything_into_a_url() -> None:
    assert guid_literal(GUID.upper()) == GUID
    for text in ("", f"{GUID})/x", f"{GUID}\n", "1 or 1 eq 1"):
        with pytest.raises(ValueError, match="GUID"):
            guid_literal(text)


def test_values_of_a_body() -> None:
    assert wire_value(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)) == "2026-01-02T03:04:05Z"
    assert wire_value(Decimal("0.10")) == Decimal("0.10")
    with pytest.raises(TypeError, match="float"):
        wire_value(0.1)
    with pytest.raises(ValueError, match="number"):
        wire_value(Decimal("NaN"))


def test_queries_are_percent_encoded() -> None:
    url = with_query("rows", {"$filter": "name eq 'A&B #1+2 50% ü'", "$top": None, "$select": "a,b"})
    assert url == "rows?$filter=name%20eq%20'A%26B%20%231%2B2%2050%25%20%C3%BC'&$select=a,b"


METADATA = b"""<?xml version="1.0"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Microsoft.Dynamics.DataEntities" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EnumType Name="NoYes"><Member Name="No" Value="0"/><Member Name="Yes" Value="1"/></EnumType>
<EntityType Name="Thing"><Key><PropertyRef Name="dataAreaId"/><PropertyRef Name="Id"/></Key>
<Property Name="dataAreaId" Type="Edm.String"/><Property Name="Id" Type="Edm.Int32"/>
<Property Name="IsOn" Type="Microsoft.Dynamics.DataEntities.NoYes"/></EntityType>
<EntityContainer Name="Resources"><EntitySet Name="Things" EntityType="Microsoft.Dynamics.DataEntities.Thing"/>
</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"""


def test_metadata_of_finance() -> None:
    """Keys, types and members come from one document [FO2]."""
    thing = parse_metadata(METADATA)["Things"]
    assert (thing.entity, thing.keys) == ("Thing", ("dataAreaId", "Id"))
    assert thing.column("IsOn").members == ("No", "Yes")
    assert thing.column("Id").type == "Edm.Int32"
    with pytest.raises(errors.SchemaMismatch, match=r"Things has no column Nope"):
        thing.column("Nope")


@pytest.mark.parametrize("body", [METADATA[:-40], b"<h1>Bad gateway", b""])
def test_metadata_that_is_cut_off(body: bytes) -> None:
    with pytest.raises(ValueError, match="complete XML"):
        parse_metadata(body)
