"""Three runs of the nightly reconciliation by Airflow on the sandbox, beside an integration that is not ours.

First both systems agree. Then one record differs and one task fails. Then the failed task is cleared. Each is run once;
each test looks at one thing that must be true of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openpyxl import load_workbook

from dualsync.errors import SchemaMismatch
from dualsync.ledger import BreakRecord, NightRecord
from dualsync.ledger.breaks import BreakFilter
from dualsync.mapping.areas import AREA_NAMES
from dualsync.nightly import steps
from dualsync.reports.nights import NightReport
from dualsync.settings import Settings
from dualsync.sync.legs.runtime import Runtime
from dualsync_demo.sandbox import connections
from support.airflow_runs import DagRunResult, run_dag, task_context
from support.channels import Mailbox, serving
from support.commands import dualsync
from support.worlds import World, copied

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAG_ID = "nightly_reconciliation"
MAPS = ["parties", "resource_roles", "expense_categories"]
"""Maps of two areas that need few others."""

PARAMS: dict[str, Any] = {"companies": [], "maps": MAPS, "controls": ["R7"], "period": "", "fail_on_critical": True}


@dataclass(frozen=True)
class Published:
    """What a run has published, as it stood when the run had ended.

    Attributes:
        night: The record in the ledger.
        lines: State and reason of each control and map.
        suites: What became of each suite.
        files: Names of the report files.
        docs: Pages of the Data Docs by suite.
        quality: Refused rows by title, as the workbook has them.
        breaks: Its exceptions.
        exceptions_in_ledger: How many exceptions the ledger has in all.
    """

    night: NightRecord
    lines: dict[str, tuple[str, str]]
    suites: dict[str, dict[str, Any]]
    files: set[str]
    docs: dict[str, str]
    quality: dict[str, int]
    breaks: list[BreakRecord]
    exceptions_in_ledger: int


@pytest.fixture(scope="module")
def world(synced_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two systems in step, and a home that knows nothing of how they came to be so."""
    for world in copied(synced_home, tmp_path_factory.mktemp("nightly") / "home"):
        assert world.sync(["expense_categories"], area="expense_management").state == "settled"
        home = tmp_path_factory.mktemp("beside")
        environ = connections(world.sandbox.info) | {
            "DUALSYNC_HOME": str(home),
            "DUALSYNC_COMPANIES": "USPM,GBPM,FRRT",
            "DUALSYNC_ALERTS__EMAIL_TO": "ann@example.com",
            "DUALSYNC_ALERTS__ERRORS": "0",
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            world.forget_requests()
            yield world


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with serving(Mailbox()) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", server.connection)
        yield server


def published(run_id: str) -> Published:
    with Runtime.open(Settings.load()) as runtime:
        report = NightReport.of(runtime.ledger, runtime.catalog, f"{DAG_ID}.{run_id}")
        assert report is not None
        assert report.data_docs is not None
        sheet = load_workbook(report.folder / "reports" / "reconciliation.xlsx", read_only=True)["Data quality"]
        return Published(
            report.night,
            {line.control: (line.state, line.reason) for line in report.control_lines()},
            {one["suite"]: one for one in report.suite_rates(1)},
            {one["name"] for one in report.downloads()},
            {page.stem: page.read_text() for page in (report.data_docs / "suites").iterdir()},
            {row[0]: row[5] for row in sheet.iter_rows(min_row=2, values_only=True)},
            runtime.ledger.nights.breaks(BreakFilter(run_id=report.night.run_id)),
            runtime.ledger.nights.count(),
        )


# --- both systems agree -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FirstRun:
    """The first run, with the mails and requests that had been sent when it ended."""

    run: DagRunResult
    mails: list[Any]
    writes: list[dict[str, Any]]


@pytest.fixture(scope="module")
def first(world: World, mailbox: Mailbox, dagbag: DagBag, brisk_module: None) -> FirstRun:
    run = run_dag(dagbag, DAG_ID, PARAMS)
    return FirstRun(run, list(mailbox.mails), world.writes())


@pytest.fixture(scope="module")
def clean_run(first: FirstRun) -> DagRunResult:
    return first.run


@pytest.fixture(scope="module")
def clean(clean_run: DagRunResult) -> Published:
    return published(clean_run.run_id)


def test_nothing_is_written_to_either_system(first: FirstRun) -> None:
    assert first.writes == []


def test_nobody_is_told_where_no_threshold_is_crossed(first: FirstRun) -> None:
    assert first.mails == []


def test_a_run_succeeds_and_skips_what_was_not_asked_for(clean_run: DagRunResult) -> None:
    assert clean_run.state == "success", clean_run.ended("failed")
    idle = set(AREA_NAMES) - {"setup_configuration", "expense_management"}
    skipped = {f"{step}.{area}" for step in ("compare", "validate") for area in idle}
    assert clean_run.ended("skipped") == skipped | {"notify"}


def test_agreement_is_published_for_each_control_and_map(clean: Published) -> None:
    assert (clean.night.verdict, clean.night.failed) == ("equal", 0)
    assert set(clean.lines) == {"R7", *(f"map:{name}" for name in MAPS)}


def test_data_quality_is_published_for_each_map(clean: Published) -> None:
    assert {(name, one["state"]) for name, one in clean.suites.items()} == {(name, "checked") for name in MAPS}
    assert all(one["rate"] == 1 for one in clean.suites.values() if one["rows"])


def test_files_and_data_docs_are_written(clean: Published) -> None:
    assert clean.files >= {"reconciliation.xlsx", "exceptions.csv", "totals.parquet"}
    assert set(clean.docs) == set(MAPS)


def test_xcoms_stay_small(clean_run: DagRunResult) -> None:
    sizes = {task_id: len(json.dumps(xcom)) for task_id, xcom in clean_run.xcoms.items()}
    assert max(sizes.values()) < 4000, sizes


# --- one record differs, one task fails -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broken_run(world: World, clean: Published, dagbag: DagBag) -> DagRunResult:
    with world.sandbox.finance_store.transaction() as tx:
        tx.insert("GlobalParties", {**tx.find("GlobalParties")[0], "PartyNumber": "A/1", "PartyName": "Nobody Inc."})
    compare = steps.compare

    def fail(night: Any, runtime: Any, maps: Any = None) -> Any:
        if "expense_categories" in maps:
            raise SchemaMismatch("played failure")
        return compare(night, runtime, maps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "compare", fail)
        return run_dag(dagbag, DAG_ID, PARAMS)


@pytest.fixture(scope="module")
def broken(broken_run: DagRunResult) -> Published:
    return published(broken_run.run_id)


@pytest.fixture(scope="module")
def mail(broken: Published, mailbox: Mailbox) -> tuple[list[str], str]:
    """Receivers and body of the one mail that the broken run has sent."""
    ((to, message),) = mailbox.mails
    part = message.get_body(("html",)) if message.is_multipart() else message
    assert part is not None
    return to, part.get_content()


def test_a_failed_task_fails_the_run_and_stops_only_what_needs_it(broken_run: DagRunResult) -> None:
    assert broken_run.state == "failed"
    assert broken_run.ended("failed") == {"compare.expense_management", "verdict"}
    assert broken_run.ended("upstream_failed") == {"validate.expense_management"}
    assert {"publish", "report", "data_docs", "notify"} <= broken_run.ended("success")


def test_what_was_not_reached_has_failed_and_the_rest_is_judged(broken: Published) -> None:
    assert (broken.night.verdict, broken.night.error, broken.night.critical) == ("breaks", 1, 0), (
        "known whatever else failed"
    )
    assert broken.night.failed >= 1
    assert broken.lines["map:expense_categories"] == ("failed", "was not reached")
    assert broken.lines["map:parties"] == ("breaks", "")


def test_a_row_that_breaks_a_rule_is_counted_as_refused(broken: Published) -> None:
    suites = {name: (one["state"], one["refused"], one["broken"]) for name, one in broken.suites.items()}
    assert suites == {
        "parties": ("checked", 1, 1),
        "resource_roles": ("checked", 0, 0),
        "expense_categories": ("failed", 0, 0),
    }


def test_the_workbook_counts_refused_rows_too(broken: Published) -> None:
    with Runtime.open(Settings.load()) as runtime:
        titles = {name: runtime.catalog.declared[name].title for name in MAPS}
    assert broken.quality == {titles[name]: one["refused"] for name, one in broken.suites.items()}


def test_reports_are_written_although_a_part_failed(broken: Published) -> None:
    assert len(broken.files) >= 5


def test_data_docs_name_rules_and_no_values(broken: Published) -> None:
    assert "parties.msdyn_partynumber.key_characters" in broken.docs["parties"]
    assert "Nobody Inc." not in broken.docs["parties"]
    assert "A/1" not in broken.docs["parties"]


def test_the_mail_names_the_failed_tasks_and_the_crossed_threshold(mail: tuple[list[str], str]) -> None:
    to, body = mail
    assert to == ["ann@example.com"]
    assert "part of the reconciliation failed: compare.expense_management, validate.expense_management" in body
    assert "errors: 1, more than 0" in body


def test_the_mail_holds_no_values(mail: tuple[list[str], str], broken: Published) -> None:
    (exception,) = broken.breaks
    assert exception.key not in mail[1]
    assert exception.finance_value not in mail[1]


# --- the failed task is cleared ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cleared(broken: Published, broken_run: DagRunResult, mail: tuple[list[str], str], dagbag: DagBag) -> Published:
    """The failed task and those after it are run again, as Airflow does when they are cleared."""
    xcoms: dict[str, Any] = {"begin": json.loads((Path(broken.night.folder) / "night.json").read_text())}
    for task_id in ("compare.expense_management", "validate.expense_management", "publish", "report"):
        task: Any = dagbag.dags[DAG_ID].get_task(task_id)
        xcoms[task_id] = task.execute(task_context(dagbag, DAG_ID, broken_run.run_id, PARAMS, xcoms=xcoms))
    return published(broken_run.run_id)


def test_a_cleared_task_goes_on_with_the_rows_of_its_run(cleared: Published) -> None:
    assert (cleared.night.verdict, cleared.night.failed, cleared.night.error) == ("breaks", 0, 1)


def test_results_that_are_published_again_count_no_exception_twice(cleared: Published) -> None:
    assert cleared.exceptions_in_ledger == 1


# --- the command line -------------------------------------------------------------------------------------------------


def test_the_command_line_comes_to_the_same(world: World, cleared: Published) -> None:
    printed = json.loads(dualsync(world, "reconcile", "--map", "parties", "--quality", "--json", code=1).out)
    assert (printed["state"], printed["counts"]["error"]) == ("breaks", 1)
    assert [Path(name).name for name in printed["files"]][-1] == "index.html"
    assert world.writes() == [], "nothing may be written to either system"
