"""A billed sale is its unbilled one, in quantity, amount and category [R15]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R15",
    title="Billed sales = the unbilled sales they close",
    area="project_invoices",
    severity="critical",
    compares="Billed sales of time and material against their unbilled sales, by the connection Billed to Unbilled",
    evidence="derived",
    basis=("F1", "F4", "H12"),
    exclusions=(
        "entry journals, which carry no connections [E23]",
        "credits, which reverse a billed sale instead [E14 to E16]",
        "retainers and milestones",
    ),
    dataverse_table="msdyn_actual",
    given="""
WITH pairs AS (
    SELECT lower(CASE WHEN one_role = 'Billed' THEN one ELSE two END) AS billed,
        lower(CASE WHEN one_role = 'Billed' THEN two ELSE one END) AS unbilled
    FROM connections
    WHERE (one_role = 'Billed' AND two_role = 'Unbilled') OR (one_role = 'Unbilled' AND two_role = 'Billed')
), due AS (
    SELECT a.*, c.code AS currency FROM actuals a LEFT JOIN currencies c ON c.id = a.currency_id
    WHERE a.type = 'Billed' AND a.class IN ('Time', 'Expense', 'Material', 'Fee') AND a.origin IS NOT NULL
        AND a.adjustment IS DISTINCT FROM 'Unadjustable' AND settled(a.changed_at)
), known AS (
    SELECT d.id, u.id AS unbilled, u.quantity, u.amount, u.category_id FROM due d JOIN pairs p ON p.billed = d.id
        JOIN actuals u ON u.id = p.unbilled
)
    """,
    checks=(
        Check(
            "a",
            proves="Every billed sale of time and material closes exactly one unbilled sale",
            judges="actuals",
            sql="""
SELECT d.company, d.id AS key, d.id AS dataverse_id, 'relation' AS class, 'unbilled sale' AS field,
    count(k.unbilled)::VARCHAR AS dataverse_value, '1' AS finance_value, d.amount, d.currency
FROM due d LEFT JOIN known k USING (id) GROUP BY d.company, d.id, d.amount, d.currency HAVING count(k.unbilled) <> 1
            """,
        ),
        Check(
            "b",
            proves="A billed sale has the quantity and the amount of the unbilled sale it closes",
            judges="actuals",
            sql="""
SELECT d.company, d.id AS key, d.id AS dataverse_id, 'amount' AS class, v.field,
    v.billed::VARCHAR AS dataverse_value, v.unbilled::VARCHAR AS finance_value,
    CASE WHEN v.field = 'amount' THEN v.billed - v.unbilled END AS amount, d.currency,
    'the unbilled sale is ' || k.unbilled AS explanation
FROM due d JOIN known k USING (id), LATERAL (VALUES
    ('quantity', COALESCE(d.quantity, 0)::DECIMAL(28,4), COALESCE(k.quantity, 0)::DECIMAL(28,4)),
    ('amount', COALESCE(d.amount, 0)::DECIMAL(28,4), COALESCE(k.amount, 0)::DECIMAL(28,4))) v(field, billed, unbilled)
WHERE v.billed <> v.unbilled
            """,
        ),
        Check(
            "c",
            proves="A billed sale has the transaction category of the unbilled sale it closes",
            judges="actuals",
            sql="""
SELECT d.company, d.id AS key, d.id AS dataverse_id, 'reference' AS class, 'transaction category' AS field,
    COALESCE(d.category_id, '') AS dataverse_value, COALESCE(k.category_id, '') AS finance_value,
    'the unbilled sale is ' || k.unbilled AS explanation
FROM due d JOIN known k USING (id) WHERE d.category_id IS DISTINCT FROM k.category_id
            """,
        ),
    ),
)
