"""``dualsync sandbox seed`` on the stores of a sandbox that is not running, and on a running one."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.seed.command import STORES, register
from dualsync_sandbox.store import Store

runner = CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return app


class Control(BaseHTTPRequestHandler):
    """The one request of the control plane the command makes."""

    asked: list[Any]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, json.loads(body)))
        answer = json.dumps({"profile": "demo"}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def control() -> Iterator[tuple[str, type[Control]]]:
    handler = type("Handler", (Control,), {"asked": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


def test_fills_the_stores_of_a_stopped_sandbox(app: typer.Typer, tmp_path: Path) -> None:
    result = runner.invoke(app, ["seed", "--state", str(tmp_path), "--profile", "demo", "--seed", "4"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    store = Store(tmp_path / STORES[0], SystemSchema.load("dataverse"), Clock())
    with store.reading() as tx:
        assert tx.count("msdyn_project") == summary["dataverse"]["msdyn_project"] == 40
    store.close()


def test_refuses_to_fill_a_full_sandbox(app: typer.Typer, tmp_path: Path) -> None:
    arguments = ["seed", "--state", str(tmp_path), "--projects", "24"]
    assert runner.invoke(app, arguments).exit_code == 0
    again = runner.invoke(app, arguments)
    assert again.exit_code == 1
    assert "sandbox reset" in again.stderr


@pytest.mark.parametrize("wrong", [["--profile", "huge"], ["--projects", "3"]])
def test_names_the_option_that_is_wrong(app: typer.Typer, tmp_path: Path, wrong: list[str]) -> None:
    result = runner.invoke(app, ["seed", "--state", str(tmp_path), *wrong])
    assert result.exit_code == 2
    assert wrong[0] in result.stderr


def test_leaves_it_to_a_running_sandbox(app: typer.Typer, tmp_path: Path, control: tuple[str, type[Control]]) -> None:
    address, handler = control
    (tmp_path / "sandbox.json").write_text(json.dumps({"control": address}), encoding="utf-8")
    result = runner.invoke(app, ["seed", "--state", str(tmp_path), "--seed", "9"])
    assert result.exit_code == 0, result.output
    assert handler.asked == [("/seed", {"profile": "demo", "seed": 9, "projects": None})]
    assert not (tmp_path / STORES[0]).exists()
    handler.status = 409
    assert runner.invoke(app, ["seed", "--state", str(tmp_path)]).exit_code == 1


def test_a_left_behind_file_is_no_running_sandbox(app: typer.Typer, tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Control) as server:
        address = f"http://127.0.0.1:{server.server_port}"
    (tmp_path / "sandbox.json").write_text(json.dumps({"control": address}), encoding="utf-8")
    assert runner.invoke(app, ["seed", "--state", str(tmp_path)]).exit_code == 0
    assert (tmp_path / STORES[0]).exists()
