"""A staged row that is not imported has a cause [R34]."""

from datetime import timedelta

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R34",
    title="Staged rows not imported, each with its cause",
    area="estimates_actuals",
    severity="error",
    compares="Staging rows without journal line against the log of the import and the prevalidation",
    evidence="derived",
    basis=("G3", "G6", "G8", "G9", "K4"),
    exclusions=(
        "billed sales, which wait for their invoice proposal",
        "rows younger than a day: the import runs daily at least (M)",
    ),
    window=timedelta(hours=24),
    dataverse_table="msdyn_actual",
    finance_set="ProjActualsImports",
    given="""
WITH journalled AS (
    SELECT company, import_id FROM journal_lines UNION SELECT company, import_id FROM balance_lines
    UNION SELECT company, lower(import_id) FROM project_transactions WHERE import_id IS NOT NULL
), logged AS (
    SELECT company, import_id, arg_max(message, entry) AS message FROM import_log
        WHERE import_id IS NOT NULL GROUP BY ALL
), told AS (
    SELECT s.company, s.import_id, s.actual_id AS key, s.actual_id AS dataverse_id, s.record_key AS finance_key,
        'not_imported' AS class, s.amount::VARCHAR AS finance_value, s.amount, s.currency,
        CASE WHEN l.message ILIKE '%exchange rate%' THEN 'no_rate'
            WHEN l.message ILIKE '%project category%' THEN 'no_category'
            WHEN l.message ILIKE '%no open fiscal period%' THEN 'closed_period'
            WHEN l.message ILIKE '%fiscal period%' THEN 'no_period'
            WHEN l.message ILIKE '%intercompany%' THEN 'no_intercompany'
            WHEN l.message ILIKE '%line property%' THEN 'no_line_property'
            WHEN l.message ILIKE '%validated%' THEN 'prevalidation' END AS cause,
        COALESCE(l.message, 'the import has left no word about it') AS explanation
    FROM staging s JOIN actuals a ON a.id = s.actual_id
        LEFT JOIN logged l ON l.company = s.company AND l.import_id = s.import_id
    WHERE s.type <> 'BilledSales' AND s.journalized IS DISTINCT FROM 'Yes' AND settled(a.changed_at)
        AND (s.company, s.import_id) NOT IN (SELECT (company, import_id) FROM journalled WHERE import_id IS NOT NULL)
), validated AS (
    SELECT t.* REPLACE (COALESCE(t.cause, CASE WHEN v.status IN ('NotValidated', 'Invalid') THEN 'prevalidation'
        ELSE 'import_pending' END) AS cause)
    FROM told t LEFT JOIN validations v ON v.company = t.company AND v.import_id = t.import_id
)
    """,
    checks=(
        Check(
            "a",
            proves="No row waits for its import without a cause",
            judges="staging",
            severity="critical",
            sql="""
SELECT * EXCLUDE (import_id) FROM validated WHERE cause = 'import_pending'
            """,
        ),
        Check(
            "b",
            proves="No row waits for an exchange rate",
            judges="staging",
            sql="""
SELECT * EXCLUDE (import_id) FROM told WHERE cause = 'no_rate'
            """,
        ),
        Check(
            "c",
            proves="No row waits for a fiscal period, or for one to be opened",
            judges="staging",
            sql="""
SELECT * EXCLUDE (import_id) FROM told WHERE cause IN ('no_period', 'closed_period')
            """,
        ),
        Check(
            "d",
            proves="No row waits for a project category",
            judges="staging",
            sql="""
SELECT * EXCLUDE (import_id) FROM told WHERE cause = 'no_category'
            """,
        ),
        Check(
            "e",
            proves="No row waits for intercompany set-up",
            judges="staging",
            sql="""
SELECT * EXCLUDE (import_id) FROM told WHERE cause = 'no_intercompany'
            """,
        ),
        Check(
            "f",
            proves="No row waits for a line property or its prevalidation",
            judges="staging",
            sql="""
SELECT * EXCLUDE (import_id) FROM validated WHERE cause IN ('no_line_property', 'prevalidation')
            """,
        ),
    ),
)
