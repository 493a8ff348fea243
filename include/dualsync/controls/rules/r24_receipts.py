"""What a subcontractor has worked is received [R24]."""

from datetime import timedelta

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R24",
    title="Posted receipts of an order line = posted work of its subcontract line",
    area="subcontract_purchase_orders",
    severity="error",
    compares="Quantity of posted cost actuals of subcontract lines against posted receipt lines",
    evidence="derived",
    basis=("J12",),
    exclusions=(
        "lines with work that changed within a day: receipts are made daily [J12]",
        "what a vendor invoice has replaced, which is received once",
    ),
    window=timedelta(hours=24),
    dataverse_table="msdyn_subcontractline",
    finance_set="ProjectPurchaseOrderLines",
    given="""
WITH worked AS (
    SELECT a.company, l.number, sum(a.quantity) AS quantity, max(a.changed_at) AS changed_at, any_value(l.id) AS id
    FROM actuals a JOIN subcontract_lines l ON l.id = a.subcontract_line_id
    WHERE a.type = 'Cost' AND a.voucher IS NOT NULL AND a.vendor_line_id IS NULL
        AND NOT (a.adjustment IS NOT DISTINCT FROM 'Unadjustable' AND a.vendor_invoice_id IS NOT NULL) GROUP BY ALL
), received AS (
    SELECT o.company, o.subcontract_line AS number, sum(r.quantity) AS quantity, string_agg(DISTINCT o.record_key,
        ' ') AS keys
    FROM receipt_lines r JOIN receipts h ON h.company = r.company AND h.number = r.receipt
        JOIN purchase_order_lines o ON o.company = r.company AND o."order" = r."order" AND o.line = r.order_line
    WHERE h.status = 'Posted' AND o.subcontract_line IS NOT NULL GROUP BY ALL
)
    """,
    checks=(
        Check(
            "a",
            proves="The posted receipts of a subcontract line come to its posted work",
            judges="subcontract_lines",
            sql="""
SELECT COALESCE(w.company, r.company) AS company, COALESCE(w.number, r.number) AS key, w.id AS dataverse_id,
    r.keys AS finance_key, 'amount' AS class, 'quantity' AS field, COALESCE(w.quantity, 0)::VARCHAR AS dataverse_value,
    COALESCE(r.quantity, 0)::VARCHAR AS finance_value
FROM worked w FULL JOIN received r ON r.company = w.company AND lower(r.number) = lower(w.number)
WHERE COALESCE(w.quantity, 0) <> COALESCE(r.quantity, 0) AND settled(w.changed_at)
            """,
        ),
        Check(
            "b",
            proves="A receipt that was generated is posted",
            judges="receipts",
            sql="",
            limits=(
                "Nothing public tells a receipt that was generated and not posted from one that was never generated: "
                "both show as work without a receipt"
            ),
        ),
    ),
)
