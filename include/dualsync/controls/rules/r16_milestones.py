"""A milestone, its on-account transaction and its billed sale are of one amount [R16]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R16",
    title="Milestones = on-account transactions = billed sales; their sum = the contract line",
    area="project_invoices",
    severity="critical",
    compares=(
        "Milestones against on-account transactions by number, billed sales of milestones, and values "
        "of fixed price lines"
    ),
    evidence="documented",
    basis=("C4", "C5"),
    exclusions=("milestones without a project, which do not travel", "credits of milestones"),
    dataverse_table="msdyn_contractlinescheduleofvalue",
    finance_set="OnAccountTransactions",
    given="""
WITH mine AS (
    SELECT m.*, l.billing_method, l.line_type, c.code AS currency FROM milestones m
        JOIN contract_lines l ON l.id = m.contract_line_id LEFT JOIN currencies c ON c.id = m.currency_id
    WHERE l.line_type = 'Project' AND l.product_type = 'ProjectService' AND m.number IS NOT NULL
), held AS (
    SELECT company, milestone, count(*) AS n, sum(amount) AS amount, string_agg(record_key, ' ') AS keys FROM on_account
    WHERE milestone IS NOT NULL GROUP BY ALL
)
    """,
    checks=(
        Check(
            "a",
            proves="Every milestone of a project has one on-account transaction of its amount",
            judges="milestones",
            sql="""
SELECT m.company, m.number AS key, m.id AS dataverse_id, h.keys AS finance_key,
    CASE WHEN h.n IS NULL THEN 'missing_in_finance' WHEN h.n > 1 THEN 'duplicate_in_finance' ELSE 'amount' END AS class,
    'on-account transaction' AS field, m.amount::VARCHAR AS dataverse_value,
    COALESCE(h.amount::VARCHAR, '') AS finance_value, m.amount - COALESCE(h.amount, 0) AS amount, m.currency
FROM mine m LEFT JOIN held h ON h.company = m.company AND lower(h.milestone) = lower(m.number)
WHERE settled(m.changed_at) AND m.project_id IS NOT NULL AND (h.n IS DISTINCT FROM 1 OR m.amount <> round(h.amount, 4))
            """,
        ),
        Check(
            "b",
            proves="The billed sale of a milestone has the amount of its on-account transaction",
            judges="actuals",
            sql="""
SELECT a.company, m.number AS key, a.id AS dataverse_id, h.keys AS finance_key, 'amount' AS class,
    'billed sale' AS field, a.amount::VARCHAR AS dataverse_value, h.amount::VARCHAR AS finance_value,
    a.amount - h.amount AS amount, m.currency
FROM actuals a JOIN mine m ON m.company = a.company AND lower(m.number) = lower(a.external_origin)
    JOIN held h ON h.company = m.company AND lower(h.milestone) = lower(m.number)
WHERE a.type = 'Billed' AND a.class = 'Milestone' AND a.adjustment IS DISTINCT FROM 'Unadjustable'
    AND a.amount <> round(h.amount, 4) AND settled(a.changed_at)
            """,
        ),
        Check(
            "c",
            proves="The milestones of a fixed price line add up to its amount",
            judges="contract_lines",
            severity="warning",
            sql="""
SELECT l.company, concat_ws('|', l.number, l.sequence) AS key, l.id AS dataverse_id, 'amount' AS class,
    'sum of milestones' AS field, l.amount::VARCHAR AS dataverse_value, sum(m.amount)::VARCHAR AS finance_value,
    l.amount - sum(m.amount) AS amount, any_value(m.currency) AS currency
FROM contract_lines l JOIN mine m ON m.contract_line_id = l.id
WHERE l.billing_method = 'FixedPrice' AND settled(l.changed_at)
GROUP BY l.company, l.number, l.sequence, l.id, l.amount HAVING sum(m.amount) <> l.amount
            """,
        ),
    ),
)
