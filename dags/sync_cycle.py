"""All areas in order: one run brings what was bought and spent to Dataverse, and its actuals to Finance."""

from dualsync_airflow.sync.dag import cycle_dag

dag = cycle_dag(
    "sync_cycle",
    title="All areas in order",
    when="one run should bring every area up to date, each area with what the areas before it have brought",
    schedule=None,
)
