"""Policies that every DAG of the project keeps, and the shape that follows from the table maps."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from dualsync.mapping import Catalog
from dualsync.mapping.areas import AREA_NAMES, area_title
from dualsync.sync.plan.vocabulary import Step
from support.paths import PUBLISHED

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAGS = ("initial_sync", *AREA_NAMES, "sync_cycle")
OTHERS = {"nightly_reconciliation", "release_held", "repair_breaks", "replay_rows"}
"""DAGs that synchronise nothing by themselves; they have tests of their own."""
DEPENDENCIES = PUBLISHED / "dependencies.tsv"
OF_PART = {("invoice_proposals", "actuals"): "actuals_billed"}
"""Published dependencies that only a part of the child has."""
OFF = {"vendor_invoices_v1"}
"""Maps that no DAG runs: their rows are those of another map."""
POOLS = {"dataverse_api", "finance_api", "default_pool"}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.fixture(params=DAGS)
def dag(request: pytest.FixtureRequest, dagbag: "DagBag") -> Any:
    return dagbag.dags[request.param]


def maps_of(dag: Any) -> set[str]:
    return {task.map_name for task in dag.tasks if hasattr(task, "map_name")}


def test_all_dags_are_here(dagbag: "DagBag") -> None:
    assert set(dagbag.dags) == {*DAGS, *OTHERS}


def test_every_dag_says_what_it_is_and_when_to_trigger_it(dagbag: "DagBag") -> None:
    for dag_id, dag in dagbag.dags.items():
        assert dag.dag_display_name != dag_id
        assert dag.description is not None
        assert dag.description.startswith("Trigger this when "), dag_id
        assert dag.doc_md is not None
        assert dag.doc_md.startswith(f"{dag.description}\n\n"), dag_id
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.schema["title"], (dag_id, name)
            assert (param.description or "").endswith("."), (dag_id, name)
        for task in dag.tasks:
            assert (task.doc_md or "").split("\n")[0].endswith("."), task.task_id


@pytest.mark.parametrize("area", AREA_NAMES)
def test_area_dags_are_called_as_people_call_their_area(dagbag: "DagBag", area: str) -> None:
    assert dagbag.dags[area].dag_display_name == area_title(area)
    group: Any = dagbag.dags["sync_cycle"].task_group.children[area]
    assert group.group_display_name == area_title(area)
    assert dagbag.dags["nightly_reconciliation"].get_task(f"compare.{area}").task_display_name == area_title(area)


def test_dag_policies(dag: Any) -> None:
    assert {"dualsync", dag.dag_id} <= set(dag.tags)
    assert dag.description
    assert dag.doc_md
    assert not dag.catchup
    assert dag.max_active_runs == 1
    assert set(dag.params) == {"mode", "companies", "maps", "dry_run"}


def test_task_policies(dag: Any) -> None:
    for task in dag.tasks:
        assert task.owner == "dualsync", task.task_id
        assert task.retries >= 2, task.task_id
        assert task.retry_exponential_backoff, task.task_id
        assert task.retry_policy is not None, task.task_id
        assert task.max_retry_delay, task.task_id
        assert task.pool in POOLS, task.task_id
        assert task.doc_md, task.task_id


def test_five_steps_for_each_map_and_direction(dag: Any, catalog: Catalog) -> None:
    for name in maps_of(dag):
        directions = catalog[name].directions
        for direction in directions:
            prefix = f"{name}.{direction}." if len(directions) > 1 else f"{name}."
            steps = [dag.get_task(f"{prefix}{step}") for step in Step]
            for before, after in pairwise(steps):
                assert before.downstream_task_ids == {after.task_id}
                assert after.upstream_task_ids == {before.task_id}


def test_edges_between_maps_are_exactly_their_needs(dag: Any, catalog: Catalog) -> None:
    maps = maps_of(dag)
    found = {
        (above.map_name, task.map_name)
        for task in dag.tasks
        if hasattr(task, "map_name")
        for above in task.upstream_list
        if hasattr(above, "map_name") and above.map_name != task.map_name
    }
    assert found == {(need, name) for name in maps for need in catalog.needs(name) if need in maps}


def published_dependencies() -> set[tuple[str, str]]:
    """Parent and child of each published dependency, read without the project's own catalogue."""
    lines = [line for line in DEPENDENCIES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    pairs = (line.split("\t") for line in lines[1:])
    return {(parent, OF_PART.get((parent, child), child)) for child, parent in pairs if child not in OFF}


def test_published_dependencies_are_edges(dag: Any, catalog: Catalog) -> None:
    maps = maps_of(dag)
    steps = {step: [task for task in dag.tasks if getattr(task, "step", "") == step] for step in ("extract", "settle")}
    held = {(parent, child) for parent, child in published_dependencies() if {parent, child} <= maps}
    for parent, child in held:
        settled = {task.task_id for task in steps["settle"] if task.map_name == parent}
        for extract in (task for task in steps["extract"] if task.map_name == child):
            above = {task.task_id for task in extract.get_flat_relatives(upstream=True)}
            assert settled <= above, (parent, child)
    within = {dag.dag_id, "reference"}
    due = {
        (parent, child)
        for parent, child in published_dependencies()
        if dag.dag_id == "sync_cycle" or (catalog[child].area == dag.dag_id and catalog[parent].area in within)
    }
    assert due <= held
    assert due or dag.dag_id == "initial_sync"


def test_failed_needs_do_not_stop_a_map(dag: Any) -> None:
    for task in dag.tasks:
        waits_for_others = any(
            getattr(above, "map_name", None) not in (None, task.map_name)
            for above in task.upstream_list
            if hasattr(task, "map_name")
        )
        if waits_for_others:
            assert task.trigger_rule == "all_done", task.task_id


def test_creating_direction_goes_first(dag: Any, catalog: Catalog) -> None:
    for name in maps_of(dag):
        directions = catalog[name].directions
        if len(directions) > 1:
            second = dag.get_task(f"{name}.{directions[1]}.extract")
            assert second.upstream_task_ids == {f"{name}.{directions[0]}.settle"}


def test_deletions_come_after_all_maps(dag: Any) -> None:
    settles = {task.task_id for task in dag.tasks if task.task_id.endswith(".settle")}
    before = {task.task_id for task in dag.get_task("deletions").get_flat_relatives(upstream=True)}
    assert settles <= before
    assert dag.get_task("finish").upstream_task_ids == {"deletions"}


def test_each_direction_announces_the_table_it_writes(dag: Any, catalog: Catalog) -> None:
    found = {
        (task.task_id.split(".")[0], asset.uri)
        for task in dag.tasks
        for asset in task.outlets
        if task.task_id.split(".")[-1].startswith("publish")
    }
    expected = set()
    for name in maps_of(dag):
        one = catalog[name]
        uris = {
            "to_finance": f"dualsync://finance/{one.finance.set}",
            "to_dataverse": f"dualsync://dataverse/{one.dataverse.table}",
        }
        expected |= {(name, uris[direction]) for direction in one.directions}
    assert found == expected


@pytest.mark.parametrize("area", AREA_NAMES)
def test_area_dag_holds_the_maps_of_its_area(dagbag: "DagBag", catalog: Catalog, area: str) -> None:
    own = set(catalog.area(area))
    maps = maps_of(dagbag.dags[area])
    assert own <= maps
    assert {catalog[name].area for name in maps - own} == {"reference"}
    needs = {need for name in maps for need in catalog.needs(name)}
    assert {need for need in needs if catalog[need].area in (area, "reference")} <= maps
    assert maps - own <= needs
    assert area != "setup_configuration" or needs <= maps


def test_the_cycle_runs_the_areas_one_after_the_other(dagbag: "DagBag", catalog: Catalog) -> None:
    dag = dagbag.dags["sync_cycle"]
    assert maps_of(dag) == {name for area in AREA_NAMES for name in maps_of(dagbag.dags[area])}
    steps: dict[str, set[str]] = {area: set() for area in AREA_NAMES}
    for task in dag.tasks:
        if hasattr(task, "map_name") and (area := catalog[task.map_name].area) in steps:
            steps[area].add(task.task_id)
    for position, area in enumerate(AREA_NAMES):
        for task_id in steps[area]:
            above = {task.task_id for task in dag.get_task(task_id).get_flat_relatives(upstream=True)}
            for earlier in AREA_NAMES[:position]:
                assert steps[earlier] <= above


def test_the_cycle_shows_one_group_for_each_area(dagbag: "DagBag", catalog: Catalog) -> None:
    """Or its graph is a web of lines; the tasks are called as in the areas' own DAGs."""
    dag = dagbag.dags["sync_cycle"]
    groups: dict[str, Any] = dag.task_group.children
    assert set(groups) == {"start", *AREA_NAMES, "deletions", "finish"}
    shown: list[str] = []
    for area in AREA_NAMES:
        inside = groups[area].children
        done = {f"{area}_done"} if area != AREA_NAMES[-1] else set()
        assert done <= inside.keys()
        names = inside.keys() - done
        assert set(catalog.area(area)) <= names
        shown += names
    assert sorted(shown) == sorted(maps_of(dag))
    begun = {task.split(".")[0] for task in dag.get_task("start").downstream_task_ids}
    assert begun <= groups[AREA_NAMES[0]].children.keys()
    assert {task.task_id for task in dagbag.dags["expense_management"].tasks} <= {task.task_id for task in dag.tasks}


def test_initial_sync_holds_all_that_its_maps_need(dagbag: "DagBag", catalog: Catalog) -> None:
    maps = maps_of(dagbag.dags["initial_sync"])
    enabled = {name for name in catalog if catalog[name].enabled}
    assert {name for name in enabled if catalog[name].initial.required} <= maps
    assert {name for name in enabled if catalog[name].area == "reference"} <= maps
    assert {need for name in maps for need in catalog.needs(name)} <= maps
