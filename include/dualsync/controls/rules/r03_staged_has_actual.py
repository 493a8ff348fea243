"""Every staged row has its actual [R3]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R3",
    title="No staged row without its actual",
    area="estimates_actuals",
    severity="critical",
    compares="Staging rows against Dataverse actuals by record id",
    evidence="documented",
    basis=("G3",),
    exclusions=("none: actuals cannot be deleted [E21]",),
    dataverse_table="msdyn_actual",
    finance_set="ProjActualsImports",
    checks=(
        Check(
            "a",
            proves="Every staged row has its actual",
            judges="staging",
            sql="""
SELECT s.company, COALESCE(s.actual_id, s.import_id) AS key, s.record_key AS finance_key,
    'missing_in_dataverse' AS class, s.amount::VARCHAR AS finance_value, -s.amount AS amount, s.currency AS currency,
    concat_ws(' ', s.type, 'of', s.project, 'on', s.document_date) AS explanation
FROM staging s ANTI JOIN actuals a ON a.id = s.actual_id
            """,
        ),
    ),
)
