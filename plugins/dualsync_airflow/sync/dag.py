"""Builds the DAG of an area, or of a job over several areas, from the table maps."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TaskGroup, TriggerRule

from dualsync.mapping import Catalog
from dualsync.mapping.areas import AREA_NAMES, REFERENCE, area_title
from dualsync.reports.words import direction_word
from dualsync.sync.plan.vocabulary import MODES
from dualsync_airflow.common import (
    NO_API,
    POOLS,
    build_dag,
    companies_param,
    dry_run_param,
    maps_param,
    settings_if_valid,
    timetable,
)
from dualsync_airflow.sync.map_group import MapGroup
from dualsync_airflow.sync.operators import START, DeletionsOperator, FinishOperator, StartOperator

COMPANIES_PER_BATCH = 10
MODE_DOCS = {
    "incremental": "incremental: rows that changed since the last run",
    "full": "full: every row of both systems",
    "audit": "audit: every row of both systems, and nothing is written",
}
"""The modes of a run, as the form of *Trigger* offers them."""

DOC = """\
One group of tasks stands for each table map, with the steps *extract*, *reconcile*, *validate*, *load* and *settle*. A
group starts when the groups it needs have ended, whether they succeeded or not. A row whose parent is not on the other
side yet waits for the next run.

| table map | Dataverse | Finance | direction | needs |
|---|---|---|---|---|
{maps}
"""


def area_dag(area: str, *, when: str, schedule: str | None) -> DAG:
    """Build the DAG that keeps one area in step.

    Args:
        area: The name of the area, as in the table maps. It is the id of the DAG too.
        when: When to trigger it, as the end of the sentence "Trigger this when ...".
        schedule: Cron expression in UTC; None for runs by hand only.
    """
    catalog = Catalog.load()
    return sync_dag(
        area,
        catalog,
        catalog.with_reference(area),
        title=area_title(area),
        when=when,
        schedule=schedule,
        mode="incremental",
    )


def cycle_dag(dag_id: str, *, title: str, when: str, schedule: str | None, areas: Sequence[str] = AREA_NAMES) -> DAG:
    """Build the DAG that runs areas one after the other, so that what one brings is there for the next.

    Args:
        dag_id: Id of the DAG, and name of the job in the ledger.
        title: What people read instead of the id.
        when: When to trigger it, as the end of the sentence "Trigger this when ...".
        schedule: Cron expression in UTC; None for runs by hand only.
        areas: The areas in their order.
    """
    catalog = Catalog.load()
    stages: dict[str, list[str]] = {}
    for area in areas:
        earlier = {name for maps in stages.values() for name in maps}
        stages[area] = [name for name in catalog.with_reference(area) if name not in earlier]
    maps = [name for stage in stages.values() for name in stage]
    return sync_dag(dag_id, catalog, maps, title=title, when=when, schedule=schedule, mode="incremental", stages=stages)


def initial_sync_dag(dag_id: str, *, title: str, when: str) -> DAG:
    """Build the DAG of the initial synchronisation, which compares everything and is only ever started by hand.

    It holds the maps that require an initial synchronisation, the reference maps, and all maps those need. Where the
    needs leave a choice, the published order decides which map goes first.

    Args:
        dag_id: Id of the DAG, and name of the job in the ledger.
        title: What people read instead of the id.
        when: When to trigger it, as the end of the sentence "Trigger this when ...".
    """
    catalog = Catalog.load()
    return sync_dag(dag_id, catalog, initial_maps(catalog), title=title, when=when, schedule=None, mode="full")


def initial_maps(catalog: Catalog) -> list[str]:
    """Return the names of the maps of the initial synchronisation, parents first."""
    required = {
        name
        for name, table_map in catalog.runnable.items()
        if table_map.enabled and (table_map.initial.required or table_map.area == REFERENCE.name)
    }
    return catalog.order(required.union(*(catalog.ancestors(name) for name in required)))


def sync_dag(
    dag_id: str,
    catalog: Catalog,
    maps: Sequence[str],
    *,
    title: str,
    when: str,
    schedule: str | None,
    mode: str,
    stages: Mapping[str, Sequence[str]] | None = None,
) -> DAG:
    """Build a DAG over the given maps.

    Args:
        dag_id: Id of the DAG, and name of the area or job in the ledger.
        catalog: The table maps.
        maps: Names of the maps, parents first.
        title: What people read instead of the id.
        when: When to trigger it, as the end of the sentence "Trigger this when ...".
        schedule: Cron expression in UTC, or None.
        mode: The default of the parameter ``mode``.
        stages: Names of maps by area, where areas run one after the other.

    Returns:
        A DAG with one group for each map, and one around those of each area where areas run one after the other. Its
        edges between groups are the needs of the maps, as far as the needed maps are in ``maps``.
    """
    with build_dag(
        dag_id,
        title=title,
        when=when,
        doc=DOC.format(maps="\n".join(_map_rows(catalog, maps))),
        params=_params(maps, mode),
        schedule=timetable(schedule),
    ) as dag:
        start = StartOperator(
            task_id=START,
            area=dag_id,
            maps=maps,
            pool=NO_API,
            doc_md="Opens the run in the ledger, with its mode, companies and maps.",
        )
        areas = {area: _area_group(area) for area in stages or {}}
        around = {name: areas[area] for area, stage in (stages or {}).items() for name in stage}
        batches = _batches()
        groups = {name: MapGroup(catalog[name], batches, around.get(name)) for name in maps}
        deletions = DeletionsOperator(
            task_id="deletions",
            trigger_rule=TriggerRule.ALL_DONE,
            pool=POOLS["finance"],
            doc_md="Carries deletions over after all maps have ended, children before their parents.",
        )
        finish = FinishOperator(
            task_id="finish",
            trigger_rule=TriggerRule.ALL_DONE,
            pool=NO_API,
            doc_md="Closes the run in the ledger. Fails if a task of the run failed or a transfer needs approval.",
        )
        later = {name for stage in list((stages or {}).values())[1:] for name in stage}
        _connect(catalog, groups, start, deletions, later)
        _run_in_order(stages or {}, areas, catalog, groups)
        deletions.set_downstream(finish)
    return dag


def _area_group(area: str) -> TaskGroup:
    title = area_title(area)
    return TaskGroup(
        area,
        prefix_group_id=False,
        group_display_name=title,
        tooltip=f"All table maps of {title}, without those that an earlier area has run",
    )


def _connect(
    catalog: Catalog,
    groups: Mapping[str, MapGroup],
    start: StartOperator,
    deletions: DeletionsOperator,
    later: set[str],
) -> None:
    """Let each group wait for the groups it needs, or for the start; deletions wait for all.

    Args:
        catalog: The table maps.
        groups: The groups by map.
        start: The first task.
        deletions: The task after all groups.
        later: Maps of areas after the first, which wait for the area before instead of the start.
    """
    needed = _needs_of(catalog, groups)
    for name, group in groups.items():
        needs = [groups[need] for need in catalog.needs(name) if need in groups]
        group.first.trigger_rule = TriggerRule.ALL_DONE if needs else TriggerRule.ALL_SUCCESS
        group.first.set_upstream([need.last for need in needs])
        if not needs and name not in later:
            group.first.set_upstream(start)
        if name not in needed:
            group.last.set_downstream(deletions)


def _run_in_order(
    stages: Mapping[str, Sequence[str]],
    areas: Mapping[str, TaskGroup],
    catalog: Catalog,
    groups: Mapping[str, MapGroup],
) -> None:
    """Let the maps of each area start when all those of the area before have ended."""
    for (area, before), (_, after) in pairwise(stages.items()):
        done = EmptyOperator(
            task_id=f"{area}_done",
            task_group=areas[area],
            trigger_rule=TriggerRule.ALL_DONE,
            pool=NO_API,
            doc_md=f"All table maps of {area_title(area)} have ended, whether they succeeded or not. "
            "The next area starts.",
        )
        needed = _needs_of(catalog, before)
        done.set_upstream([groups[name].last for name in before if name not in needed])
        for name in after:
            if not _needs_of(catalog, [name]) & set(after):
                groups[name].first.trigger_rule = TriggerRule.ALL_DONE
                groups[name].first.set_upstream(done)


def _needs_of(catalog: Catalog, names: Iterable[str]) -> set[str]:
    """Return what the named maps need directly."""
    return {need for name in names for need in catalog.needs(name)}


def _batches() -> int:
    """Return how many tasks share the companies of one step; one for up to ten companies."""
    settings = settings_if_valid()
    companies = len(settings.companies) if settings else 0
    return max(1, -(-companies // COMPANIES_PER_BATCH))


def _params(maps: Sequence[str], mode: str) -> dict[str, Param]:
    return {
        "mode": Param(
            mode,
            enum=[str(name) for name in MODES],
            values_display=MODE_DOCS,
            title="Mode",
            description="Which rows the run looks at. Audit also keeps it from writing and from keeping any state.",
        ),
        "companies": companies_param(),
        "maps": maps_param(maps, "The table maps to run. Leave it empty for all table maps of this DAG."),
        "dry_run": dry_run_param(False, "Plan and check all rows, and send nothing to either system."),
    }


def _map_rows(catalog: Catalog, maps: Sequence[str]) -> list[str]:
    """Return the rows of the table of maps on the DAG's page."""
    return [
        f"| `{name}` | {catalog[name].dataverse.table} | {catalog[name].finance.set} "
        f"| {', '.join(direction_word(direction) for direction in catalog[name].directions)} "
        f"| {', '.join(need for need in catalog.needs(name) if need in maps) or '-'} |"
        for name in maps
    ]
