"""The control plane: what a test or a person may do to the sandbox that no client of the real systems could.

Plain HTTP on a loopback port of its own, without sign-in. ``dualsync_sandbox.control.routes`` says what there is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dualsync_sandbox.control.routes import ROUTES
from dualsync_sandbox.errors import SandboxError
from dualsync_sandbox.protocol.http import to_json
from dualsync_sandbox.store.values import parse_moment
from dualsync_sandbox.systems import Systems

Facts = dict[str, object]


class Refused(Exception):
    """A control request that makes no sense."""


def application(systems: Systems) -> Starlette:
    """The web application of the control plane."""
    control = _Control(systems)
    routes = [Route(route.path, _endpoint(getattr(control, route.answer)), methods=[route.method]) for route in ROUTES]
    return Starlette(routes=routes)


def _endpoint(answer: Callable[[Facts], Facts]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        given: Facts = dict(request.query_params)
        body = await request.body()
        try:
            if body:
                given |= msgspec.json.decode(body, type=dict[str, object])
            status, facts = 200, await run_in_threadpool(answer, given)
        except (Refused, ValueError, msgspec.DecodeError) as error:
            status, facts = 400, {"error": str(error)}
        except SandboxError as error:
            status, facts = 409, {"error": str(error)}
        return Response(to_json(facts), status, media_type="application/json")

    return endpoint


class _Control:
    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    def health(self, _: Facts) -> Facts:
        return {"status": "ok", "now": self._systems.clock.stamp()}

    def reset(self, _: Facts) -> Facts:
        self._systems.reset()
        return {"status": "ok"}

    def seed(self, given: Facts) -> Facts:
        number, projects = given.get("seed", 1), given.get("projects")
        if not isinstance(number, int) or not (projects is None or isinstance(projects, int)):
            raise Refused("seed and projects are whole numbers")
        return self._systems.seed(str(given.get("profile", "demo")), number, projects)

    def play(self, given: Facts) -> Facts:
        days, number = given.get("days", 1), given.get("seed", 1)
        if not isinstance(days, int) or not isinstance(number, int):
            raise Refused("days and seed are whole numbers")
        return self._systems.play(days, number)

    def play_event(self, given: Facts) -> Facts:
        number, project = given.get("seed", 1), given.get("project")
        if not isinstance(number, int) or not (project is None or isinstance(project, str)):
            raise Refused("seed is a whole number, project the number of a project")
        name, company = str(given.get("name", "")), str(given.get("company", "USPM"))
        return self._systems.play_event(name, company=company, project=project, seed=number)

    def plant(self, given: Facts) -> Facts:
        breaks, number = given.get("breaks", 10), given.get("seed", 1)
        if not isinstance(breaks, int) or not isinstance(number, int):
            raise Refused("breaks and seed are whole numbers")
        return self._systems.plant(breaks, number)

    def switches(self, _: Facts) -> Facts:
        return self._systems.switches.as_dict()

    def set_switches(self, given: Facts) -> Facts:
        self._systems.switches.set(**given)  # type: ignore[arg-type]  # it checks names and values itself
        return self.switches({})

    def clock(self, _: Facts) -> Facts:
        return {"now": self._systems.clock.stamp(), "frozen": self._systems.clock.frozen}

    def set_clock(self, given: Facts) -> Facts:
        moment = parse_moment(given.get("now"))
        if moment is None:
            raise Refused("now must be a time such as 2026-01-31T10:00:00Z")
        self._systems.clock.set(moment, frozen=given.get("frozen") is True)
        return self.clock({})

    def advance_clock(self, given: Facts) -> Facts:
        units = {name: value for name, value in given.items() if name in ("seconds", "minutes", "hours", "days")}
        if not units or len(units) != len(given) or not all(isinstance(value, int | float) for value in units.values()):
            raise Refused("give seconds, minutes, hours or days as numbers")
        self._systems.clock.advance(timedelta(**{name: float(str(value)) for name, value in units.items()}))
        return self.clock({})

    def trace(self, given: Facts) -> Facts:
        text = {name: str(given[name]) for name in ("system", "method", "path") if name in given}
        numbers = {name: int(str(given[name])) for name in ("status", "since", "limit") if name in given}
        unknown = given.keys() - {"system", "method", "path", "status", "since", "limit"}
        if unknown:
            raise Refused(f"unknown: {', '.join(sorted(unknown))}")
        trace = self._systems.requests
        return {"last_id": trace.last_id, "requests": trace.find(**text, **numbers)}  # type: ignore[arg-type]

    def forget_trace(self, _: Facts) -> Facts:
        self._systems.requests.clear()
        return {"status": "ok"}

    def writes(self, _: Facts) -> Facts:
        return {system: counter.counts() for system, counter in self._systems.writes.items()}

    def forget_writes(self, _: Facts) -> Facts:
        for counter in self._systems.writes.values():
            counter.clear()
        return {"status": "ok"}

    def expire_changes(self, _: Facts) -> Facts:
        self._systems.dataverse_store.expire_changes()
        return {"status": "ok"}

    def snapshots(self, _: Facts) -> Facts:
        return {"snapshots": self._systems.snapshots()}

    def snapshot(self, given: Facts) -> Facts:
        self._systems.snapshot(str(given.get("name", "")))
        return self.snapshots({})

    def restore(self, given: Facts) -> Facts:
        self._systems.restore(str(given.get("name", "")))
        return {"status": "ok"}

    def limits(self, _: Facts) -> Facts:
        return self._systems.limits.as_dict()

    def set_limits(self, given: Facts) -> Facts:
        self._systems.limits.change(given)
        return self.limits({})

    def reset_limits(self, _: Facts) -> Facts:
        self._systems.limits.reset()
        return self.limits({})

    def faults(self, _: Facts) -> Facts:
        return {"faults": self._systems.faults.listed()}

    def plan_faults(self, given: Facts) -> Facts:
        planned = given.get("faults", [given])
        if not isinstance(planned, list) or not all(isinstance(fault, dict) for fault in planned):
            raise Refused("faults is a list of faults")
        for fault in planned:
            self._systems.faults.plan(**fault)
        return self.faults({})

    def forget_faults(self, _: Facts) -> Facts:
        self._systems.faults.clear()
        return self.faults({})

    def export_projects(self, _: Facts) -> Facts:
        return {"projects": msgspec.to_builtins(self._systems.packages.exports.listed())}

    def set_up_export_project(self, given: Facts) -> Facts:
        self._systems.packages.exports.set_up(**given)
        return self.export_projects({})

    def recurring_jobs(self, _: Facts) -> Facts:
        return {"jobs": msgspec.to_builtins(self._systems.packages.recurring.listed())}

    def set_up_recurring_job(self, given: Facts) -> Facts:
        self._systems.packages.recurring.set_up(**given)
        return self.recurring_jobs({})

    def run_recurring_job(self, given: Facts) -> Facts:
        return {"message": self._systems.packages.recurring.run(str(given.get("id", "")))}
