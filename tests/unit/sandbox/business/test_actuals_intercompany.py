"""Work lent from one company to another, and what then goes to Finance: [K1 to K3, K6, K7, G1]."""

from decimal import Decimal

from dualsync_sandbox.business.dataverse.choices import BillingMethod, TransactionClass, TransactionType
from dualsync_sandbox.business.dataverse.entries.approvals import approve_material, approve_time, cancel_approval
from dualsync_sandbox.business.dataverse.journals import post_entry_journal
from support.project_office import Works

FOUR = [
    TransactionType.COST,
    TransactionType.UNBILLED_SALES,
    TransactionType.RESOURCING_UNIT_COST,
    TransactionType.INTER_ORGANIZATIONAL_SALES,
]


def lent(works: Works, project: str, hours: str = "10") -> str:
    """Hours of a consultant from the British company."""
    return str(works.time(project, hours, msdyn_bookableresource=works.resource("GBPM")))


def test_the_example_of_ten_hours(works: Works) -> None:
    """120 USD, 88 GBP and 200 USD an hour, by line totals [K1, K3, K6]."""
    rows = approve_time(works.dataverse, lent(works, works.project()))
    told = [
        (
            row["msdyn_transactiontypecode"],
            row["msdyn_amount"],
            works.iso(row["transactioncurrencyid"]),
            works.code(row["msdyn_owningcompany"]),
            row["msdyn_skipsync"],
        )
        for row in rows
    ]
    assert told == [
        (TransactionType.COST, 1200, "USD", "USPM", True),
        (TransactionType.UNBILLED_SALES, 2000, "USD", "USPM", False),
        (TransactionType.RESOURCING_UNIT_COST, 880, "GBP", "GBPM", False),
        (TransactionType.INTER_ORGANIZATIONAL_SALES, 1200, "USD", "GBPM", False),
    ]
    assert {works.code(row["msdyn_resourcingcompany"]) for row in rows} == {"GBPM"}
    assert [row["msdyn_price"] for row in rows] == [120, 200, 88, 120]
    assert {row["msdyn_project"] for row in rows} == {rows[0]["msdyn_project"]}


def test_only_time_and_material_has_the_unbilled_one(works: Works) -> None:
    """Three actuals on a fixed price [K1]."""
    rows = approve_time(works.dataverse, lent(works, works.project(BillingMethod.FIXED_PRICE)))
    assert [row["msdyn_transactiontypecode"] for row in rows] == [FOUR[0], *FOUR[2:]]


def test_another_unit_of_the_same_company_stays_in_dataverse(works: Works) -> None:
    """The pair arises, but only cost and unbilled sales go to Finance [K2]."""
    with works.dataverse.transaction() as tx:
        other = tx.insert(
            "msdyn_organizationalunit",
            {
                "msdyn_name": "Second unit",
                "msdyn_company": works.company(),
                "transactioncurrencyid": works.currency(),
            },
        )
    entry = works.time(works.project(), msdyn_resourceorganizationalunitid=other["msdyn_organizationalunitid"])
    rows = approve_time(works.dataverse, entry)
    assert [row["msdyn_transactiontypecode"] for row in rows] == FOUR
    assert [row["msdyn_skipsync"] for row in rows] == [False, False, True, True]


def test_the_own_company_makes_no_pair(works: Works) -> None:
    """Rule [K2]."""
    rows = approve_time(works.dataverse, works.time(works.project()))
    assert [row["msdyn_transactiontypecode"] for row in rows] == FOUR[:2]


def test_the_pair_is_connected(works: Works) -> None:
    """Assumed for intercompany [F1]."""
    cost, unbilled, unit_cost, sales = (
        row["msdyn_actualid"] for row in approve_time(works.dataverse, lent(works, works.project()))
    )
    assert works.connections() == {
        (unbilled, "Unbilled", cost, "Cost"),
        (sales, "Inter-organizational sales", unit_cost, "Resourcing unit cost"),
        (sales, "Inter-organizational sales", cost, "Cost"),
    }


def test_a_reversal_goes_where_its_original_went(works: Works) -> None:
    """Company and Skip Sync of the original [E6, G1, R10]."""
    entry = lent(works, works.project())
    made = approve_time(works.dataverse, entry)
    reversals = cancel_approval(works.dataverse, TransactionClass.TIME, entry)
    assert [row["msdyn_skipsync"] for row in reversals] == [True, False, False, False]
    assert [row["msdyn_owningcompany"] for row in reversals] == [row["msdyn_owningcompany"] for row in made]
    assert [row["msdyn_amount"] for row in reversals] == [-1200, -2000, -880, -1200]


def test_an_intercompany_expense_is_passed_on_at_cost(works: Works) -> None:
    """There is no transfer price for expenses [K7]."""
    project = works.project()
    works.expense(
        project,
        "157",
        currency="GBP",
        msdyn_externalexpensenumber="E-7",
        msdyn_resourcingcompany=works.company("GBPM"),
    )
    rows = works.actuals(project)
    assert [(row["msdyn_amount"], works.iso(row["transactioncurrencyid"])) for row in rows] == [
        (157, "GBP"),
        (200, "USD"),
        (157, "GBP"),
        (157, "GBP"),
    ]
    assert [works.code(row["msdyn_owningcompany"]) for row in rows] == ["USPM", "USPM", "GBPM", "GBPM"]


def test_materials_are_not_lent(works: Works) -> None:
    """The pair has time and expense only [E-T]."""
    rows = approve_material(works.dataverse, works.material(works.project()))
    assert [row["msdyn_transactiontypecode"] for row in rows] == FOUR[:2]


def test_an_entry_journal_makes_no_pair(works: Works) -> None:
    """Rule [K7]."""
    line = {
        "msdyn_transactiontypecode": TransactionType.COST,
        "msdyn_transactionclassification": TransactionClass.TIME,
        "msdyn_project": works.project(),
        "msdyn_bookableresource": works.resource("GBPM"),
        "msdyn_quantity": Decimal(2),
        "msdyn_price": Decimal(88),
    }
    assert len(post_entry_journal(works.dataverse, [line])) == 1


def test_what_is_not_intercompany_travels(works: Works) -> None:
    """Skip Sync is false unless a rule sets it [G1]."""
    project = works.project()
    approve_time(works.dataverse, works.time(project), billable=Decimal(6))
    assert {row["msdyn_skipsync"] for row in works.actuals(project)} == {False}
