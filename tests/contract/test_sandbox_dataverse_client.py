"""Microsoft's own Python client (PowerPlatform-Dataverse-Client) and azure-identity, unmodified, against the sandbox.

What they need to be told is what any tenant behind a certificate authority of its own needs: where that authority's
certificate is, and which identity service to ask.
"""

import uuid
import warnings
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from azure.identity import ClientSecretCredential
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError, MetadataError
from PowerPlatform.Dataverse.models.filters import col
from PowerPlatform.Dataverse.models.query_builder import ExpandOption
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from dualsync_sandbox import Sandbox


@pytest.fixture(scope="module")
def client(bare: Sandbox) -> Iterator[DataverseClient]:
    """The client, signed in with the sandbox's client secret."""
    info = {name: str(value) for name, value in bare.info.items()}
    identity = urlsplit(info["identity"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", info["ca_file"])
        credential = ClientSecretCredential(
            info["tenant"],
            info["client_id"],
            Path(info["client_secret_file"]).read_text(encoding="utf-8"),
            authority=f"{identity.scheme}://{identity.netloc}",
            disable_instance_discovery=True,
        )
        with DataverseClient(info["dataverse"], credential) as signed_in, credential:
            yield signed_in


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def workers(client: DataverseClient, prefix: str, count: int) -> list[str]:
    """New workers, numbered ``<prefix>-0`` and so on."""
    rows = [{"cdm_WorkerNumber": f"{prefix}-{n}", "cdm_lastname": f"Name {n}"} for n in range(count)]
    ids = client.records.create("cdm_worker", rows)
    assert len(ids) == count
    return list(ids)


def test_one_row(client: DataverseClient) -> None:
    """Create, read, update, delete. Labels of choices become their numbers; names are lower-cased but for binds."""
    code = unique("C")[:4] + uuid.uuid4().hex[:4]
    company = client.records.create("cdm_company", {"cdm_companycode": code, "cdm_name": "Company"})
    account = client.records.create(
        "Account",
        {
            "Name": "Kingfisher Rail",
            "customertypecode": "Customer",
            "msdyn_Company@odata.bind": f"/cdm_companies({company})",
        },
    )
    row = client.records.retrieve("account", account, select=["name", "customertypecode", "_msdyn_company_value"])
    assert row is not None
    assert (row["name"], row["customertypecode"], row["_msdyn_company_value"]) == ("Kingfisher Rail", 3, company)
    client.records.update("account", account, {"name": "Kingfisher", "customertypecode": None})
    formatted = "OData.Community.Display.V1.FormattedValue"
    row = client.records.retrieve("account", account, expand=["msdyn_Company"], include_annotations=formatted)
    assert row is not None
    assert (row["name"], row["customertypecode"]) == ("Kingfisher", None)
    assert row[f"statecode@{formatted}"] == "Active"
    assert row["msdyn_Company"]["cdm_companycode"] == code
    client.records.delete("account", account)
    assert client.records.retrieve("account", account) is None
    with pytest.raises(HttpError) as refused:
        client.records.update("account", account, {"name": "gone"})
    assert (refused.value.status_code, refused.value.details["service_error_code"]) == (404, "0x80040217")
    assert refused.value.details["service_request_id"]


def test_many_rows(client: DataverseClient, bare: Sandbox) -> None:
    """CreateMultiple, UpdateMultiple (the same for all, and one for each), BulkDelete, which is a job."""
    ids = workers(client, unique("B"), 4)
    client.records.update("cdm_worker", ids, {"cdm_lastname": "Ash"})
    client.records.update("cdm_worker", ids[:2], [{"cdm_lastname": "Elm"}, {"cdm_lastname": "Oak"}])
    rows = client.records.list("cdm_worker", filter=col("cdm_workerid").in_(ids), select=["cdm_lastname"])
    assert {row["cdm_workerid"]: row["cdm_lastname"] for row in rows} == dict(
        zip(ids, ["Elm", "Oak", "Ash", "Ash"], strict=True)
    )
    job = client.records.delete("cdm_worker", ids[:3])
    assert job is not None
    assert uuid.UUID(job)
    wanted: dict[str, Any] = {"filter": col("cdm_workerid").in_(ids), "select": ["cdm_workernumber"]}
    assert len(client.records.list("cdm_worker", **wanted)) == 4
    bare.clock.advance(timedelta(seconds=10))
    assert [row["cdm_workerid"] for row in client.records.list("cdm_worker", **wanted)] == ids[3:]
    assert client.records.delete("cdm_worker", ids[3:], use_bulk_delete=False) is None
    assert len(client.records.list("cdm_worker", **wanted)) == 0


def test_upserts(client: DataverseClient) -> None:
    """PATCH by alternate key, UpsertMultiple by ``@odata.id``; a key of two columns, one of them a lookup."""
    company = uuid.UUID(client.records.create("cdm_company", {"cdm_companycode": uuid.uuid4().hex[:8]}))
    group = unique("G")

    def item(number: int, text: str) -> UpsertItem:
        key = {"msdyn_groupid": f"{group}'{number}", "_msdyn_company_value": company}
        return UpsertItem(alternate_key=key, record={"msdyn_description": text})

    client.records.upsert("msdyn_customergroup", [item(1, "one")])
    client.records.upsert("msdyn_customergroup", [item(1, "first"), item(2, "two"), item(3, "three")])
    found = client.records.list(
        "msdyn_customergroup",
        filter=col("_msdyn_company_value") == company,
        orderby=["msdyn_groupid desc"],
        select=["msdyn_groupid", "msdyn_description"],
    )
    assert [row["msdyn_description"] for row in found] == ["three", "two", "first"]


def test_queries(client: DataverseClient) -> None:
    """The query builder: conditions, order, pages, counts, formatted values, expansions."""
    prefix = unique("Q")
    ids = workers(client, prefix, 7)
    number = col("cdm_workernumber")
    own = number.startswith(f"{prefix}-")

    def found(expression: Any) -> list[str]:
        rows: Any = client.query.builder("cdm_worker").select("cdm_workernumber").where(own).where(expression).execute()
        return sorted(row["cdm_workernumber"].removeprefix(f"{prefix}-") for row in rows)

    assert found(number == f"{prefix}-3".upper()) == ["3"]
    assert found(number.in_([f"{prefix}-1", f"{prefix}-2"])) == ["1", "2"]
    assert found(number.not_in([f"{prefix}-1", f"{prefix}-2"])) == ["0", "3", "4", "5", "6"]
    assert found(number.between(f"{prefix}-2", f"{prefix}-4")) == ["2", "3", "4"]
    assert found(~(number >= f"{prefix}-2")) == ["0", "1"]
    assert found(number.like("%-5") | col("cdm_lastname").contains("e 6")) == ["5", "6"]
    assert found(col("cdm_lastname").is_null()) == []
    assert found((col("createdon") > date(2000, 1, 1)) & (col("statecode") == 0)) == [str(n) for n in range(7)]

    query = client.query.builder("cdm_worker").select("cdm_lastname").where(own).order_by("cdm_lastname")
    pages = list(query.page_size(3).count().execute_pages())
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [row["cdm_workerid"] for page in pages for row in page] == ids
    top: Any = client.query.builder("cdm_worker").where(own).order_by("cdm_lastname", descending=True).top(2).execute()
    assert [row["cdm_workerid"] for row in top] == [ids[6], ids[5]]

    user = ExpandOption("createdby").select("fullname")
    expanded: Any = client.query.builder("cdm_worker").where(own).expand(user).include_formatted_values().execute()
    row = expanded.first()
    assert row is not None
    assert row["createdby"]["fullname"] == "# Integration application"
    assert row["statecode@OData.Community.Display.V1.FormattedValue"] == "Active"
    named: Any = client.query.builder("cdm_worker").select("cdm_lastname").where(own).execute()
    frame = named.to_dataframe()
    assert sorted(frame["cdm_lastname"]) == [f"Name {n}" for n in range(7)]


def test_batches(client: DataverseClient) -> None:
    """$batch with a change set, content ids, a failing request, and reads whose URLs hold spaces."""
    prefix = unique("X")
    batch = client.batch.new()
    batch.records.create("cdm_worker", {"cdm_workernumber": f"{prefix}-0"})
    batch.records.create("cdm_worker", [{"cdm_workernumber": f"{prefix}-{n}"} for n in (1, 2)])
    batch.records.upsert(
        "cdm_worker",
        [UpsertItem({"cdm_workernumber": f"{prefix}-{n}"}, {"cdm_lastname": f"Upserted {n}"}) for n in (2, 3)],
    )
    with batch.changeset() as changes:
        parent = changes.records.create("account", {"name": f"{prefix} parent"})
        changes.records.create("account", {"name": f"{prefix} child", "parentaccountid@odata.bind": parent})
        changes.records.update("account", parent, {"description": "from a change set"})
    batch.records.list("cdm_worker", filter=f"startswith(cdm_workernumber,'{prefix}-')", orderby=["cdm_workernumber"])
    batch.tables.get("cdm_worker")
    result = batch.execute()
    assert not result.has_errors, result.failed
    assert [answer.status_code for answer in result.responses] == [204, 200, 204, 204, 204, 204, 200, 200]
    listed = result.responses[6].data
    assert listed is not None
    rows = listed["value"]
    assert [row["cdm_lastname"] for row in rows] == [None, None, "Upserted 2", "Upserted 3"]
    child = client.records.retrieve("account", result.entity_ids[2], expand=["parentaccountid"])
    assert child is not None
    assert child["parentaccountid"]["description"] == "from a change set"

    batch = client.batch.new()
    batch.records.delete("account", result.entity_ids[2])
    batch.records.delete("account", str(uuid.uuid4()))
    with batch.changeset() as changes:
        changes.records.create("cdm_worker", {"cdm_workernumber": f"{prefix}-8"})
        changes.records.create("cdm_worker", {"cdm_workernumber": f"{prefix}-0"})
    batch.records.create("cdm_worker", {"cdm_workernumber": f"{prefix}-9"})
    result = batch.execute(continue_on_error=True)
    assert [answer.status_code for answer in result.responses] == [204, 404, 412, 204]
    assert result.responses[2].error_code == "0x80060892"
    left = client.records.list("cdm_worker", filter=f"startswith(cdm_workernumber,'{prefix}-')")
    assert {row["cdm_workernumber"][-1] for row in left} == {"0", "1", "2", "3", "9"}


def test_data_frames(client: DataverseClient, bare: Sandbox) -> None:
    """Rows from and to pandas: create, update with and without clearing, read, delete."""
    prefix = unique("D")
    frame = pd.DataFrame(
        {"cdm_workernumber": [f"{prefix}-{n}" for n in range(3)], "cdm_lastname": ["Ash", None, "Oak"]}
    )
    frame["cdm_workerid"] = client.dataframe.create("cdm_worker", frame)
    texts: Any = ["Elm", "Fir", None]
    changes = frame.assign(cdm_lastname=texts)[["cdm_workerid", "cdm_lastname"]]
    client.dataframe.update("cdm_worker", changes, id_column="cdm_workerid")

    def names() -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own method
            read = client.dataframe.get(
                "cdm_worker", select=["cdm_lastname"], filter=f"startswith(cdm_workernumber,'{prefix}')",
                orderby=["cdm_workernumber"], page_size=2,
            )  # fmt: skip
        return [None if pd.isna(name) else name for name in read["cdm_lastname"]]

    assert names() == ["Elm", "Fir", "Oak"]
    client.dataframe.update("cdm_worker", changes, id_column="cdm_workerid", clear_nulls=True)
    assert names() == ["Elm", "Fir", None]
    assert client.dataframe.delete("cdm_worker", frame["cdm_workerid"]) is not None
    bare.clock.advance(timedelta(seconds=10))
    assert client.records.list("cdm_worker", filter=f"startswith(cdm_workernumber,'{prefix}')").first() is None


def test_definitions(client: DataverseClient) -> None:
    """Tables, columns (also typed, by RetrieveMetadataChanges), keys, relationships."""
    info = client.tables.get("account")
    assert info is not None
    assert (info["entity_set_name"], info["primary_id_attribute"]) == ("accounts", "accountid")
    assert client.tables.get("nothing") is None
    assert {"account", "msdyn_project"} <= {
        row["LogicalName"] for row in client.tables.list(select=["LogicalName"], filter="IsActivity eq false")
    }
    columns = {row["LogicalName"]: row for row in client.tables.list_columns("account", typed=True)}
    assert (columns["accountnumber"]["MaxLength"], columns["creditlimit"]["Precision"]) == (20, 4)
    texts = client.tables.list_columns("account", select=["LogicalName"], filter="AttributeType eq 'String'")
    assert {"name", "accountnumber"} <= {row["LogicalName"] for row in texts}
    assert [key.key_attributes for key in client.tables.get_alternate_keys("cdm_worker")] == [["cdm_workernumber"]]
    relationships = client.tables.list_table_relationships("cdm_worker")
    owner = next(row for row in relationships if row["ReferencingAttribute"] == "ownerid")
    relationship = client.tables.get_relationship(owner["SchemaName"])
    assert relationship is not None
    assert relationship.referenced_entity == "systemuser"
    with pytest.raises(MetadataError):
        client.records.create("nothing", {"name": "x"})


def test_what_is_not_played_is_refused(client: DataverseClient) -> None:
    """SQL, FetchXML and changes of definitions: status 501, naming the feature."""
    xml = '<fetch><entity name="account"><attribute name="name"/></entity></fetch>'
    for use in (
        lambda: client.query.sql("SELECT TOP 1 name FROM account"),
        lambda: list(client.query.fetchxml(xml).execute()),
        lambda: client.tables.create("new_Thing", {"new_Title": "string"}),
    ):
        with pytest.raises(HttpError, match="does not implement") as refused:
            use()
        assert refused.value.status_code == 501
