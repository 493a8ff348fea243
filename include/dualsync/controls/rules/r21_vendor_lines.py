"""Posted project lines of vendor invoices stand in Dataverse, with their invoice [R21]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R21",
    title="Posted project vendor lines = vendor invoice lines, header where there is a line",
    area="vendor_invoices",
    severity="critical",
    compares=(
        "Project lines of posted vendor invoices against vendor invoice lines by their number, and "
        "headers with their lines"
    ),
    evidence="documented",
    basis=("J1",),
    exclusions=(
        "older than the cut-over of their company: Finance has them in its own way",
        "invoices between companies, which are not exported",
    ),
    dataverse_table="msdyn_projectvendorinvoiceline",
    finance_set="VendorInvoiceLines",
    given="""
WITH posted AS (
    SELECT l.company, lower(l.number) AS number, l.cost, h.currency, l.record_key, h.day FROM vendor_lines l
        JOIN vendor_headers h USING (company, reference)
    WHERE h.status = 'Posted' AND h.intercompany IS DISTINCT FROM 'Yes' AND l.project IS NOT NULL
        AND l.number IS NOT NULL
), due AS (
    SELECT p.* FROM posted p JOIN integrated i USING (company) WHERE i.cut_over IS NULL OR p.day >= i.cut_over
), entered AS (
    SELECT l.company, lower(l.number) AS number, l.amount, l.id, l.changed_at, c.code AS currency
        FROM vendor_invoice_lines l
        LEFT JOIN currencies c ON c.id = l.currency_id WHERE l.number IS NOT NULL
)
    """,
    checks=(
        Check(
            "a",
            proves="A posted project line of a vendor invoice stands in Dataverse",
            judges="vendor_lines",
            sql="""
SELECT d.company, upper(d.number) AS key, d.record_key AS finance_key, 'missing_in_dataverse' AS class,
    d.cost::VARCHAR AS finance_value, -d.cost AS amount, d.currency, 'not_synced' AS cause
FROM due d ANTI JOIN entered e USING (company, number)
            """,
        ),
        Check(
            "b",
            proves="A vendor invoice line in Dataverse is posted in Finance",
            judges="vendor_invoice_lines",
            sql="""
SELECT e.company, upper(e.number) AS key, e.id AS dataverse_id, 'missing_in_finance' AS class,
    e.amount::VARCHAR AS dataverse_value, e.amount, e.currency
FROM entered e ANTI JOIN posted p USING (company, number) WHERE settled(e.changed_at)
            """,
        ),
        Check(
            "c",
            proves="The amount of a vendor invoice line is that of its posted line",
            judges="vendor_invoice_lines",
            sql="""
SELECT e.company, upper(e.number) AS key, e.id AS dataverse_id, p.record_key AS finance_key, 'amount' AS class,
    e.amount::VARCHAR AS dataverse_value, p.cost::VARCHAR AS finance_value, e.amount - p.cost AS amount, e.currency,
    'edited' AS cause
FROM entered e JOIN posted p USING (company, number) WHERE e.amount <> round(p.cost, 4) AND settled(e.changed_at)
            """,
        ),
        Check(
            "d",
            proves="A vendor invoice has lines",
            judges="vendor_invoices",
            severity="error",
            sql="""
SELECT v.company, v.number AS key, v.id AS dataverse_id, 'relation' AS class, 'lines' AS field, '0' AS dataverse_value,
    '1 or more' AS finance_value
FROM vendor_invoices v ANTI JOIN vendor_invoice_lines l ON l.invoice_id = v.id WHERE settled(v.changed_at)
            """,
        ),
        Check(
            "e",
            proves="A vendor invoice line has its invoice",
            judges="vendor_invoice_lines",
            severity="error",
            sql="""
SELECT l.company, l.number AS key, l.id AS dataverse_id, 'relation' AS class, 'invoice' AS field, '0'
    AS dataverse_value,
    '1' AS finance_value
FROM vendor_invoice_lines l ANTI JOIN vendor_invoices v ON v.id = l.invoice_id WHERE settled(l.changed_at)
            """,
        ),
    ),
)
