"""Project estimates & actuals: forecasts and actuals go to Finance, the accounting of posted ones comes back."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag(
    "estimates_actuals",
    when="estimates or actuals have changed, or the integration journal was posted, and they cannot wait for the next "
    "scheduled run",
    schedule="10-59/15 * * * *",
)
