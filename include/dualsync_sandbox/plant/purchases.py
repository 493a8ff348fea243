"""Exceptions in vendor invoices, subcontracts, receipts and packing slips [R20 to R25, R40]."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import TransactionType
from dualsync_sandbox.business.finance.setup.settings import PROCUREMENT_INTEGRATION_ACCOUNT
from dualsync_sandbox.plant.actuals.chains import ACTUALS, LINES, MAP
from dualsync_sandbox.plant.ground import Ground, NothingToPlantOn, Planted, Rule, book, exact

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row

BILLS, BILL_LINES = "msdyn_projectvendorinvoice", "msdyn_projectvendorinvoiceline"
SUBCONTRACTS, SUBCONTRACT_LINES = "msdyn_subcontract", "msdyn_subcontractline"
ORDERS, ORDER_LINES = "ProjectPurchaseOrders", "ProjectPurchaseOrderLines"
USAGES, SLIP_LINES = "msdyn_materialusagelog", "PackingSlipLines"
_CONFIRMED, _DRAFT = 192350002, 192350000
_ONE = Decimal(1)


# -- vendor invoices


def _bill_line(ground: Ground, *, confirmed: bool = True) -> tuple[Row, Row | None, tuple[str, ...]]:
    """A line of a vendor invoice, its cost actual where it is confirmed, and everything they go by."""
    bills = {row[f"{BILLS}id"]: row for row in ground.rows(BILLS) if ground.code(row)}
    actuals = [row for row in ground.rows(ACTUALS) if row["msdyn_vendorinvoiceline"]]
    costs = {
        row["msdyn_vendorinvoiceline"]: row
        for row in actuals
        if row["msdyn_transactiontypecode"] == TransactionType.COST
        and row["msdyn_adjustmentstatus"] is None
        and row["msdyn_resourcingcompany"] == row["msdyn_owningcompany"]
    }
    lines = [
        row
        for row in ground.rows(BILL_LINES)
        if row["msdyn_vendorinvoice"] in bills and (row[f"{BILL_LINES}id"] in costs) >= confirmed
    ]
    row = ground.choose(lines, lambda row: [row["msdyn_externalinvoiceline"], row["msdyn_vendorinvoice"]])
    cost = costs.get(row[f"{BILL_LINES}id"])
    records = [str(row["msdyn_externalinvoiceline"]), str(row[f"{BILL_LINES}id"])]
    records.append(str(bills[row["msdyn_vendorinvoice"]]["msdyn_vendorinvoicenumber"]))
    for actual in actuals:
        if actual["msdyn_vendorinvoiceline"] == row[f"{BILL_LINES}id"]:
            records += [str(actual["msdyn_actualid"]), str(actual["msdyn_actualimportid"])]
            ground.take(actual["msdyn_actualid"], actual["msdyn_origin"])
    return row, cost, tuple(records)


def _line_planted(
    ground: Ground, kind: str, row: Row, records: tuple[str, ...], *found_by: Rule, also: tuple[str, ...] = ()
) -> Planted:
    return Planted(kind, f"{kind}: {records[0]}", ground.code(row), found_by, also, records)


def bill_line_lost(ground: Ground) -> Planted:
    """A line of a vendor invoice is gone from Dataverse."""
    row, _, records = _bill_line(ground)
    ground.dataverse.remove(BILL_LINES, row)
    found_by = (("R21", "missing_in_dataverse"), (f"table:{BILL_LINES}", "missing_in_dataverse"))
    return _line_planted(ground, "bill-line-lost", row, records, *found_by, also=("R21", MAP))


def bill_line_edited(ground: Ground) -> Planted:
    """A line of a confirmed vendor invoice has another amount in Dataverse."""
    row, _, records = _bill_line(ground)
    ground.dataverse.change(BILL_LINES, row, {"msdyn_subtotal": exact(row, "msdyn_subtotal") + _ONE})
    found_by = (("R21", "amount"), ("R22", "amount"), (f"table:{BILL_LINES}", "amount"))
    return _line_planted(ground, "bill-line-edited", row, records, *found_by)


def bill_line_made_up(ground: Ground) -> Planted:
    """Dataverse has a line that no vendor invoice of Finance has."""
    row, _, records = _bill_line(ground)
    number = ground.new_number(row["msdyn_externalinvoiceline"])
    new = ground.dataverse.copy(BILL_LINES, row, msdyn_externalinvoiceline=number)
    records = (number, str(new[f"{BILL_LINES}id"]))
    found_by = (("R21", "missing_in_finance"), (f"table:{BILL_LINES}", "wrong_owner"))
    return _line_planted(ground, "bill-line-made-up", row, records, *found_by, also=("R22",))


def bill_lost(ground: Ground) -> Planted:
    """A vendor invoice is gone from Dataverse, its lines are not."""
    row, _, records = _bill_line(ground)
    bill = ground.dataverse_tx.get(BILLS, row["msdyn_vendorinvoice"])
    assert bill is not None
    ground.dataverse.remove(BILLS, bill)
    others = ground.rows(BILL_LINES, msdyn_vendorinvoice=bill[f"{BILLS}id"])
    records += tuple(
        str(actual["msdyn_actualid"]) for actual in ground.rows(ACTUALS, msdyn_vendorinvoice=bill[f"{BILLS}id"])
    )
    records += tuple(str(line[name]) for line in others for name in ("msdyn_externalinvoiceline", f"{BILL_LINES}id"))
    found_by = (("R21", "relation"), (f"table:{BILLS}", "missing_in_dataverse"))
    also = (f"table:{BILL_LINES}", MAP)
    return _line_planted(ground, "bill-lost", row, records, *found_by, also=also)


def bill_cost_edited(ground: Ground) -> Planted:
    """The cost actual of a vendor invoice line is of another amount."""
    row, cost, records = _bill_line(ground)
    assert cost is not None
    ground.dataverse.change(ACTUALS, cost, {"msdyn_amount": exact(cost, "msdyn_amount") + _ONE})
    return _line_planted(ground, "bill-cost-edited", row, records, ("R22", "amount"), (MAP, "amount"))


def bill_cost_lost(ground: Ground) -> Planted:
    """The cost actual of a vendor invoice line names another line."""
    row, cost, records = _bill_line(ground)
    assert cost is not None
    ground.dataverse.change(ACTUALS, cost, {"msdyn_vendorinvoiceline": ground.new_id("line")})
    return _line_planted(ground, "bill-cost-lost", row, records, ("R22", "relation"), (MAP, "reference"))


def procurement_off(ground: Ground) -> Planted:
    """Somebody booked on the procurement integration account by hand."""
    rows = [row for row in ground.rows("IntegrationParameters") if row["dataAreaId"] in ground.areas]
    row = ground.choose(rows, lambda row: [f"procurement account {row['dataAreaId']}"])
    account = str(row["ProcurementIntegrationAccount"] or PROCUREMENT_INTEGRATION_ACCOUNT)
    book(ground, row, Decimal("-43.21"), "601500", "LedgerJournal", account)
    company = str(row["dataAreaId"]).upper()
    return Planted(
        "procurement-off", f"booked by hand: {company} {account}", company, (("R20", "balance"),), (), (account,)
    )


# -- subcontracts


def _order(ground: Ground) -> tuple[Row, Row, str, tuple[str, ...]]:
    """A confirmed subcontract with its purchase order."""
    orders = {row["ProjSubContractNumber"]: row for row in ground.rows(ORDERS) if row["dataAreaId"] in ground.areas}
    rows = [
        row
        for row in ground.rows(SUBCONTRACTS, statuscode=192350001)
        if row["msdyn_subcontractnumber"] in orders and ground.code(row)
    ]
    row = ground.choose(rows, lambda row: [row["msdyn_subcontractnumber"]])
    records = (str(row["msdyn_subcontractnumber"]), str(row[f"{SUBCONTRACTS}id"]))
    return row, orders[row["msdyn_subcontractnumber"]], ground.code(row), records


def order_lost(ground: Ground) -> Planted:
    """The purchase order of a subcontract is gone."""
    _, order, company, records = _order(ground)
    ground.finance.remove(ORDERS, order)
    found_by = (("R23", "missing_in_finance"),)
    return Planted("order-lost", f"purchase order gone: {records[0]}", company, found_by, (), records)


def order_doubled(ground: Ground) -> Planted:
    """A subcontract has two purchase orders."""
    _, order, company, records = _order(ground)
    ground.finance.copy(ORDERS, order, PurchaseOrderNumber=f"PO-D{ground.rng.randrange(10**6):06d}")
    found_by = (("R23", "duplicate_in_finance"),)
    return Planted("order-doubled", f"two purchase orders: {records[0]}", company, found_by, (), records)


def order_opened(ground: Ground) -> Planted:
    """The purchase order of a confirmed subcontract is a draft."""
    _, order, company, records = _order(ground)
    ground.finance.change(ORDERS, order, {"DocumentState": "Draft"})
    return Planted("order-opened", f"order in draft: {records[0]}", company, (("R23", "status"),), (), records)


def _order_line(ground: Ground) -> tuple[Row, Row, str, tuple[str, ...]]:
    """A line of a confirmed subcontract with its line of the purchase order."""
    confirmed = {row[f"{SUBCONTRACTS}id"]: row for row in ground.rows(SUBCONTRACTS, statuscode=192350001)}
    ordered = {
        row["ProjSubContractLineNumber"]: row
        for row in ground.rows(ORDER_LINES)
        if row["dataAreaId"] in ground.areas and row["ProjSubContractLineNumber"]
    }
    rows = [
        row
        for row in ground.rows(SUBCONTRACT_LINES)
        if row["msdyn_subcontract"] in confirmed and row["msdyn_subcontractlinenumber"] in ordered
    ]
    row = ground.choose(rows, lambda row: [row["msdyn_subcontractlinenumber"]])
    line = ordered[row["msdyn_subcontractlinenumber"]]
    records = (str(row["msdyn_subcontractlinenumber"]), str(row[f"{SUBCONTRACT_LINES}id"]))
    return row, line, str(line["dataAreaId"]).upper(), records


def order_line_lost(ground: Ground) -> Planted:
    """A line of a subcontract has no line of the purchase order."""
    _, line, company, records = _order_line(ground)
    ground.finance.remove(ORDER_LINES, line)
    return Planted(
        "order-line-lost", f"line gone: {records[0]}", company, (("R23", "missing_in_finance"),), ("R24",), records
    )


def order_line_doubled(ground: Ground) -> Planted:
    """A line of a subcontract has two lines of the purchase order."""
    _, line, company, records = _order_line(ground)
    ground.finance.copy(ORDER_LINES, line, LineNumber=ground.rng.randrange(100, 10**6))
    found_by = (("R23", "duplicate_in_finance"),)
    return Planted("order-line-doubled", f"two lines: {records[0]}", company, found_by, (), records)


def _ordered(column: str, kind: str) -> Callable[[Ground], Planted]:
    def plant(ground: Ground) -> Planted:
        _, line, company, records = _order_line(ground)
        ground.finance.change(ORDER_LINES, line, {column: exact(line, column) + _ONE})
        return Planted(kind, f"{column} edited: {records[0]}", company, (("R23", "amount"),), (), records)

    plant.__doc__ = f"{column} of a purchase order line was changed."
    plant.__name__ = kind.replace("-", "_")
    return plant


order_quantity_edited = _ordered("Quantity", "order-quantity-edited")
order_price_edited = _ordered("UnitPrice", "order-price-edited")


def invoiced_too_much(ground: Ground) -> Planted:
    """More of an order line is invoiced than was received."""
    _, line, company, records = _order_line(ground)
    ground.finance.change(ORDER_LINES, line, {"InvoicedQuantity": exact(line, "ReceivedQuantity") + _ONE})
    return Planted("invoiced-too-much", f"invoiced: {records[0]}", company, (("R25", "amount"),), (), records)


def _received(ground: Ground) -> tuple[Row, Row, str, tuple[str, ...]]:
    """A line of a posted receipt of subcontracted work, its order line, and everything they go by."""
    receipts = ground.rows("ProductReceipts", ReceiptStatus="Posted")
    posted = {(row["dataAreaId"], row["ProductReceiptNumber"]) for row in receipts}
    ordered: dict[tuple[object, object, object], Row] = {
        (row["dataAreaId"], row["PurchaseOrderNumber"], row["LineNumber"]): row
        for row in ground.rows(ORDER_LINES)
        if row["dataAreaId"] in ground.areas and row["ProjSubContractLineNumber"]
    }

    def line_of(row: Row) -> tuple[object, object, object]:
        return row["dataAreaId"], row["PurchaseOrderNumber"], row["PurchaseOrderLineNumber"]

    rows = [
        row
        for row in ground.rows("ProductReceiptLines")
        if (row["dataAreaId"], row["ProductReceiptNumber"]) in posted and line_of(row) in ordered
    ]

    def keys(row: Row) -> list[object]:
        number = ordered[line_of(row)]["ProjSubContractLineNumber"]
        return [number, *(cost["msdyn_actualid"] for cost in _costs(ground, number))]

    row = ground.choose(rows, keys)
    line = ordered[line_of(row)]
    number = str(line["ProjSubContractLineNumber"])
    return row, line, str(line["dataAreaId"]).upper(), (number,)


def _costs(ground: Ground, number: object) -> list[Row]:
    """Cost actuals of the work on a line of a subcontract; its sales go by their invoices."""
    lines = ground.rows(SUBCONTRACT_LINES, msdyn_subcontractlinenumber=number)
    return [
        cost
        for line in lines
        for cost in ground.rows(
            ACTUALS,
            msdyn_subcontractline=line[f"{SUBCONTRACT_LINES}id"],
            msdyn_transactiontypecode=TransactionType.COST,
        )
    ]


def receipt_lost(ground: Ground) -> Planted:
    """Subcontracted work has no receipt."""
    row, _, company, records = _received(ground)
    ground.finance.remove("ProductReceiptLines", row)
    return Planted("receipt-lost", f"receipt gone: {records[0]}", company, (("R24", "amount"),), (), records)


def receipt_edited(ground: Ground) -> Planted:
    """More is received than was worked."""
    row, _, company, records = _received(ground)
    ground.finance.change("ProductReceiptLines", row, {"Quantity": exact(row, "Quantity") + _ONE})
    return Planted("receipt-edited", f"receipt edited: {records[0]}", company, (("R24", "amount"),), (), records)


# -- packing slips


def _slip(ground: Ground) -> tuple[Row, str, tuple[str, ...]]:
    rows = [row for row in ground.rows(SLIP_LINES) if row["dataAreaId"] in ground.areas]
    row = ground.choose(rows, lambda row: [row["ProjTransId"]])
    return row, str(row["dataAreaId"]).upper(), (str(row["ProjTransId"]),)


def _usage(ground: Ground, code: str, number: str, quantity: object) -> Row:
    """A usage of material as a packing slip line makes it; all other slip lines of the company get theirs, too."""
    mine = [row for row in ground.rows(USAGES) if ground.code(row) == code]
    if not mine:
        raise NothingToPlantOn
    others = {row["msdyn_externalmaterialusage"] for row in mine}
    for row in ground.rows(SLIP_LINES, dataAreaId=code.lower()):
        if (
            row["ProjTransId"] not in others
            and row["ProjTransId"] != number
            and not ground.taken & {row["ProjTransId"]}
        ):
            ground.dataverse.copy(
                USAGES, mine[0], msdyn_externalmaterialusage=row["ProjTransId"], msdyn_quantity=row["Quantity"]
            )
    return ground.dataverse.copy(USAGES, mine[0], msdyn_externalmaterialusage=number, msdyn_quantity=quantity)


def slip_edited(ground: Ground) -> Planted:
    """A usage is of another quantity than its packing slip line."""
    row, company, records = _slip(ground)
    new = _usage(ground, company, records[0], exact(row, "Quantity") + _ONE)
    records = (*records, str(new[f"{USAGES}id"]))
    return Planted("slip-edited", f"quantity of the usage: {records[0]}", company, (("R40", "amount"),), (), records)


def slip_lost(ground: Ground) -> Planted:
    """A usage names a packing slip line that Finance does not have."""
    row, company, _ = _slip(ground)
    number = ground.new_number(row["ProjTransId"])
    _usage(ground, company, str(row["ProjTransId"]), row["Quantity"])
    _usage(ground, company, number, row["Quantity"])
    text = f"usage of no packing slip line: {number}"
    return Planted("slip-lost", text, company, (("R40", "missing_in_finance"),), (), (number,))


def slip_unused(ground: Ground) -> Planted:
    """A packing slip line made no usage, though others of its company did."""
    row, company, _ = _slip(ground)
    _usage(ground, company, str(row["ProjTransId"]), row["Quantity"])
    number = ground.new_number(row["ProjTransId"])
    ground.finance.copy(SLIP_LINES, row, LineNumber=ground.rng.randrange(100, 10**6), ProjTransId=number)
    ground.take(number)
    found_by = (("R40", "missing_in_dataverse"),)
    return Planted("slip-unused", f"no usage: {number}", company, found_by, (), (number,))


def slip_journalled(ground: Ground) -> Planted:
    """The cost of a usage that Finance has posted itself stands in a journal again."""
    row, company, records = _slip(ground)
    lines = [
        line
        for line in ground.rows(LINES, dataAreaId=company.lower(), TransactionType="Cost", CategoryType="Item")
        if not ground.taken.intersection([str(line["ActualsImportId"])])
    ]
    with_actuals = [(line, ground.rows(ACTUALS, msdyn_actualimportid=line["ActualsImportId"])) for line in lines]
    mine = [
        (line, actuals[0]) for line, actuals in with_actuals if actuals and not actuals[0]["msdyn_vendorinvoiceline"]
    ]
    if not mine:
        raise NothingToPlantOn
    _, actual = ground.rng.choice(mine)
    ground.take(actual["msdyn_actualimportid"], actual["msdyn_actualid"], actual["msdyn_origin"])
    usage = ground.dataverse_tx.get(USAGES, actual["msdyn_origin"])
    if usage is None:
        raise NothingToPlantOn
    spare = _usage(ground, company, records[0], row["Quantity"])
    ground.dataverse.remove(USAGES, spare)
    values = {"msdyn_externalmaterialusage": records[0], "msdyn_quantity": row["Quantity"]}
    ground.dataverse.change(USAGES, usage, values)
    records = (*records, str(actual["msdyn_actualid"]), str(usage[f"{USAGES}id"]))
    text = f"journalled again: {records[0]}"
    return Planted("slip-journalled", text, company, (("R40", "duplicate_in_finance"),), (), records)


# -- what only looks like a break


def draft_subcontract(ground: Ground) -> Planted:
    """A draft of a subcontract has no purchase order."""
    row, _, company, records = _order(ground)
    number = ground.new_number(records[0])
    new = ground.dataverse.copy(SUBCONTRACTS, row, msdyn_subcontractnumber=number, statuscode=_DRAFT)
    ground.dataverse.change(SUBCONTRACTS, new, {"createdon": ground.young, "modifiedon": ground.young})
    record = str(new[f"{SUBCONTRACTS}id"])
    return Planted("draft-subcontract", f"draft: {number}", company, (), (), (number, record))


def received_tomorrow(ground: Ground) -> Planted:
    """Work of the last day is received tomorrow."""
    row, line, company, records = _received(ground)
    ground.finance.remove("ProductReceiptLines", row)
    for actual in _costs(ground, line["ProjSubContractLineNumber"]):
        ground.dataverse.change(ACTUALS, actual, {"modifiedon": ground.young})
    return Planted("received-tomorrow", f"received tomorrow: {records[0]}", company, (), (), records)


def bill_of_no_project(ground: Ground) -> Planted:
    """A vendor invoice line of no project is none of Dataverse's business."""
    between = {
        (header["dataAreaId"], header["TableRefId"])
        for header in ground.rows("VendorInvoiceHeaders", IsIntercompany="Yes")
    }
    rows = [
        row
        for row in ground.rows("VendorInvoiceLines")
        if row["dataAreaId"] in ground.areas and row["ProjId"] and (row["dataAreaId"], row["TableRefId"]) not in between
    ]
    row = ground.choose(rows, lambda row: [row["ProjTransId"]])
    number = ground.rng.randrange(100, 10**6)
    ground.finance.copy("VendorInvoiceLines", row, LineNumber=number, ProjId="", ProjDataAreaId="", ProjTransId="")
    company = str(row["dataAreaId"]).upper()
    record = f"{row['TableRefId']}|{number}"
    return Planted("bill-of-no-project", f"line of no project: {record}", company, (), (), (record,))


BREAKS = (
    bill_line_lost,
    bill_line_edited,
    bill_line_made_up,
    bill_lost,
    bill_cost_edited,
    bill_cost_lost,
    procurement_off,
    order_lost,
    order_doubled,
    order_opened,
    order_line_lost,
    order_line_doubled,
    order_quantity_edited,
    order_price_edited,
    invoiced_too_much,
    receipt_lost,
    receipt_edited,
    slip_edited,
    slip_lost,
    slip_unused,
    slip_journalled,
)
LOOK_ALIKES = (draft_subcontract, received_tomorrow, bill_of_no_project)
