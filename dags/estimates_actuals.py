"""Estimates & actuals: forecasts and actuals go to Finance, the accounting of what is posted comes back."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag("estimates_actuals", title="Estimates & actuals", schedule="10-59/15 * * * *")
