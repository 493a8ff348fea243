"""An adjusted actual and its reversal cancel out [R10]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R10",
    title="Adjusted actual + its reversal = 0, both carried over or neither",
    area="estimates_actuals",
    severity="critical",
    compares=(
        "Quantity, amount and Skip Sync of adjusted actuals and their reversals, by the connection "
        "Reversing to Original"
    ),
    evidence="derived",
    basis=("E6", "E7", "E9"),
    exclusions=("Skip Sync of reversals that an invoice made: which of them carry it is not documented",),
    dataverse_table="msdyn_actual",
    given="""
WITH reversals AS (
    SELECT CASE WHEN one_role = 'Reversing' THEN one ELSE two END AS reversal,
        CASE WHEN one_role = 'Reversing' THEN two ELSE one END AS original
    FROM connections
    WHERE (one_role = 'Reversing' AND two_role = 'Original') OR (one_role = 'Original' AND two_role = 'Reversing')
), pairs AS (
    SELECT o.company, o.id, r.id AS reversal, o.quantity AS o_quantity, r.quantity AS r_quantity, o.amount AS o_amount,
        r.amount AS r_amount, o.skip_sync AS o_skip, r.skip_sync AS r_skip, r.billing_status AS r_status, c.code
            AS currency
    FROM reversals v JOIN actuals o ON o.id = lower(v.original) JOIN actuals r ON r.id = lower(v.reversal)
        LEFT JOIN currencies c ON c.id = o.currency_id
    WHERE o.adjustment = 'Adjusted' AND settled(o.changed_at) AND settled(r.changed_at)
)
    """,
    checks=(
        Check(
            "a",
            proves="The amounts of an adjusted actual and its reversal cancel out",
            judges="actuals",
            sql="""
SELECT company, id AS key, id AS dataverse_id, 'amount' AS class, 'amount' AS field,
    concat_ws(' and ', o_amount, r_amount) AS dataverse_value, COALESCE(o_amount, 0) + COALESCE(r_amount, 0) AS amount,
    currency, 'reversed by ' || reversal AS explanation
FROM pairs WHERE COALESCE(o_amount, 0) + COALESCE(r_amount, 0) <> 0
            """,
        ),
        Check(
            "b",
            proves="The quantities of an adjusted actual and its reversal cancel out",
            judges="actuals",
            severity="error",
            sql="""
SELECT company, id AS key, id AS dataverse_id, 'amount' AS class, 'quantity' AS field,
    concat_ws(' and ', o_quantity, r_quantity) AS dataverse_value, 'reversed by ' || reversal AS explanation
FROM pairs WHERE COALESCE(o_quantity, 0) + COALESCE(r_quantity, 0) <> 0
            """,
        ),
        Check(
            "c",
            proves="An adjusted actual and its reversal have the same Skip Sync",
            judges="actuals",
            severity="warning",
            sql="""
SELECT company, id AS key, id AS dataverse_id, 'status' AS class, 'Skip Sync' AS field,
    concat_ws(' and ', o_skip, r_skip) AS dataverse_value, 'reversed by ' || reversal AS explanation
FROM pairs WHERE o_skip IS DISTINCT FROM r_skip AND r_status IS DISTINCT FROM 'CustomerInvoicePosted'
            """,
        ),
    ),
)
