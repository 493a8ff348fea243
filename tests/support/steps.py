"""Single steps of a leg, each in a runtime of its own as Airflow's tasks are; a network that can be made to fail."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx

from dualsync.ledger import Ledger, LegRecord
from dualsync.mapping import Catalog, Schema
from dualsync.sides import Direction
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.legs.spec import RunSpec
from dualsync.sync.run.runs import start_run
from dualsync.sync.run.steps import STEPS, LegSummary, run_step
from dualsync.systems import open_systems
from support.worlds import World

Rule = Callable[[httpx.Request], httpx.Response | None]


class Network(httpx.BaseTransport):
    """The network between dualsync and the sandbox.

    Args:
        world: Whose certificates to trust.
        rule: Sees every request first: answers in the system's place, raises what a broken line raises, or lets it
            pass with None.
    """

    def __init__(self, world: World, rule: Rule) -> None:
        trusted = ssl.create_default_context(cafile=str(world.sandbox.info["ca_file"]))
        self._real = httpx.HTTPTransport(verify=trusted)
        self._rule = rule

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._rule(request)
        return self._real.handle_request(request) if answer is None else answer

    def close(self) -> None:
        self._real.close()


def unreachable(*parts: str, method: str | None = None, after: int = 0) -> Rule:
    """The line is down for requests whose address holds all ``parts``, once ``after`` of them got through."""
    passed = 0

    def rule(request: httpx.Request) -> httpx.Response | None:
        nonlocal passed
        if all(part in str(request.url) for part in parts) and method in (None, request.method):
            passed += 1
            if passed > after:
                raise httpx.ConnectError("the line is down", request=request)
        return None

    return rule


def refused_sign_in(*parts: str) -> Rule:
    """The system accepts no token for requests whose address holds all ``parts``."""

    def rule(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(401, request=request) if all(part in str(request.url) for part in parts) else None

    return rule


def open_runtime(
    world: World, *, rule: Rule | None = None, batches: dict[str, int] | None = None, later: timedelta = timedelta()
) -> Runtime:
    """A runtime; its network fails by ``rule``, its requests are tried once, its ledger's clock is ``later``."""
    changes: dict[str, Any] = {"retries": world.settings.retries.model_copy(update={"attempts": 1})}
    concurrency = {"concurrency": world.settings.concurrency.model_copy(update={"finance": 1, "dataverse": 1})}
    if batches is not None:
        changes["batch_sizes"] = world.settings.batch_sizes.model_copy(update=batches)
    settings = world.settings.model_copy(update=changes | concurrency)
    ledger = Ledger.open(settings.ledger_url, now=lambda: datetime.now(UTC) + later)
    systems = open_systems if rule is None else partial(open_systems, transport=Network(world, rule))
    return Runtime(settings, Catalog.load(None), Schema.load(), ledger, systems)


class Steps:
    """The steps of one map and direction in one run.

    Args:
        world: The world.
        map_name: The map.
        direction: The direction.
        companies: The companies.
        batches: Batch sizes.
        words: More of what the run is asked to do.
    """

    def __init__(
        self,
        world: World,
        map_name: str = "projects",
        direction: Direction = "to_finance",
        companies: Sequence[str] = ("USPM",),
        batches: dict[str, int] | None = None,
        **words: Any,
    ) -> None:
        self.world, self.map_name, self.direction, self.companies = world, map_name, direction, list(companies)
        self.batches = batches
        with world.runtime() as runtime:
            self.run = start_run(RunSpec("steps", maps=[map_name], companies=companies, **words), runtime)

    def do(
        self,
        *steps: str,
        rule: Rule | None = None,
        companies: Sequence[str] | None = None,
        later: timedelta = timedelta(),
    ) -> dict[str, LegSummary]:
        """Run steps, all five by default; returns how the legs stand after the last, by company."""
        for step in steps or STEPS:
            with open_runtime(self.world, rule=rule, batches=self.batches, later=later) as runtime:
                summary = run_step(
                    step,
                    run=self.run,
                    map_name=self.map_name,
                    direction=self.direction,
                    companies=companies or self.companies,
                    runtime=runtime,
                )
        return {leg.company: leg for leg in summary.legs}

    def leg(self, company: str = "USPM") -> Leg:
        """The leg, with the folder of its newest attempt."""
        with self.world.runtime() as runtime:
            return runtime.leg(self.run, self.map_name, self.direction, company)

    def record(self, company: str = "USPM") -> LegRecord:
        """The leg as the ledger has it."""
        with self.world.runtime() as runtime:
            found = runtime.ledger.leg(self.run.run_id, self.map_name, self.direction, "rows", company)
        assert found is not None
        return found


def state(world: World, map_name: str = "projects", direction: str = "to_finance") -> dict[str, tuple[int, str | None]]:
    """Generation and position of a map's legs, by company: what moves only when a leg settles."""
    with world.runtime() as runtime:
        return {
            base.company: (base.generation, runtime.ledger.position(map_name, direction, base.company))
            for base in runtime.ledger.bases(map_name)
        }


def assert_conserved(world: World) -> None:
    """Every leg of every run so far holds the conservation law."""
    with world.runtime() as runtime:
        legs = [leg for run in runtime.ledger.runs(1000) for leg in runtime.ledger.legs(run.run_id)]
    assert legs
    assert [leg for leg in legs if not leg.counts.conserved] == []
