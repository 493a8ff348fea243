"""Every actual that shall travel is staged, once [R1]."""

from dualsync.controls.model import Control

CONTROL = Control(
    id="R1",
    title="Actuals to be carried over = staged actuals, one to one",
    area="estimates_actuals",
    severity="critical",
    compares="Dataverse actuals with Skip Sync = no, by record id, against the staging table of Finance",
    needs=("actuals", "staging", "currencies", "projects"),
    evidence="derived",
    basis=("G1", "G2"),
    exclusions=("older than the cut-over of their company: Finance has them in its own way",),
    dataverse_table="msdyn_actual",
    finance_set="ProjActualsImports",
    sql="""
WITH due AS (
    SELECT a.* FROM actuals a JOIN integrated i USING (company)
    WHERE a.skip_sync IS FALSE AND settled(a.changed_at)
        AND (i.cut_over IS NULL OR a.document_date >= i.cut_over)
), staged AS (
    SELECT actual_id, count(*) AS n, sum(amount) AS amount, string_agg(record_key, ' ') AS keys
    FROM staging GROUP BY actual_id
)
SELECT d.company, d.id AS key, d.id AS dataverse_id,
    CASE WHEN s.n IS NULL THEN 'missing_in_finance' ELSE 'duplicate_in_finance' END AS class,
    d.amount::VARCHAR AS dataverse_value, COALESCE(s.amount::VARCHAR, '') AS finance_value,
    d.amount - COALESCE(s.amount, 0) AS amount, c.code AS currency, s.keys AS finance_key,
    CASE WHEN s.n IS NULL THEN 'not_synced' ELSE 'resent_twice' END AS cause,
    concat_ws(' ', d.type, d.class, 'of', p.number, 'on', d.document_date) AS explanation
FROM due d LEFT JOIN staged s ON s.actual_id = d.id
    LEFT JOIN currencies c ON c.id = d.currency_id LEFT JOIN projects p ON p.id = d.project_id
WHERE s.n IS NULL OR s.n > 1
    """,
)
