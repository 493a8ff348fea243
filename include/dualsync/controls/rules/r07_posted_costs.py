"""Posted costs add up, by project and class [R7]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R7",
    title="Posted costs by project and class add up",
    area="estimates_actuals",
    severity="critical",
    compares="Accounting amounts of posted cost actuals against project transactions of integration journals",
    evidence="derived",
    basis=("G15", "G17", "G18"),
    exclusions=("beginning balances [G17]", "costs that Finance posted by itself [G18]"),
    dataverse_table="msdyn_project",
    finance_set="ProjectsV2",
    given="""
WITH elsewhere AS (
    SELECT company, import_id FROM balance_lines
    UNION SELECT company, lower(import_id) FROM project_transactions WHERE origin <> 'IntegrationJournal'
), dataverse AS (
    SELECT a.company, COALESCE(p.number, '?') AS project, a.class AS class, sum(a.accounting_amount) AS amount
    FROM actuals a LEFT JOIN projects p ON p.id = a.project_id
    WHERE a.type = 'Cost' AND a.skip_sync IS FALSE AND a.voucher IS NOT NULL
        AND (a.company, a.import_id) NOT IN (SELECT (company, import_id) FROM elsewhere WHERE import_id IS NOT NULL)
    GROUP BY ALL
), finance AS (
    SELECT t.company, COALESCE(t.project, '?') AS project, CASE t.type WHEN 'Hour' THEN 'Time' WHEN 'Cost'
        THEN 'Expense' WHEN 'Item' THEN 'Material' ELSE t.type END AS class, sum(t.cost_amount) AS amount
    FROM project_transactions t WHERE t.origin = 'IntegrationJournal' GROUP BY ALL
)
    """,
    checks=(
        Check(
            "a",
            proves="The posted costs of a project and class are the same sum in both systems",
            judges="actuals",
            sql="""
SELECT company, concat_ws(' ', project, class) AS key, 'amount' AS class, d.amount::VARCHAR AS dataverse_value,
    f.amount::VARCHAR AS finance_value, COALESCE(d.amount, 0) - COALESCE(f.amount, 0) AS amount,
    g.currency AS currency, project AS finance_key
FROM dataverse d FULL JOIN finance f USING (company, project, class) LEFT JOIN ledgers g USING (company)
WHERE COALESCE(d.amount, 0) <> COALESCE(f.amount, 0)
            """,
        ),
    ),
)
