"""Accrued revenue of what is invoiced is taken back [R9]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R9",
    title="Accrued revenue of invoiced sales = 0",
    area="project_invoices",
    severity="critical",
    compares=(
        "Balances of WIP sales value and accrued revenue against the unbilled sales that are posted and not invoiced"
    ),
    evidence="documented",
    basis=("H17",),
    exclusions=("accruals between companies",),
    finance_set="LedgerEntries",
    given="""
WITH accrued AS (
    SELECT company, posting_type, sum(debit - credit) AS amount FROM ledger_entries
    WHERE posting_type IN ('ProjectWipSalesValue', 'ProjectAccruedRevenue') GROUP BY ALL
), waiting AS (
    SELECT e.company, e.posting_type, sum(e.debit - e.credit) AS amount FROM ledger_entries e
    WHERE e.posting_type IN ('ProjectWipSalesValue', 'ProjectAccruedRevenue') AND (e.company, e.voucher) IN
        (SELECT (company, voucher) FROM project_transactions WHERE status = 'Posted' AND origin = 'IntegrationJournal')
    GROUP BY ALL
)
    """,
    checks=(
        Check(
            "b",
            proves="The balance of the accrual accounts is what is posted and not invoiced yet",
            judges="ledger_entries",
            sql="""
SELECT company, posting_type AS key, posting_type AS finance_key, 'balance' AS class,
    COALESCE(w.amount, 0)::VARCHAR AS dataverse_value, COALESCE(a.amount, 0)::VARCHAR AS finance_value,
    COALESCE(w.amount, 0) - COALESCE(a.amount, 0) AS amount, g.currency,
    'what is not invoiced yet, against the balance' AS explanation
FROM accrued a FULL JOIN waiting w USING (company, posting_type) LEFT JOIN ledgers g USING (company)
WHERE COALESCE(w.amount, 0) <> COALESCE(a.amount, 0)
            """,
        ),
    ),
)
