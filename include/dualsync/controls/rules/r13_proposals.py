"""Every confirmed proforma has one proposal of its number [R13]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R13",
    title="Each confirmed proforma has one proposal with the same number",
    area="project_invoices",
    severity="critical",
    compares="Confirmed, paid and posted invoices against proposals by number",
    evidence="documented",
    basis=("H2",),
    exclusions=("older than the cut-over of their company: Finance has them in its own way",),
    dataverse_table="invoice",
    finance_set="ProjInvoiceProposalHeaders",
    given="""
WITH due AS (
    SELECT v.*, i.cut_over FROM invoices v JOIN integrated i USING (company)
    WHERE v.order_type = 'WorkBased' AND v.status IN ('Confirmed', 'Paid', 'Posted')
)
    """,
    checks=(
        Check(
            "a",
            proves="Every confirmed proforma has a proposal of its number",
            judges="invoices",
            sql="""
SELECT d.company, d.number AS key, d.id AS dataverse_id, 'missing_in_finance' AS class, d.status AS dataverse_value,
    d.total AS amount, c.code AS currency, 'not_synced' AS cause
FROM due d LEFT JOIN currencies c ON c.id = d.currency_id
    ANTI JOIN proposal_headers p ON p.company = d.company AND lower(p.number) = lower(d.number)
WHERE settled(d.changed_at) AND (d.cut_over IS NULL OR d.day IS NULL OR d.day >= d.cut_over)
            """,
        ),
        Check(
            "b",
            proves="Every proposal has a confirmed proforma of its number",
            judges="proposal_headers",
            sql="""
SELECT p.company, p.number AS key, p.record_key AS finance_key, 'missing_in_dataverse' AS class,
    p.status AS finance_value, -p.amount AS amount, p.currency
FROM proposal_headers p ANTI JOIN due d ON d.company = p.company AND lower(d.number) = lower(p.number)
            """,
        ),
    ),
)
