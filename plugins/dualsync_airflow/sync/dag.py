"""Builds the DAG of an area, or of a job over several areas, from the table maps.

Building reads the maps and nothing else: no network, no database, none of the heavy libraries.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from itertools import pairwise
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, CronTriggerTimetable, Param, TaskGroup, TriggerRule, chain, task_group

from dualsync.errors import SettingsError
from dualsync.mapping import Catalog, Direction, TableMap
from dualsync.settings import Settings
from dualsync_airflow.failures import FailurePolicy
from dualsync_airflow.sync.operators import (
    START,
    STEPS,
    DeletionsOperator,
    FinishOperator,
    PublishOperator,
    StartOperator,
    StepOperator,
)

COMPANIES_PER_BATCH = 10
MODES = ("incremental", "full", "audit")
POOLS = {"dataverse": "dataverse_api", "finance": "finance_api"}
NO_API = "default_pool"

STEP_DOCS = {
    "extract": "Reads what changed on the sending side, and the matching rows of the other.",
    "reconcile": "Compares both sides with what they last agreed on, and plans one action for each row.",
    "validate": "Checks what would be written; rows the receiver would refuse go to quarantine with their reason.",
    "load": "Sends the plan in batches and keeps each acknowledgement.",
    "settle": "Stores the new base, the change token, the counts and the quarantine in one transaction.",
}

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "dualsync",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": FailurePolicy(),
}


def area_dag(area: str, *, title: str, schedule: str | None) -> DAG:
    """Build the DAG that keeps one area in step.

    Args:
        area: the area's name, as in the table maps; also the DAG's id.
        title: one line for the DAG list.
        schedule: cron expression in UTC, or None for runs by hand only.
    """
    catalog = Catalog.load()
    return sync_dag(area, catalog, catalog.with_reference(area), title=title, schedule=schedule, mode="incremental")


def cycle_dag(dag_id: str, areas: Sequence[str], *, title: str, schedule: str | None) -> DAG:
    """Build the DAG that runs areas one after the other, so that what one brings is there for the next.

    Args:
        dag_id: id of the DAG, and name of the job in the ledger.
        areas: the areas in their order.
        title: one line for the DAG list.
        schedule: cron expression in UTC, or None for runs by hand only.
    """
    catalog = Catalog.load()
    stages: dict[str, list[str]] = {}
    for area in areas:
        earlier = {name for maps in stages.values() for name in maps}
        stages[area] = [name for name in catalog.with_reference(area) if name not in earlier]
    maps = [name for stage in stages.values() for name in stage]
    return sync_dag(dag_id, catalog, maps, title=title, schedule=schedule, mode="incremental", stages=stages)


def initial_sync_dag(dag_id: str, *, title: str) -> DAG:
    """Build the DAG of the first synchronisation.

    It holds the maps that require one, the reference maps, and all they need, compares everything, and is only ever
    started by hand. Where the needs leave a choice, the published order decides which map goes first.
    """
    catalog = Catalog.load()
    return sync_dag(dag_id, catalog, initial_maps(catalog), title=title, schedule=None, mode="full")


def initial_maps(catalog: Catalog) -> list[str]:
    """Names of the maps of the first synchronisation, parents first."""
    chosen = {
        name
        for name, one in catalog.runnable.items()
        if one.enabled and (one.initial.required or one.area == "reference")
    }
    return catalog.order(chosen.union(*(catalog.ancestors(name) for name in chosen)))


def sync_dag(
    dag_id: str,
    catalog: Catalog,
    maps: Sequence[str],
    *,
    title: str,
    schedule: str | None,
    mode: str,
    stages: Mapping[str, Sequence[str]] | None = None,
) -> DAG:
    """Build a DAG over the given maps.

    Args:
        dag_id: id of the DAG, and name of the area or job in the ledger.
        catalog: the table maps.
        maps: names of the maps, parents first.
        title: one line for the DAG list.
        schedule: cron expression in UTC, or None.
        mode: the default of the parameter `mode`.
        stages: names of maps by area, where areas run one after the other.

    Returns:
        A DAG with one group for each map, and one around those of each area where areas run one after the other; its
        edges between groups are the maps' needs, as far as they are in `maps`.
    """
    with DAG(
        dag_id=dag_id,
        description=title,
        schedule=timetable(schedule),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULT_ARGS,
        params=_params(maps, mode),
        tags=["dualsync", dag_id],
        doc_md=_describe(title, catalog, maps),
    ) as dag:
        start = StartOperator(
            task_id=START, area=dag_id, maps=maps, doc_md="Opens the run: mode, companies and maps.", pool=NO_API
        )
        batches = _batches()
        areas = {
            area: TaskGroup(area, prefix_group_id=False, tooltip=f"All maps of {area} that no area before has run.")
            for area in stages or {}
        }
        around = {name: areas[area] for area, stage in (stages or {}).items() for name in stage}
        groups = {name: _Group(catalog[name], batches, around.get(name)) for name in maps}
        deletions = DeletionsOperator(
            task_id="deletions",
            trigger_rule=TriggerRule.ALL_DONE,
            pool=POOLS["finance"],
            doc_md="Carries deletions over, after all maps, children before their parents.",
        )
        finish = FinishOperator(
            task_id="finish",
            trigger_rule=TriggerRule.ALL_DONE,
            pool=NO_API,
            doc_md="Closes the run, and fails if any of its tasks failed.",
        )
        needed = _needs_of(catalog, maps)
        later = {name for stage in list((stages or {}).values())[1:] for name in stage}
        for name, group in groups.items():
            needs = [groups[need] for need in catalog.needs(name) if need in groups]
            group.first.trigger_rule = TriggerRule.ALL_DONE if needs else TriggerRule.ALL_SUCCESS
            group.first.set_upstream([need.last for need in needs])
            if not needs and name not in later:
                group.first.set_upstream(start)
            if name not in needed:
                group.last.set_downstream(deletions)
        _in_order(stages or {}, areas, catalog, groups)
        deletions.set_downstream(finish)
    return dag


def _in_order(
    stages: Mapping[str, Sequence[str]],
    areas: Mapping[str, TaskGroup],
    catalog: Catalog,
    groups: "Mapping[str, _Group]",
) -> None:
    """Let the maps of each area start when all those of the area before are done."""
    for (area, before), (_, after) in pairwise(stages.items()):
        done = EmptyOperator(
            task_id=f"{area}_done",
            task_group=areas[area],
            trigger_rule=TriggerRule.ALL_DONE,
            pool=NO_API,
            doc_md=f"All maps of {area} are done, whatever became of them; the next area starts.",
        )
        needed = _needs_of(catalog, before)
        done.set_upstream([groups[name].last for name in before if name not in needed])
        for name in after:
            if not _needs_of(catalog, [name]) & set(after):
                groups[name].first.trigger_rule = TriggerRule.ALL_DONE
                groups[name].first.set_upstream(done)


def _needs_of(catalog: Catalog, names: Iterable[str]) -> set[str]:
    """What the named maps need directly."""
    return {need for name in names for need in catalog.needs(name)}


class _Group:
    """The task group of one map.

    Args:
        table_map: the map.
        batches: how many tasks share the companies of one step.
        around: the group it stands in; its name is no part of the tasks' ids.

    Attributes:
        first: the task that waits for other maps.
        last: the task that other maps wait for.
    """

    def __init__(self, table_map: TableMap, batches: int, around: TaskGroup | None = None) -> None:
        self.map = table_map
        self.batches = batches if table_map.scope == "company" else 1
        self.two_way = len(table_map.directions) > 1
        # The published order counts from 1. What has no place in it goes first: others refer to it.
        self.weight = 100 - (table_map.initial.order or 0)
        with around or nullcontext(), TaskGroup(table_map.map, tooltip=table_map.title):
            chains = [self._chain(direction) for direction in table_map.directions]
        for before, after in pairwise(chains):
            # the second direction starts from what the first has settled, and also when the first has failed
            after[0].trigger_rule = TriggerRule.ALL_DONE
            before[-1].set_downstream(after[0])
        self.first = chains[0][0]
        self.last = chains[-1][-1]

    def _chain(self, direction: Direction) -> list[StepOperator]:
        """The five steps of one direction, and the announcement of what it wrote."""
        publish = f"publish_{_receiver(direction)}" if self.two_way else "publish"
        if self.batches > 1:
            steps = self._mapped_steps(direction, f"{self.map.map}.{direction}")
        elif self.two_way:
            with TaskGroup(direction, tooltip=_spoken(direction)):
                steps = self._steps(direction, f"{self.map.map}.{direction}", publish=f"{self.map.map}.{publish}")
        else:
            steps = self._steps(direction, self.map.map, publish=f"{self.map.map}.{publish}")
        announce = PublishOperator(
            task_id=publish,
            settled=steps[-1].task_id,
            outlets=[Asset(asset_uri(self.map, direction), group="dualsync")],
            trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
            pool=NO_API,
            priority_weight=self.weight,
            weight_rule="absolute",
            doc_md="Emits the Asset of the written table, if rows were written.",
        )
        steps[-1].set_downstream(announce)
        return steps

    def _mapped_steps(self, direction: Direction, group_id: str) -> list[StepOperator]:
        """The five steps, once for each batch of companies."""
        steps: list[StepOperator] = []

        @task_group(group_id=direction, tooltip=f"{_spoken(direction)}, {self.batches} batches of companies")
        def companies(batch: int) -> None:
            steps.extend(self._steps(direction, group_id, batch=batch))

        companies.expand(batch=list(range(self.batches)))
        return steps

    def _steps(
        self, direction: Direction, group_id: str, *, batch: int = 0, publish: str | None = None
    ) -> list[StepOperator]:
        pools = {
            "extract": POOLS["dataverse" if direction == "to_finance" else "finance"],
            "reconcile": POOLS["dataverse"],  # looks up the records that lookups name
            "load": POOLS[_receiver(direction)],
        }
        skips = {"extract": f"{group_id}.reconcile", "settle": publish}
        steps = [
            StepOperator(
                task_id=step,
                step=step,
                map_name=self.map.map,
                direction=direction,
                batch=batch,
                batches=self.batches,
                skips=skips.get(step),
                pool=pools.get(step, NO_API),
                priority_weight=self.weight,
                weight_rule="absolute",
                doc_md=f"{STEP_DOCS[step]}\n\nTable map **{self.map.title}** (`{self.map.map}`), {_spoken(direction)}.",
            )
            for step in STEPS
        ]
        chain(*steps)
        return steps


def asset_uri(table_map: TableMap, direction: Direction) -> str:
    """The Asset of the table that a direction writes: `dualsync://<side>/<table>`."""
    if direction == "to_finance":
        return f"dualsync://finance/{table_map.finance.set}"
    return f"dualsync://dataverse/{table_map.dataverse.table}"


def _receiver(direction: Direction) -> str:
    return direction.removeprefix("to_")


def _spoken(direction: Direction) -> str:
    return direction.replace("_", " ").replace("finance", "Finance").replace("dataverse", "Dataverse")


def timetable(schedule: str | None, zone: str = "UTC") -> CronTriggerTimetable | None:
    """A timetable that waits for its next time when a DAG is unpaused, instead of making up for the one before.

    Args:
        schedule: cron expression, or None for runs by hand only.
        zone: the time zone in which it is meant.
    """
    if schedule is None:
        return None
    return CronTriggerTimetable(schedule, timezone=zone, run_immediately=timedelta(0))


def _batches() -> int:
    """How many tasks share the companies of one step; one for up to ten companies.

    Wrong settings are reported by the run, which reads them again; they need not hide the DAG.
    """
    try:
        companies = len(Settings.load().companies)
    except SettingsError:
        return 1
    return max(1, -(-companies // COMPANIES_PER_BATCH))


def companies_param() -> Param:
    """The parameter that chooses companies. Each DAG needs one of its own: Airflow writes what it is given into it."""
    return Param(
        [],
        type="array",
        items={"type": "string", "pattern": "^[A-Za-z0-9]{1,4}$"},
        title="Companies",
        description="Codes of legal entities, one a line. None means all integrated companies.",
    )


def _params(maps: Sequence[str], mode: str) -> dict[str, Param]:
    return {
        "mode": Param(
            mode,
            enum=list(MODES),
            title="Mode",
            description="incremental: what changed since the last run. full: compare everything. "
            "audit: compare everything, write nothing.",
        ),
        "companies": companies_param(),
        "maps": Param(
            [],
            type="array",
            items={"type": "string", "enum": list(maps)},
            examples=list(maps),
            title="Table maps",
            description="None means all maps of this DAG.",
        ),
        "dry_run": Param(
            False, type="boolean", title="Dry run", description="Plan and validate, but send nothing to either system."
        ),
    }


def _describe(title: str, catalog: Catalog, maps: Sequence[str]) -> str:
    """The DAG's page: what it does and a table of its maps."""
    rows = [
        f"| `{name}` | {catalog[name].dataverse.table} | {catalog[name].finance.set} "
        f"| {', '.join(_spoken(way) for way in catalog[name].directions)} "
        f"| {', '.join(need for need in catalog.needs(name) if need in maps) or '-'} |"
        for name in maps
    ]
    return "\n".join(
        [
            f"### {title}",
            "",
            "One group for each table map; in it the steps extract, reconcile, validate, load and settle. A group",
            "starts when the groups it needs are done. Rows whose parents are missing wait for the next run.",
            "",
            "| table map | Dataverse | Finance | direction | needs |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )
