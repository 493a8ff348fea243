"""Nightly reconciliation: compares both systems in full, runs all controls and reports every exception."""

from dualsync_airflow.nightly.dag import nightly_dag

dag = nightly_dag(
    "nightly_reconciliation",
    title="Nightly reconciliation",
    when="you want to know now whether Dataverse and Finance agree, or need the close package of a period",
)
