"""Setup & configuration data: the parties, workers, roles, categories, contracts and projects that all else needs."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag(
    "setup_configuration",
    when="customers, vendors, workers, roles, categories, contracts or projects have changed and cannot wait for the "
    "next scheduled run",
    schedule="*/15 * * * *",
)
