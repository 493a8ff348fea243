"""Subcontract purchase orders: subcontracts become purchase orders in Finance, whose numbers come back."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag(
    "subcontract_purchase_orders",
    when="subcontracts were confirmed and their purchase orders cannot wait for the next scheduled run",
    schedule="3-59/15 * * * *",
)
