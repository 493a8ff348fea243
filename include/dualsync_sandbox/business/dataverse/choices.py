"""Options of Dataverse's project tables by name, as published with the tables; those of entries are assumed."""

from __future__ import annotations

from enum import IntEnum


class TransactionType(IntEnum):
    """``msdyn_transactiontypecode`` of an actual, an estimate line or a journal line."""

    COST = 192350000
    PROJECT_CONTRACT = 192350004
    UNBILLED_SALES = 192350005
    BILLED_SALES = 192350006
    RESOURCING_UNIT_COST = 192350007
    INTER_ORGANIZATIONAL_SALES = 192350008


class TransactionClass(IntEnum):
    """``msdyn_transactionclassification``."""

    TIME = 192350000
    EXPENSE = 192350001
    MATERIAL = 192350002
    MILESTONE = 192350003
    FEE = 192350004
    RETAINER = 192350005
    TAX = 690970002


class BillingType(IntEnum):
    """``msdyn_billingtype``."""

    NON_CHARGEABLE = 192350000
    CHARGEABLE = 192350001
    COMPLIMENTARY = 192350002
    NOT_AVAILABLE = 192350003


class AdjustmentStatus(IntEnum):
    """``msdyn_adjustmentstatus`` of an actual; none is the fourth [E19]."""

    IN_PROCESS = 192350000
    ADJUSTED = 192350001
    UNADJUSTABLE = 192350002


class BillingStatus(IntEnum):
    """``msdyn_billingstatus`` of an actual [E20]."""

    UNBILLED_SALES_CREATED = 192350000
    CUSTOMER_INVOICE_CREATED = 192350001
    CUSTOMER_INVOICE_POSTED = 192350002
    CANCELED = 192350003
    READY_TO_INVOICE = 192350004


class InvoiceStatus(IntEnum):
    """``msdyn_projectinvoicestatus`` of a proforma invoice [H10]; the number of Posted is assumed."""

    DRAFT = 192350000
    IN_REVIEW = 192350001
    CONFIRMED = 192350002
    INVOICE_PAID = 192350003
    POSTED = 192350004


class MilestoneStatus(IntEnum):
    """``msdyn_invoicestatus`` of a milestone."""

    NOT_READY = 192350000
    READY = 192350001
    CUSTOMER_INVOICE_CREATED = 192350002
    CUSTOMER_INVOICE_POSTED = 192350003


class VendorInvoiceStatus(IntEnum):
    """``statuscode`` of a project vendor invoice [J5]; the numbers are assumed."""

    DRAFT = 192350000
    IN_REVIEW = 192350001
    CONFIRMED = 192350002
    ON_HOLD = 192350003
    CANCELED = 192350004


class VerificationStatus(IntEnum):
    """``msdyn_verificationstatus`` of a project vendor invoice line [J5]; the numbers are assumed."""

    NOT_STARTED = 192350000
    IN_PROGRESS = 192350001
    COMPLETE = 192350002


class SubcontractStatus(IntEnum):
    """``statuscode`` of a subcontract [J11]; the numbers are assumed."""

    DRAFT = 192350000
    CONFIRMED = 192350001
    CLOSED = 192350002
    CANCELED = 192350003


class EntryStatus(IntEnum):
    """``msdyn_entrystatus`` of time and ``msdyn_approvalstatus`` of material usage."""

    DRAFT = 192350000
    RETURNED = 192350001
    APPROVED = 192350002
    SUBMITTED = 192350003
    RECALL_REQUESTED = 192350004


class ExpenseStatus(IntEnum):
    """``msdyn_expensestatus``."""

    DRAFT = 192350000
    SUBMITTED = 192350001
    APPROVED = 192350002
    REJECTED = 192350003
    POSTED = 192350004
    PAID = 192350005
    RECALL_REQUESTED = 192350006


class BillingMethod(IntEnum):
    """``msdyn_billingmethod`` of a contract line."""

    TIME_AND_MATERIAL = 192350000
    FIXED_PRICE = 192350001


class JournalType(IntEnum):
    """``msdyn_journaltype``."""

    ENTRY = 192350000
    CORRECTION = 192350001


INVOICED = frozenset({BillingStatus.CUSTOMER_INVOICE_CREATED, BillingStatus.CUSTOMER_INVOICE_POSTED})
"""Billing statuses of sales that stand on an invoice, draft or confirmed."""

PROJECT_SERVICE_LINE = 5
"""``salesorderdetail.producttypecode`` of a project contract line."""

CONTRACT_CONFIRMED = 192350003
"""``salesorder.msdyn_psastatusreason`` of a confirmed contract."""
