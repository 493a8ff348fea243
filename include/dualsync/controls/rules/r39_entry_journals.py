"""Actuals of entry journals have no connections [R39]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R39",
    title="Entry-journal actuals have neither entry nor connection",
    area="estimates_actuals",
    severity="warning",
    compares="Actuals without an entry against the connections of costs and unbilled sales",
    evidence="documented",
    basis=("E23",),
    dataverse_table="msdyn_actual",
    checks=(
        Check(
            "a",
            proves="An actual without an entry has no connection of cost and unbilled sales",
            judges="actuals",
            sql="""
SELECT a.company, a.id AS key, a.id AS dataverse_id, 'relation' AS class, 'connection' AS field,
    concat_ws(' - ', k.one_role, k.two_role) AS dataverse_value, '' AS finance_value,
    concat_ws(' ', a.type, a.class, 'on', a.document_date) AS explanation
FROM actuals a JOIN connections k ON a.id IN (lower(k.one), lower(k.two))
WHERE a.origin IS NULL AND a.class IN ('Time', 'Expense', 'Material')
    AND list_sort([k.one_role, k.two_role]) = ['Cost', 'Unbilled'] AND settled(a.changed_at)
            """,
        ),
    ),
)
