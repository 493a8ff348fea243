"""Every actual that shall travel is staged, once [R1]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R1",
    title="Actuals to be carried over = staged actuals, one to one",
    area="estimates_actuals",
    severity="critical",
    compares="Dataverse actuals with Skip Sync = no, by record id, against the staging table of Finance",
    evidence="derived",
    basis=("G1", "G2"),
    exclusions=("older than the cut-over of their company: Finance has them in its own way",),
    dataverse_table="msdyn_actual",
    finance_set="ProjActualsImports",
    given="""
WITH due AS (
    SELECT a.* FROM actuals a JOIN integrated i USING (company)
    WHERE a.skip_sync IS FALSE AND settled(a.changed_at)
        AND (i.cut_over IS NULL OR a.document_date >= i.cut_over)
), staged AS (
    SELECT actual_id, count(*) AS n, sum(amount) AS amount, string_agg(record_key, ' ') AS keys
    FROM staging GROUP BY actual_id
)
    """,
    checks=(
        Check(
            "a",
            proves="Every actual to be carried over is staged",
            judges="actuals",
            sql="""
SELECT d.company, d.id AS key, d.id AS dataverse_id, 'missing_in_finance' AS class,
    d.amount::VARCHAR AS dataverse_value, d.amount, c.code AS currency, 'not_synced' AS cause,
    concat_ws(' ', d.type, d.class, 'of', p.number, 'on', d.document_date) AS explanation
FROM due d ANTI JOIN staged s ON s.actual_id = d.id
    LEFT JOIN currencies c ON c.id = d.currency_id LEFT JOIN projects p ON p.id = d.project_id
            """,
        ),
        Check(
            "b",
            proves="No actual to be carried over is staged more than once",
            judges="actuals",
            sql="""
SELECT d.company, d.id AS key, d.id AS dataverse_id, 'duplicate_in_finance' AS class,
    d.amount::VARCHAR AS dataverse_value, COALESCE(s.amount::VARCHAR, '') AS finance_value,
    d.amount - COALESCE(s.amount, 0) AS amount, c.code AS currency, s.keys AS finance_key, 'resent_twice' AS cause,
    concat_ws(' ', d.type, d.class, 'of', p.number, 'on', d.document_date) AS explanation
FROM due d JOIN staged s ON s.actual_id = d.id
    LEFT JOIN currencies c ON c.id = d.currency_id LEFT JOIN projects p ON p.id = d.project_id
WHERE s.n > 1
            """,
        ),
    ),
)
