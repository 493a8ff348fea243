"""The library's runtime, opened with the credentials of Airflow's connections."""

from typing import TYPE_CHECKING

from dualsync_airflow.connections.hooks import DataverseHook, FinanceHook

if TYPE_CHECKING:
    from dualsync.sync.legs.runtime import Runtime


def open_runtime() -> "Runtime":
    """Open the runtime of a task: settings from file and environment, both systems from their Airflow connections.

    Call it inside a running task only, since connections are looked up through Airflow.

    Raises:
        AirflowNotFoundException: A connection is not defined.
        SettingsError: A setting is missing or wrong.
    """
    from dualsync.settings import Settings
    from dualsync.sync.legs.runtime import Runtime

    settings = Settings.load({"dataverse": DataverseHook().get_conn(), "finance": FinanceHook().get_conn()})
    return Runtime.open(settings)
