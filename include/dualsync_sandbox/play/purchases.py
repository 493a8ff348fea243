"""Events of procurement: vendor invoices, purchase orders and packing slips in Finance, subcontracts in Dataverse."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import (
    EntryStatus,
    SubcontractStatus,
    TransactionClass,
    VendorInvoiceStatus,
)
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time, submit
from dualsync_sandbox.business.dataverse.entries.work import TIME, VENDOR_INVOICE
from dualsync_sandbox.business.dataverse.procurement import subcontracts
from dualsync_sandbox.business.dataverse.procurement.vendor_accounts import VENDOR
from dualsync_sandbox.business.dataverse.procurement.vendor_invoices import (
    confirm_vendor_invoice,
    lines_of,
    verify_lines,
)
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.procurement import packing_slips
from dualsync_sandbox.business.finance.procurement.purchase_orders import (
    ORDER_LINES,
    ORDERS,
    OrderLine,
    confirm_purchase_order,
    create_purchase_order,
    invoice_purchase_order,
    receive_purchase_order,
)
from dualsync_sandbox.business.finance.procurement.subcontracts import (
    generate_subcontract_receipts,
    post_subcontract_receipts,
)
from dualsync_sandbox.business.finance.procurement.vendor_invoices import (
    HEADERS,
    VendorInvoice,
    VendorLine,
    file_vendor_invoice,
    post_vendor_invoice,
)
from dualsync_sandbox.business.finance.setup.procurement import CATEGORIES, PRODUCTS
from dualsync_sandbox.business.finance.setup.settings import CompanySettings
from dualsync_sandbox.play.scene import Event, Facts, Scene, Site

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row

_LENDERS = "ICV-"
"""How the vendor accounts of the group's own companies begin: they invoice by themselves."""


# -- vendor invoices


def post_bill(scene: Scene, code: str, project: str | None) -> Facts:
    """A vendor's invoice for a project is posted, now and then from an order that was received [J1, J2, J7, J8].

    What another company of the group has charged lies there already, and comes first [K5].
    """
    if project is None:
        with scene.finance.reading() as tx:
            pending = tx.find_one(HEADERS, dataAreaId=code.lower(), InvoiceStatus="Pending", IsIntercompany="Yes")
        if pending is not None:
            header = post_vendor_invoice(scene.finance, code, str(pending["TableRefId"]))
            return _told(header) | {"held": False}
    if scene.rng.random() < 0.25:
        return _order_and_invoice(scene, code, project)
    return _post(scene, code, project, by_hand=False)


def hold_payment(scene: Scene, code: str, project: str | None) -> Facts:
    """A vendor's invoice is posted that is not paid before a project manager has confirmed it [J3]."""
    return _post(scene, code, project, by_hand=True)


def _post(scene: Scene, code: str, project: str | None, *, by_hand: bool) -> Facts:
    owner = code
    if project is None and not by_hand and scene.rng.random() < 0.2:
        others = [other for other in scene.parameters.integrated_companies if other != code]
        owner = scene.one_of(others, "borrowing company")
    vendor = _vendor(scene, code)
    site = scene.known_site(owner, project)
    lines = [_line(scene, code, site, vendor, abroad=owner != code) for _ in range(scene.rng.randrange(1, 4))]
    if owner != code:
        lines = [replace(line, company=owner, tax_group="") for line in lines]
    elif scene.rng.random() < 0.2:
        lines.append(VendorLine(Decimal(1), _amount(scene, 20, 300), "Site materials", description="For the office"))
    invoice = VendorInvoice(
        str(vendor["VendorAccountNumber"]),
        _number(scene, code),
        tuple(lines),
        day=scene.today,
        description=f"Deliveries to {site.number}",
        manual_verification=True if by_hand else None,
        blocks_payment=True if by_hand else None,
    )
    header = file_vendor_invoice(scene.finance, code, invoice)
    held = header["IsApprovedForPayment"] == "No"
    return _told(header) | {"held": held, "project": site.number, "project_company": owner}


def _told(header: Row) -> Facts:
    names = {"invoice": "VendorInvoiceNum", "vendor": "InvoiceAccount", "amount": "InvoiceAmount"}
    return {word: header[name] for word, name in names.items()}


def _amount(scene: Scene, least: int, most: int) -> Decimal:
    return Decimal(scene.rng.randrange(least * 100, most * 100)) / 100


def _number(scene: Scene, code: str) -> str:
    with scene.finance.reading() as tx:
        return f"S-{code}-{tx.count(HEADERS, dataAreaId=code.lower()) + 1:05d}"


def _vendor(scene: Scene, code: str) -> Row:
    with scene.finance.reading() as tx:
        vendors = [
            row
            for row in tx.find("VendorsV2", dataAreaId=code.lower(), OnHoldStatus="No")
            if not str(row["VendorAccountNumber"]).startswith(_LENDERS)
        ]
    return scene.one_of(vendors, f"vendor of {code}")


def _role(scene: Scene) -> str:
    with scene.finance.reading() as tx:
        roles = tx.find("ResourceCategoriesShared", IsCategoryDisabled="False")
    return str(scene.one_of(roles, "resource role in Finance")["RoleId"])


def _line(scene: Scene, code: str, site: Site, vendor: Row, *, abroad: bool) -> VendorLine:
    """Return a line: hours, an expense, goods without or with a number; for another company the first two only."""
    kinds = _kinds(scene, code)
    names = [name for name, kind in kinds.items() if kind in ("Hour", "Cost") or not abroad]
    name = scene.one_of(names, f"procurement category of {code} that is mapped")
    kind = kinds[name]
    taxed = str(vendor["SalesTaxGroupCode"]) if scene.rng.random() < 0.5 else ""
    task = scene.known_task(site)
    return replace(_goods(scene, name, kind), project_id=site.number, activity_number=task, tax_group=taxed)


def _goods(scene: Scene, name: str, kind: str) -> VendorLine:
    if kind == "Hour":
        return VendorLine(scene.hours(), _amount(scene, 50, 120), name, role=_role(scene))
    if kind == "Cost":
        return VendorLine(Decimal(1), _amount(scene, 30, 600), name)
    pieces = Decimal(scene.rng.randrange(1, 12))
    if kind == "Item":
        return VendorLine(pieces, _amount(scene, 5, 90), name, description="As delivered")
    return VendorLine(pieces, _amount(scene, 20, 200), item=name)


def _kinds(scene: Scene, code: str) -> dict[str, str]:
    """Return what a company can buy: procurement categories with their class, and item numbers."""
    area = code.lower()
    with scene.finance.reading() as tx:
        settings = CompanySettings.of(tx, area)
        kinds = {}
        for node in tx.find(CATEGORIES, dataAreaId=area):
            chosen = node["ProjectCategoryId"] or settings.categories["Item"]
            category = tx.find_one("ProjectCategories", dataAreaId=area, CategoryId=chosen) if chosen else None
            if category is not None:
                kinds[str(node["CategoryName"])] = str(category["CategoryType"])
        if settings.categories["Item"]:
            for product in tx.find(PRODUCTS, dataAreaId=area):
                if product["ItemNumber"] != settings.write_in:
                    kinds[str(product["ItemNumber"])] = "Product"
    return kinds


def _order_and_invoice(scene: Scene, code: str, project: str | None) -> Facts:
    vendor, site = _vendor(scene, code), scene.known_site(code, project)
    bought = _line(scene, code, site, vendor, abroad=False)
    names = ("quantity", "price", "category", "item", "project_id", "role", "activity_number", "description")
    lines = [OrderLine(**{name: getattr(bought, name) for name in names})]
    account = str(vendor["VendorAccountNumber"])
    number = str(create_purchase_order(scene.finance, code, account, lines)["PurchaseOrderNumber"])
    confirm_purchase_order(scene.finance, code, number)
    receive_purchase_order(scene.finance, code, number)
    made = invoice_purchase_order(scene.finance, code, number, _number(scene, code), day=scene.today)
    header = post_vendor_invoice(scene.finance, code, str(made.header["TableRefId"]))
    return _told(header) | {"order": number, "project": site.number}


def confirm_bill(scene: Scene, code: str, project: str | None) -> Facts:
    """A project manager has verified a vendor invoice, and confirms it [J3, J4]."""
    company = scene.company(code)["cdm_companyid"]
    site = scene.site(code, project) if project else None
    waiting = []
    with scene.dataverse.reading() as tx:
        for status in (VendorInvoiceStatus.DRAFT, VendorInvoiceStatus.IN_REVIEW):
            for invoice in tx.find(VENDOR_INVOICE, msdyn_owningcompany=company, statuscode=status):
                lines = lines_of(tx, invoice[f"{VENDOR_INVOICE}id"])
                ours = site is None or any(line["msdyn_project"] == site.id for line in lines)
                if lines and ours and not invoice["msdyn_enableautomaticconfirmation"]:
                    waiting.append(invoice)
    invoice = scene.one_of(waiting, f"vendor invoice of {code} to confirm")
    invoice_id = str(invoice[f"{VENDOR_INVOICE}id"])
    verify_lines(scene.dataverse, invoice_id)
    rows = confirm_vendor_invoice(scene.dataverse, invoice_id)
    return {"actuals": [row["msdyn_actualid"] for row in rows], "invoice": invoice["msdyn_vendorinvoicenumber"]}


def post_packing_slip(scene: Scene, code: str, project: str | None) -> Facts:
    """Goods are taken from stock for a project [J15]."""
    site = scene.known_site(code, project)
    with scene.finance.reading() as tx:
        stocked = tx.find(PRODUCTS, dataAreaId=code.lower(), IsStocked="Yes")
    item = scene.one_of(stocked, f"item that {code} keeps in stock")
    pieces = Decimal(scene.rng.randrange(1, 6))
    line = packing_slips.SlipLine(str(item["ItemNumber"]), pieces, scene.known_task(site))
    slip = packing_slips.post_packing_slip(scene.finance, code, site.number, [line], day=scene.today)
    return {"slip": slip["PackingSlipNumber"], "project": site.number, "item": item["ItemNumber"], "pieces": pieces}


# -- subcontracts


def create_subcontract(scene: Scene, code: str, project: str | None) -> Facts:
    """Work is given to a vendor: hours, and perhaps goods or tickets with them [J10]."""
    site, company = scene.site(code, project), scene.company(code)["cdm_companyid"]
    with scene.dataverse.reading() as tx:
        vendors = [
            account
            for account in tx.find("account", msdyn_company=company, customertypecode=VENDOR)
            if not str(account["accountnumber"]).startswith(_LENDERS)
        ]
        units = {str(unit["msdyn_symbol"]): unit["uomid"] for unit in tx.find("uom")}
    vendor, role = scene.one_of(vendors, f"vendor of {code}"), scene.role()
    lines: list[Row] = [
        {
            "msdyn_name": "Work on site",
            "msdyn_transactionclassification": TransactionClass.TIME,
            "msdyn_resourcecategory": role["bookableresourcecategoryid"],
            "msdyn_quantity": Decimal(scene.rng.randrange(16, 120, 4)),
            "msdyn_price": _amount(scene, 50, 110),
            "msdyn_unit": units.get("hr"),
        }
    ]
    if scene.rng.random() < 0.5:
        lines.append(_more(scene, units))
    with scene.dataverse.transaction() as tx:
        subcontract = tx.insert(
            subcontracts.TABLE,
            {
                f"{subcontracts.TABLE}id": scene.new_id(tx, subcontracts.TABLE),
                "msdyn_name": f"Work for {site.number}"[:100],
                "msdyn_subcontractdate": scene.today,
                "msdyn_vendor": vendor["accountid"],
                "msdyn_project": site.id,
                "transactioncurrencyid": site.project["transactioncurrencyid"],
                "msdyn_owningcompany": company,
            },
        )
        for line in lines:
            of_line = {
                f"{subcontracts.LINES}id": scene.new_id(tx, subcontracts.LINES),
                "msdyn_subcontract": subcontract[f"{subcontracts.TABLE}id"],
                "msdyn_project": site.id,
                "msdyn_requestedstart": scene.today,
            }
            tx.insert(subcontracts.LINES, of_line | line)
    return {"subcontract": subcontract["msdyn_subcontractnumber"], "project": site.number, "lines": len(lines)}


def _more(scene: Scene, units: dict[str, object]) -> Row:
    common: Row = {"msdyn_quantity": Decimal(scene.rng.randrange(1, 10)), "msdyn_unit": units.get("ea")}
    if scene.rng.random() < 0.5:
        product = scene.product()
        goods = {"msdyn_product": product["productid"], "msdyn_name": product["name"]}
        kind, price = TransactionClass.MATERIAL, _amount(scene, 10, 90)
        return {**common, **goods, "msdyn_transactionclassification": kind, "msdyn_price": price}
    category = scene.category("Travel")["msdyn_transactioncategoryid"]
    kind, price = TransactionClass.EXPENSE, _amount(scene, 40, 300)
    tickets = {"msdyn_transactioncategory": category, "msdyn_name": "Tickets"}
    return {**common, **tickets, "msdyn_transactionclassification": kind, "msdyn_price": price}


def _subcontracts(scene: Scene, code: str, project: str | None, status: SubcontractStatus) -> list[Row]:
    company = scene.company(code)["cdm_companyid"]
    site = scene.site(code, project) if project else None
    with scene.dataverse.reading() as tx:
        return [
            row
            for row in tx.find(subcontracts.TABLE, msdyn_owningcompany=company, statuscode=status)
            if site is None or row["msdyn_project"] == site.id
        ]


def confirm_subcontract(scene: Scene, code: str, project: str | None) -> Facts:
    """A subcontract in draft is confirmed [J10, J11]."""
    drafts = _subcontracts(scene, code, project, SubcontractStatus.DRAFT)
    subcontract = scene.one_of(drafts, f"subcontract of {code} in draft")
    subcontracts.confirm_subcontract(scene.dataverse, str(subcontract[f"{subcontracts.TABLE}id"]))
    return {"subcontract": subcontract["msdyn_subcontractnumber"], "name": subcontract["msdyn_name"]}


def reopen_subcontract(scene: Scene, code: str, project: str | None) -> Facts:
    """A confirmed subcontract is opened again, and more is ordered [J11]."""
    confirmed = _subcontracts(scene, code, project, SubcontractStatus.CONFIRMED)
    subcontract = scene.one_of(confirmed, f"confirmed subcontract of {code}")
    subcontract_id = str(subcontract[f"{subcontracts.TABLE}id"])
    more = Decimal(scene.rng.randrange(4, 20, 4))
    subcontracts.reopen_subcontract(scene.dataverse, subcontract_id)
    with scene.dataverse.transaction() as tx:
        line = tx.find(subcontracts.LINES, msdyn_subcontract=subcontract_id)[0]
        quantity = exact(line["msdyn_quantity"]) + more
        tx.update(subcontracts.LINES, line[f"{subcontracts.LINES}id"], {"msdyn_quantity": quantity})
    return {"subcontract": subcontract["msdyn_subcontractnumber"], "more": more}


def subcontract_time(scene: Scene, code: str, project: str | None) -> Facts:
    """Hours on a confirmed subcontract are entered and approved [J10, J12]."""
    confirmed = {
        row[f"{subcontracts.TABLE}id"]: row for row in _subcontracts(scene, code, project, SubcontractStatus.CONFIRMED)
    }
    with scene.dataverse.reading() as tx:
        lines = [
            line
            for line in tx.find(subcontracts.LINES, msdyn_transactionclassification=TransactionClass.TIME)
            if line["msdyn_subcontract"] in confirmed
        ]
        line = scene.one_of(lines, f"confirmed subcontract of {code} for hours")
        number = tx.find("msdyn_project", msdyn_projectid=line["msdyn_project"])[0]["msdyn_projectnumber"]
    site, worker, hours = scene.site(code, str(number)), scene.worker(code), scene.hours()
    task = scene.one_of(site.leaves, f"task in {site.number}")
    with scene.dataverse.transaction() as tx:
        entry = tx.insert(
            TIME,
            {
                f"{TIME}id": scene.new_id(tx, TIME),
                "msdyn_description": "Work of a subcontractor",
                "msdyn_date": scene.today,
                "msdyn_duration": int(hours * 60),
                "msdyn_type": 192350000,
                "msdyn_entrystatus": EntryStatus.DRAFT,
                "msdyn_bookableresource": worker["bookableresourceid"],
                "msdyn_resourcecategory": line["msdyn_resourcecategory"],
                "msdyn_resourceorganizationalunitid": worker["msdyn_organizationalunit"],
                "msdyn_project": site.id,
                "msdyn_projecttask": task["msdyn_projecttaskid"],
                "msdyn_subcontractline": line[f"{subcontracts.LINES}id"],
                "msdyn_owningcompany": scene.company(code)["cdm_companyid"],
            },
        )
    entry_id = str(entry[f"{TIME}id"])
    submit(scene.dataverse, TransactionClass.TIME, entry_id)
    rows = approve_time(scene.dataverse, entry_id, prices=scene.parameters.prices)
    actuals = [row["msdyn_actualid"] for row in rows]
    return {"actuals": actuals, "entry": entry_id, "project": site.number, "hours": hours}


def subcontract_invoice(scene: Scene, code: str, project: str | None) -> Facts:
    """A subcontractor invoices what was received [J14]."""
    area = code.lower()
    with scene.finance.reading() as tx:
        open_orders = [
            order
            for order in tx.find(ORDERS, dataAreaId=area)
            if order["ProjSubContractNumber"]
            and any(
                exact(line["ReceivedQuantity"]) > exact(line["InvoicedQuantity"])
                and project in (None, line["ProjectId"])
                for line in tx.find(ORDER_LINES, dataAreaId=area, PurchaseOrderNumber=order["PurchaseOrderNumber"])
            )
        ]
    order = scene.one_of(open_orders, f"subcontract of {code} with receipts to invoice")
    number = str(order["PurchaseOrderNumber"])
    made = invoice_purchase_order(scene.finance, code, number, _number(scene, code), day=scene.today)
    header = post_vendor_invoice(scene.finance, code, str(made.header["TableRefId"]))
    return {
        "invoice": header["VendorInvoiceNum"],
        "subcontract": order["ProjSubContractNumber"],
        "order": number,
        "amount": header["InvoiceAmount"],
    }


def generate_receipts(scene: Scene, code: str, project: str | None) -> Facts:  # noqa: ARG001 - for a whole company
    """Finance makes receipts of the subcontracted work that its journals have posted [J12]."""
    return generate_subcontract_receipts(scene.finance, code).as_dict()


def post_receipts(scene: Scene, code: str, project: str | None) -> Facts:  # noqa: ARG001 - for a whole company
    """Finance posts them [J12]."""
    return post_subcontract_receipts(scene.finance, code).as_dict()


PROCUREMENT: dict[str, Event] = {
    "post-vendor-invoice": post_bill,
    "confirm-vendor-invoice": confirm_bill,
    "hold-payment": hold_payment,
    "post-packing-slip": post_packing_slip,
    "create-subcontract": create_subcontract,
    "confirm-subcontract": confirm_subcontract,
    "reopen-subcontract": reopen_subcontract,
    "subcontract-time": subcontract_time,
    "subcontract-invoice": subcontract_invoice,
    "generate-receipts": generate_receipts,
    "post-receipts": post_receipts,
}
"""The events of procurement by name."""
