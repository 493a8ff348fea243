"""A staged row is in the journals once [R4]."""

from dualsync.controls.model import Control

CONTROL = Control(
    id="R4",
    title="Each staged row has exactly one journal line",
    area="estimates_actuals",
    severity="critical",
    compares="Staging rows against lines of integration and beginning balance journals, by import id",
    needs=("staging", "journal_lines", "balance_lines", "project_transactions"),
    evidence="derived",
    basis=("G2", "G17", "G18"),
    exclusions=(
        "costs that Finance has posted by itself: stocked vendor invoices, packing slips, general journals [G18]",
    ),
    dataverse_table="msdyn_actual",
    finance_set="ProjActualsImports",
    sql="""
WITH lines AS (
    SELECT company, import_id, amount, record_key FROM journal_lines
    UNION ALL SELECT company, import_id, amount, record_key FROM balance_lines
), counted AS (
    SELECT company, import_id, count(*) AS n, sum(amount) AS amount, string_agg(record_key, ' ') AS keys
    FROM lines GROUP BY company, import_id
), costed AS (
    SELECT company, lower(import_id) AS import_id FROM project_transactions
    WHERE origin IN ('StockedVendorInvoice', 'PackingSlip', 'GeneralJournal')
)
SELECT s.company, s.import_id AS key, s.actual_id AS dataverse_id, s.record_key AS finance_key,
    CASE WHEN c.n IS NULL THEN 'relation' ELSE 'duplicate_in_finance' END AS class, 'journal line' AS field,
    '1' AS dataverse_value, COALESCE(c.n, 0)::VARCHAR AS finance_value, s.amount - COALESCE(c.amount, 0) AS amount,
    s.currency AS currency, CASE WHEN c.n IS NULL THEN 'line_deleted' ELSE 'resent_twice' END AS cause,
    c.keys AS explanation
FROM staging s LEFT JOIN counted c USING (company, import_id)
WHERE s.type <> 'BilledSales' AND (c.n > 1 OR (c.n IS NULL AND s.journalized = 'Yes'
    AND (s.company, s.import_id) NOT IN (SELECT (company, import_id) FROM costed WHERE import_id IS NOT NULL)))
UNION ALL BY NAME
SELECT l.company, l.import_id AS key, l.record_key AS finance_key, 'relation' AS class, 'staging row' AS field,
    '' AS dataverse_value, l.amount::VARCHAR AS finance_value, -l.amount AS amount, '' AS cause,
    'a journal line whose staging row is gone' AS explanation
FROM lines l ANTI JOIN staging s USING (company, import_id) WHERE l.import_id IS NOT NULL
    """,
)
