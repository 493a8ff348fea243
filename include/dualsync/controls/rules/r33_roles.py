"""Every role is a role of every integrated company [R33]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R33",
    title="Roles in Dataverse = roles of each integrated company",
    area="setup_configuration",
    severity="error",
    compares="Resource roles against the roles of each company in Finance",
    evidence="documented",
    basis=("C10",),
    exclusions=("roles that Finance has beside them",),
    dataverse_table="bookableresourcecategory",
    finance_set="ProjectRoles",
    checks=(
        Check(
            "a",
            proves="A role is a role of every integrated company",
            judges="roles",
            sql="""
SELECT i.company, r.number AS key, r.id AS dataverse_id, 'missing_in_finance' AS class, r.number AS dataverse_value,
    r.name AS explanation
FROM roles r CROSS JOIN integrated i ANTI JOIN company_roles f ON f.company = i.company
    AND lower(f.number) = lower(r.number)
WHERE r.number IS NOT NULL AND settled(r.changed_at)
            """,
        ),
    ),
)
