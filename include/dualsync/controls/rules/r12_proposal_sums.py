"""A proposal comes to the billed sales of its proforma [R12]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R12",
    title="Chargeable billed sales of an invoice = its proposal before tax; as many lines",
    area="project_invoices",
    severity="critical",
    compares="Billed sales actuals of confirmed invoices against number and amount of their proposals",
    evidence="documented",
    basis=("H4",),
    exclusions=(
        "proposals without lines [R14]",
        "the number of lines is a warning: whether what is not charged gets one is not documented",
    ),
    dataverse_table="invoice",
    finance_set="ProjInvoiceProposalHeaders",
    given="""
WITH billed AS (
    SELECT i.company, i.number, i.id, count(*) AS n, max(a.changed_at) AS changed_at, any_value(c.code) AS currency,
        COALESCE(sum(a.amount) FILTER (WHERE a.billing_type = 'Chargeable'), 0) AS amount
    FROM actuals a JOIN invoices i ON i.id = a.invoice_id LEFT JOIN currencies c ON c.id = a.currency_id
    WHERE a.type = 'Billed' AND a.skip_sync IS FALSE AND i.order_type = 'WorkBased' GROUP BY ALL
), proposed AS (
    SELECT b.company, b.number AS key, b.id AS dataverse_id, p.record_key AS finance_key, b.amount, b.n, b.currency,
        p.amount AS p_amount, p.line_count, p.status
    FROM billed b JOIN proposal_headers p ON p.company = b.company AND lower(p.number) = lower(b.number)
    WHERE p.line_count > 0 AND settled(b.changed_at)
), sums AS (
    SELECT company, key, dataverse_id, finance_key, 'amount' AS class, 'amount before tax' AS field,
        amount::VARCHAR AS dataverse_value, p_amount::VARCHAR AS finance_value, amount - p_amount AS amount, currency,
        status
    FROM proposed p WHERE p.amount <> round(p.p_amount, 4)
), counts AS (
    SELECT company, key, dataverse_id, finance_key, 'relation' AS class, 'lines' AS field,
        n::VARCHAR AS dataverse_value, line_count::VARCHAR AS finance_value, status
    FROM proposed WHERE n <> line_count
)
    """,
    checks=(
        Check(
            "a",
            proves="The chargeable billed sales of an invoice are the amount before tax of its posted proposal",
            judges="invoices",
            sql="SELECT * EXCLUDE (status) FROM sums WHERE status IS DISTINCT FROM 'Open'",
        ),
        Check(
            "b",
            proves="The chargeable billed sales of an invoice are the amount before tax of its open proposal",
            judges="invoices",
            sql="SELECT * EXCLUDE (status) FROM sums WHERE status = 'Open'",
        ),
        Check(
            "c",
            proves="A posted proposal has as many lines as its invoice has billed sales",
            judges="invoices",
            severity="warning",
            sql="SELECT * EXCLUDE (status) FROM counts WHERE status IS DISTINCT FROM 'Open'",
        ),
        Check(
            "d",
            proves="An open proposal has as many lines as its invoice has billed sales",
            judges="invoices",
            severity="warning",
            sql="SELECT * EXCLUDE (status) FROM counts WHERE status = 'Open'",
        ),
    ),
)
