"""An expense that came from Finance has its actuals [R18]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R18",
    title="Each expense has a cost actual, on time and material an unbilled one too",
    area="expense_management",
    severity="critical",
    compares="Expenses against the actuals made from them",
    evidence="derived",
    basis=("I3", "I6"),
    dataverse_table="msdyn_expense",
    finance_set="ProjExpensesExport",
    given="""
WITH costs AS (SELECT origin, count(*) AS n FROM actuals WHERE type = 'Cost' GROUP BY origin),
sold AS (SELECT origin, count(*) AS n FROM actuals WHERE type = 'Unbilled' GROUP BY origin)
    """,
    checks=(
        Check(
            "a",
            proves="Every expense from Finance on a project has a cost actual",
            judges="expenses",
            sql="""
SELECT e.company, e.number AS key, e.id AS dataverse_id, 'relation' AS class, 'cost actual' AS field,
    e.amount::VARCHAR AS dataverse_value, '0' AS finance_value, e.amount AS amount, c.code AS currency,
    'not_approved' AS cause, concat_ws(' ', 'status', e.status) AS explanation
FROM expenses e LEFT JOIN costs ON origin = e.id LEFT JOIN currencies c ON c.id = e.currency_id
WHERE e.number IS NOT NULL AND e.project_id IS NOT NULL AND n IS NULL AND settled(e.changed_at)
            """,
        ),
        Check(
            "b",
            proves="Every expense from Finance on a time and material line has an unbilled actual",
            judges="expenses",
            sql="""
SELECT a.company, e.number AS key, e.id AS dataverse_id, 'relation' AS class, 'unbilled actual' AS field,
    a.amount::VARCHAR AS dataverse_value, '0' AS finance_value, a.amount AS amount, c.code AS currency,
    'the contract line is billed by time and material' AS explanation
FROM expenses e JOIN actuals a ON a.origin = e.id JOIN contract_lines l ON l.id = a.contract_line_id
    LEFT JOIN sold s ON s.origin = e.id LEFT JOIN currencies c ON c.id = a.currency_id
WHERE e.number IS NOT NULL AND a.type = 'Cost' AND a.adjustment IS NULL AND l.billing_method = 'TimeMaterial'
    AND s.n IS NULL AND settled(a.changed_at)
            """,
        ),
    ),
)
