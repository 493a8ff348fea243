"""Posted unbilled sales add up, by project [R8]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R8",
    title="Posted unbilled sales by project add up",
    area="estimates_actuals",
    severity="critical",
    compares="Accounting amounts of posted unbilled sales actuals against project transactions of integration journals",
    evidence="derived",
    basis=("G1", "G15"),
    exclusions=(
        "beginning balances [G17]",
        "reversals at the confirmation of an invoice, which stay in Dataverse [G1]",
    ),
    dataverse_table="msdyn_project",
    finance_set="ProjectsV2",
    given="""
WITH elsewhere AS (
    SELECT company, import_id FROM balance_lines
    UNION SELECT company, lower(import_id) FROM project_transactions WHERE origin <> 'IntegrationJournal'
), dataverse AS (
    SELECT a.company, COALESCE(p.number, '?') AS project, 'sales' AS class, sum(a.accounting_amount) AS amount
    FROM actuals a LEFT JOIN projects p ON p.id = a.project_id
    WHERE a.type = 'Unbilled' AND a.skip_sync IS FALSE AND a.voucher IS NOT NULL
        AND (a.company, a.import_id) NOT IN (SELECT (company, import_id) FROM elsewhere WHERE import_id IS NOT NULL)
    GROUP BY ALL
), finance AS (
    SELECT t.company, COALESCE(t.project, '?') AS project, 'sales' AS class, sum(t.sales_amount) AS amount
    FROM project_transactions t WHERE t.origin = 'IntegrationJournal' GROUP BY ALL
)
    """,
    checks=(
        Check(
            "a",
            proves="The posted unbilled sales of a project are the same sum in both systems",
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
