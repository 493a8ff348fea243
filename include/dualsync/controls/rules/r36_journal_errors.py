"""No line stays in processing, and errors are listed [R36]."""

from datetime import timedelta

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R36",
    title="No journal in processing for more than a day; lines in error by age",
    area="estimates_actuals",
    severity="error",
    compares="Status of integration journals and their lines",
    evidence="documented",
    basis=("G13", "G14"),
    window=timedelta(hours=24),
    finance_set="IntegrationJournalLines",
    checks=(
        Check(
            "a",
            proves="No journal has been in processing for more than a day",
            judges="journal_headers",
            sql="""
SELECT h.company, h.journal AS key, h.record_key AS finance_key, 'not_posted' AS class, 'journal' AS field,
    h.status AS finance_value, 'stuck' AS cause, concat('in processing since ', h.processing_since) AS explanation
FROM journal_headers h WHERE h.status = 'Processing' AND long_ago(h.processing_since, 24)
            """,
        ),
        Check(
            "b",
            proves="No journal line is in error",
            judges="journal_lines",
            sql="""
SELECT l.company, l.import_id AS key, l.record_key AS finance_key, 'not_posted' AS class, 'journal line' AS field,
    l.status AS finance_value, l.accounting_amount AS amount, g.currency AS currency,
    CASE WHEN l.message ILIKE '%fiscal period%' THEN 'closed_period' WHEN l.message ILIKE '%profile%' THEN 'no_profile'
        ELSE 'not_posted' END AS cause,
    COALESCE(l.message, '') AS explanation
FROM journal_lines l LEFT JOIN ledgers g USING (company) WHERE l.status = 'Error'
            """,
        ),
        Check(
            "c",
            proves="No journal line is invalid or unrecoverable",
            judges="journal_lines",
            sql="""
SELECT l.company, l.import_id AS key, l.record_key AS finance_key, 'not_posted' AS class, 'journal line' AS field,
    l.status AS finance_value, l.accounting_amount AS amount, g.currency AS currency,
    CASE WHEN l.message ILIKE '%fiscal period%' THEN 'closed_period' WHEN l.message ILIKE '%profile%' THEN 'no_profile'
        WHEN l.status = 'InvalidActuals' THEN 'prevalidation' ELSE 'not_posted' END AS cause,
    COALESCE(l.message, '') AS explanation
FROM journal_lines l LEFT JOIN ledgers g USING (company) WHERE l.status IN ('InvalidActuals', 'Unrecoverable')
            """,
        ),
    ),
)
