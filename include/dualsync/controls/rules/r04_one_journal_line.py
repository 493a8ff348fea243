"""A staged row is in the journals once [R4]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R4",
    title="Each staged row has exactly one journal line",
    area="estimates_actuals",
    severity="critical",
    compares="Staging rows against lines of integration and beginning balance journals, by import id",
    evidence="derived",
    basis=("G2", "G17", "G18"),
    exclusions=(
        "costs that Finance has posted by itself: stocked vendor invoices, packing slips, general journals [G18]",
    ),
    dataverse_table="msdyn_actual",
    finance_set="ProjActualsImports",
    given="""
WITH lines AS (
    SELECT company, import_id, amount, record_key, status, FALSE AS balance FROM journal_lines
    UNION ALL SELECT company, import_id, amount, record_key, status, TRUE AS balance FROM balance_lines
), counted AS (
    SELECT company, import_id, count(*) AS n, sum(amount) AS amount, string_agg(record_key, ' ') AS keys,
        bool_or(balance) AS balance
    FROM lines GROUP BY company, import_id
), twice AS (
    SELECT s.company, s.import_id AS key, s.actual_id AS dataverse_id, s.record_key AS finance_key,
        'duplicate_in_finance' AS class, 'journal line' AS field, '1' AS dataverse_value, c.n::VARCHAR AS finance_value,
        s.amount - COALESCE(c.amount, 0) AS amount, s.currency, 'resent_twice' AS cause, c.keys AS explanation,
        c.balance
    FROM staging s JOIN counted c USING (company, import_id) WHERE s.type <> 'BilledSales' AND c.n > 1
), astray AS (
    SELECT l.company, l.import_id AS key, l.record_key AS finance_key, 'relation' AS class, 'staging row' AS field,
        l.amount::VARCHAR AS finance_value, -l.amount AS amount,
        'a journal line whose staging row is gone' AS explanation, l.status
    FROM lines l ANTI JOIN staging s USING (company, import_id) WHERE l.import_id IS NOT NULL
), costed AS (
    SELECT company, lower(import_id) AS import_id FROM project_transactions
    WHERE origin IN ('StockedVendorInvoice', 'PackingSlip', 'GeneralJournal')
)
    """,
    checks=(
        Check(
            "a",
            proves="Every staged row marked as journalized has its journal line",
            judges="staging",
            sql="""
SELECT s.company, s.import_id AS key, s.actual_id AS dataverse_id, s.record_key AS finance_key, 'relation' AS class,
    'journal line' AS field, '1' AS dataverse_value, '0' AS finance_value, s.amount, s.currency,
    'line_deleted' AS cause
FROM staging s ANTI JOIN lines l USING (company, import_id)
WHERE s.type <> 'BilledSales' AND s.journalized = 'Yes'
    AND (s.company, s.import_id) NOT IN (SELECT (company, import_id) FROM costed WHERE import_id IS NOT NULL)
            """,
        ),
        Check(
            "b",
            proves="No staged row has more than one integration journal line",
            judges="staging",
            sql="SELECT * EXCLUDE (balance) FROM twice WHERE NOT balance",
        ),
        Check(
            "c",
            proves="The staged row that a posted journal line names is there",
            judges="journal_lines",
            sql="SELECT * EXCLUDE (status) FROM astray WHERE status = 'Posted'",
        ),
        Check(
            "d",
            proves="The staged row that an unposted journal line names is there",
            judges="journal_lines",
            sql="SELECT * EXCLUDE (status) FROM astray WHERE status IS DISTINCT FROM 'Posted'",
        ),
        Check(
            "e",
            proves="A staged row in the beginning balance journal is there once, and in no other journal",
            judges="balance_lines",
            sql="SELECT * EXCLUDE (balance) FROM twice WHERE balance",
        ),
    ),
)
