"""A project is open or finished in both systems [R31]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R31",
    title="State of a project = its stage",
    area="setup_configuration",
    severity="error",
    compares="State of projects in Dataverse against their stage in Finance",
    evidence="documented",
    basis=("C11",),
    dataverse_table="msdyn_project",
    finance_set="ProjectsV2",
    checks=(
        Check(
            "a",
            proves="The stage of a project in Finance is its state in Dataverse",
            judges="projects",
            sql="""
SELECT p.company, p.number AS key, p.id AS dataverse_id, f.record_key AS finance_key, 'status' AS class, 'stage'
    AS field,
    p.state AS dataverse_value, f.stage AS finance_value, 'edited' AS cause
FROM projects p JOIN finance_projects f ON f.company = p.company AND lower(f.number) = lower(p.number)
WHERE settled(p.changed_at) AND f.stage IS DISTINCT FROM CASE p.state WHEN 'Active'
    THEN 'InProcess' ELSE 'Completed' END
            """,
        ),
    ),
)
