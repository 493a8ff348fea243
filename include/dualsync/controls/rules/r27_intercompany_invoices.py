"""What one company charges another is the same all the way [R27]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R27",
    title="Inter-organizational sales = intercompany invoice = vendor invoice = project cost",
    area="project_invoices",
    severity="critical",
    compares=(
        "Intercompany customer invoices against their sales, the vendor invoice of the same number, and "
        "posted project costs"
    ),
    evidence="derived",
    basis=("K5",),
    exclusions=("borrowing companies that are not part of the night",),
    finance_set="ProjCustomerInvoices",
    given="""
WITH invoices AS (SELECT *, upper(borrower) AS charged FROM finance_invoices WHERE type = 'Intercompany'),
lines AS (SELECT company, invoice, sum(amount) AS amount FROM intercompany_lines GROUP BY ALL),
sales AS (
    SELECT l.company, l.invoice, sum(s.amount) AS amount FROM intercompany_lines l
        JOIN staging s ON s.company = l.company AND s.import_id = l.import_id GROUP BY ALL
), charges AS (
    SELECT i.*, r.vendor FROM invoices i
        LEFT JOIN intercompany_relations r ON r.company = i.company AND upper(r.borrower) = i.charged
), bills AS (
    SELECT h.company, h.vendor, h.number, any_value(h.status) AS status, sum(l.net_amount) AS amount
    FROM vendor_headers h JOIN vendor_lines l USING (company, reference) WHERE h.intercompany = 'Yes' GROUP BY ALL
), costs AS (
    SELECT h.company, h.vendor, h.number, sum(t.amount) AS amount
    FROM vendor_headers h JOIN vendor_lines l USING (company, reference)
        JOIN project_transactions t ON t.company = l.company AND t.transaction = l.number
    WHERE h.intercompany = 'Yes' AND t.origin = 'IntercompanyVendorInvoice' GROUP BY ALL
)
    """,
    checks=(
        Check(
            "a",
            proves="The lines of an intercompany invoice add up to its amount",
            judges="finance_invoices",
            sql="""
SELECT i.company, i.number AS key, i.record_key AS finance_key, 'amount' AS class,
    'lines of the invoice' AS field, i.amount::VARCHAR AS dataverse_value,
    COALESCE(l.amount::VARCHAR, '') AS finance_value, i.amount - COALESCE(l.amount, 0) AS amount,
    i.currency, 'charged to ' || i.charged AS explanation
FROM invoices i LEFT JOIN lines l ON l.company = i.company AND l.invoice = i.number
WHERE l.amount IS NULL OR l.amount <> i.amount
            """,
        ),
        Check(
            "b",
            proves="The inter-organizational sales of an intercompany invoice add up to its amount",
            judges="finance_invoices",
            sql="""
SELECT i.company, i.number AS key, i.record_key AS finance_key, 'amount' AS class,
    'inter-organizational sales' AS field, i.amount::VARCHAR AS dataverse_value,
    COALESCE(s.amount::VARCHAR, '') AS finance_value, i.amount - COALESCE(s.amount, 0) AS amount,
    i.currency, 'charged to ' || i.charged AS explanation
FROM invoices i LEFT JOIN sales s ON s.company = i.company AND s.invoice = i.number
WHERE s.amount IS NULL OR s.amount <> i.amount
            """,
        ),
        Check(
            "c",
            proves="The borrowing company has a vendor invoice of the same number and amount",
            judges="finance_invoices",
            sql="""
SELECT i.company, i.number AS key, i.record_key AS finance_key, 'amount' AS class,
    'vendor invoice' AS field, i.amount::VARCHAR AS dataverse_value,
    COALESCE(b.amount::VARCHAR, '') AS finance_value, i.amount - COALESCE(b.amount, 0) AS amount,
    i.currency, 'charged to ' || i.charged AS explanation
FROM charges i LEFT JOIN bills b ON b.company = i.charged AND b.vendor = i.vendor AND b.number = i.number
WHERE i.charged IN (SELECT company FROM integrated) AND (b.amount IS NULL OR b.amount <> i.amount)
            """,
        ),
        Check(
            "d",
            proves="The project cost of a posted intercompany vendor invoice is what was charged",
            judges="finance_invoices",
            sql="""
SELECT i.company, i.number AS key, i.record_key AS finance_key, 'amount' AS class,
    'project cost' AS field, i.amount::VARCHAR AS dataverse_value,
    COALESCE(c.amount::VARCHAR, '') AS finance_value, i.amount - COALESCE(c.amount, 0) AS amount,
    i.currency, 'charged to ' || i.charged AS explanation
FROM charges i JOIN bills b ON b.company = i.charged AND b.vendor = i.vendor AND b.number = i.number
    LEFT JOIN costs c ON c.company = b.company AND c.vendor = b.vendor AND c.number = b.number
WHERE b.status = 'Posted' AND (c.amount IS NULL OR c.amount <> i.amount)
            """,
        ),
    ),
)
