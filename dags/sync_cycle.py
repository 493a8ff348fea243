"""All areas in their order, so that one run carries a posted expense to Dataverse and its actual on to Finance."""

from dualsync_airflow.builder import cycle_dag

AREAS = ("setup_configuration", "expense_management", "estimates_actuals")

dag = cycle_dag("sync_cycle", AREAS, title="All areas in their order", schedule=None)
