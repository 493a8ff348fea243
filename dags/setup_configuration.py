"""Setup & configuration: the parties, workers, roles, categories, contracts and projects that everything else needs."""

from dualsync_airflow.sync.dag import area_dag

dag = area_dag("setup_configuration", title="Setup & configuration", schedule="*/15 * * * *")
