"""A staged row that is not imported has a cause [R34]."""

from datetime import timedelta

from dualsync.controls.model import Control

CONTROL = Control(
    id="R34",
    title="Staged rows not imported, each with its cause",
    area="estimates_actuals",
    severity="error",
    compares="Staging rows without journal line against the log of the import and the prevalidation",
    needs=("staging", "actuals", "journal_lines", "balance_lines", "project_transactions", "import_log", "validations"),
    evidence="derived",
    basis=("G3", "G6", "G8", "G9", "K4"),
    exclusions=(
        "billed sales, which wait for their invoice proposal",
        "rows younger than a day: the import runs daily at least (M)",
    ),
    window=timedelta(hours=24),
    dataverse_table="msdyn_actual",
    finance_set="ProjActualsImports",
    sql="""
WITH journalled AS (
    SELECT company, import_id FROM journal_lines UNION SELECT company, import_id FROM balance_lines
    UNION SELECT company, lower(import_id) FROM project_transactions WHERE import_id IS NOT NULL
), logged AS (
    SELECT company, import_id, arg_max(message, entry) AS message FROM import_log
        WHERE import_id IS NOT NULL GROUP BY ALL
), waiting AS (
    SELECT s.*, l.message, v.status AS validation,
        CASE WHEN l.message ILIKE '%exchange rate%' THEN 'no_rate' WHEN l.message ILIKE '%project category%'
            THEN 'no_category'
            WHEN l.message ILIKE '%no open fiscal period%' THEN 'closed_period'
            WHEN l.message ILIKE '%fiscal period%' THEN 'no_period'
            WHEN l.message ILIKE '%intercompany%' THEN 'no_intercompany'
            WHEN l.message ILIKE '%line property%' THEN 'no_line_property'
            WHEN l.message ILIKE '%validated%' OR v.status IN ('NotValidated', 'Invalid') THEN 'prevalidation'
            ELSE 'import_pending' END AS why
    FROM staging s JOIN actuals a ON a.id = s.actual_id
        LEFT JOIN logged l ON l.company = s.company AND l.import_id = s.import_id
        LEFT JOIN validations v ON v.company = s.company AND v.import_id = s.import_id
    WHERE s.type <> 'BilledSales' AND s.journalized IS DISTINCT FROM 'Yes' AND settled(a.changed_at)
        AND (s.company, s.import_id) NOT IN (SELECT (company, import_id) FROM journalled WHERE import_id IS NOT NULL)
)
SELECT company, actual_id AS key, actual_id AS dataverse_id, record_key AS finance_key, 'not_imported' AS class,
    amount::VARCHAR AS finance_value, amount, currency, why AS cause,
    CASE WHEN why = 'import_pending' THEN 'critical' ELSE 'error' END AS severity,
    COALESCE(message, 'the import has left no word about it') AS explanation
FROM waiting
    """,
)
