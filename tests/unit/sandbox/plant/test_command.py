"""``dualsync sandbox plant`` on the stores of a sandbox that is not running."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from dualsync_sandbox.cli import app


def test_what_is_planted_is_printed(tmp_path: Path) -> None:
    runner, state = CliRunner(), ["--state", str(tmp_path)]
    assert runner.invoke(app, ["seed", "--projects", "24", *state]).exit_code == 0
    assert runner.invoke(app, ["play", "--days", "1", "--seed", "3", *state]).exit_code == 0
    planted = runner.invoke(app, ["plant", "--breaks", "2", "--seed", "7", *state])
    assert planted.exit_code == 0, planted.output
    told = json.loads(planted.stdout)
    assert (len(told["breaks"]), len(told["look_alikes"])) == (2, 2)
