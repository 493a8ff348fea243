"""Posted project expenses stand in Dataverse, once, with their amount [R17]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R17",
    title="Posted project expenses = expenses in Dataverse, one to one, amounts equal",
    area="expense_management",
    severity="critical",
    compares="Distributions of posted expense lines over projects against expenses by their external number",
    evidence="derived",
    basis=("I2", "I3", "I9"),
    exclusions=(
        "older than the cut-over of their company: Finance has them in its own way",
        "expenses of people whose company is not integrated",
    ),
    dataverse_table="msdyn_expense",
    finance_set="ExpenseDistributions",
    given="""
WITH posted AS (
    SELECT upper(d.project_company) AS company, lower(d.number) AS number, sum(d.net_amount) AS amount,
        any_value(l.currency) AS currency, count(*) AS n, string_agg(d.record_key, ' ') AS keys, min(l.day) AS day
    FROM expense_distributions d JOIN expense_lines l USING (company, report, line)
        JOIN expense_reports r USING (company, report)
    WHERE r.status = 'Posted' AND d.number IS NOT NULL GROUP BY ALL
), due AS (
    SELECT p.* FROM posted p JOIN integrated i USING (company) WHERE i.cut_over IS NULL OR p.day >= i.cut_over
), entered AS (
    SELECT e.company, lower(e.number) AS number, sum(e.amount) AS amount, any_value(c.code) AS currency, count(*) AS n,
        string_agg(e.id, ' ') AS ids, max(e.changed_at) AS changed_at,
        bool_and(e.resourcing_company_id IS NULL OR e.resourcing_company_id IN (SELECT company_id FROM integrated))
            AS ours
    FROM expenses e LEFT JOIN currencies c ON c.id = e.currency_id WHERE e.number IS NOT NULL GROUP BY ALL
)
    """,
    checks=(
        Check(
            "a",
            proves="Every posted project expense stands in Dataverse",
            judges="expense_distributions",
            sql="""
SELECT d.company, upper(d.number) AS key, 'missing_in_dataverse' AS class, d.amount::VARCHAR AS finance_value,
    -d.amount AS amount, d.currency, d.keys AS finance_key, 'not_synced' AS cause
FROM due d ANTI JOIN entered e USING (company, number)
            """,
        ),
        Check(
            "b",
            proves="Every expense that Dataverse has from Finance is posted in Finance",
            judges="expenses",
            sql="""
SELECT e.company, upper(e.number) AS key, 'missing_in_finance' AS class, e.amount::VARCHAR AS dataverse_value,
    e.amount, e.currency, e.ids AS dataverse_id
FROM entered e ANTI JOIN posted p USING (company, number) WHERE e.ours AND settled(e.changed_at)
            """,
        ),
        Check(
            "c",
            proves="No posted expense stands in either system more than once",
            judges="expenses",
            sql="""
SELECT e.company, upper(e.number) AS key,
    CASE WHEN e.n > 1 THEN 'duplicate_in_dataverse' ELSE 'duplicate_in_finance' END AS class,
    e.n::VARCHAR AS dataverse_value, p.n::VARCHAR AS finance_value, e.amount - p.amount AS amount, e.currency,
    e.ids AS dataverse_id, p.keys AS finance_key, 'resent_twice' AS cause
FROM entered e JOIN posted p USING (company, number) WHERE e.n > 1 OR p.n > 1
            """,
        ),
        Check(
            "e",
            proves="A posted expense has the same amount in both systems",
            judges="expenses",
            sql="""
SELECT e.company, upper(e.number) AS key, 'amount' AS class, e.amount::VARCHAR AS dataverse_value,
    p.amount::VARCHAR AS finance_value, e.amount - p.amount AS amount, e.currency, e.ids AS dataverse_id,
    p.keys AS finance_key, 'edited' AS cause
FROM entered e JOIN posted p USING (company, number)
WHERE e.n = 1 AND p.n = 1 AND e.amount <> round(p.amount, 4) AND settled(e.changed_at)
            """,
        ),
    ),
)
