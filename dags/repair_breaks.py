"""Rows of exceptions, sent again from the system that owns them. Started by hand or from the pages."""

from dualsync_airflow.repair.dag import repair_dag

dag = repair_dag(
    "repair_breaks",
    title="Send rows of exceptions again",
    when="the nightly reconciliation found exceptions that a fresh copy from the owning system would resolve",
)
