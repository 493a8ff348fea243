"""Expense management: expense categories, and the posted project expenses that Dataverse approves."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag("expense_management", title="Expense management", schedule="5-59/15 * * * *")
