"""The DAG of the nightly reconciliation and its tasks."""
