"""A proposal comes to the billed sales of its proforma [R12]."""

from dualsync.controls.model import Control

CONTROL = Control(
    id="R12",
    title="Chargeable billed sales of an invoice = its proposal before tax; as many lines",
    area="project_invoices",
    severity="critical",
    compares="Billed sales actuals of confirmed invoices against number and amount of their proposals",
    needs=("actuals", "invoices", "currencies", "proposal_headers"),
    evidence="documented",
    basis=("H4",),
    exclusions=(
        "proposals without lines [R14]",
        "the number of lines is a warning: whether what is not charged gets one is not documented",
    ),
    dataverse_table="invoice",
    finance_set="ProjInvoiceProposalHeaders",
    sql="""
WITH billed AS (
    SELECT i.company, i.number, i.id, count(*) AS n, max(a.changed_at) AS changed_at, any_value(c.code) AS currency,
        COALESCE(sum(a.amount) FILTER (WHERE a.billing_type = 'Chargeable'), 0) AS amount
    FROM actuals a JOIN invoices i ON i.id = a.invoice_id LEFT JOIN currencies c ON c.id = a.currency_id
    WHERE a.type = 'Billed' AND a.skip_sync IS FALSE AND i.order_type = 'WorkBased' GROUP BY ALL
)
SELECT b.company, b.number AS key, b.id AS dataverse_id, p.record_key AS finance_key, 'amount' AS class,
    'amount before tax' AS field, b.amount::VARCHAR AS dataverse_value, p.amount::VARCHAR AS finance_value,
    b.amount - p.amount AS amount, b.currency, 'critical' AS severity
FROM billed b JOIN proposal_headers p ON p.company = b.company AND lower(p.number) = lower(b.number)
WHERE p.line_count > 0 AND b.amount <> round(p.amount, 4) AND settled(b.changed_at)
UNION ALL BY NAME
SELECT b.company, b.number AS key, b.id AS dataverse_id, p.record_key AS finance_key, 'relation' AS class,
    'lines' AS field, b.n::VARCHAR AS dataverse_value, p.line_count::VARCHAR AS finance_value, 'warning' AS severity
FROM billed b JOIN proposal_headers p ON p.company = b.company AND lower(p.number) = lower(b.number)
WHERE p.line_count > 0 AND b.n <> p.line_count AND settled(b.changed_at)
    """,
)
