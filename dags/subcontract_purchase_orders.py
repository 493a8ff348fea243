"""Subcontract purchase orders: what is bought from other firms becomes orders in Finance, whose numbers come back."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag("subcontract_purchase_orders", title="Subcontract purchase orders", schedule="3-59/15 * * * *")
