"""Vendor invoices: posted in Finance, matched and confirmed in Dataverse, whose word on them goes back."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag("vendor_invoices", title="Vendor invoices", schedule="8-59/15 * * * *")
