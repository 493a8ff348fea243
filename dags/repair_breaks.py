"""Breaks of the nightly reconciliation, sent again from the side that owns them. Started by hand or from the pages."""

from dualsync_airflow.repair.dag import repair_dag

dag = repair_dag("repair_breaks")
