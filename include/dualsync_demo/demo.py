"""What one start of the demo does: synchronise, play working days, reconcile, report, serve."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from dualsync.ledger import Ledger, LegRecord
from dualsync.mapping import Catalog
from dualsync.mapping.areas import AREA_NAMES, REFERENCE
from dualsync.reports.figures import percent
from dualsync.reports.legs import areas_table, failed_legs, legs_table
from dualsync.reports.words import reconciliation_name, severity_count, state_word, transfer_name
from dualsync.settings import Settings
from dualsync_demo import sandbox
from dualsync_demo.airflow import USER, Airflow
from dualsync_demo.day import FINANCE_JOBS, Census, Play
from dualsync_demo.processes import Services, tail, wait_for

INITIAL = "initial_sync"
CYCLE = "sync_cycle"
NIGHTLY = "nightly_reconciliation"
COMPANIES = ("USPM", "GBPM", "FRRT")
"""The integrated companies of the sandbox; it has one more, which is not."""

CUTOVER = "2025-01-01"
"""When the companies went over to the integration. The sandbox's projects begin in January 2025, its fiscal periods are
closed to the end of 2024: nothing in it is older, so nothing is taken for history."""

DAYS = 2
"""Working days that are played at the first start. What is earned on one can be invoiced on the next."""

HOURS_OF_REST = 9
"""Hours between the end of the last working day, at five, and the reconciliation."""

RUN_LIMIT = 1800.0
"""Seconds that one DAG run may take before the demo gives up on it."""


@dataclass
class Demo:
    """One start of the demo.

    Args:
        home: The project's folder.
        console: Where it writes.
    """

    home: Path
    console: Console
    legs: list[LegRecord] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.state = self.home / ".dualsync"
        self.services = Services(self.state / "logs")
        self.began = time.monotonic()

    def run(self, profile: str, seed: int, once: bool, days: int | None, each: bool) -> bool:
        """Synchronise, play and report, then keep serving; return whether everything went well.

        Args:
            profile: Size of the sandbox's data.
            seed: Seed of the sandbox's data and of what is played.
            once: Whether to end after the last report instead of serving on.
            days: How many days to play; None for two at the first start and none later.
            each: Whether the DAG of each area runs by itself too.
        """
        environ = self._environ()
        self._say("Starting the sandbox: Dataverse, Finance and their identity service")
        described = sandbox.serve(self.state / "sandbox", profile, seed, self.services, environ)
        airflow = Airflow(self.home, self.state / "airflow", self.services, environ | sandbox.connections(described))
        self._say(f"Starting Airflow on {airflow.url}")
        airflow.prepare()
        airflow.start()
        results: list[bool] = []
        if airflow.succeeded_before(INITIAL):
            self._say("The initial synchronisation was done at an earlier start and is not repeated")
        else:
            results = [self._sync(airflow, dag_id) for dag_id in (INITIAL, AREA_NAMES[0])]
        if days is None:
            days = 0 if self._played.exists() else DAYS
        results.append(self._days(airflow, described, days, seed) if days else self._sync(airflow, CYCLE))
        results += [self._sync(airflow, dag_id) for dag_id in (AREA_NAMES if each else ())]
        self._summary()
        self._reconcile(airflow, Play(described["control"]))
        if once:
            return all(results)
        airflow.start_triggerer()
        for dag_id in (*AREA_NAMES, CYCLE, NIGHTLY):
            airflow.pause(dag_id, False)
        self._tell_where(airflow, described)
        try:
            while True:
                self.services.check()
                time.sleep(1)
        finally:
            # otherwise the next start would begin with the runs that were missed meanwhile
            for dag_id in (*AREA_NAMES, NIGHTLY):
                airflow.pause(dag_id, True)

    @property
    def _played(self) -> Path:
        """The file that says what was played last. It lies with the sandbox's data: without them it is of no use."""
        return self.state / "sandbox" / "played.json"

    def _days(self, airflow: Airflow, described: dict[str, Any], days: int, seed: int) -> bool:
        """Play working days and carry their work to Finance, and what Finance makes of it back.

        Args:
            airflow: Runs the DAGs.
            described: Where the sandbox is.
            days: How many days.
            seed: Seed of what is played.

        Returns:
            Whether every run succeeded and the work passed every station.
        """
        systems = Settings.load(
            {"home": self.home}, environ={"DUALSYNC_SANDBOX": str(self.state / "sandbox" / "sandbox.json")}
        )
        play, before = Play(described["control"]), Census.take(systems)
        succeeded = True
        for _ in range(days):
            played = play.days(1, seed)
            self._played.write_text(json.dumps(played))
            self._say(f"Played the working day {played['days'][0]}: {sum(played['events'].values())} events")
            succeeded = self._sync(airflow, CYCLE) and succeeded
            self._say(f"Finance's batch jobs: {', '.join(FINANCE_JOBS)}")
            for refusal in play.finance_jobs(COMPANIES):
                self.console.print(f"[yellow]Finance refused[/yellow] {refusal}", soft_wrap=True)
        succeeded = self._sync(airflow, CYCLE) and succeeded
        passed = Census.take(systems).since(before)
        self.console.print(passed.table("What became of the work, as both systems show it"))
        return succeeded and passed.closed

    def _reconcile(self, airflow: Airflow, play: Play) -> None:
        """Run the nightly reconciliation and print its verdict, which does not fail the demo.

        Some hours pass in the sandbox before: what changed within the last one is not judged.

        Args:
            airflow: Runs the DAG.
            play: Moves the sandbox's clock.
        """
        play.rest(HOURS_OF_REST)
        self._say(f"Running {NIGHTLY}")
        run_id = airflow.trigger(NIGHTLY)
        wait_for(f"DAG {NIGHTLY}", RUN_LIMIT, lambda: airflow.ended(NIGHTLY, run_id) is not None, self.services)
        airflow.pause(NIGHTLY, True)
        ledger = self._ledger()
        night = ledger.nights.night(f"{NIGHTLY}.{run_id}")  # as the task `begin` names it
        ledger.close()
        if night is None:
            self._explain(airflow, NIGHTLY, run_id)
            return
        counts = {"critical": night.critical, "error": night.error, "warning": night.warning}
        exceptions = ", ".join(severity_count(severity, number) for severity, number in counts.items())
        self._say(
            f"{reconciliation_name(night.moment, 'UTC')}: {state_word(night.verdict)}; {exceptions}; "
            f"amounts matched {percent(night.matched)}; reports in {night.folder}"
        )

    def _summary(self) -> None:
        """Print what this start did in each area, and what is open now."""
        catalog, ledger = Catalog.load(), self._ledger()
        order = (REFERENCE.name, *AREA_NAMES)
        areas = {name: area for area in order for name in catalog if catalog[name].area == area}
        still_open = Counter[str]()
        for (map_name, *_), number in ledger.count_open_rows().items():
            still_open[areas[map_name]] += number
        ledger.close()
        self.console.print(areas_table("All runs together, by area", self.legs, areas, still_open))

    def _ledger(self) -> Ledger:
        return Ledger.open(Settings.load({"home": self.home}, environ={}).ledger_url)

    def _environ(self) -> dict[str, str]:
        """Return our own environment, without what would slow down or misdirect the demo's processes."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "DUALSYNC_")) and name != "PYTHONDONTWRITEBYTECODE"
        }
        return kept | {
            "DUALSYNC_HOME": str(self.home),
            "DUALSYNC_COMPANIES": ",".join(COMPANIES),
            **{f"DUALSYNC_CUTOVER__{company}": CUTOVER for company in COMPANIES},
            "GX_ANALYTICS_ENABLED": "false",
        }

    def _sync(self, airflow: Airflow, dag_id: str) -> bool:
        """Run a DAG to its end, print what it did, and return whether it succeeded."""
        started = datetime.now(UTC)
        self._say(f"Running {dag_id}")
        run_id = airflow.trigger(dag_id)
        wait_for(f"DAG {dag_id}", RUN_LIMIT, lambda: airflow.ended(dag_id, run_id) is not None, self.services)
        # otherwise its schedule would start it again beside the runs that follow
        airflow.pause(dag_id, True)
        ledger = self._ledger()
        legs = ledger.legs(f"{dag_id}.{run_id}")  # as the task `start` names it
        ledger.close()
        self.legs += legs
        self.console.print(legs_table(f"{dag_id} ({(datetime.now(UTC) - started).total_seconds():.0f} s)", legs))
        for leg in failed_legs(legs):
            name = transfer_name(leg.map, leg.direction, leg.company, leg.part)
            self.console.print(f"[red]{name}: {state_word(leg.state)}[/red] {leg.message}")
        succeeded = airflow.ended(dag_id, run_id) == "success"
        if not succeeded:
            self._explain(airflow, dag_id, run_id)
        return succeeded and not failed_legs(legs)

    def _explain(self, airflow: Airflow, dag_id: str, run_id: str) -> None:
        """Name the tasks that failed, and show the end of the first one's log."""
        failed = [task for task, state in airflow.tasks(dag_id, run_id) if state == "failed"]
        self.console.print(f"[red]{dag_id} failed[/red] in {', '.join(failed)}", soft_wrap=True)
        log = airflow.task_log(dag_id, run_id, failed[0]) if failed else None
        if log is not None:
            self.console.print(tail(log), soft_wrap=True, markup=False)

    def _tell_where(self, airflow: Airflow, described: dict[str, str]) -> None:
        self.console.print(
            f"\nAirflow    {airflow.url}  (user {USER}, password {airflow.password})\n"
            f"Dataverse  {described['dataverse']}\n"
            f"Finance    {described['finance']}\n"
            f"Logs       {self.services.logs}\n\n"
            f"All areas now run every 15 minutes, the nightly reconciliation at 02:00 UTC. Ctrl-C ends everything.",
            soft_wrap=True,
            highlight=False,
        )

    def _say(self, text: str) -> None:
        self.console.print(
            f"[dim]{time.monotonic() - self.began:5.1f} s[/dim]  {text}", soft_wrap=True, highlight=False
        )
