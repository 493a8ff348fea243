"""A proposal without lines waits for an unbilled sale that is not posted [R14]."""

from datetime import timedelta

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R14",
    title="No proposal of 0.00 with billed sales",
    area="project_invoices",
    severity="error",
    compares="Open proposals without lines against billed sales of their proforma",
    evidence="documented",
    basis=("H3", "H4"),
    exclusions=("invoices younger than a day: unbilled sales are posted and imported again first (M)",),
    window=timedelta(hours=24),
    dataverse_table="invoice",
    finance_set="ProjInvoiceProposalHeaders",
    given="""
WITH billed AS (
    SELECT i.company, i.number, i.id, sum(a.amount) AS amount, any_value(c.code) AS currency,
        max(a.changed_at) AS changed_at
    FROM actuals a JOIN invoices i ON i.id = a.invoice_id LEFT JOIN currencies c ON c.id = a.currency_id
    WHERE a.type = 'Billed' AND a.skip_sync IS FALSE AND a.amount <> 0 GROUP BY ALL
)
    """,
    checks=(
        Check(
            "b",
            proves="No open proposal is without lines while its proforma has billed sales",
            judges="proposal_headers",
            sql="""
SELECT b.company, b.number AS key, b.id AS dataverse_id, p.record_key AS finance_key, 'not_posted' AS class,
    b.amount::VARCHAR AS dataverse_value, p.amount::VARCHAR AS finance_value, b.amount, b.currency, 'not_posted'
        AS cause,
    COALESCE(p.message, '') AS explanation
FROM billed b JOIN proposal_headers p ON p.company = b.company AND lower(p.number) = lower(b.number)
WHERE p.status = 'Open' AND p.line_count = 0 AND settled(b.changed_at)
            """,
        ),
    ),
)
