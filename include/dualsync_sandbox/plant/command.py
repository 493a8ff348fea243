"""``dualsync sandbox plant``: on a sandbox that runs, or on its stores when it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dualsync_sandbox.plant import plant
from dualsync_sandbox.play.command import Seed, State, answer
from dualsync_sandbox.seed.command import DEFAULT_STATE

if TYPE_CHECKING:
    from dualsync_sandbox.clock import Clock
    from dualsync_sandbox.store import Store


def register(app: typer.Typer, control_of: Callable[[Path], str | None]) -> None:
    """Add the command.

    Args:
        app: The sandbox's commands.
        control_of: Address of the control plane of the sandbox in a folder, None when none runs.
    """

    @app.command("plant")
    def command(
        state: State = DEFAULT_STATE,
        breaks: Annotated[int, typer.Option(min=1, help="How many exceptions, and as many look-alikes.")] = 10,
        seed: Seed = 1,
    ) -> None:
        """Plant exceptions past all checks, and print what must be found and what must not be reported."""

        def planted(dataverse: Store, finance: Store, clock: Clock) -> dict[str, object]:  # noqa: ARG001 - as plays are
            return plant(dataverse, finance, breaks, seed).as_dict()

        answer(state, "/plant", {"breaks": breaks, "seed": seed}, planted, control_of(state))
