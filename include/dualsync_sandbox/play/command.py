"""``dualsync sandbox play`` and ``play-event``: on a sandbox that runs, or on its stores when it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import httpx
import typer

from dualsync_sandbox.business import install
from dualsync_sandbox.clock import Clock
from dualsync_sandbox.errors import SandboxError
from dualsync_sandbox.play import EVENTS, play, play_event
from dualsync_sandbox.protocol.http import to_json
from dualsync_sandbox.seed.command import DEFAULT_STATE, stopped
from dualsync_sandbox.store import Store

_TIMEOUT = 600.0  # seconds

State = Annotated[Path, typer.Option(help="State folder of the sandbox.")]
Seed = Annotated[int, typer.Option(help="The same number gives the same events on the same rows.")]
Played = Callable[[Store, Store, Clock], dict[str, object]]


def answer(state: Path, path: str, wanted: dict[str, object], played: Played, control: str | None) -> None:
    """Ask a running sandbox, or work on the stores of one that does not run, and print the result as JSON.

    Args:
        state: Folder of the sandbox.
        path: Of the control plane.
        wanted: What it is asked.
        played: Does the same on stores.
        control: Address of the control plane, None when no sandbox runs.
    """
    if control is not None:
        try:
            answered = httpx.post(f"{control}{path}", json=wanted, timeout=_TIMEOUT)
        except httpx.ConnectError:  # the info file outlived the sandbox
            answered = None
        if answered is not None:
            if answered.is_error:
                typer.echo(answered.json()["error"], err=True)
                raise typer.Exit(1)
            typer.echo(answered.text)
            return
    with stopped(state) as (dataverse, finance, clock):
        try:
            install(dataverse, finance, clock)
            typer.echo(to_json(played(dataverse, finance, clock)).decode())
        except (SandboxError, ValueError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None


def register(app: typer.Typer, control_of: Callable[[Path], str | None]) -> None:
    """Add the two commands.

    Args:
        app: The sandbox's commands.
        control_of: Address of the control plane of the sandbox in a folder, None when none runs.
    """

    @app.command("play")
    def command(
        state: State = DEFAULT_STATE,
        days: Annotated[int, typer.Option(min=1, help="Working days.")] = 1,
        seed: Seed = 1,
    ) -> None:
        """Play working days: entries, approvals, journals, expenses, and Finance's evening jobs."""

        def played(dataverse: Store, finance: Store, clock: Clock) -> dict[str, object]:
            return play(dataverse, finance, clock, days, seed).as_dict()

        answer(state, "/play", {"days": days, "seed": seed}, played, control_of(state))

    @app.command("play-event", help=f"Play one event: {', '.join(EVENTS)}.")
    def event_command(
        name: Annotated[str, typer.Argument(help="Name of the event.")],
        state: State = DEFAULT_STATE,
        company: Annotated[str, typer.Option(help="Company code.")] = "USPM",
        project: Annotated[str | None, typer.Option(help="Project number; one by chance when left out.")] = None,
        seed: Seed = 1,
    ) -> None:
        if name not in EVENTS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(EVENTS)}", param_hint="NAME")

        def played(dataverse: Store, finance: Store, clock: Clock) -> dict[str, object]:
            return play_event(dataverse, finance, clock, name, company=company, project=project, seed=seed)

        wanted: dict[str, object] = {"name": name, "company": company, "project": project, "seed": seed}
        answer(state, "/play/event", wanted, played, control_of(state))
