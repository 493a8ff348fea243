"""The nightly reconciliation: compares both systems in full, asks all controls, and tells what it found."""

from dualsync_airflow.nightly.dag import nightly_dag

dag = nightly_dag("nightly_reconciliation", title="Nightly reconciliation")
