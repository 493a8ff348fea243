"""The tasks of a project are its activities, with the same parents [R32]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R32",
    title="Tasks = activities, parents included",
    area="setup_configuration",
    severity="error",
    compares="Project tasks against activities by project and number, and whether a parent is there",
    evidence="derived",
    basis=("C9",),
    dataverse_table="msdyn_projecttask",
    finance_set="ProjectTasks",
    given="""
WITH mine AS (
    SELECT t.company, p.number AS project, t.number, t.id, t.parent_id, t.changed_at FROM tasks t
        JOIN projects p ON p.id = t.project_id WHERE t.number IS NOT NULL AND p.number IS NOT NULL
)
    """,
    checks=(
        Check(
            "a",
            proves="A task has its activity",
            judges="tasks",
            sql="""
SELECT m.company, concat_ws('|', m.project, m.number) AS key, m.id AS dataverse_id, 'missing_in_finance' AS class,
    m.number AS dataverse_value, 'not_synced' AS cause
FROM mine m ANTI JOIN activities a ON a.company = m.company AND lower(a.project) = lower(m.project)
    AND lower(a.number) = lower(m.number) WHERE settled(m.changed_at)
            """,
        ),
        Check(
            "b",
            proves="An activity has its task",
            judges="activities",
            sql="""
SELECT a.company, a.record_key AS key, a.record_key AS finance_key, 'missing_in_dataverse' AS class,
    a.number AS finance_value
FROM activities a ANTI JOIN mine m ON a.company = m.company AND lower(a.project) = lower(m.project)
    AND lower(a.number) = lower(m.number)
            """,
        ),
        Check(
            "c",
            proves="The parent of an activity is the parent of its task",
            judges="tasks",
            sql="""
SELECT m.company, a.record_key AS key, m.id AS dataverse_id, a.record_key AS finance_key, 'reference' AS class,
    'parent' AS field, COALESCE(m.parent_id, '') AS dataverse_value, COALESCE(lower(a.parent_element), '')
        AS finance_value
FROM mine m JOIN activities a ON a.company = m.company AND lower(a.project) = lower(m.project)
    AND lower(a.number) = lower(m.number)
WHERE settled(m.changed_at) AND m.parent_id IS DISTINCT FROM lower(a.parent_element)
            """,
        ),
        Check(
            "d",
            proves="The parent of an activity stands in Finance",
            judges="activities",
            sql="""
SELECT a.company, a.record_key AS key, a.record_key AS finance_key, 'relation' AS class, 'parent' AS field,
    '' AS dataverse_value, a.parent_element AS finance_value, 'its parent is not in Finance' AS explanation
FROM activities a ANTI JOIN activities p ON p.company = a.company AND p.project = a.project
    AND lower(p.element) = lower(a.parent_element)
WHERE a.parent_element IS NOT NULL
            """,
        ),
    ),
)
