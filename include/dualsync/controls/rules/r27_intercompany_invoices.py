"""What one company charges another is the same all the way [R27]."""

from dualsync.controls.model import Control

CONTROL = Control(
    id="R27",
    title="Inter-organizational sales = intercompany invoice = vendor invoice = project cost",
    area="project_invoices",
    severity="critical",
    compares=(
        "Intercompany customer invoices against their sales, the vendor invoice of the same number, and "
        "posted project costs"
    ),
    needs=(
        "staging",
        "finance_invoices",
        "intercompany_lines",
        "intercompany_relations",
        "vendor_headers",
        "vendor_lines",
        "project_transactions",
    ),
    evidence="derived",
    basis=("K5",),
    exclusions=("borrowing companies that are not part of the night",),
    finance_set="ProjCustomerInvoices",
    sql="""
WITH invoices AS (
    SELECT i.*, upper(i.borrower) AS charged, r.vendor FROM finance_invoices i LEFT JOIN intercompany_relations r
        ON r.company = i.company AND upper(r.borrower) = upper(i.borrower) WHERE i.type = 'Intercompany'
),
lines AS (SELECT company, invoice, sum(amount) AS amount FROM intercompany_lines GROUP BY ALL),
sales AS (
    SELECT l.company, l.invoice, sum(s.amount) AS amount FROM intercompany_lines l
        JOIN staging s ON s.company = l.company AND s.import_id = l.import_id GROUP BY ALL
), bills AS (
    SELECT h.company, h.vendor, h.number, any_value(h.status) AS status, sum(l.net_amount) AS amount
    FROM vendor_headers h JOIN vendor_lines l USING (company, reference) WHERE h.intercompany = 'Yes' GROUP BY ALL
), costs AS (
    SELECT h.company, h.vendor, h.number, sum(t.amount) AS amount
    FROM vendor_headers h JOIN vendor_lines l USING (company, reference)
        JOIN project_transactions t ON t.company = l.company AND t.transaction = l.number
    WHERE h.intercompany = 'Yes' AND t.origin = 'IntercompanyVendorInvoice' GROUP BY ALL
)
SELECT i.company, i.number AS key, i.record_key AS finance_key, 'amount' AS class, v.field,
    i.amount::VARCHAR AS dataverse_value, COALESCE(v.amount::VARCHAR, '') AS finance_value,
    i.amount - COALESCE(v.amount, 0) AS amount, i.currency, 'charged to ' || i.charged AS explanation
FROM invoices i LEFT JOIN lines l ON l.company = i.company AND l.invoice = i.number
    LEFT JOIN sales s ON s.company = i.company AND s.invoice = i.number
    LEFT JOIN bills b ON b.company = i.charged AND b.vendor = i.vendor AND b.number = i.number
    LEFT JOIN costs c ON c.company = b.company AND c.vendor = b.vendor AND c.number = b.number, LATERAL (VALUES
    ('lines of the invoice', l.amount, TRUE), ('inter-organizational sales', s.amount, TRUE),
    ('vendor invoice', b.amount, i.charged IN (SELECT company FROM integrated)),
    ('project cost', c.amount, b.status = 'Posted')) v(field, amount, applies)
WHERE v.applies AND (v.amount IS NULL OR v.amount <> i.amount)
    """,
)
