"""The table maps that come with the package, against what is published about their dual-write counterparts."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dualsync.mapping import Catalog, ConditionalWins, Field, Lookup, Schema, TableMap
from dualsync.mapping.checks import check_catalog
from dualsync.mapping.graph import graph_mermaid, graph_text, levels
from dualsync.mapping.jsonschema import SCHEMA_FILE, schema_text
from dualsync.mapping.views import maps_table

DATA = Path(__file__).parent / "mapping_data"
WAYS = {">": "to_dataverse", "<": "to_finance", "=": "both"}
# parents that the published list leaves out, although lookups of the exported maps name them
SMALL_PARENTS = {
    "payment_days",
    "payment_schedules",
    "customer_payment_methods",
    "vendor_payment_methods",
    "tax_groups",
    "contacts_for_party",
    "customer_contacts",
}

catalog = Catalog.load()
schema = Schema.load()


class Pair(NamedTuple):
    map: str
    finance: str
    way: str
    dataverse: str
    evidence: str


def rows(name: str) -> list[list[str]]:
    lines = [line for line in (DATA / name).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [line.split("\t") for line in lines[1:]]


PAIRS = [Pair(*row) for row in rows("pairs.tsv")]
MAPS = sorted({pair.map for pair in PAIRS})
AREA = [name for name in MAPS if catalog[name].area == "setup_configuration"]
# documented by Microsoft without a list of its pairs, so it is none of the 28
EXPORT = "customer_invoices"
# columns that a lookup names although no pair does: a task is found by its number within its project
HELPERS = {("expenses", "msdyn_task"): ("ProjId",), ("vendor_invoice_lines", "msdyn_task"): ("ProjId",)}
FILES = catalog.declared


def find(table_map: TableMap, pair: Pair) -> Field | Lookup:
    """The field or lookup that stands for a published pair."""
    head, _, rest = pair.dataverse.partition(".")
    for candidate in table_map.pairs:
        if isinstance(candidate, Field):
            wanted = (
                None if pair.dataverse == "none" else pair.dataverse,
                None if pair.finance == "none" else pair.finance,
            )
            if (candidate.dataverse, candidate.finance) == wanted:
                return candidate
            # the id of the record a lookup points to is the lookup's own value
            if (candidate.dataverse, candidate.finance, rest) == (head, pair.finance, "bookableresourceid"):
                return candidate
            # a pair whose other end is nothing that the map could carry has its path in the note
            if candidate.unpaired and candidate.finance == pair.finance and pair.dataverse in candidate.note:
                return candidate
        elif candidate.dataverse == head:
            if candidate.targets is not None:
                # customerid.Account(accountnumber).Contact(msdyn_contactpersonid)
                ends = dict(end.rstrip(")").split("(") for end in rest.split("."))
                ons = {target: candidate.on_of(target) for target in candidate.targets}
                if {target.lower(): column for target, column in ends.items()} == {
                    target: next(word for word, column in on.items() if column == pair.finance)
                    for target, on in ons.items()
                }:
                    return candidate
            elif pair.finance in candidate.finance_columns and (
                not rest or candidate.on_of().get(_last(candidate, rest)) == pair.finance or _read(candidate) == rest
            ):
                return candidate
    raise AssertionError(f"{table_map.map} lacks {pair.finance} {pair.way} {pair.dataverse}")


def _last(lookup: Lookup, rest: str) -> str:
    """The part of a path that a lookup's ``on`` names: what comes after the column read on the way."""
    if lookup.through is not None and lookup.through.lookup:
        assert rest.startswith(f"{lookup.through.column}.")
        return rest.removeprefix(f"{lookup.through.column}.")
    return rest


def _read(lookup: Lookup) -> str | None:
    """The column of another table that holds the Finance value itself."""
    return lookup.through.column if lookup.through is not None and not lookup.through.lookup else None


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.map}-{pair.finance}-{pair.dataverse}")
def test_every_published_pair_is_there_with_way_and_evidence(pair: Pair) -> None:
    found = find(FILES[pair.map], pair)
    assert found.way == WAYS[pair.way]
    assert ",".join(found.evidence) == pair.evidence


def test_no_map_has_a_pair_that_is_not_published() -> None:
    published = Counter(pair.map for pair in PAIRS)
    for name in MAPS:
        ours = len(FILES[name].fields)
        for lookup in FILES[name].lookups:
            ours += len(set(lookup.finance_columns) - set(HELPERS.get((name, lookup.dataverse), ())))
        assert ours == published[name], name


def test_there_are_28_maps_the_export_and_the_reference_maps() -> None:
    assert len(PAIRS) == 372
    assert len(MAPS) == 28
    assert sorted(name for name in FILES if FILES[name].area != "reference") == sorted([*MAPS, EXPORT])
    assert Counter(one.area for one in FILES.values()) == {
        "setup_configuration": 15,
        "expense_management": 2,
        "estimates_actuals": 5,
        "subcontract_purchase_orders": 2,
        "vendor_invoices": 3,
        "project_invoices": 2,
        "reference": 18,
    }


def test_parts_travel_in_the_area_of_the_lines_that_are_built_from_them() -> None:
    assert {name: catalog[name].area for name in catalog if catalog[name].part_of is not None} == {
        "actuals_billed": "project_invoices",
        "transaction_relationships_billed": "project_invoices",
        "vendor_invoices_v2_trigger": "vendor_invoices",
        "subcontracts_trigger": "subcontract_purchase_orders",
    }
    assert catalog.area("project_invoices") == [
        "invoice_proposals",
        "actuals_billed",
        "customer_invoices",
        "transaction_relationships_billed",
    ]
    assert catalog.area("vendor_invoices") == [
        "vendor_invoices_v2",
        "vendor_invoice_lines",
        "vendor_invoices_v2_trigger",
    ]
    assert catalog.area("subcontract_purchase_orders") == ["subcontracts", "subcontract_lines", "subcontracts_trigger"]


@pytest.mark.parametrize("name", MAPS)
def test_needs_are_the_published_dependencies(name: str) -> None:
    published = {parent for child, parent in rows("dependencies.tsv") if child == name}
    # a map and its parts are one to those who published the list; what a trigger needs beside is the unit's affair
    own = [name, *(part for part in catalog.parts(name) if not catalog[part].sends_trigger)]
    needs = {catalog[parent].suite for one in own for parent in catalog.needs(one)} - {name}
    assert published <= needs
    assert needs - published <= SMALL_PARENTS


def test_a_trigger_comes_after_header_and_lines() -> None:
    assert {"subcontracts", "subcontract_lines"} <= set(catalog.needs("subcontracts_trigger"))
    assert {"vendor_invoices_v2", "vendor_invoice_lines"} <= set(catalog.needs("vendor_invoices_v2_trigger"))


def test_parents_come_first_whatever_is_chosen() -> None:
    for names in (None, AREA, ["milestones", "legal_entities", "contract_headers", "currencies"]):
        order = catalog.order(names)
        for position, name in enumerate(order):
            assert not catalog.ancestors(name) & set(order[position:]), name
    assert catalog.order(["project_tasks", "contract_headers"]) == ["contract_headers", "project_tasks"]


def test_children_are_the_other_end_of_needs() -> None:
    assert catalog.children("contract_headers") == (
        "actuals",
        "actuals_billed",
        "contract_lines",
        "funding_sources",
        "invoice_proposals",
        "projects",
    )
    assert catalog.children("milestones") == ()


def test_nothing_is_wrong_with_them() -> None:
    assert check_catalog(catalog, schema) == []


def test_the_schema_for_editors_follows_the_model() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text()


def test_each_file_lies_in_the_folder_of_its_area_under_its_name() -> None:
    for name, table_map in FILES.items():
        assert table_map.path == Path("maps") / table_map.area / f"{name}.yaml"


def test_directions_start_where_rows_are_made() -> None:
    assert catalog["milestones"].directions == ("to_finance", "to_dataverse")
    assert catalog["customers_v3"].directions == ("to_dataverse", "to_finance")
    assert catalog["projects"].directions == ("to_finance",)
    assert catalog["exchange_rates"].directions == ("to_dataverse",)
    assert catalog["actuals"].directions == ("to_finance", "to_dataverse")
    assert catalog["expenses"].directions == ("to_dataverse",)
    assert catalog["vendor_invoices_v2"].directions == ("to_dataverse", "to_finance")
    assert catalog["subcontracts"].directions == ("to_finance", "to_dataverse")
    assert catalog["customer_invoices"].directions == ("to_dataverse",)


def test_who_may_delete() -> None:
    follows = {"contract_headers", "contract_lines", "funding_sources", "projects", "project_tasks", "milestones"}
    follows |= {"hour_estimates", "expense_estimates", "material_estimates", "subcontracts", "subcontract_lines"}
    assert {name for name, table_map in FILES.items() if table_map.rows.deleted_by == "dataverse"} == follows
    assert {table_map.rows.deleted_by for name, table_map in catalog.items() if name not in follows} == {"nobody"}
    assert {catalog[name].rows.leaves for name in ("resource_roles", "transaction_categories")} == {"flag"}


def test_masters_and_required_first_runs() -> None:
    required = sorted(
        (table_map.initial.order, name) for name, table_map in catalog.items() if table_map.initial.order is not None
    )
    assert [name for _, name in required] == [
        "legal_entities",
        "exchange_rates",
        "ledgers",
        "workers",
        "resource_roles",
    ]
    assert all(catalog[name].initial.required for _, name in required)
    for table_map in FILES.values():
        owner = "dataverse" if table_map.rows.created_by == "dataverse" else "finance"
        assert table_map.initial.master == owner, table_map.map


@pytest.mark.parametrize(
    ("name", "side", "row", "travels"),
    [
        ("contract_headers", "dataverse", {"msdyn_ordertype": 192350001}, True),
        ("contract_headers", "dataverse", {"msdyn_ordertype": 192350000}, False),
        ("contract_headers", "dataverse", {"msdyn_ordertype": None}, False),
        ("contract_lines", "dataverse", {"msdyn_linetype": 690970000, "producttypecode": 5}, True),
        ("contract_lines", "dataverse", {"msdyn_linetype": 690970000, "producttypecode": 1}, False),
        ("contract_lines", "dataverse", {"msdyn_linetype": None, "producttypecode": 1}, False),
        ("contract_lines", "dataverse", {"msdyn_linetype": 690970001, "producttypecode": 5}, False),
        ("worker_resources", "dataverse", {"resourcetype": 3, "cdm_workerid": "8d0c"}, True),
        ("worker_resources", "dataverse", {"resourcetype": 3, "cdm_workerid": None}, False),
        ("worker_resources", "dataverse", {"resourcetype": 1, "cdm_workerid": "8d0c"}, False),
        ("customers_v3", "dataverse", {"customertypecode": 3}, True),
        ("customers_v3", "dataverse", {"customertypecode": 11}, False),
        ("customers_v3", "finance", {"PartyType": "Organization"}, True),
        ("customers_v3", "finance", {"PartyType": "Person"}, False),
        ("vendors_v2", "finance", {"VendorPartyType": "Person"}, True),
        ("vendors_v2", "finance", {"VendorPartyType": "None"}, False),
        ("currencies", "finance", {"CurrencyCode": "999"}, False),
        ("currencies", "finance", {"CurrencyCode": "EUR"}, True),
        ("expense_estimates", "dataverse", {"msdyn_transactionclassification": 192350001}, True),
        ("expense_estimates", "dataverse", {"msdyn_transactionclassification": 192350002}, False),
        ("material_estimates", "dataverse", {"msdyn_transactionclassification": 192350002}, True),
        ("actuals", "dataverse", {"msdyn_skipsync": False, "msdyn_transactiontypecode": 192350000}, True),
        ("actuals", "dataverse", {"msdyn_skipsync": True, "msdyn_transactiontypecode": 192350000}, False),
        ("actuals", "dataverse", {"msdyn_skipsync": None, "msdyn_transactiontypecode": 192350000}, False),
        ("actuals", "dataverse", {"msdyn_skipsync": False, "msdyn_transactiontypecode": 192350006}, False),
        ("actuals", "dataverse", {"msdyn_skipsync": False, "msdyn_transactiontypecode": None}, True),
        ("actuals_billed", "dataverse", {"msdyn_skipsync": False, "msdyn_transactiontypecode": 192350006}, True),
        ("actuals_billed", "dataverse", {"msdyn_skipsync": True, "msdyn_transactiontypecode": 192350006}, False),
        ("actuals_billed", "dataverse", {"msdyn_skipsync": False, "msdyn_transactiontypecode": 192350005}, False),
        ("actuals_billed", "dataverse", {"msdyn_skipsync": False, "msdyn_transactiontypecode": None}, False),
        ("actuals_billed", "finance", {"TransactionType": "BilledSales"}, True),
        ("actuals_billed", "finance", {"TransactionType": "Sales"}, False),
        (
            "transaction_relationships",
            "dataverse",
            {"msdyn_transaction1role": "Unbilled", "msdyn_transaction2role": "Cost"},
            True,
        ),
        (
            "transaction_relationships",
            "dataverse",
            {"msdyn_transaction1role": "Billed", "msdyn_transaction2role": "Unbilled"},
            False,
        ),
        (
            "transaction_relationships_billed",
            "dataverse",
            {"msdyn_transaction1role": "Replacing", "msdyn_transaction2role": "Billed"},
            True,
        ),
        (
            "invoice_proposals",
            "dataverse",
            {"msdyn_ordertype": 192350001, "msdyn_projectinvoicestatus": 192350000},
            False,
        ),
        (
            "invoice_proposals",
            "dataverse",
            {"msdyn_ordertype": 192350001, "msdyn_projectinvoicestatus": 192350002},
            True,
        ),
        (
            "invoice_proposals",
            "dataverse",
            {"msdyn_ordertype": 192350001, "msdyn_projectinvoicestatus": 192350004},
            True,
        ),
        (
            "invoice_proposals",
            "dataverse",
            {"msdyn_ordertype": 192350000, "msdyn_projectinvoicestatus": 192350002},
            False,
        ),
        ("actuals", "finance", {"TransactionType": "Sales"}, True),
        ("actuals", "finance", {"TransactionType": "BilledSales"}, False),
    ],
)
def test_only_what_belongs_to_the_map_travels(name: str, side: str, row: dict[str, Any], travels: bool) -> None:
    half = catalog[name].dataverse if side == "dataverse" else catalog[name].finance
    assert half.expression.matches(row) is travels


def test_a_documented_pair_without_a_column_carries_nothing() -> None:
    milestones = catalog["milestones"]
    unpaired = [field for field in milestones.fields if field.unpaired]
    assert [field.finance for field in unpaired] == ["CustomerAccountNumber"]
    assert unpaired[0] not in milestones.pairs_of("to_dataverse")


def test_status_constants_are_sent_once() -> None:
    constants = [field for table_map in FILES.values() for field in table_map.fields if field.constant is not None]
    assert len(constants) == 13
    assert {field.on for field in constants} == {"create"}


def test_accounts_vendors_and_tasks_name_rows_of_their_own_map() -> None:
    assert {(t.map, lookup.dataverse) for t in catalog.values() for lookup in t.self_lookups} == {
        ("customers_v3", "msdyn_billingaccount"),
        ("vendors_v2", "msdyn_invoicevendoraccountnumber"),
        ("project_tasks", "msdyn_parenttask"),
    }


@pytest.mark.parametrize(
    ("row", "unclear"),
    [
        ({"msdyn_skipsync": None, "msdyn_transactiontypecode": 192350000}, True),
        ({"msdyn_skipsync": None, "msdyn_transactiontypecode": 192350006}, True),
        ({"msdyn_skipsync": False, "msdyn_transactiontypecode": 192350000}, False),
        ({"msdyn_skipsync": True, "msdyn_transactiontypecode": 192350000}, False),
    ],
)
def test_an_actual_without_skip_sync_is_held_by_one_part_and_not_left_out(row: dict[str, Any], unclear: bool) -> None:
    conditions = [catalog[name].dataverse.unclear for name in ("actuals", "actuals_billed")]
    assert [one.matches(row) for one in conditions if one is not None].count(True) == int(unclear)
    assert not (
        unclear and any(catalog[one].dataverse.expression.matches(row) for one in ("actuals", "actuals_billed"))
    )


def test_first_runs_of_transactions_start_at_the_cut_over() -> None:
    dated = {name: one.initial.dated_by for name, one in FILES.items() if one.initial.creates == "from_cutover"}
    assert dated == {
        "actuals": "msdyn_documentdate",
        "hour_estimates": "msdyn_fromdate",
        "expense_estimates": "msdyn_startdatetime",
        "material_estimates": "msdyn_startdatetime",
        "expenses": "TransDate",
        "invoice_proposals": "msdyn_invoicedate",
        "customer_invoices": "InvoiceDate",
        "vendor_invoices_v1": "TransDate",
        "vendor_invoices_v2": "TransDate",
        "vendor_invoice_lines": "TransDate",
    }


def test_finance_wins_what_it_has_posted_and_dataverse_the_rest() -> None:
    actuals = catalog["actuals"]
    both = {field.finance: field.wins for field in actuals.fields if field.way == "both"}
    contested = {name: wins.finance for name, wins in both.items() if isinstance(wins, ConditionalWins)}
    assert contested == dict.fromkeys(("ExchangeRate", "AccountingDate", "ExternalReference"), "VoucherNumber ne ''")
    assert {name: wins for name, wins in both.items() if isinstance(wins, str)} == {
        "ActualsImportId": "dataverse",
        "IsJournalized": "finance",
    }
    assert {column for field in actuals.fields_of("to_dataverse") if (column := field.finance)} == {
        *both,
        "VoucherNumber",
        "AccountingAmount",
        "SalesTaxAmount",
    }


def test_relationships_name_no_parent_and_go_by_package() -> None:
    relationships = catalog["transaction_relationships"]
    assert not relationships.lookups
    assert (relationships.scope, relationships.finance.write) == ("global", "package")
    assert catalog.needs("transaction_relationships") == ("actuals",)


def test_the_list_of_maps_counts_pairs_and_evidence() -> None:
    table = {row["map"]: row for row in maps_table(catalog)}
    assert set(table) == set(catalog.order())
    customers = table["customers_v3"]
    assert (customers["pairs"], customers["evidence"]) == (25, {"export": 25})
    assert customers["directions"] == ["to_dataverse", "to_finance"]
    assert "vendors_v2" in customers["needs"]
    assert table["actuals"]["pairs"] == 53  # 54 are published, of which the two of the contract line are one lookup
    assert sum(row["part_of"] is None and row["area"] != "reference" for row in table.values()) == 28 + 1
    names = [row["map"] for row in maps_table(catalog)]
    assert names[names.index("actuals") + 1] == "actuals_billed"
    assert [name for name, row in table.items() if not row["enabled"]] == ["vendor_invoices_v1"]


def test_the_list_of_maps_names_the_published_map_and_its_version() -> None:
    table = {row["map"]: (row["published"], row["published_version"]) for row in maps_table(catalog)}
    assert table["actuals"] == ("Project Operations integration actuals (msdyn_actuals)", "1.0.0.19")
    assert table["actuals_billed"] == table["actuals"], "a part follows the map of its rows"
    assert table["workers"] == ("Worker (cdm_workers)", None)
    assert table["units"] == (None, None)


def test_the_path_of_a_row_to_its_company() -> None:
    assert catalog.company_path(catalog["projects"]) == ((), "msdyn_owningcompany")
    parents, company = catalog.company_path(catalog["contract_lines"])
    assert ([(lookup, parent.map) for lookup, parent in parents], company) == (
        [("salesorderid", "contract_headers")],
        "msdyn_company",
    )


def test_the_graph_shows_levels_and_arrows() -> None:
    assert levels(catalog, ["projects", "legal_entities", "milestones"]) == [
        ["legal_entities"],
        ["projects"],
        ["milestones"],
    ]
    assert "  worker_resources <- workers" in graph_text(catalog).splitlines()
    mermaid = graph_mermaid(catalog, AREA).splitlines()
    assert mermaid[0] == "flowchart LR"
    assert "  projects --> contract_lines" in mermaid
    assert not any("currencies" in line for line in mermaid)


def test_every_column_of_the_area_has_a_kind_and_text_a_length_where_it_is_written() -> None:
    for table_map in catalog.values():
        for field in table_map.fields:
            for side, table in (("dataverse", table_map.dataverse.table), ("finance", table_map.finance.set)):
                name = field.column(side)  # type: ignore[arg-type]
                if name is not None:
                    assert schema.column(side, table, name).kind  # type: ignore[arg-type]


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(KeyError, match="did you mean 'projects'"):
        catalog["project"]
    with pytest.raises(Exception, match="did you mean 'ProjectStage'"):
        schema.column("finance", "ProjectsV2", "ProjctStage")
    with pytest.raises(Exception, match="did you mean 'msdyn_project'"):
        schema.table("dataverse", "msdyn_projct")
