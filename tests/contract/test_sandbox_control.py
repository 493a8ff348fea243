"""The sandbox's control plane, its command line, and its life from start to stop."""

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from dualsync_sandbox import Sandbox
from dualsync_sandbox.cli import app


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("control")) as running:
        yield running


@pytest.fixture(scope="module")
def control(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(sandbox.info["control"]), timeout=60) as client:
        yield client


def test_health(control: httpx.Client) -> None:
    assert control.get("/health").json()["status"] == "ok"


def test_clock(control: httpx.Client, sandbox: Sandbox) -> None:
    try:
        answer = control.put("/clock", json={"now": "2030-01-31T10:00:00Z", "frozen": True}).json()
        assert answer == {"now": "2030-01-31T10:00:00Z", "frozen": True}
        with sandbox.dataverse_store.transaction() as tx:
            assert tx.insert("contact", {"lastname": "Reed"})["createdon"] == "2030-01-31T10:00:00Z"
        assert control.post("/clock/advance", json={"days": 1, "minutes": 5}).json()["now"] == "2030-02-01T10:05:00Z"
        assert control.get("/clock").json()["frozen"] is True
        assert control.put("/clock", json={"now": "soon"}).status_code == 400
        assert control.post("/clock/advance", json={"years": 1}).status_code == 400
    finally:
        sandbox.reset()
    assert control.get("/clock").json()["frozen"] is False


def test_trace_and_writes(control: httpx.Client, sandbox: Sandbox) -> None:
    since = control.get("/trace").json()["last_id"]
    httpx.get(f"{sandbox.info['dataverse']}/api/data/v9.2/accounts?$top=1", verify=_context(sandbox.info["ca_file"]))
    entries = control.get("/trace", params={"since": since, "system": "dataverse", "path": "accounts"}).json()[
        "requests"
    ]
    assert [(entry["method"], entry["status"], entry["query"]) for entry in entries] == [("GET", 401, {"$top": "1"})]
    assert control.get("/trace", params={"colour": "red"}).status_code == 400
    assert control.get("/trace", params={"limit": "many"}).status_code == 400
    sandbox.writes["finance"].add("ProjectsV2", "create", 2)
    assert control.get("/writes").json()["finance"] == {"ProjectsV2": {"create": 2}}
    control.delete("/writes")
    control.delete("/trace")
    assert control.get("/writes").json() == {"dataverse": {}, "finance": {}}
    assert control.get("/trace").json()["requests"] == []


def test_seed_and_reset(control: httpx.Client, sandbox: Sandbox) -> None:
    control.post("/reset").raise_for_status()
    summary = control.post("/seed", json={"profile": "demo", "seed": 3}).raise_for_status().json()
    assert summary["finance"]["CustomersV3"] > 0
    assert control.post("/seed", json={"profile": "demo", "seed": 3}).status_code == 409
    assert control.post("/seed", json={"profile": "huge"}).status_code == 400
    control.post("/reset").raise_for_status()
    with sandbox.finance_store.reading() as tx:
        assert tx.count("CustomersV3") == 0


def test_change_tokens_expire_at_will(control: httpx.Client, sandbox: Sandbox) -> None:
    with sandbox.dataverse_store.reading() as tx:
        before = tx.change_floor
    control.post("/change-tracking/expire").raise_for_status()
    with sandbox.dataverse_store.reading() as tx:
        assert tx.change_floor > before


def test_rows_outlive_a_restart(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as first:
        with first.dataverse_store.transaction() as tx:
            row_id = tx.insert("contact", {"lastname": "Reed"})["contactid"]
        secret = (tmp_path / "client-secret").read_bytes()
        assert (tmp_path / "sandbox.json").exists()
    assert not (tmp_path / "sandbox.json").exists()
    with Sandbox(tmp_path) as second, second.dataverse_store.reading() as reading:
        assert reading.get("contact", row_id) is not None
        assert (tmp_path / "client-secret").read_bytes() == secret


def test_the_clock_outlives_a_restart(tmp_path: Path) -> None:
    """Rows of days that were played ahead are not of the future after it."""
    with Sandbox(tmp_path) as first:
        first.clock.advance(timedelta(days=3))
        told = first.clock.now()
    with Sandbox(tmp_path) as second:
        assert timedelta(0) <= second.clock.now() - told < timedelta(minutes=1)
        second.clock.set(datetime(2030, 1, 31, 10, tzinfo=UTC), frozen=True)
    with Sandbox(tmp_path) as third:
        assert third.clock.stamp() == "2030-01-31T10:00:00Z"
        assert third.clock.frozen
        third.reset()
        assert abs(datetime.now(UTC) - third.clock.now()) < timedelta(minutes=1)


def test_a_folder_has_one_sandbox(sandbox: Sandbox) -> None:
    with pytest.raises(RuntimeError, match="another sandbox runs"):
        Sandbox(sandbox.state_dir)


def test_a_taken_port_is_said(tmp_path: Path, sandbox: Sandbox) -> None:
    port = httpx.URL(str(sandbox.info["control"])).port
    result = CliRunner().invoke(app, ["serve", "--state", str(tmp_path), "--port-control", str(port)])
    assert isinstance(result.exception, OSError)


def test_command_line(tmp_path: Path) -> None:
    """One JSON line, then service until the process is asked to end."""
    runner = CliRunner()
    command = [sys.executable, "-c", "from dualsync_sandbox.cli import app; app()", "serve", "--state", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            info = json.loads(process.stdout.readline())
            assert info["pid"] == process.pid
            assert json.loads((tmp_path / "sandbox.json").read_text(encoding="utf-8")) == info
            httpx.get(f"{info['finance']}/data", verify=_context(info["ca_file"]))
            shown = runner.invoke(app, ["trace", "--state", str(tmp_path), "--system", "finance"])
            assert [json.loads(line)["path"] for line in shown.stdout.splitlines()] == ["/data"]
            assert runner.invoke(app, ["reset", "--state", str(tmp_path)]).exit_code == 0
            assert runner.invoke(app, ["trace", "--state", str(tmp_path)]).stdout == ""
        finally:
            os.kill(process.pid, signal.SIGTERM)
        assert process.wait(15) == 0
    assert runner.invoke(app, ["trace", "--state", str(tmp_path)]).exit_code == 1
    assert runner.invoke(app, ["reset", "--state", str(tmp_path)]).exit_code == 0
    assert not list(tmp_path.glob("*.db"))


def _context(ca_file: object) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca_file))
