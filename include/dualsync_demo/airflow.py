"""Airflow as the demo runs it: its settings, its processes, its REST API."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from dualsync_demo.processes import DemoError, Services, free_port, wait_for

USER = "admin"
PORT = 8080
"""Where Airflow's pages are, if nobody else is there."""

BIN = Path(sys.executable).parent


@dataclass
class Airflow:
    """One Airflow on this machine.

    Args:
        project: Folder with ``dags`` and ``plugins``.
        home: Airflow's home; settings, database, logs and secrets lie there.
        services: Runs its processes.
        environ: Environment of its processes, beside Airflow's own settings.
    """

    project: Path
    home: Path
    services: Services
    environ: dict[str, str]

    def __post_init__(self) -> None:
        self.port = free_port(PORT)
        self.url = f"http://127.0.0.1:{self.port}"
        self.home.mkdir(parents=True, exist_ok=True)

    @property
    def passwords_file(self) -> Path:
        """Airflow's own file of users and passwords, readable by its owner only."""
        return self.home / "passwords.json"

    @cached_property
    def password(self) -> str:
        """The password of the one user, made at the first start."""
        if not self.passwords_file.exists():
            _write_secret(self.passwords_file, {USER: secrets.token_urlsafe(12)})
        return str(json.loads(self.passwords_file.read_text())[USER])

    @cached_property
    def settings(self) -> dict[str, str]:
        """The environment of Airflow's processes.

        The figures for parallelism, idle sleep and heartbeat make a pass of many small tasks three to four times as
        fast on two cores as Airflow's defaults; with its default parallelism SQLite would report locks.
        """
        keys = self._keys()
        own = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.project / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.project / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__FERNET_KEY": keys["fernet"],
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.passwords_file),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home / 'airflow.db'}",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": keys["api"],
            "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt"],
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        return self.environ | own

    def prepare(self) -> None:
        """Make or migrate the database."""
        _ = self.password
        self._run("airflow-migrate", "db", "migrate")

    def start(self) -> None:
        """Start the API server, the scheduler and the DAG processor, wait until the API answers, make the pools."""
        self._start("api-server", "--host", "127.0.0.1", "--port", str(self.port))
        # logs lie on this machine; the servers for them would listen on all addresses
        self._start("scheduler", "--skip-serve-logs")
        self._start("dag-processor")
        wait_for("Starting Airflow", 180, self._answers, self.services)
        pools = json.loads((self.project / "plugins" / "dualsync_airflow" / "pools.json").read_text())
        for name, pool in pools.items():
            if not self._client.get(f"/pools/{name}").is_success:
                self._call("POST", "/pools", json={"name": name, **pool})

    def start_triggerer(self) -> None:
        """Start the process for deferred tasks, which no DAG of the first synchronisation needs."""
        self._start("triggerer", "--skip-serve-logs")

    def trigger(self, dag_id: str) -> str:
        """Start a run of a DAG, unpause the DAG, and return the run's id.

        Args:
            dag_id: The DAG.
        """
        wait_for(f"Reading DAG {dag_id}", 120, lambda: self._known(dag_id), self.services)
        run = self._call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None})
        self.pause(dag_id, False)
        return str(run["dag_run_id"])

    def pause(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a DAG.

        Args:
            dag_id: The DAG.
            paused: Whether it pauses from now on.
        """
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def succeeded_before(self, dag_id: str) -> bool:
        """Return whether a run of a DAG has succeeded, now or at an earlier start.

        Args:
            dag_id: The DAG.
        """
        wait_for(f"Reading DAG {dag_id}", 120, lambda: self._known(dag_id), self.services)
        runs = self._call("GET", f"/dags/{dag_id}/dagRuns", params={"state": "success", "limit": 1})
        return bool(runs["total_entries"])

    def ended(self, dag_id: str, run_id: str) -> str | None:
        """Return how a DAG run ended, ``success`` or ``failed``; None while it runs.

        Args:
            dag_id: The DAG.
            run_id: The run.
        """
        state = str(self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])
        return state if state in ("success", "failed") else None

    def tasks(self, dag_id: str, run_id: str) -> list[tuple[str, str]]:
        """Return the tasks of a DAG run with their states.

        Args:
            dag_id: The DAG.
            run_id: The run.
        """
        tasks: list[tuple[str, str]] = []
        while True:
            page = self._call(
                "GET",
                f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances",
                params={"limit": 100, "offset": len(tasks), "order_by": "id"},
            )
            tasks += [(str(task["task_id"]), str(task["state"])) for task in page["task_instances"]]
            if len(tasks) >= page["total_entries"] or not page["task_instances"]:
                return tasks

    def task_log(self, dag_id: str, run_id: str, task_id: str) -> Path | None:
        """Return the log file of a task's last try, None where it has none.

        Args:
            dag_id: The DAG.
            run_id: The run.
            task_id: The task.
        """
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        return max(folder.rglob("*.log"), key=lambda log: log.stat().st_mtime, default=None)

    def _start(self, component: str, *arguments: str) -> None:
        self.services.start(f"airflow-{component}", [str(BIN / "airflow"), component, *arguments], self.settings)

    def _run(self, name: str, *arguments: str) -> None:
        self.services.run(name, [str(BIN / "airflow"), *arguments], self.settings)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _known(self, dag_id: str) -> bool:
        return self._client.get(f"/dags/{dag_id}").is_success

    @cached_property
    def _client(self) -> httpx.Client:
        # without the proxies of the environment: everything here is on this machine
        client = httpx.Client(base_url=f"{self.url}/api/v2", timeout=60, trust_env=False)
        answer = client.post(f"{self.url}/auth/token", json={"username": USER, "password": self.password})
        if not answer.is_success:
            raise DemoError(f"Signing in to Airflow failed with status {answer.status_code}.")
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        answer = self._client.request(method, path, **arguments)
        if not answer.is_success:
            raise DemoError(f"Airflow answered {answer.status_code} to {method} {path}: {answer.text[:500]}")
        return dict(answer.json())

    def _keys(self) -> dict[str, str]:
        """The keys that Airflow's processes share, made at the first start."""
        file = self.home / "keys.json"
        if not file.exists():
            fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
            _write_secret(file, {"fernet": fernet, "api": secrets.token_hex(16), "jwt": secrets.token_hex(32)})
        return dict(json.loads(file.read_text()))


def _write_secret(file: Path, content: dict[str, str]) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        json.dump(content, output)
