"""The control plane: what a test or a person may do to the sandbox that no client of the real systems could.

Plain HTTP on a loopback port of its own, without sign-in.

=======  ============================  ==================================================================
method   path                          does
=======  ============================  ==================================================================
GET      /health                       says that it runs, and the time there
POST     /reset                        removes all rows, traces and counts; the clock shows real time again
POST     /seed                         ``{"profile", "seed", "projects"}``: fills both systems
POST     /play                         ``{"days": 5, "seed": 1}``: plays working days, which moves the clock
POST     /play/event                   ``{"name": "approve-time", "company", "project", "seed"}``: one event
POST     /plant                        ``{"breaks": 10, "seed": 1}``: breaks rows past all checks, and says which
GET      /switches                     behaviours that tenants show or do not show
PUT      /switches                     ``{"protect_actuals": true}``: changes some of them
GET      /clock                        the time, and whether it stands still
PUT      /clock                        ``{"now": "2026-01-31T10:00:00Z", "frozen": true}``
POST     /clock/advance                ``{"seconds": 60}`` or ``{"days": 8}``
GET      /trace                        requests; ``?system= method= path= status= since= limit=``
DELETE   /trace                        forgets them
GET      /writes                       rows written through the APIs, by system, set and kind
DELETE   /writes                       counts from nothing again
POST     /change-tracking/expire       lets every change token given so far expire
=======  ============================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dualsync_sandbox.errors import SandboxError
from dualsync_sandbox.http import to_json
from dualsync_sandbox.values import parse_moment

if TYPE_CHECKING:
    from dualsync_sandbox.server import Sandbox

Facts = dict[str, object]


class Refused(Exception):
    """A control request that makes no sense."""


def application(sandbox: Sandbox) -> Starlette:
    """The web application of the control plane."""
    control = _Control(sandbox)
    routes = [
        ("GET", "/health", control.health),
        ("POST", "/reset", control.reset),
        ("POST", "/seed", control.seed),
        ("POST", "/play", control.play),
        ("POST", "/play/event", control.play_event),
        ("POST", "/plant", control.plant),
        ("GET", "/switches", control.switches),
        ("PUT", "/switches", control.set_switches),
        ("GET", "/clock", control.clock),
        ("PUT", "/clock", control.set_clock),
        ("POST", "/clock/advance", control.advance_clock),
        ("GET", "/trace", control.trace),
        ("DELETE", "/trace", control.forget_trace),
        ("GET", "/writes", control.writes),
        ("DELETE", "/writes", control.forget_writes),
        ("POST", "/change-tracking/expire", control.expire_changes),
    ]
    return Starlette(routes=[Route(path, _endpoint(answer), methods=[method]) for method, path, answer in routes])


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
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def health(self, _: Facts) -> Facts:
        return {"status": "ok", "now": self._sandbox.clock.stamp()}

    def reset(self, _: Facts) -> Facts:
        self._sandbox.reset()
        return {"status": "ok"}

    def seed(self, given: Facts) -> Facts:
        number, projects = given.get("seed", 1), given.get("projects")
        if not isinstance(number, int) or not (projects is None or isinstance(projects, int)):
            raise Refused("seed and projects are whole numbers")
        return self._sandbox.seed(str(given.get("profile", "demo")), number, projects)

    def play(self, given: Facts) -> Facts:
        days, number = given.get("days", 1), given.get("seed", 1)
        if not isinstance(days, int) or not isinstance(number, int):
            raise Refused("days and seed are whole numbers")
        return self._sandbox.play(days, number)

    def play_event(self, given: Facts) -> Facts:
        number, project = given.get("seed", 1), given.get("project")
        if not isinstance(number, int) or not (project is None or isinstance(project, str)):
            raise Refused("seed is a whole number, project the number of a project")
        name, company = str(given.get("name", "")), str(given.get("company", "USPM"))
        return self._sandbox.play_event(name, company=company, project=project, seed=number)

    def plant(self, given: Facts) -> Facts:
        breaks, number = given.get("breaks", 10), given.get("seed", 1)
        if not isinstance(breaks, int) or not isinstance(number, int):
            raise Refused("breaks and seed are whole numbers")
        return self._sandbox.plant(breaks, number)

    def switches(self, _: Facts) -> Facts:
        return self._sandbox.switches.as_dict()

    def set_switches(self, given: Facts) -> Facts:
        self._sandbox.switches.set(**given)  # type: ignore[arg-type]  # it checks names and values itself
        return self.switches({})

    def clock(self, _: Facts) -> Facts:
        return {"now": self._sandbox.clock.stamp(), "frozen": self._sandbox.clock.frozen}

    def set_clock(self, given: Facts) -> Facts:
        moment = parse_moment(given.get("now"))
        if moment is None:
            raise Refused("now must be a time such as 2026-01-31T10:00:00Z")
        self._sandbox.clock.set(moment, frozen=given.get("frozen") is True)
        return self.clock({})

    def advance_clock(self, given: Facts) -> Facts:
        units = {name: value for name, value in given.items() if name in ("seconds", "minutes", "hours", "days")}
        if not units or len(units) != len(given) or not all(isinstance(value, int | float) for value in units.values()):
            raise Refused("give seconds, minutes, hours or days as numbers")
        self._sandbox.clock.advance(timedelta(**{name: float(str(value)) for name, value in units.items()}))
        return self.clock({})

    def trace(self, given: Facts) -> Facts:
        text = {name: str(given[name]) for name in ("system", "method", "path") if name in given}
        numbers = {name: int(str(given[name])) for name in ("status", "since", "limit") if name in given}
        unknown = given.keys() - {"system", "method", "path", "status", "since", "limit"}
        if unknown:
            raise Refused(f"unknown: {', '.join(sorted(unknown))}")
        trace = self._sandbox.requests
        return {"last_id": trace.last_id, "requests": trace.find(**text, **numbers)}  # type: ignore[arg-type]

    def forget_trace(self, _: Facts) -> Facts:
        self._sandbox.requests.clear()
        return {"status": "ok"}

    def writes(self, _: Facts) -> Facts:
        return {system: counter.counts() for system, counter in self._sandbox.writes.items()}

    def forget_writes(self, _: Facts) -> Facts:
        for counter in self._sandbox.writes.values():
            counter.clear()
        return {"status": "ok"}

    def expire_changes(self, _: Facts) -> Facts:
        self._sandbox.dataverse_store.expire_changes()
        return {"status": "ok"}
