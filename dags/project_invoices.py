"""Project invoices: confirmed proforma invoices and what they bill go to Finance, the customer invoice comes back."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag("project_invoices", title="Project invoices", schedule="13-59/15 * * * *")
