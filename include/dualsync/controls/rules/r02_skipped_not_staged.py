"""What stays in Dataverse is not staged [R2]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R2",
    title="No staged row of an actual with Skip Sync = yes",
    area="estimates_actuals",
    severity="critical",
    compares="Staging rows against the Skip Sync of their actual",
    evidence="derived",
    basis=("G1",),
    dataverse_table="msdyn_actual",
    finance_set="ProjActualsImports",
    checks=(
        Check(
            "a",
            proves="No actual with Skip Sync = yes is staged",
            judges="staging",
            sql="""
SELECT s.company, a.id AS key, a.id AS dataverse_id, s.record_key AS finance_key, 'filtered_out' AS class,
    'Skip Sync: yes' AS dataverse_value, s.amount::VARCHAR AS finance_value, -s.amount AS amount, s.currency
        AS currency,
    'edited' AS cause
FROM staging s JOIN actuals a ON a.id = s.actual_id
WHERE a.skip_sync AND settled(a.changed_at)
            """,
        ),
    ),
)
