"""Builds the DAG of the nightly reconciliation. Building reads the table maps and the settings, and nothing else."""

from typing import Any

from airflow.sdk import DAG, Param, TaskGroup, TriggerRule, chain

from dualsync.errors import SettingsError
from dualsync.mapping import Catalog
from dualsync.settings import Nightly, Settings
from dualsync_airflow.nightly.operators import (
    BEGIN,
    PUBLISH,
    AskOperator,
    BeginOperator,
    CompareOperator,
    DataDocsOperator,
    NotifyOperator,
    PublishNightOperator,
    ReadOperator,
    ReportOperator,
    TotalsOperator,
    ValidateOperator,
    VerdictOperator,
)
from dualsync_airflow.sync.dag import DEFAULT_ARGS, NO_API, POOLS, companies_param, timetable

REFERENCE = {"reference": "setup_configuration"}
"""Reference data and the set-up refer to each other, so they are looked at together."""

DOC = """### {title}

Compares Dataverse and Finance in full, asks all controls, draws up the control totals, checks the data quality of
either side, and puts it all together: verdict, breaks, workbook, files, Data Docs. It writes to neither system, and
works beside dual-write just as well.

A part that fails does not stop the others: everything is published at the end, and what was not reached is *failed*,
never *equal*. The task `verdict` fails where a part has failed, and where critical breaks exist (unless the parameter
`fail_on_critical` is off). `notify` tells people where a threshold of the settings is crossed.

Clearing a failed task goes on with what was read in that run. To look anew, start a new run.

| area | table maps |
|---|---|
{areas}
"""


def nightly_dag(dag_id: str, *, title: str) -> DAG:
    """Build the DAG of the nightly reconciliation.

    One task compares the maps of one area, after those of the areas whose rows its lookups lead to.

    Args:
        dag_id: id of the DAG.
        title: one line for the DAG list.
    """
    catalog = Catalog.load()
    areas = areas_of(catalog)
    nightly, zone = _settings()
    with DAG(
        dag_id=dag_id,
        description=title,
        schedule=timetable(nightly.schedule or None, zone),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULT_ARGS,
        params=_params([name for maps in areas.values() for name in maps], nightly),
        tags=["dualsync", dag_id],
        doc_md=DOC.format(title=title, areas="\n".join(f"| {area} | {', '.join(areas[area])} |" for area in areas)),
    ) as dag:
        begin = BeginOperator(
            task_id=BEGIN, pool=POOLS["dataverse"], doc_md="Opens the night: companies, maps, controls and its moment."
        )
        reads = [
            ReadOperator(
                task_id=f"read_{side}",
                side=side,
                pool=POOLS[side],
                doc_md=f"Reads all rows of {side.title()} that tonight's questions need, once.",
            )
            for side in ("finance", "dataverse")
        ]
        compares, validates = _looks(catalog, areas)
        ask = AskOperator(task_id="ask", pool=NO_API, doc_md="Asks the controls of what was read.")
        totals = TotalsOperator(task_id="totals", pool=NO_API, doc_md="Draws up control totals and balances.")
        publish, *told = _tells()
        chain(begin, *reads)
        reads[-1].set_downstream([*(one for one in compares if not one.upstream_task_ids), ask, totals])
        publish.set_upstream([*validates, ask, totals])
        chain(publish, told[:2], *told[2:])
    return dag


def areas_of(catalog: Catalog) -> dict[str, list[str]]:
    """The maps that are compared, by area; areas and maps in the order of their needs."""
    whole = {name for name, one in catalog.declared.items() if one.enabled}
    found: dict[str, list[str]] = {}
    for name in catalog.order(whole):
        area = catalog.declared[name].area
        found.setdefault(REFERENCE.get(area, area), []).append(name)
    return found


def _looks(catalog: Catalog, areas: dict[str, list[str]]) -> tuple[list[CompareOperator], list[ValidateOperator]]:
    """The tasks that compare the maps of each area, and after each the one that checks their data quality."""
    with TaskGroup("compare", tooltip="Full comparison of the table maps, by area"):
        compares = {
            area: CompareOperator(
                task_id=area,
                maps=maps,
                trigger_rule=TriggerRule.NONE_FAILED,
                pool=POOLS["dataverse"],  # looks up the records that lookups name
                doc_md=f"Compares every row by integration key: {', '.join(maps)}.",
            )
            for area, maps in areas.items()
        }
    with TaskGroup("validate", tooltip="The data quality of the rows of both sides, by area"):
        validates = {
            area: ValidateOperator(
                task_id=area,
                maps=maps,
                trigger_rule=TriggerRule.NONE_FAILED,
                pool=POOLS["dataverse"],
                doc_md=f"Asks the suites of all rows as they would be written: {', '.join(maps)}.",
            )
            for area, maps in areas.items()
        }
    for area, maps in areas.items():
        needed = {need for name in maps for need in catalog.ancestors(name)}
        others = [other for other in areas if other != area and needed & set(areas[other])]
        compares[area].set_upstream([compares[other] for other in others])
        compares[area].set_downstream(validates[area])
    return list(compares.values()), list(validates.values())


def _tells() -> list[PublishNightOperator | ReportOperator | DataDocsOperator | NotifyOperator | VerdictOperator]:
    """The tasks at the end, which run whatever became of those before."""
    always: dict[str, Any] = {"trigger_rule": TriggerRule.ALL_DONE, "pool": NO_API}
    return [
        PublishNightOperator(
            task_id=PUBLISH, doc_md="Puts the night into the ledger; what was not reached has failed.", **always
        ),
        ReportOperator(task_id="report", doc_md="Writes the workbook, CSV and Parquet.", **always),
        DataDocsOperator(task_id="data_docs", doc_md="Builds the Data Docs of the night's data quality.", **always),
        NotifyOperator(
            task_id="notify", doc_md="Tells people where a threshold is crossed; skipped otherwise.", **always
        ),
        VerdictOperator(
            task_id="verdict", doc_md="Fails where critical breaks exist or a part of the night failed.", **always
        ),
    ]


def _settings() -> tuple[Nightly, str]:
    """The settings of the DAG and its time zone.

    Wrong settings are reported by the run, which reads them again; they need not hide the DAG.
    """
    try:
        settings = Settings.load()
    except SettingsError:
        return Nightly(), "UTC"
    return settings.nightly, settings.time_zone


def _params(maps: list[str], nightly: Nightly) -> dict[str, Param]:
    return {
        "companies": companies_param(),
        "maps": Param(
            [],
            type="array",
            items={"type": "string", "enum": maps},
            examples=maps,
            title="Table maps",
            description="Those that are compared in full. None means all; where only controls are named, none is.",
        ),
        "controls": Param(
            [],
            type="array",
            items={"type": "string", "pattern": "^[Rr][0-9]+$"},
            title="Controls",
            description="Those that are asked, such as R7, one a line. None means all; "
            "where only table maps are named, none is.",
        ),
        "period": Param(
            "",
            type=["string", "null"],
            pattern="^([0-9]{4}-[0-9]{2}(-[0-9]{2})?)?$",
            title="Period",
            description="Make a close pack of this fiscal period: its first day, or year and month. "
            "Needs exactly one company.",
        ),
        "fail_on_critical": Param(
            nightly.fail_on_critical,
            type="boolean",
            title="Fail on critical breaks",
            description="Whether critical breaks let this run fail.",
        ),
    }
