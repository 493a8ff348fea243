"""Project invoices: confirmed proforma invoices and what they bill go to Finance, the customer invoice comes back."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag(
    "project_invoices",
    when="proforma invoices were confirmed or invoice proposals were posted, and they cannot wait for the next "
    "scheduled run",
    schedule="13-59/15 * * * *",
)
