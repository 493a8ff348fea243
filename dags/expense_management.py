"""Expense management: expense categories, and the posted project expenses that Dataverse approves."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag(
    "expense_management",
    when="expense categories have changed or expense reports were posted, and they cannot wait for the next scheduled "
    "run",
    schedule="5-59/15 * * * *",
)
