"""A confirmed vendor invoice costs what its lines say [R22]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R22",
    title="Cost actuals of confirmed vendor invoices = their lines",
    area="vendor_invoices",
    severity="critical",
    compares=(
        "Lines of confirmed vendor invoices against the cost actuals made of them, or the resourcing costs where "
        "the project is another company's"
    ),
    evidence="derived",
    basis=("J4", "J14"),
    dataverse_table="msdyn_projectvendorinvoiceline",
    given="""
WITH lines AS (
    SELECT l.*, c.code AS currency FROM vendor_invoice_lines l JOIN vendor_invoices v ON v.id = l.invoice_id
        LEFT JOIN currencies c ON c.id = l.currency_id
    WHERE v.status = 'Confirmed' AND settled(v.changed_at) AND settled(l.changed_at)
), costs AS (
    SELECT vendor_line_id, type, count(*) AS n, sum(amount) AS amount FROM actuals
    WHERE type IN ('Cost', 'ResourcingUnitCost') AND vendor_line_id IS NOT NULL AND adjustment IS NULL
    GROUP BY vendor_line_id, type
    -- what is bought for another company's project costs the buying one what the line says
    QUALIFY row_number() OVER (PARTITION BY vendor_line_id ORDER BY type DESC) = 1
)
    """,
    checks=(
        Check(
            "a",
            proves="A line of a confirmed vendor invoice has one cost actual of the same amount",
            judges="vendor_invoice_lines",
            sql="""
SELECT l.company, l.number AS key, l.id AS dataverse_id,
    CASE WHEN c.n IS DISTINCT FROM 1 THEN 'relation' ELSE 'amount' END AS class, 'cost actual' AS field,
    l.amount::VARCHAR AS dataverse_value, COALESCE(c.amount::VARCHAR, '') AS finance_value,
    l.amount - COALESCE(c.amount, 0) AS amount, l.currency, concat(COALESCE(c.n, 0), ' cost actuals') AS explanation
FROM lines l LEFT JOIN costs c ON c.vendor_line_id = l.id
WHERE c.n IS DISTINCT FROM 1 OR c.amount <> l.amount
            """,
        ),
    ),
)
