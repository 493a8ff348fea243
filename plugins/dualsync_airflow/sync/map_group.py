"""The task group of one table map: five steps for each of its directions, and the Assets of what they write."""

from contextlib import nullcontext
from itertools import pairwise

from airflow.sdk import Asset, TaskGroup, TriggerRule, chain, task_group

from dualsync.mapping import Direction, TableMap
from dualsync.reports.words import direction_word
from dualsync.sides import receiver, sender
from dualsync.sync.plan.vocabulary import Step
from dualsync_airflow.common import NO_API, POOLS
from dualsync_airflow.sync.operators import PublishOperator, StepOperator

STEP_DOCS = {
    Step.EXTRACT: "Reads the rows that changed on the sending side, and the matching rows of the other side.",
    Step.RECONCILE: "Compares both sides with the state they last agreed on, and plans one action for each row.",
    Step.VALIDATE: "Checks the rows that would be written. A row that the other side would refuse goes to quarantine "
    "with the reason.",
    Step.LOAD: "Sends the planned rows in batches, and keeps the answer to each batch.",
    Step.SETTLE: "Stores, in one transaction, the state both sides now agree on, the change token, the counts and the "
    "rows in quarantine.",
}


class MapGroup:
    """The task group of one table map.

    Args:
        table_map: The map.
        batches: How many tasks share the companies of one step.
        around: The group it stands in. The name of that group is no part of the ids of the tasks.

    Attributes:
        first: The task that waits for other maps.
        last: The task that other maps wait for.
    """

    def __init__(self, table_map: TableMap, batches: int, around: TaskGroup | None = None) -> None:
        self.map = table_map
        self.batches = batches if table_map.scope == "company" else 1
        self.two_way = len(table_map.directions) > 1
        # The published order counts from 1. A map without a place in it goes first, since others refer to it.
        self.weight = 100 - (table_map.initial.order or 0)
        with around or nullcontext(), TaskGroup(table_map.map, tooltip=table_map.title):
            chains = [self._chain(direction) for direction in table_map.directions]
        for before, after in pairwise(chains):
            # The second direction starts from what the first has settled, and also when the first has failed.
            after[0].trigger_rule = TriggerRule.ALL_DONE
            before[-1].set_downstream(after[0])
        self.first = chains[0][0]
        self.last = chains[-1][-1]

    def _chain(self, direction: Direction) -> list[StepOperator]:
        """Build the five steps of one direction, and the task that announces what they wrote."""
        publish = f"publish_{receiver(direction)}" if self.two_way else "publish"
        if self.batches > 1:
            steps = self._mapped_steps(direction, f"{self.map.map}.{direction}")
        elif self.two_way:
            with TaskGroup(direction, tooltip=direction_word(direction)):
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
            doc_md="Updates the Asset of the table that was written. Skipped if no row was written.",
        )
        steps[-1].set_downstream(announce)
        return steps

    def _mapped_steps(self, direction: Direction, group_id: str) -> list[StepOperator]:
        """Build the five steps, once for each batch of companies."""
        steps: list[StepOperator] = []

        @task_group(group_id=direction, tooltip=f"{direction_word(direction)}, {self.batches} batches of companies")
        def companies(batch: int) -> None:
            steps.extend(self._steps(direction, group_id, batch=batch))

        companies.expand(batch=list(range(self.batches)))
        return steps

    def _steps(
        self, direction: Direction, group_id: str, *, batch: int = 0, publish: str | None = None
    ) -> list[StepOperator]:
        pools = {
            Step.EXTRACT: POOLS[sender(direction)],
            Step.RECONCILE: POOLS["dataverse"],  # it reads the records that lookups point at
            Step.LOAD: POOLS[receiver(direction)],
        }
        skips = {Step.EXTRACT: f"{group_id}.{Step.RECONCILE}", Step.SETTLE: publish}
        about = f"Table map **{self.map.title}** (`{self.map.map}`), {direction_word(direction)}."
        steps = [
            StepOperator(
                task_id=str(step),
                step=str(step),
                map_name=self.map.map,
                direction=direction,
                batch=batch,
                batches=self.batches,
                skips=skips.get(step),
                pool=pools.get(step, NO_API),
                priority_weight=self.weight,
                weight_rule="absolute",
                doc_md=f"{STEP_DOCS[step]}\n\n{about}",
            )
            for step in Step
        ]
        chain(*steps)
        return steps


def asset_uri(table_map: TableMap, direction: Direction) -> str:
    """Return the Asset of the table that a direction writes: ``dualsync://<side>/<table>``."""
    if direction == "to_finance":
        return f"dualsync://finance/{table_map.finance.set}"
    return f"dualsync://dataverse/{table_map.dataverse.table}"
