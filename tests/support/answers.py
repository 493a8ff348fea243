"""Somebody who answers, through Airflow's REST API, what Airflow asks while a DAG runs in a test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Person:
    """Somebody who answers.

    Attributes:
        answer: What is chosen.
        asked: What was asked so far: subject and body.
        ask: Sends a request to Airflow's REST API.
    """

    ask: Callable[..., Any]
    answer: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    def look(self) -> None:
        """Answer what is open."""
        found = self.ask("GET", "dags/~/dagRuns/~/hitlDetails", params={"response_received": False})
        for one in found["hitl_details"]:
            self.asked.append((one["subject"], one["body"]))
            task = one["task_instance"]
            place = f"dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
            words = {"chosen_options": [self.answer], "params_input": {}}
            self.ask("PATCH", f"{place}/{task['map_index']}/hitlDetails", json=words)


@contextmanager
def answering(name: str) -> Iterator[Person]:
    """Somebody who looks whenever ``dag.test()`` waits.

    Args:
        name: The name of the user.
    """
    from airflow.api_fastapi.app import create_app
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "only of this test " * 4)
        app = create_app(apps="core")
        token = app.state.auth_manager.generate_jwt(SimpleAuthManagerUser(username=name, role="admin"))
        with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as http:

            def ask(method: str, path: str, **words: Any) -> Any:
                return http.request(method, f"/api/v2/{path}", **words).raise_for_status().json()

            person, sleep = Person(ask), time.sleep
            patch.setattr("time.sleep", lambda seconds: person.look() if seconds == 1 else sleep(seconds))
            yield person
