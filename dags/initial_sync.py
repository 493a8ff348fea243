"""Initial synchronisation: adopts what both systems hold and brings over what one of them lacks. Started by hand."""

from dualsync_airflow.sync.dag import initial_sync_dag

dag = initial_sync_dag("initial_sync", title="Initial synchronisation")
