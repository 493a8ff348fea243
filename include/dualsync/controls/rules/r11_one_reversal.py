"""An adjusted actual has one reversal, and a reversal its original [R11]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R11",
    title="Each adjusted actual has exactly one reversal",
    area="estimates_actuals",
    severity="critical",
    compares="Adjusted actuals against their reversals, by the connection Reversing to Original",
    evidence="derived",
    basis=("E6", "E15"),
    dataverse_table="msdyn_actual",
    given="""
WITH reversals AS (
    SELECT CASE WHEN one_role = 'Reversing' THEN one ELSE two END AS reversal,
        CASE WHEN one_role = 'Reversing' THEN two ELSE one END AS original
    FROM connections
    WHERE (one_role = 'Reversing' AND two_role = 'Original') OR (one_role = 'Original' AND two_role = 'Reversing')
), known AS (
    SELECT o.id AS original, r.id AS reversal FROM reversals v JOIN actuals o ON o.id = lower(v.original)
        JOIN actuals r ON r.id = lower(v.reversal) WHERE r.adjustment = 'Unadjustable'
), counted AS (SELECT original, count(DISTINCT reversal) AS n FROM known GROUP BY original)
    """,
    checks=(
        Check(
            "a",
            proves="Every adjusted actual has exactly one reversal",
            judges="actuals",
            sql="""
SELECT a.company, a.id AS key, a.id AS dataverse_id, 'relation' AS class, 'reversal' AS field,
    COALESCE(n, 0)::VARCHAR AS dataverse_value, '1' AS finance_value, a.amount AS amount, c.code AS currency,
    concat_ws(' ', a.type, a.class, 'of', a.document_date) AS explanation
FROM actuals a LEFT JOIN counted ON original = a.id LEFT JOIN currencies c ON c.id = a.currency_id
WHERE a.adjustment = 'Adjusted' AND COALESCE(n, 0) <> 1 AND settled(a.changed_at)
            """,
        ),
        Check(
            "b",
            proves="Every reversal has its original",
            judges="actuals",
            sql="""
SELECT a.company, a.id AS key, a.id AS dataverse_id, 'relation' AS class, 'original' AS field, '0' AS dataverse_value,
    '1' AS finance_value, a.amount AS amount, c.code AS currency,
    concat_ws(' ', a.type, a.class, 'of', a.document_date) AS explanation
FROM actuals a LEFT JOIN currencies c ON c.id = a.currency_id
WHERE a.adjustment = 'Unadjustable' AND a.id NOT IN (SELECT reversal FROM known) AND settled(a.changed_at)
            """,
        ),
    ),
)
