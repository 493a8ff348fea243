"""Speaks to the two systems: sign-in, HTTP with limits and retries, OData, Dataverse, Finance.

::

    with open_systems(settings) as systems:
        for page in systems.dataverse.read("msdyn_projects", select=["msdyn_projectnumber", "msdyn_subject"]):
            ...

Both clients are safe to share between threads. Errors are those of ``dualsync.errors``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualsync.closing import Closing
from dualsync.systems import dataverse as _dataverse
from dualsync.systems import finance as _finance
from dualsync.systems.dataverse import AttributeInfo, Bind, Changes, Dataverse, KeyInfo, TableInfo, UpsertRow
from dualsync.systems.finance import ColumnInfo, EntityInfo, Finance, ImportResult, Packages, RowError
from dualsync.systems.http import Service, open_client, open_storage_client

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from dualsync.settings import Settings

__all__ = [
    "AttributeInfo",
    "Bind",
    "Changes",
    "ColumnInfo",
    "Dataverse",
    "EntityInfo",
    "Finance",
    "ImportResult",
    "KeyInfo",
    "RowError",
    "Systems",
    "TableInfo",
    "UpsertRow",
    "open_dataverse",
    "open_finance",
    "open_systems",
]


@dataclass(frozen=True, slots=True)
class Systems(Closing):
    """Both systems; closes them when left as a context manager."""

    dataverse: Dataverse
    finance: Finance

    def close(self) -> None:
        """Close all connections."""
        self.dataverse.close()
        self.finance.close()


def open_systems(
    settings: Settings,
    *,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Systems:
    """Clients of both systems. Nothing is sent before the first call.

    Args:
        settings: Addresses, credentials and limits.
        transport: Carries the requests instead of the network, for tests.
        sleep: Waits that many seconds before another attempt.
        clock: Seconds of a clock that never goes back, for the life of tokens.

    Raises:
        SettingsError: A system is not configured, or its ca_file cannot be used.
    """
    return Systems(
        open_dataverse(settings, transport=transport, sleep=sleep, clock=clock),
        open_finance(settings, transport=transport, sleep=sleep, clock=clock),
    )


def open_dataverse(
    settings: Settings,
    *,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Dataverse:
    """A client of Dataverse alone; see ``open_systems``."""
    endpoint = settings.endpoint("dataverse")
    service = Service(
        "Dataverse",
        f"{endpoint.url}/{_dataverse.API_PATH}",
        open_client(endpoint, settings, "dataverse", transport=transport, clock=clock),
        classify=_dataverse.classify,
        retries=settings.retries,
        sleep=sleep,
    )
    return Dataverse(service, page_size=settings.page_sizes.dataverse)


def open_finance(
    settings: Settings,
    *,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Finance:
    """A client of Finance alone; see ``open_systems``."""
    endpoint = settings.endpoint("finance")
    service = Service(
        "Finance",
        f"{endpoint.url}/{_finance.API_PATH}",
        open_client(endpoint, settings, "finance", transport=transport, clock=clock),
        classify=_finance.classify,
        retries=settings.retries,
        sleep=sleep,
    )
    storage = open_storage_client(endpoint, settings, transport=transport)
    return Finance(service, Packages(service, storage, retries=settings.retries, sleep=sleep, clock=clock))
