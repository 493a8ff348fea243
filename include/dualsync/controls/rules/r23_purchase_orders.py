"""A subcontract is a purchase order, line by line [R23]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R23",
    title="Each confirmed subcontract has one purchase order, with its lines, quantities and prices",
    area="subcontract_purchase_orders",
    severity="error",
    compares="Subcontracts and their lines against purchase orders",
    evidence="documented",
    basis=("J10",),
    dataverse_table="msdyn_subcontract",
    finance_set="ProjectPurchaseOrders",
    given="""
WITH orders AS (
    SELECT company, subcontract, count(*) AS n, string_agg(record_key, ' ') AS keys, any_value(state) AS state
    FROM purchase_orders WHERE subcontract IS NOT NULL GROUP BY ALL
), ordered AS (
    SELECT company, subcontract_line, count(*) AS n, string_agg(record_key, ' ') AS keys, sum(quantity) AS quantity,
        any_value(price) AS price FROM purchase_order_lines WHERE subcontract_line IS NOT NULL GROUP BY ALL
), mine AS (SELECT * FROM subcontracts WHERE status IN ('Confirmed', 'Closed') AND settled(changed_at)),
lines AS (SELECT l.* FROM subcontract_lines l JOIN mine m ON m.id = l.subcontract_id)
    """,
    checks=(
        Check(
            "a",
            proves="A confirmed or closed subcontract has one purchase order, confirmed or finalized",
            judges="subcontracts",
            sql="""
SELECT m.company, m.number AS key, m.id AS dataverse_id, o.keys AS finance_key,
    CASE WHEN o.n IS NULL THEN 'missing_in_finance' WHEN o.n > 1 THEN 'duplicate_in_finance' ELSE 'status' END AS class,
    'purchase order' AS field, m.status AS dataverse_value, COALESCE(o.state, '') AS finance_value
FROM mine m LEFT JOIN orders o ON o.company = m.company AND lower(o.subcontract) = lower(m.number)
WHERE o.n IS DISTINCT FROM 1 OR o.state NOT IN ('Confirmed', 'Finalized')
            """,
        ),
        Check(
            "b",
            proves="A line of such a subcontract has one line of a purchase order",
            judges="subcontract_lines",
            sql="""
SELECT l.company, l.number AS key, l.id AS dataverse_id, o.keys AS finance_key,
    CASE WHEN o.n IS NULL THEN 'missing_in_finance' ELSE 'duplicate_in_finance' END AS class,
    'line of the purchase order' AS field, '1' AS dataverse_value, COALESCE(o.n, 0)::VARCHAR AS finance_value,
    'subcontract line ' || l.number AS explanation
FROM lines l LEFT JOIN ordered o ON o.company = l.company AND lower(o.subcontract_line) = lower(l.number)
WHERE o.n IS DISTINCT FROM 1
            """,
        ),
        Check(
            "c",
            proves="Quantity and price of an order line are those of its subcontract line",
            judges="subcontract_lines",
            sql="""
SELECT l.company, l.number AS key, l.id AS dataverse_id, o.keys AS finance_key, 'amount' AS class, v.field,
    v.ours::VARCHAR AS dataverse_value, v.theirs::VARCHAR AS finance_value
FROM lines l JOIN ordered o ON o.company = l.company AND lower(o.subcontract_line) = lower(l.number), LATERAL (VALUES
    ('quantity', COALESCE(l.quantity, 0)::DECIMAL(28,4), COALESCE(o.quantity, 0)::DECIMAL(28,4)),
    ('price', COALESCE(l.price, 0)::DECIMAL(28,4), COALESCE(o.price, 0)::DECIMAL(28,4))) v(field, ours, theirs)
WHERE o.n = 1 AND v.ours <> v.theirs AND settled(l.changed_at)
            """,
        ),
    ),
)
