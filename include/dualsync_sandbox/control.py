"""The control plane: what a test or a person may do to the sandbox that no client of the real systems could.

Plain HTTP on a loopback port of its own, without sign-in. :data:`ROUTES` says what there is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
from dualsync_sandbox.store.values import parse_moment

if TYPE_CHECKING:
    from dualsync_sandbox.server import Sandbox

Facts = dict[str, object]


class Refused(Exception):
    """A control request that makes no sense."""


@dataclass(frozen=True)
class ControlRoute:
    """A request that the control plane answers.

    Attributes:
        method: HTTP method.
        path: of the URL.
        answer: the method that answers it.
        takes: an example of its body, or of its query.
        does: what it does.
    """

    method: str
    path: str
    answer: str
    takes: str
    does: str


ROUTES = (
    ControlRoute("GET", "/health", "health", "", "says that it runs, and the time there"),
    ControlRoute(
        "POST", "/reset", "reset", "", "removes rows, traces, counts and plans; change tokens expire; real time again"
    ),
    ControlRoute("POST", "/seed", "seed", '{"profile": "demo", "seed": 1, "projects": 20}', "fills both systems"),
    ControlRoute("POST", "/play", "play", '{"days": 5, "seed": 1}', "plays working days, which moves the clock"),
    ControlRoute(
        "POST",
        "/play/event",
        "play_event",
        '{"name": "approve-time", "company": "USPM", "project": "...", "seed": 1}',
        "plays one event",
    ),
    ControlRoute("POST", "/plant", "plant", '{"breaks": 10, "seed": 1}', "breaks rows past all checks, and says which"),
    ControlRoute("GET", "/switches", "switches", "", "behaviours that tenants show or do not show"),
    ControlRoute("PUT", "/switches", "set_switches", '{"protect_actuals": true}', "changes some of them"),
    ControlRoute("GET", "/clock", "clock", "", "the time, and whether it stands still"),
    ControlRoute(
        "PUT",
        "/clock",
        "set_clock",
        '{"now": "2026-01-31T10:00:00Z", "frozen": true}',
        "sets the clock of all",
    ),
    ControlRoute(
        "POST", "/clock/advance", "advance_clock", '{"days": 8}', "moves it by seconds, minutes, hours or days"
    ),
    ControlRoute(
        "GET",
        "/trace",
        "trace",
        "?system=&method=&path=&status=&since=&limit=",
        "requests with query, body, status and time; never a secret, a token or the right of access in a link",
    ),
    ControlRoute("DELETE", "/trace", "forget_trace", "", "forgets them"),
    ControlRoute("GET", "/writes", "writes", "", "rows written through the APIs, by system, set and kind"),
    ControlRoute("DELETE", "/writes", "forget_writes", "", "counts from nothing again"),
    ControlRoute("POST", "/change-tracking/expire", "expire_changes", "", "lets all change tokens given so far expire"),
    ControlRoute("GET", "/snapshots", "snapshots", "", "names of the snapshots"),
    ControlRoute("POST", "/snapshots", "snapshot", '{"name": "before"}', "keeps all rows, the clock and the switches"),
    ControlRoute("POST", "/snapshots/restore", "restore", '{"name": "before"}', "goes back to them"),
    ControlRoute("GET", "/limits", "limits", "", "what callers are granted, and how long answers take"),
    ControlRoute("PUT", "/limits", "set_limits", '{"dataverse": {"enabled": false}}', "changes some of it"),
    ControlRoute("DELETE", "/limits", "reset_limits", "", "grants what is granted at first, forgets requests so far"),
    ControlRoute("GET", "/faults", "faults", "", "the plan of faults, and how many requests each met and struck"),
    ControlRoute(
        "POST", "/faults", "plan_faults", '{"kind": "throttled", "times": 1}', 'plans a fault, or `{"faults": [...]}`'
    ),
    ControlRoute("DELETE", "/faults", "forget_faults", "", "plans nothing"),
    ControlRoute("GET", "/export-projects", "export_projects", "", "export projects of Finance's data management"),
    ControlRoute(
        "POST",
        "/export-projects",
        "set_up_export_project",
        '{"name": "Groups", "entities": [{"entity": "Customer groups", "refresh": "IncrementalPush", "fields": []}]}',
        "makes or replaces one",
    ),
    ControlRoute("GET", "/recurring-jobs", "recurring_jobs", "", "recurring data jobs of Finance"),
    ControlRoute(
        "POST",
        "/recurring-jobs",
        "set_up_recurring_job",
        '{"id": "<guid>", "way": "export", "project": "Groups", "company": "USPM", "clients": ["<guid>"]}',
        "makes or replaces one",
    ),
    ControlRoute(
        "POST",
        "/recurring-jobs/run",
        "run_recurring_job",
        '{"id": "<guid>"}',
        "lets an export job run as its schedule would",
    ),
)


def application(sandbox: Sandbox) -> Starlette:
    """The web application of the control plane."""
    control = _Control(sandbox)
    routes = [Route(one.path, _endpoint(getattr(control, one.answer)), methods=[one.method]) for one in ROUTES]
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

    def snapshots(self, _: Facts) -> Facts:
        return {"snapshots": self._sandbox.snapshots()}

    def snapshot(self, given: Facts) -> Facts:
        self._sandbox.snapshot(str(given.get("name", "")))
        return self.snapshots({})

    def restore(self, given: Facts) -> Facts:
        self._sandbox.restore(str(given.get("name", "")))
        return {"status": "ok"}

    def limits(self, _: Facts) -> Facts:
        return self._sandbox.limits.as_dict()

    def set_limits(self, given: Facts) -> Facts:
        self._sandbox.limits.change(given)
        return self.limits({})

    def reset_limits(self, _: Facts) -> Facts:
        self._sandbox.limits.reset()
        return self.limits({})

    def faults(self, _: Facts) -> Facts:
        return {"faults": self._sandbox.faults.listed()}

    def plan_faults(self, given: Facts) -> Facts:
        several = given.get("faults", [given])
        if not isinstance(several, list) or not all(isinstance(one, dict) for one in several):
            raise Refused("faults is a list of faults")
        for one in several:
            self._sandbox.faults.plan(**one)
        return self.faults({})

    def forget_faults(self, _: Facts) -> Facts:
        self._sandbox.faults.clear()
        return self.faults({})

    def export_projects(self, _: Facts) -> Facts:
        return {"projects": msgspec.to_builtins(self._sandbox.packages.exports.listed())}

    def set_up_export_project(self, given: Facts) -> Facts:
        self._sandbox.packages.exports.set_up(**given)
        return self.export_projects({})

    def recurring_jobs(self, _: Facts) -> Facts:
        return {"jobs": msgspec.to_builtins(self._sandbox.packages.recurring.listed())}

    def set_up_recurring_job(self, given: Facts) -> Facts:
        self._sandbox.packages.recurring.set_up(**given)
        return self.recurring_jobs({})

    def run_recurring_job(self, given: Facts) -> Facts:
        return {"message": self._sandbox.packages.recurring.run(str(given.get("id", "")))}
