"""A transaction category has its shared categories [R28]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R28",
    title="Each transaction category has four or five shared categories of the right type",
    area="setup_configuration",
    severity="warning",
    compares="Transaction categories in Dataverse against shared categories in Finance, by suffix",
    evidence="documented",
    basis=("C12",),
    exclusions=("a fifth one, on account, is only wanted where any category has it: its feature can be off",),
    dataverse_table="msdyn_transactioncategory",
    finance_set="SharedCategories",
    scope="global",
    given="""
WITH wanted AS (
    SELECT t.id, t.number, t.number || '-' || s.suffix AS shared, s.type FROM transaction_categories t,
        (VALUES (1, 'Hour'), (2, 'Revenue'), (3, 'Item'), (4, 'Cost'), (5, 'OnAccount')) s(suffix, type)
    WHERE settled(t.changed_at) AND t.number IS NOT NULL
        AND (s.suffix < 5 OR EXISTS (FROM shared_categories WHERE type = 'OnAccount' AND number LIKE '%-5'))
)
    """,
    checks=(
        Check(
            "a",
            proves="A transaction category has its four or five shared categories",
            judges="transaction_categories",
            sql="""
SELECT w.shared AS key, w.id AS dataverse_id, w.shared AS finance_key,
    'missing_in_finance' AS class, 'type' AS field, w.type AS dataverse_value
FROM wanted w ANTI JOIN shared_categories s ON lower(s.number) = lower(w.shared)
            """,
        ),
        Check(
            "b",
            proves="A shared category is of the type that its suffix stands for",
            judges="shared_categories",
            sql="""
SELECT w.shared AS key, w.id AS dataverse_id, w.shared AS finance_key, 'status' AS class, 'type' AS field,
    w.type AS dataverse_value, COALESCE(s.type, '') AS finance_value
FROM wanted w JOIN shared_categories s ON lower(s.number) = lower(w.shared)
WHERE s.type IS DISTINCT FROM w.type
            """,
        ),
        Check(
            "c",
            proves="A shared category that names a transaction category has it in Dataverse",
            judges="shared_categories",
            sql="""
SELECT s.number AS key, s.number AS finance_key, 'relation' AS class, 'transaction category' AS field,
    '' AS dataverse_value, s.transaction_category AS finance_value
FROM shared_categories s ANTI JOIN transaction_categories t ON lower(t.number) = lower(s.transaction_category)
WHERE s.transaction_category IS NOT NULL
            """,
        ),
    ),
)
