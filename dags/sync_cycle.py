"""All areas in their order, so that one run brings what was bought and spent to Dataverse and its actuals to Finance.

What is ordered comes before what is invoiced for it, costs before the actuals that are made of them, and actuals before
the invoices that bill them.
"""

from dualsync_airflow.sync.dag import cycle_dag

AREAS = (
    "setup_configuration",
    "subcontract_purchase_orders",
    "expense_management",
    "vendor_invoices",
    "estimates_actuals",
    "project_invoices",
)

dag = cycle_dag("sync_cycle", AREAS, title="All areas in their order", schedule=None)
