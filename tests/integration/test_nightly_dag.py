"""The DAG of the nightly reconciliation, run by Airflow on the sandbox, beside an integration that is not ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from openpyxl import load_workbook

from dualsync.errors import SchemaMismatch
from dualsync.ledger.breaks import BreakFilter
from dualsync.mapping import Catalog
from dualsync.nightly import steps
from dualsync.reports.nights import NightReport
from dualsync.settings import Settings
from dualsync.sync.legs.runtime import Runtime
from dualsync_demo.sandbox import connections
from support.channels import Channel, Mailbox, serving
from support.commands import dualsync

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

    from support.worlds import World

pytestmark = pytest.mark.usefixtures("brisk")

DAG_ID = "nightly_reconciliation"
MAPS = ["parties", "resource_roles", "expense_categories"]
"""Maps of two areas that need few others."""
PARAMS: dict[str, Any] = {"companies": [], "maps": [], "controls": [], "period": "", "fail_on_critical": True}
AREAS = {"setup_configuration", "subcontract_purchase_orders", "expense_management", "vendor_invoices",
         "estimates_actuals", "project_invoices"}  # fmt: skip


@pytest.fixture(scope="module")
def companies() -> None:
    """All of them."""


@pytest.fixture
def beside(synced: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Runtime]:
    """A home that knows nothing of how the two systems came to be in step. Opens its runtime."""
    assert synced.sync(["expense_categories"], area="expense_management").state == "settled"
    home = tmp_path / "beside"
    home.mkdir()
    environ = connections(synced.sandbox.info) | {"DUALSYNC_HOME": str(home), "DUALSYNC_COMPANIES": "USPM,GBPM,FRRT"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return lambda: Runtime.open(Settings.load())


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with serving(Mailbox()) as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", server.connection)
        monkeypatch.setenv("DUALSYNC_ALERTS__EMAIL_TO", "ann@example.com")
        monkeypatch.setenv("DUALSYNC_ALERTS__ERRORS", "0")
        yield server


def run(dagbag: DagBag, **params: Any) -> tuple[Any, dict[str, str]]:
    """The DAG run, and the states of its tasks."""
    done = dagbag.dags[DAG_ID].test(run_conf=PARAMS | params)
    return done, {task.task_id: str(task.state) for task in done.get_task_instances()}


def ended(tasks: dict[str, str], state: str) -> set[str]:
    return {task for task, found in tasks.items() if found == state}


def test_shape_of_the_dag(dagbag: DagBag) -> None:
    dag = dagbag.dags[DAG_ID]
    catalog = Catalog.load()
    assert {"dualsync", DAG_ID} <= set(dag.tags)
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert dag.description
    assert "| expense_management |" in str(dag.doc_md)
    assert set(dag.params) == set(PARAMS)
    compares = {task.task_id.split(".")[1]: task for task in dag.tasks if task.task_id.startswith("compare.")}
    assert set(compares) == AREAS
    maps = [name for task in compares.values() for name in task.maps]
    assert sorted(maps) == sorted(name for name, one in catalog.declared.items() if one.enabled)
    for area, task in compares.items():
        above = {one.task_id for one in task.get_flat_relatives(upstream=True)} | {task.task_id}
        done = {name for other, one in compares.items() if f"compare.{other}" in above for name in one.maps}
        needed = {need for name in task.maps for need in catalog.ancestors(name)} & set(maps)
        assert needed <= done, area
        assert {"read_finance", "read_dataverse"} <= above
    order = ["publish", "report", "data_docs", "notify", "verdict"]
    assert all(dag.get_task(name).trigger_rule == "all_done" for name in order)
    above = {task.task_id for task in dag.get_task("publish").get_flat_relatives(upstream=True)}
    assert above == {task.task_id for task in dag.tasks} - set(order)
    for task in dag.tasks:
        assert task.retries >= 2, task.task_id
        assert task.retry_policy is not None, task.task_id
        assert task.doc_md, task.task_id
        assert task.pool in {"dataverse_api", "finance_api", "default_pool"}, task.task_id


def test_schedule_and_strictness_are_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dualsync_airflow.nightly.dag import nightly_dag

    monkeypatch.setenv("DUALSYNC_HOME", str(tmp_path))

    def built() -> tuple[str, str, bool]:
        dag = nightly_dag("built", title="built")
        timetable: Any = dag.timetable
        return timetable.expression, str(timetable.timezone), dag.params["fail_on_critical"]

    assert built() == ("0 2 * * *", "UTC", True)
    settings = 'time_zone = "Europe/Paris"\n[nightly]\nschedule = "30 3 * * 1-5"\nfail_on_critical = false\n'
    (tmp_path / "dualsync.toml").write_text(settings)
    assert built() == ("30 3 * * 1-5", "Europe/Paris", False)
    (tmp_path / "dualsync.toml").write_text('[nightly]\nschedule = ""\n')
    assert nightly_dag("built", title="built").timetable.can_be_scheduled is False
    (tmp_path / "dualsync.toml").write_text("time_zone = 7\n")
    assert built() == ("0 2 * * *", "UTC", True), "the run will say what is wrong; the DAG stays in sight"


def test_a_night_beside_another_integration(
    synced: World,
    beside: Callable[[], Runtime],
    mailbox: Mailbox,
    dagbag: DagBag,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Clean; then with a break and a part that fails; then that part again."""
    synced.forget_requests()
    done, tasks = run(dagbag, maps=MAPS, controls=["R7"])
    assert done.state == "success", ended(tasks, "failed")
    idle = AREAS - {"setup_configuration", "expense_management"}
    assert ended(tasks, "skipped") == {f"{step}.{area}" for step in ("compare", "validate") for area in idle} | {
        "notify"
    }
    assert mailbox.mails == []
    assert synced.writes() == [], "nothing may be written to either system"
    with beside() as runtime:
        report = NightReport.of(runtime.ledger, runtime.catalog, f"{DAG_ID}.{done.run_id}")
        assert report is not None
        assert (report.night.verdict, report.night.failed) == ("equal", 0)
        assert {line.control for line in report.control_lines()} == {"R7", *(f"map:{name}" for name in MAPS)}
        assert {(one["suite"], one["state"]) for one in report.suite_rates()} == {(name, "checked") for name in MAPS}
        assert all(one["rate"] == 1 for one in report.suite_rates() if one["rows"])
        assert {one["name"] for one in report.downloads()} >= {
            "reconciliation.xlsx",
            "exceptions.csv",
            "totals.parquet",
        }
        docs = report.data_docs
        assert docs is not None
        assert {path.name for path in (docs / "suites").iterdir()} == {f"{name}.html" for name in MAPS}
    sizes = {one.task_id: len(json.dumps(one.xcom_pull(task_ids=one.task_id))) for one in done.get_task_instances()}
    assert max(sizes.values()) < 4000, sizes

    with synced.sandbox.finance_store.transaction() as tx:
        tx.insert("GlobalParties", {**tx.find("GlobalParties")[0], "PartyNumber": "A/1", "PartyName": "Nobody Inc."})
    compare = steps.compare

    def fail(night: Any, runtime: Any, maps: Any = None) -> Any:
        if "expense_categories" in maps:
            raise SchemaMismatch("played failure")
        return compare(night, runtime, maps)

    monkeypatch.setattr(steps, "compare", fail)
    done, tasks = run(dagbag, maps=MAPS, controls=["R7"])
    assert done.state == "failed"
    assert ended(tasks, "failed") == {"compare.expense_management", "verdict"}
    assert ended(tasks, "upstream_failed") == {"validate.expense_management"}
    assert tasks["publish"] == tasks["report"] == tasks["data_docs"] == tasks["notify"] == "success"
    with beside() as runtime:
        report = NightReport.of(runtime.ledger, runtime.catalog, f"{DAG_ID}.{done.run_id}")
        assert report is not None
        assert (report.night.verdict, report.night.error, report.night.critical) == ("failed", 1, 0)
        states = {line.control: (line.state, line.reason) for line in report.control_lines()}
        assert states["map:expense_categories"] == ("failed", "was not reached")
        assert states["map:parties"] == ("breaks", "")
        rates = {one["suite"]: (one["state"], one["refused"], one["broken"]) for one in report.suite_rates(1)}
        assert rates == {
            "parties": ("checked", 1, 1),
            "resource_roles": ("checked", 0, 0),
            "expense_categories": ("failed", 0, 0),
        }
        sheet = load_workbook(report.folder / "reports" / "reconciliation.xlsx", read_only=True)["Data quality"]
        assert {row[0]: row[5] for row in sheet.iter_rows(min_row=2, values_only=True)} == {
            runtime.catalog.declared[name].title: refused for name, (_, refused, _) in rates.items()
        }
        assert len(report.downloads()) >= 5
        assert report.data_docs is not None
        page = (report.data_docs / "suites" / "parties.html").read_text()
        assert "parties.msdyn_partynumber.key_characters" in page
        assert "Nobody Inc." not in page
        assert "A/1" not in page
        (found,) = runtime.ledger.nights.breaks(BreakFilter(run_id=report.night.run_id))
    ((to, mail),) = mailbox.mails
    body = mail.get_content() if not mail.is_multipart() else mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert to == ["ann@example.com"]
    assert "part of the reconciliation failed: compare.expense_management, validate.expense_management" in body
    assert "errors: 1, more than 0" in body
    assert found.key not in body
    assert found.finance_value not in body

    monkeypatch.setattr(steps, "compare", compare)
    night = json.loads((report.folder / "night.json").read_text())
    again(
        dagbag, done.run_id, night, ["compare.expense_management", "validate.expense_management", "publish", "report"]
    )
    with beside() as runtime:
        report = NightReport.of(runtime.ledger, runtime.catalog, f"{DAG_ID}.{done.run_id}")
        assert report is not None
        assert (report.night.verdict, report.night.failed, report.night.error) == ("breaks", 0, 1)
        assert runtime.ledger.nights.count() == 1, "a night that is written again sees no break twice"
    said = json.loads(dualsync(synced, "reconcile", "--map", "parties", "--quality", "--json", code=1).out)
    assert (said["state"], said["counts"]["error"]) == ("breaks", 1)
    assert [Path(name).name for name in said["files"]][-1] == "index.html"
    assert synced.writes() == []


def context(dagbag: DagBag, run_id: str, xcoms: dict[str, Any], states: dict[str, str], **params: Any) -> Any:
    """What a task is given, played."""
    ti = SimpleNamespace(
        dag_id=DAG_ID,
        run_id=run_id,
        xcom_pull=lambda task_ids: xcoms.get(task_ids),
        get_task_states=lambda dag_id, run_ids: {run_id: states},
    )
    return {"ti": ti, "dag": dagbag.dags[DAG_ID], "run_id": run_id, "params": PARAMS | params}


def again(dagbag: DagBag, run_id: str, night: dict[str, Any], task_ids: list[str]) -> None:
    """What clearing tasks of a run does."""
    xcoms = {"begin": night}
    for task_id in task_ids:
        task = dagbag.dags[DAG_ID].get_task(task_id)
        xcoms[task_id] = task.execute(context(dagbag, run_id, xcoms, {}))


def judged(state: str = "breaks", critical: int = 0, failed: int = 0) -> dict[str, Any]:
    counts = {"critical": critical, "error": 3, "warning": 1}
    return {"run_id": "n", "state": state, "counts": counts, "not_run": 0, "failed": failed, "matched": "1",
            "new": 0, "resolved": 0}  # fmt: skip


def test_the_verdict_decides_how_the_run_ends(dagbag: DagBag) -> None:
    task = dagbag.dags[DAG_ID].get_task("verdict")

    def end(verdict: dict[str, Any] | None, states: dict[str, str] | None = None, **params: Any) -> str:
        try:
            task.execute(context(dagbag, "r", {"publish": verdict}, states or {}, **params))
        except AirflowFailException as error:
            return str(error)
        return ""

    assert end(judged("equal")) == end(judged()) == ""
    assert end(judged(critical=2)) == "verdict breaks: critical breaks: 2"
    assert end(judged(critical=2), fail_on_critical=False) == ""
    assert end(judged("failed", failed=4), fail_on_critical=False) == (
        "verdict failed: controls, maps and suites that failed: 4"
    )
    assert end(judged("failed")) == "verdict failed: the control totals were not drawn up"
    assert end(judged("equal"), {"notify": "failed", "ask": "success"}) == "verdict equal: tasks failed: notify"
    assert end(None, {"begin": "failed"}) == "the night was not published; tasks failed: begin"


def test_a_notifier_that_fails_says_so_and_is_not_tried_for_ever(
    dagbag: DagBag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DUALSYNC_HOME", str(tmp_path))
    task = dagbag.dags[DAG_ID].get_task("notify")
    with pytest.raises(AirflowSkipException, match="no threshold"):
        task.execute(context(dagbag, "r", {"publish": judged()}, {}))
    with pytest.raises(AirflowSkipException, match="nobody is to be told"):
        task.execute(context(dagbag, "r", {"publish": judged(critical=1)}, {}))
    monkeypatch.setattr("dualsync_airflow.notifiers.ATTEMPTS", 1)
    with serving(Channel()) as channel:
        channel.answers = [500]
        monkeypatch.setenv("AIRFLOW_CONN_TEAMS", channel.connection("teams", "x"))
        monkeypatch.setenv("DUALSYNC_ALERTS__WEBHOOKS", "teams")
        with pytest.raises(AirflowFailException, match="webhook teams answered 500"):
            task.execute(context(dagbag, "r", {"publish": None}, {"begin": "failed"}))
        told = task.execute(context(dagbag, "r", {"publish": judged(critical=1)}, {}))
    assert told == {"reasons": ["critical breaks: 1, more than 0"], "told": ["webhook teams"]}
    assert len(channel.messages) == 2


def test_building_the_dag_needs_none_of_the_heavy_libraries() -> None:
    """The DAG processor builds it again and again."""
    import subprocess
    import sys

    code = (
        "import sys, dualsync_airflow.nightly.dag as n; n.nightly_dag('d', title='t'); "
        "print([m for m in ('pandas', 'pyarrow', 'duckdb', 'great_expectations', 'msal') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().splitlines()[-1] == "[]"
