"""The only file Airflow's plugin loader executes.

Tasks run in processes forked from the scheduler (LocalExecutor) or from a Celery worker. What those have imported
before is shared by all their tasks, instead of being imported by each: 16 tasks took 9 seconds instead of 24. Airflow's
other components never run a task and save the memory.

The pages of the reconciliation are registered here and imported by the API server alone, when somebody opens one. A
plugin's web routes are open to everyone unless each of them asks for a login; ours do (``dualsync_airflow.pages``).
"""

import contextlib
import importlib
import logging
import os
import sys

from airflow.plugins_manager import AirflowPlugin

from dualsync_airflow.pages.registration import external_views, fastapi_apps

HEAVY = ("pandas", "pyarrow", "duckdb", "great_expectations", "dualsync.sync.run.serial", "dualsync_airflow.sync.dag")
FORKING_COMMANDS = {"scheduler", "worker"}


class DualsyncPlugin(AirflowPlugin):
    """Registers the pages; the rest of the plugin's work is done by executing this file."""

    name = "dualsync"
    fastapi_apps = fastapi_apps()
    external_views = external_views()


def _warm_up() -> None:
    """Read the table maps, which remember what they have read as long as a file does not change.

    Maps that cannot be read are reported by the DAG files; they must not keep Airflow from starting.
    """
    from dualsync.errors import MapErrors
    from dualsync.mapping import Catalog

    with contextlib.suppress(MapErrors):
        Catalog.load()


if FORKING_COMMANDS & set(sys.argv[1:]):
    # Great Expectations reads this when it is imported.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # While it is imported it reports each of its functions.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    for _name in HEAVY:
        importlib.import_module(_name)
    _warm_up()
