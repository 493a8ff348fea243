"""Builds the DAG of the nightly reconciliation from the table maps and the settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import DAG, Param, TaskGroup, TriggerRule, chain

from dualsync.mapping import Catalog
from dualsync.mapping.areas import REFERENCE, area_title
from dualsync.settings import Nightly
from dualsync.sync.plan.vocabulary import SIDE_NAMES
from dualsync_airflow.common import (
    NO_API,
    OPTIONAL_LIST,
    POOLS,
    build_dag,
    companies_param,
    maps_param,
    settings_if_valid,
    timetable,
)
from dualsync_airflow.nightly.operators import (
    PUBLISH,
    START_NIGHT,
    CompareOperator,
    ControlsOperator,
    DataDocsOperator,
    NotifyOperator,
    PublishNightOperator,
    ReadOperator,
    ReportOperator,
    StartNightOperator,
    TotalsOperator,
    ValidateOperator,
    VerdictOperator,
)

COMPARED_WITH = {REFERENCE.name: "setup_configuration"}
"""Reference data and set-up data refer to each other, so one task compares both."""

DOC = """\
Compares Dataverse and Finance in full, runs all controls, computes the control totals and checks the data quality of
both systems. It publishes the verdict, the exceptions, a workbook, files and Data Docs. It writes to neither system, so
it can run beside dual-write too.

A part that fails does not stop the others. All results are published at the end, and a part that was not reached is
*failed*, never *agrees*. The task `verdict` fails if a part has failed. It also fails if there are critical exceptions,
unless the parameter `fail_on_critical` is off. The task `notify` sends a message if a threshold of the settings is
crossed.

Clear a failed task to go on with the rows that this run has read. Trigger a new run to read both systems again.

| area | table maps |
|---|---|
{areas}
"""


def nightly_dag(dag_id: str, *, title: str, when: str) -> DAG:
    """Build the DAG of the nightly reconciliation.

    One task compares the maps of one area, after those of the areas that its lookups point at.

    Args:
        dag_id: Id of the DAG.
        title: What people read instead of the id.
        when: When to trigger it, as the end of the sentence "Trigger this when ...".
    """
    catalog = Catalog.load()
    areas = maps_by_area(catalog)
    settings = settings_if_valid()
    nightly, zone = (settings.nightly, settings.time_zone) if settings else (Nightly(), "UTC")
    with build_dag(
        dag_id,
        title=title,
        when=when,
        doc=DOC.format(areas="\n".join(f"| {area_title(area)} | {', '.join(areas[area])} |" for area in areas)),
        params=_params([name for maps in areas.values() for name in maps], nightly),
        schedule=timetable(nightly.schedule or None, zone),
    ) as dag:
        start = StartNightOperator(
            task_id=START_NIGHT,
            pool=POOLS["dataverse"],
            doc_md="Opens the reconciliation: its companies, table maps and controls, and the time it is made as at.",
        )
        reads = [
            ReadOperator(
                task_id=f"read_{side}",
                side=side,
                pool=POOLS[side],
                doc_md=f"Reads every table of {SIDE_NAMES[side]} that is needed, once.",
            )
            for side in ("finance", "dataverse")
        ]
        compares, validates = _comparison_tasks(catalog, areas)
        controls = ControlsOperator(
            task_id="ask", pool=NO_API, doc_md="Runs the controls over the rows that were read, and lists exceptions."
        )
        totals = TotalsOperator(
            task_id="totals",
            pool=NO_API,
            doc_md="Computes the control totals of both systems, and the balances of the integration accounts.",
        )
        publish, report, data_docs, notify, verdict = _reporting_tasks()
        chain(start, *reads)
        reads[-1].set_downstream([*(task for task in compares if not task.upstream_task_ids), controls, totals])
        publish.set_upstream([*validates, controls, totals])
        chain(publish, [report, data_docs], notify, verdict)
    return dag


def maps_by_area(catalog: Catalog) -> dict[str, list[str]]:
    """Return the maps that are compared, by area; areas and maps in the order of their needs."""
    enabled = {name for name, table_map in catalog.declared.items() if table_map.enabled}
    areas: dict[str, list[str]] = {}
    for name in catalog.order(enabled):
        area = catalog.declared[name].area
        areas.setdefault(COMPARED_WITH.get(area, area), []).append(name)
    return areas


def _comparison_tasks(
    catalog: Catalog, areas: Mapping[str, Sequence[str]]
) -> tuple[list[CompareOperator], list[ValidateOperator]]:
    """Build the tasks that compare the maps of each area, each followed by the one that checks their data quality."""
    with TaskGroup("compare", tooltip="Full comparison of the table maps, by area"):
        compares = {
            area: CompareOperator(
                task_id=area,
                task_display_name=area_title(area),
                maps=maps,
                trigger_rule=TriggerRule.NONE_FAILED,
                pool=POOLS["dataverse"],  # it reads the records that lookups point at
                doc_md=f"Compares every row of both systems by its integration key. Table maps: {', '.join(maps)}.",
            )
            for area, maps in areas.items()
        }
    with TaskGroup("validate", tooltip="Data quality of the rows of both systems, by area"):
        validates = {
            area: ValidateOperator(
                task_id=area,
                task_display_name=area_title(area),
                maps=maps,
                trigger_rule=TriggerRule.NONE_FAILED,
                pool=POOLS["dataverse"],
                doc_md="Checks all rows against the data-quality rules of their table map, as if each were about to be "
                f"written to the other system. Table maps: {', '.join(maps)}.",
            )
            for area, maps in areas.items()
        }
    for area, maps in areas.items():
        needed = {need for name in maps for need in catalog.ancestors(name)}
        others = [other for other in areas if other != area and needed & set(areas[other])]
        compares[area].set_upstream([compares[other] for other in others])
        compares[area].set_downstream(validates[area])
    return list(compares.values()), list(validates.values())


def _reporting_tasks() -> tuple[
    PublishNightOperator, ReportOperator, DataDocsOperator, NotifyOperator, VerdictOperator
]:
    """Build the tasks at the end, which run even if tasks before them have failed."""
    always: dict[str, Any] = {"trigger_rule": TriggerRule.ALL_DONE, "pool": NO_API}
    return (
        PublishNightOperator(
            task_id=PUBLISH,
            doc_md="Writes all results into the ledger. A part that was not reached is written as failed.",
            **always,
        ),
        ReportOperator(task_id="report", doc_md="Writes the workbook, and its tables as CSV and Parquet.", **always),
        DataDocsOperator(
            task_id="data_docs", doc_md="Builds the Data Docs: one page for each set of data-quality rules.", **always
        ),
        NotifyOperator(
            task_id="notify",
            doc_md="Sends a message if a threshold of the settings is crossed. Skipped otherwise.",
            **always,
        ),
        VerdictOperator(
            task_id="verdict",
            doc_md="Fails if a part of the reconciliation failed, or if there are critical exceptions.",
            **always,
        ),
    )


def _params(maps: Sequence[str], nightly: Nightly) -> dict[str, Param]:
    return {
        "companies": companies_param(),
        "maps": maps_param(
            maps,
            "The table maps to compare in full. Leave it empty for all. If only controls are named, no table map is "
            "compared.",
        ),
        "controls": Param(
            [],
            type=OPTIONAL_LIST,
            items={"type": "string", "pattern": "^[Rr][0-9]+$"},
            title="Controls",
            description="Ids of the controls to run, one per line, such as R7. Leave it empty for all. If only table "
            "maps are named, no control is run.",
        ),
        "period": Param(
            "",
            type=["string", "null"],
            pattern="^([0-9]{4}-[0-9]{2}(-[0-9]{2})?)?$",
            title="Period of a close package",
            description="Makes a close package of this fiscal period: its first day (2026-03-01) or its month "
            "(2026-03). Name exactly one company then. Leave it empty for an ordinary reconciliation.",
        ),
        "fail_on_critical": Param(
            nightly.fail_on_critical,
            type="boolean",
            title="Fail on critical exceptions",
            description="Whether this run fails if there are critical exceptions.",
        ),
    }
