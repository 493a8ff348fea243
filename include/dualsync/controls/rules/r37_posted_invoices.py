"""A posted proposal is a posted invoice in Dataverse, with its number, date and tax [R37]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R37",
    title="Posted proposal: status, number, date and tax stand on the invoice",
    area="project_invoices",
    severity="error",
    compares="Posted proposals against their proforma invoices",
    evidence="documented",
    basis=("H10",),
    dataverse_table="invoice",
    finance_set="ProjInvoiceProposalHeaders",
    given="""
WITH posted AS (
    SELECT i.company, i.number, i.id, i.changed_at, i.status, i.customer_invoice, i.day, i.tax, p.invoice, p.day
        AS p_day,
        p.tax AS p_tax, p.currency, p.record_key
    FROM proposal_headers p JOIN invoices i ON i.company = p.company AND lower(i.number) = lower(p.number)
    WHERE p.status = 'Posted' AND settled(i.changed_at)
)
    """,
    checks=(
        Check(
            "a",
            proves="The invoice of a posted proposal is posted, with its number, date and tax",
            judges="invoices",
            sql="""
SELECT company, number AS key, id AS dataverse_id, record_key AS finance_key, v.class, v.field,
    COALESCE(v.ours, '') AS dataverse_value, COALESCE(v.theirs, '') AS finance_value,
    CASE WHEN v.field = 'tax' THEN COALESCE(tax, 0) - COALESCE(p_tax, 0) END AS amount, currency,
    'not_written_back' AS cause
FROM posted, LATERAL (VALUES ('status', 'status', status, 'Posted', status IS DISTINCT FROM 'Posted'),
    ('reference', 'number of the customer invoice', customer_invoice, invoice, customer_invoice IS DISTINCT
        FROM invoice),
    ('date', 'invoice date', day::VARCHAR, p_day::VARCHAR, day IS DISTINCT FROM p_day),
    ('amount', 'tax', tax::VARCHAR, p_tax::VARCHAR, COALESCE(tax, 0) <> round(COALESCE(p_tax, 0), 4)))
    v(class, field, ours, theirs, differs)
WHERE v.differs
            """,
        ),
    ),
)
