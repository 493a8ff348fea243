"""What the tests of Finance's jobs share: the books of the seeded companies."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dualsync_sandbox.business import Parameters, install
from dualsync_sandbox.clock import Clock
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.seed import seed
from dualsync_sandbox.store import Store
from support.books import CONSULTING, TRAVEL, Books


@contextmanager
def opened(folder: Path, parameters: Parameters | None = None) -> Iterator[Books]:
    clock = Clock(datetime(2026, 3, 2, 9, tzinfo=UTC), frozen=True)
    dataverse = Store(folder / "dataverse.db", SystemSchema.load("dataverse"), clock)
    finance = Store(folder / "finance.db", SystemSchema.load("finance"), clock)
    install(dataverse, finance, clock, parameters)
    try:
        yield Books(finance, clock)
    finally:
        dataverse.close()
        finance.close()


def _projects(books: Books) -> None:
    for number, name in ((CONSULTING, "Consulting"), (TRAVEL, "Travel")):
        books.insert("ProjectTransactionCategories", CategoryId=number, Name=name)
    for area, currency in (("uspm", "USD"), ("gbpm", "GBP")):
        contract = {"dataAreaId": area, "ProjectContractId": f"ORD-{area}", "CustomerAccountNumber": "C-000001"}
        books.insert("ProjectContractHeaders", **contract, Name="Works", SalesCurrencyCode=currency)
        name = "PRJ-T" if area == "uspm" else "PRJ-G"
        books.insert("ProjectsV2", dataAreaId=area, ProjectId=name, ProjectContractId=f"ORD-{area}")
    books.insert("ProjectsV2", dataAreaId="uspm", ProjectId="PRJ-I")
    task = {"dataAreaId": "uspm", "ProjectId": "PRJ-T"}
    books.insert("ProjectTasks", **task, TaskId="TSK-1", TaskElementId="A")
    books.insert("ProjectTasks", **task, TaskId="TSK-2", TaskElementId="B", ParentTaskElementId="A")


@pytest.fixture(scope="session")
def books_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("books")
    clock = Clock(datetime(2026, 3, 2, 9, tzinfo=UTC), frozen=True)
    dataverse = Store(folder / "dataverse.db", SystemSchema.load("dataverse"), clock)
    finance = Store(folder / "finance.db", SystemSchema.load("finance"), clock)
    stores = (dataverse, finance)
    seed(*stores, "demo", 1)
    for store in stores:
        store.close()
    with opened(folder) as books:
        _projects(books)
    return folder


@pytest.fixture
def books(books_folder: Path, tmp_path: Path) -> Iterator[Books]:
    """The seeded companies on the second of March 2026, with these projects:

    PRJ-T in USPM, of contract ORD-uspm (no WIP), with the task TSK-1 and its leaf TSK-2; PRJ-I in USPM, internal;
    PRJ-G in GBPM, of contract ORD-gbpm (with WIP).
    """
    for file in books_folder.glob("*.db"):
        shutil.copy(file, tmp_path / file.name)
    with opened(tmp_path) as found:
        yield found
        assert found.balanced()
