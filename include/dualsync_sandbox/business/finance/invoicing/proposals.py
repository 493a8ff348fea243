"""Invoice proposals: the header that a data package writes, and the lines that Import from staging adds [H2 to H4, H6].

A proposal stays empty until all its billed sales are staged, as many as Dataverse has [H4], and every unbilled sale
behind them is posted [H3]; ``Troubleshoot`` says so, and ``ImportLog`` why. Assumed where no source says it: every
billed sale becomes a line, what is not chargeable without adding to the total; a credited sale needs its original to be
posted; a milestone is found by the external origin of its billed sale; what is written to the header of a posted
proposal changes nothing.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.dataverse_link import BilledLookup
from dualsync_sandbox.business.finance.journals.actuals import Link, Staged, links, staged
from dualsync_sandbox.business.finance.journals.log import log
from dualsync_sandbox.business.finance.journals.staging import STAGING, VALIDATIONS, no_date
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.ledger.tax import added_tax, item_tax_group, tax_group
from dualsync_sandbox.business.finance.setup.categories import CLASSES, project_category
from dualsync_sandbox.business.finance.setup.milestones import MILESTONES
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, text
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.schema import NO_GUID

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

PROPOSALS, HEADERS, LINES = "ProjInvoiceProposalsV2", "ProjInvoiceProposalHeaders", "ProjInvoiceProposalLines"
SEQUENCE = "PIP"
"""Number sequence of proposals, which must let users change the number, since it is the proforma's [H2]."""

MILESTONE, RETAINER = 192350003, 192350005
"""``TransactionClassification`` of what is invoiced on account."""

UNADJUSTABLE = 192350002
"""``AdjustmentStatus`` of a billed sale that takes another one back."""

_CLASSES = {**CLASSES, MILESTONE: "OnAccount"}
_CARRIED = (
    "ProjectContractId", "FundingSourceId", "SalesCurrency", "InvoiceDate", "InvoiceHeaderText", "PaymentTermsName",
)  # fmt: skip


class Held(Exception):
    """A proposal that gets no lines yet; the message goes to the import log."""


class Proposals:
    """Fills the proposals of one company.

    Args:
        tx: The transaction.
        settings: The company's parameters.
        billed: How many billed sales Dataverse has on a proforma.
    """

    def __init__(self, tx: Tx, settings: CompanySettings, billed: BilledLookup) -> None:
        self._tx = tx
        self._settings = settings
        self._area = settings.area
        self._billed = billed
        self._category = cache(self._find_category)
        self._line_property = cache(self._find_line_property)
        self._item_group = cache(self._find_item_group)
        self._groups: dict[tuple[object, ...], str] = {}
        self.filled: list[str] = []
        self.held: list[tuple[str, str]] = []

    def fill(self) -> None:
        """Add the lines of every proposal that has none and can have them all."""
        for header in self._tx.find(HEADERS, dataAreaId=self._area, ProposalStatus="Open", LineCount=0):
            number = str(header["InvoiceProposalId"])
            try:
                lines = self._lines(header)
            except Held as why:
                self._hold(header, str(why))
                continue
            self._write(header, lines)
            self.filled.append(number)

    def _hold(self, header: Row, why: str) -> None:
        number = str(header["InvoiceProposalId"])
        self.held.append((number, why))
        if header["Message"] != why[:500]:
            self._tx.update(HEADERS, header["RecId"], {"Message": why[:500], "Troubleshoot": "Yes"})
        log(self._tx, self._area, why, InvoiceProposalId=number)

    # -- whether it can be filled

    def _lines(self, header: Row) -> list[Row]:
        number = str(header["InvoiceProposalId"])
        sales = self._tx.find(STAGING, dataAreaId=self._area, InvoiceProposalId=number, TransactionType="BilledSales")
        in_dataverse = self._billed(self._area, number)
        if in_dataverse != len(sales):
            raise Held(
                "Invoice proposal wasn't processed because of mismatched billed sales actuals. "
                f"{number} has {in_dataverse} in Dataverse and {len(sales)} in Finance."
            )
        if not sales:
            raise Held(f"Invoice proposal {number} has no billed sales actuals.")
        if any(sale["TransactionCurrencyId"] != header["SalesCurrency"] for sale in sales):
            raise Held(f"Invoice proposal {number} is in another currency than its billed sales actuals.")
        if self._settings.prevalidates:
            self._check_validated(number, sales)
        unbilled = self._unbilled(number, sales)
        return [self._line(sale, place, unbilled.get(str(sale["ActualId"]))) for place, sale in enumerate(sales, 1)]

    def _check_validated(self, number: str, sales: list[Row]) -> None:
        """Hold a proposal back until its billed sales are validated [G3]."""
        for sale in sales:
            key = {"dataAreaId": self._area, "ActualsImportId": sale["ActualsImportId"], "Status": "Valid"}
            if self._tx.find_one(VALIDATIONS, **key) is None:
                raise Held(f"The billed sales actuals of {number} aren't validated against Dataverse yet.")

    def _unbilled(self, number: str, sales: list[Row]) -> dict[str, Staged]:
        """The sale behind each billed one: unbilled, or what is credited; all of them posted [H3].

        Raises:
            Held: One is not posted, or nothing says which it is [F3].
        """
        links_of = links(self._tx, [str(sale["ActualId"]) for sale in sales])
        behind = {
            str(sale["ActualId"]): _behind(sale, links_of.get(str(sale["ActualId"]), []))
            for sale in sales
            if sale["TransactionClassification"] != MILESTONE or sale["AdjustmentStatus"] == UNADJUSTABLE
        }
        found = staged(self._tx, self._area, {other for others in behind.values() for other in others})
        matched, missing = {}, []
        for actual_id, others in behind.items():
            posted = [found[other] for other in others if other in found and found[other].voucher]
            if posted:
                matched[actual_id] = posted[0]
            else:
                missing.append(next(iter(others), actual_id))
        if missing:
            raise Held(
                f"Invoice proposal {number} wasn't processed because {len(missing)} of the transactions behind its "
                f"billed sales actuals aren't posted. The first is actual {{{missing[0]}}}."
            )
        return matched

    # -- lines

    def _line(self, sale: Row, place: int, behind: Staged | None) -> Row:
        kind = _CLASSES.get(int(exact(sale["TransactionClassification"])))
        if kind is None:
            raise Held(f"Transaction class {sale['TransactionClassification']} is unknown.")
        category = self._category(kind, text(sale, "TransactionCategoryId"))
        if category is None:
            raise Held(f"No project category exists for transaction category {sale['TransactionCategoryId']}.")
        chargeable = sale["BillingType"] == "Chargeable"
        invoiced = exact(sale["Amount"]) if chargeable else Decimal(0)
        group = self._tax_group(sale)
        item = self._item_group(int(exact(sale["TransactionClassification"])), category, text(sale, "ProductNumber"))
        return {
            "dataAreaId": self._area,
            "InvoiceProposalId": sale["InvoiceProposalId"],
            "LineNumber": place,
            "ActualsImportId": sale["ActualsImportId"],
            "UnbilledActualsImportId": behind.import_id if behind else NO_GUID,
            "ContractLineMilestoneIdentifier": self._milestone(sale),
            "TransactionType": kind,
            "TransactionClassification": sale["TransactionClassification"],
            "ProjectId": sale["ProjectId"],
            "ActivityNumber": sale["TaskNumber"],
            "CategoryId": category,
            "LineProperty": self._line_property(str(sale["BillingType"])),
            "BillingType": sale["BillingType"],
            "Quantity": sale["Quantity"],
            "SalesPrice": sale["UnitPrice"],
            "Amount": sale["Amount"],
            "InvoicedAmount": invoiced,
            "CurrencyCode": sale["TransactionCurrencyId"],
            "TaxGroupCode": group,
            "ItemTaxGroupCode": item,
            "SalesTaxAmount": added_tax(self._tx, self._area, group, invoiced, item),
            "TransactionDate": sale["StartDate"] if not no_date(sale["StartDate"]) else sale["DocumentDate"],
            "Description": sale["Description"],
        }

    def _find_category(self, kind: str, category: str) -> str | None:
        """The project category of the company, else its default for the class [G8]."""
        return project_category(self._tx, self._area, category, kind, self._settings.categories[kind])

    def _find_line_property(self, billing_type: str) -> str:
        row = self._tx.find_one("LineProperties", dataAreaId=self._area, BillingType=billing_type)
        return text(row or {}, "LineProperty")

    def _find_item_group(self, classification: int, category: str, product: str) -> str:
        """The item sales tax group; of a milestone its own parameter [H6]."""
        if classification == MILESTONE:
            return self._settings.milestone_item_group
        return item_tax_group(self._tx, self._area, category, product)

    def _tax_group(self, sale: Row) -> str:
        key = tuple(sale[name] for name in ("ProjectId", "ContractId", "CustomerAccountNumber"))
        if key not in self._groups:
            self._groups[key] = tax_group(self._tx, self._settings.tax_method, sale)
        return self._groups[key]

    def _milestone(self, sale: Row) -> str:
        if sale["TransactionClassification"] != MILESTONE:
            return ""
        milestone = text(sale, "ExternalOriginReference")
        key = {"dataAreaId": self._area, "ContractLineMilestoneIdentifier": milestone}
        if not milestone or self._tx.find_one(MILESTONES, **key) is None:
            raise Held(f"The on-account transaction of milestone {milestone} doesn't exist.")
        return milestone

    def _write(self, header: Row, lines: list[Row]) -> None:
        self._tx.insert_many(LINES, lines)
        for line in lines:
            if line["ContractLineMilestoneIdentifier"]:
                status = "InvoiceProposal" if exact(line["Amount"]) >= 0 else "CreditnoteProposal"
                set_milestone(self._tx, self._area, line, status)
        sums = {
            total: sum((exact(line[column]) for line in lines), Decimal(0))
            for total, column in (("InvoiceAmount", "InvoicedAmount"), ("SalesTaxAmount", "SalesTaxAmount"))
        }
        done: Row = {"LineCount": len(lines), "Troubleshoot": "No", "Message": ""}
        self._tx.update(HEADERS, header["RecId"], sums | done)


def _behind(sale: Row, known: list[Link]) -> list[str]:
    """The actuals that a billed sale may rest on: of a credit its original, else its unbilled sale [F1]."""
    roles = ("Reversing", "Original") if sale["AdjustmentStatus"] == UNADJUSTABLE else ("Billed", "Unbilled")
    return [link.other for link in known if (link.role, link.role_of_other) == roles]


def set_milestone(tx: Tx, area: str, line: Row, status: str) -> None:
    """Set how far the invoicing of a line's milestone has come; its on-account transaction follows."""
    key = {"dataAreaId": area, "ContractLineMilestoneIdentifier": line["ContractLineMilestoneIdentifier"]}
    milestone = tx.find_one(MILESTONES, **key)
    if milestone is not None and milestone["TransStatus"] != status:
        tx.update(MILESTONES, milestone["RecId"], {"TransStatus": status})


# -- the header


def _check_number(tx: Tx, event: Event) -> None:
    """Refuse a header whose number Finance would have to take from its own sequence [H2]."""
    proposal = event.after
    assert proposal is not None
    key = {"dataAreaId": str(proposal["dataAreaId"]).lower(), "NumberSequenceCode": SEQUENCE}
    sequence = tx.find_one("NumberSequences", **key)
    if sequence is not None and sequence["AllowsUserChanges"] == "No":
        raise BusinessRuleViolation(
            PROPOSALS, "The number sequence of invoice proposals must allow changes to lower and to higher numbers."
        )


def _customer(tx: Tx, proposal: Row) -> object:
    """The customer of the funding source, else that of the contract."""
    contract = {name: proposal[name] for name in ("dataAreaId", "ProjectContractId")}
    source = tx.find_one(
        "ProjectFundingSources",
        dataAreaId=contract["dataAreaId"],
        ProjectContractID=contract["ProjectContractId"],
        FundingSourceId=proposal["FundingSourceId"],
    )
    if source is not None:
        return source["CustomerOrOrganization"]
    return text(tx.find_one("ProjectContractHeaders", **contract) or {}, "CustomerAccountNumber")


def _follow(tx: Tx, event: Event) -> None:
    """What a data package writes shows on the form, until the proposal is posted."""
    proposal = event.after
    assert proposal is not None
    key = {name: proposal[name] for name in ("dataAreaId", "InvoiceProposalId")}
    values = {name: proposal[name] for name in _CARRIED} | {"CustomerAccountNumber": _customer(tx, proposal)}
    standing = tx.find_one(HEADERS, **key)
    if standing is None:
        tx.insert(HEADERS, {**key, **values, "Troubleshoot": "Yes"})
    elif standing["ProposalStatus"] == "Open" and any(standing[name] != value for name, value in values.items()):
        tx.update(HEADERS, standing["RecId"], values)


def _refuse(tx: Tx, event: Event) -> None:
    """Proposals come from Dataverse alone [H2]."""
    if tx.from_outside:
        raise BusinessRuleViolation(event.table, "Invoice proposals can be neither created nor deleted in Finance.")


def install(finance: Store) -> None:
    """Register the rules with Finance."""
    finance.on(PROPOSALS, {"create"}, _check_number, when="before")
    finance.on(PROPOSALS, {"create", "update"}, _follow)
    finance.on(HEADERS, {"create", "delete"}, _refuse, when="before")
