"""The requests that the control plane answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ControlRoute:
    """A request that the control plane answers.

    Attributes:
        method: HTTP method.
        path: Of the URL.
        answer: The method that answers it.
        takes: An example of its body, or of its query.
        does: What it does.
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
    ControlRoute(
        "POST", "/plant", "plant", '{"breaks": 10, "seed": 1}', "plants exceptions past all checks, and lists them"
    ),
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
