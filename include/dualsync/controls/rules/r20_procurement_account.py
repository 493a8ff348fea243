"""R20: the procurement integration account holds what is posted and not yet journalled."""

from dualsync.controls.model import Control

CONTROL = Control(
    id="R20",
    title="Procurement integration account = posted vendor lines without posted journal line",
    area="vendor_invoices",
    severity="critical",
    compares=(
        "Balance of the procurement integration account against posted project vendor lines less posted "
        "journal lines of them"
    ),
    needs=(
        "ledger_entries",
        "parameters",
        "vendor_headers",
        "vendor_lines",
        "vendor_line_exports",
        "journal_lines",
        "ledgers",
    ),
    evidence="documented",
    basis=("J2",),
    exclusions=("lines kept in stock, which are posted to project cost at once", "invoices between companies"),
    finance_set="LedgerEntries",
    sql="""
WITH balances AS (
    SELECT e.company, sum(e.debit - e.credit) AS amount FROM ledger_entries e JOIN parameters p USING (company)
    WHERE e.account = p.procurement_account GROUP BY ALL
), bought AS (
    SELECT l.company, sum(l.accounting_amount) AS amount FROM vendor_lines l JOIN vendor_headers h USING (company,
        reference)
        JOIN vendor_line_exports x ON x.company = l.company AND lower(x.number) = lower(l.number)
    WHERE h.status = 'Posted' AND COALESCE(x.costed, 0) = 0 GROUP BY ALL
), cleared AS (
    SELECT l.company, sum(l.accounting_amount) AS amount FROM journal_lines l JOIN parameters p USING (company)
    WHERE l.status = 'Posted' AND l.offset_account = p.procurement_account GROUP BY ALL
)
SELECT company, p.procurement_account AS key, 'balance' AS class,
    (COALESCE(s.amount, 0) - COALESCE(c.amount, 0))::VARCHAR AS dataverse_value,
    COALESCE(b.amount, 0)::VARCHAR AS finance_value,
    COALESCE(s.amount, 0) - COALESCE(c.amount, 0) - COALESCE(b.amount, 0) AS amount, g.currency,
    p.procurement_account AS finance_key, concat('posted vendor lines ', COALESCE(s.amount, 0), ' less journal lines ',
        COALESCE(c.amount, 0), ' against the account') AS explanation
FROM parameters p LEFT JOIN balances b USING (company) LEFT JOIN bought s USING (company)
    LEFT JOIN cleared c USING (company) LEFT JOIN ledgers g USING (company)
WHERE COALESCE(s.amount, 0) - COALESCE(c.amount, 0) <> COALESCE(b.amount, 0)
    """,
)
