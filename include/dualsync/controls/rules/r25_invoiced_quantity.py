"""No more is invoiced than was received [R25]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R25",
    title="Invoiced quantity <= received quantity",
    area="subcontract_purchase_orders",
    severity="warning",
    compares="Invoiced against received quantities of order lines",
    evidence="derived",
    basis=("J14",),
    exclusions=("the product itself only warns of it",),
    finance_set="ProjectPurchaseOrderLines",
    checks=(
        Check(
            "a",
            proves="No more of an order line is invoiced than was received",
            judges="purchase_order_lines",
            sql="""
SELECT o.company, o.subcontract_line AS key, o.record_key AS finance_key, 'amount' AS class, 'quantity' AS field,
    o.received::VARCHAR AS dataverse_value, o.invoiced::VARCHAR AS finance_value,
    'received against invoiced' AS explanation
FROM purchase_order_lines o WHERE o.subcontract_line IS NOT NULL AND o.invoiced > o.received
            """,
        ),
    ),
)
