"""Worlds in which something has to be repaired by DAG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dualsync_demo.sandbox import connections
from support.worlds import COMPANIES, World, copied


def synchronised(template: Path, home: Path) -> Iterator[World]:
    """A synchronised world that Airflow finds: its home by environment, its systems by connections."""
    for world in copied(template, home):
        environ = connections(world.sandbox.info) | {"DUALSYNC_HOME": str(world.home), "DUALSYNC_COMPANIES": COMPANIES}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dualsync.sync.load.step.GUARD_FLOOR", 3)
            for name, value in (environ | {"DUALSYNC_GUARDS__DELETES": "1"}).items():
                patch.setenv(name, value)
            guards = world.settings.guards.model_copy(update={"deletes": 1})
            world.settings = world.settings.model_copy(update={"guards": guards})
            yield world


def projects_of(world: World, code: str) -> list[dict[str, Any]]:
    company = world.dataverse_api.one("cdm_companies", f"cdm_companycode eq '{code}'")["cdm_companyid"]
    rows = world.dataverse_api.rows("msdyn_projects", f"_msdyn_owningcompany_value eq {company}")
    return sorted(rows, key=lambda row: str(row["msdyn_projectnumber"]))


def names_in_finance(world: World) -> dict[str, str]:
    rows = world.finance_api.rows("ProjectsV2", "dataAreaId eq 'uspm'")
    return {str(row["ProjectId"]): str(row["ProjectName"]) for row in rows}


def rename_in_finance(world: World, number: str, name: str) -> None:
    with world.sandbox.finance_store.transaction() as tx:
        row = tx.find_one("ProjectsV2", dataAreaId="uspm", ProjectId=number)
        assert row is not None
        tx.update("ProjectsV2", row["RecId"], {"ProjectName": name})
