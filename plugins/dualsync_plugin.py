"""The only file Airflow's plugin loader executes.

Tasks run in processes forked from the scheduler (LocalExecutor) or from a Celery worker. What those have imported
before is shared by all their tasks, instead of being imported by each: 16 tasks took 9 seconds instead of 24. Airflow's
other components never run a task and are spared the memory.

It registers no pages: a plugin's web routes are open to everyone unless each of them asks for a login.
"""

import importlib
import logging
import os
import sys

from airflow.plugins_manager import AirflowPlugin

HEAVY = ("pandas", "pyarrow", "duckdb", "great_expectations")
FORKING_COMMANDS = {"scheduler", "worker"}


class DualsyncPlugin(AirflowPlugin):
    """Names the plugin; its work is done by executing this file."""

    name = "dualsync"


if FORKING_COMMANDS & set(sys.argv[1:]):
    # Great Expectations reads this when it is imported.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # While it is imported it reports each of its functions.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    for _name in HEAVY:
        importlib.import_module(_name)
