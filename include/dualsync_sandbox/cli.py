"""``dualsync sandbox``: start it, fill it, empty it, see what was asked of it."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import httpx
import typer

from dualsync_sandbox.plant.command import register as register_plant
from dualsync_sandbox.play.command import register as register_play
from dualsync_sandbox.protocol.http import to_json
from dualsync_sandbox.sandbox import INFO_FILE, Sandbox
from dualsync_sandbox.seed.command import DEFAULT_STATE, register
from dualsync_sandbox.serving import Ports
from dualsync_sandbox.systems import STORE_FILES

app = typer.Typer(help="Both systems, played on this machine.", no_args_is_help=True)
register(app)

State = Annotated[Path, typer.Option(help="State folder of the sandbox.")]
Port = Annotated[int, typer.Option(help="0 takes a free port.")]


@app.command()
def serve(
    state: State = DEFAULT_STATE,
    port_identity: Port = 0,
    port_dataverse: Port = 0,
    port_finance: Port = 0,
    port_control: Port = 0,
    default_company: Annotated[str, typer.Option(help="Company of the Finance user.")] = "uspm",
    host: Annotated[
        list[str] | None,
        typer.Option(help="identity=NAME, dataverse=NAME or finance=NAME: a further host name, made to lead here."),
    ] = None,
) -> None:
    """Start the sandbox, print one JSON line with what a client needs, and serve until interrupted."""
    hosts = {server: name for server, _, name in (given.partition("=") for given in host or ())}
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    ports = Ports(port_identity, port_dataverse, port_finance, port_control)
    try:
        made = Sandbox(state, ports=ports, default_company=default_company, hosts=hosts)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--host") from error
    with made as sandbox:
        typer.echo(to_json(sandbox.info).decode())
        stopping.wait()


@app.command()
def reset(state: State = DEFAULT_STATE) -> None:
    """Remove all rows from a sandbox, be it running or not."""
    control = control_of(state)
    if control is not None:
        try:
            httpx.post(f"{control}/reset", timeout=120).raise_for_status()
            return
        except httpx.ConnectError:  # the file outlived the sandbox
            (state / INFO_FILE).unlink(missing_ok=True)
    for name in STORE_FILES.values():
        for suffix in ("", "-wal", "-shm"):
            (state / (name + suffix)).unlink(missing_ok=True)


@app.command()
def trace(
    state: State = DEFAULT_STATE,
    system: Annotated[str | None, typer.Option(help="identity, dataverse or finance.")] = None,
    method: Annotated[str | None, typer.Option(help="HTTP method.")] = None,
    path: Annotated[str | None, typer.Option(help="A part of the path.")] = None,
    status: Annotated[int | None, typer.Option(help="HTTP status.")] = None,
    since: Annotated[int, typer.Option(help="Only requests after this id.")] = 0,
    limit: Annotated[int, typer.Option(help="How many at most.")] = 100,
) -> None:
    """Print the latest requests to a running sandbox, one JSON line each, oldest first."""
    control = control_of(state)
    if control is None:
        typer.echo(f"No sandbox runs in {state}.", err=True)
        raise typer.Exit(1)
    filters = {"system": system, "method": method, "path": path, "status": status, "since": since, "limit": limit}
    given = {name: value for name, value in filters.items() if value is not None}
    try:
        answer = httpx.get(f"{control}/trace", params=given, timeout=60).raise_for_status()
    except httpx.ConnectError:
        typer.echo(f"No sandbox runs in {state}.", err=True)
        raise typer.Exit(1) from None
    for request in answer.json()["requests"]:
        typer.echo(json.dumps(request))


def control_of(state: Path) -> str | None:
    """Address of the control plane of the sandbox in ``state``, as its info file says."""
    info = state / INFO_FILE
    return str(json.loads(info.read_text(encoding="utf-8"))["control"]) if info.exists() else None


register_play(app, control_of)
register_plant(app, control_of)
