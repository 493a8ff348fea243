"""Transfers that a guard stopped: asks a person whether to carry them out. Started by hand."""

from dualsync_airflow.repair.dag import release_dag

dag = release_dag(
    "release_held",
    title="Approve transfers",
    when="a run ended with transfers that need approval, because a guard stopped them",
)
