"""The sandbox as the demo runs it: seeded once, then served in a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dualsync_demo.processes import DemoError, Services, wait_for

COMMAND = [str(Path(sys.executable).parent / "dualsync"), "sandbox"]


def serve(state: Path, profile: str, seed: int, services: Services, environ: dict[str, str]) -> dict[str, Any]:
    """Start the sandbox, with data if its state folder is new.

    Args:
        state: The sandbox's state folder.
        profile: Size of its data.
        seed: Seed of its data.
        services: Runs its process.
        environ: Environment of the process.

    Returns:
        Its description: addresses, CA file, client.

    Raises:
        DemoError: It did not start, or its folder holds other data than is asked for.
    """
    seeded = state / "seeded.json"
    asked_for = {"profile": profile, "seed": seed}
    if seeded.exists() and (present := json.loads(seeded.read_text())) != asked_for:
        raise DemoError(
            f"{state} holds profile {present['profile']}, seed {present['seed']}. "
            f"For other data, remove the folder {state.parent} first."
        )
    state.mkdir(parents=True, exist_ok=True)
    if not seeded.exists():
        data = ["--profile", profile, "--seed", str(seed)]
        services.run("sandbox-seed", [*COMMAND, "seed", "--state", str(state), *data], environ)
        seeded.write_text(json.dumps(asked_for))
    description = state / "sandbox.json"
    description.unlink(missing_ok=True)
    services.start("sandbox", [*COMMAND, "serve", "--state", str(state)], environ)
    wait_for("Starting the sandbox", 60, lambda: _read(description) is not None, services)
    described = _read(description)
    assert described is not None
    return described


def _read(description: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(description.read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def connections(described: dict[str, Any]) -> dict[str, str]:
    """Return Airflow's connections to the sandbox, as environment variables. The secret stays in its file.

    Args:
        described: The sandbox's description.
    """
    extra = {
        "authority": described["identity"],
        "client_secret_file": described["client_secret_file"],
        "ca_file": described["ca_file"],
    }
    return {
        f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps(
            {"conn_type": name, "host": described[side], "login": described["client_id"], "extra": extra}
        )
        for name, side in (("dataverse", "dataverse"), ("dynamics_finance", "finance"))
    }
