"""``dualsync sandbox seed``: fills a sandbox, be it running or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer

from dualsync_sandbox.clock import CLOCK_FILE, Clock
from dualsync_sandbox.errors import DuplicateId, DuplicateKey
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.seed import seed
from dualsync_sandbox.seed.profile import PROJECTS, ProfileName
from dualsync_sandbox.store import Store

STORES = ("dataverse.db", "finance.db")
"""File names of the two stores within a sandbox's state folder."""

DEFAULT_STATE = Path(".dualsync/sandbox")
"""State folder where none is named, below the working directory."""

_TIMEOUT = 1800.0  # seconds; the large profile takes a minute on two cores, slow machines included this is ample


@contextmanager
def stopped(state: Path) -> Iterator[tuple[Store, Store, Clock]]:
    """The stores of Dataverse and Finance, and their clock, of a sandbox that is not running.

    Args:
        state: The sandbox's state folder; made when missing.
    """
    clock = Clock(kept=state / CLOCK_FILE)
    dataverse = Store(state / STORES[0], SystemSchema.load("dataverse"), clock)
    finance = Store(state / STORES[1], SystemSchema.load("finance"), clock)
    try:
        yield dataverse, finance, clock
    finally:
        dataverse.close()
        finance.close()


def seed_stopped(state: Path, profile: ProfileName, number: int, projects: int | None) -> dict[str, object]:
    """Fill the stores of a sandbox that is not running and return the summary as plain values.

    Args:
        state: The sandbox's state folder; made when missing.
        profile: ``demo``, ``small`` or ``large``.
        number: The seed.
        projects: Another number of projects than the profile's.

    Raises:
        ValueError: The profile is unknown or the number of projects too small.
        dualsync_sandbox.errors.StoreError: The sandbox is filled already.
    """
    with stopped(state) as (dataverse, finance, _):
        return seed(dataverse, finance, profile, number, projects).as_dict()


def seed_running(control: str, profile: ProfileName, number: int, projects: int | None) -> dict[str, object]:
    """Let a running sandbox fill itself, through its control plane, and return the summary as plain values.

    Args:
        control: Address of the control plane.
        profile: ``demo``, ``small`` or ``large``.
        number: The seed.
        projects: Another number of projects than the profile's.

    Raises:
        httpx.ConnectError: Nothing listens there any more.
        httpx.HTTPStatusError: The sandbox refused.
    """
    wanted = {"profile": profile, "seed": number, "projects": projects}
    answer = httpx.post(f"{control}/seed", json=wanted, timeout=_TIMEOUT)
    answer.raise_for_status()
    summary: dict[str, object] = answer.json()
    return summary


def _fill(state: Path, profile: ProfileName, number: int, projects: int | None) -> dict[str, object]:
    info = state / "sandbox.json"
    if info.exists():
        control = str(json.loads(info.read_text(encoding="utf-8"))["control"])
        try:
            return seed_running(control, profile, number, projects)
        except httpx.ConnectError:  # the file outlived the sandbox
            pass
    return seed_stopped(state, profile, number, projects)


def register(app: typer.Typer) -> None:
    """Add the ``seed`` command to the sandbox's commands."""

    @app.command("seed")
    def command(
        state: Annotated[Path, typer.Option(help="State folder of the sandbox.")] = DEFAULT_STATE,
        profile: Annotated[str, typer.Option(help=f"How much: {', '.join(PROJECTS)}.")] = "demo",
        number: Annotated[int, typer.Option("--seed", help="The same number gives the same rows.")] = 1,
        projects: Annotated[int | None, typer.Option(help="Another number of projects than the profile's.")] = None,
    ) -> None:
        """Fill both systems with a believable company; prints what was written as one JSON line."""
        if profile not in PROJECTS:
            raise typer.BadParameter(f"{profile!r} is none of {', '.join(PROJECTS)}", param_hint="--profile")
        try:
            summary = _fill(state, profile, number, projects)
        except (DuplicateId, DuplicateKey):
            typer.echo("The sandbox holds rows already; empty it first: dualsync sandbox reset", err=True)
            raise typer.Exit(1) from None
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--projects") from None
        except httpx.HTTPStatusError as error:
            typer.echo(f"The running sandbox refused: {error.response.text}", err=True)
            raise typer.Exit(1) from None
        typer.echo(json.dumps(summary))
