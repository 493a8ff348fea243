"""Initial synchronisation: adopts rows that both systems hold, and creates those that one of them lacks."""

from dualsync_airflow.sync.dag import initial_sync_dag

dag = initial_sync_dag(
    "initial_sync",
    title="Initial synchronisation",
    when="an environment or a company is connected for the first time, before the areas run",
)
