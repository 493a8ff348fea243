"""Vendor invoices: posted in Finance, matched and confirmed in Dataverse; the confirmation goes back."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag(
    "vendor_invoices",
    when="vendor invoices were posted in Finance or confirmed in Dataverse, and they cannot wait for the next "
    "scheduled run",
    schedule="8-59/15 * * * *",
)
