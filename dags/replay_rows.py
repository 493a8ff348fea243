"""Rows that are held back, tried again one by one. Started by hand or from the pages."""

from dualsync_airflow.repair.dag import replay_dag

dag = replay_dag("replay_rows")
