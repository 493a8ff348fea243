"""Whatever answers do on their way, a run ends as if nothing had happened: nothing lost, nothing doubled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dualsync.ledger import LegRecord
from support.disturbed import Disturbed, messages

Plan = Mapping[str, Any]

FEED: Plan = {"system": "dataverse", "method": "GET", "query": "$deltatoken"}
UPSERT: Plan = {"system": "dataverse", "method": "POST", "path": "UpsertMultiple"}
CREATE_BY_ID: Plan = {"system": "dataverse", "method": "PATCH", "path": "exchangerates"}
SCAN: Plan = {"system": "finance", "method": "GET", "path": "/CustomersV3"}
UPDATE: Plan = {"system": "finance", "method": "PATCH", "path": "/ProjectsV2"}
CREATE: Plan = {"system": "finance", "method": "POST"}
DELETE: Plan = {"system": "finance", "method": "DELETE"}
TOKEN: Plan = {"system": "identity", "method": "POST"}
SHORT = ["exchange_rates", "projects"]
TASKS = ["project_tasks"]
REPEATABLE = (FEED, UPSERT, CREATE_BY_ID, SCAN, UPDATE, DELETE)

TOO_MUCH: Sequence[Plan] = (
    {"kind": "throttled", "limit": "requests", "retry_after": 7},
    {"kind": "throttled", "limit": "execution"},
    {"kind": "throttled", "limit": "concurrency", "retry_after": 11},
    {"kind": "throttled", "limit": "resources"},
)
OUT_OF_ORDER: Sequence[Plan] = (
    {"kind": "unavailable", "status": 500},
    {"kind": "unavailable", "status": 502},
    {"kind": "unavailable", "status": 503, "retry_after": 20},
    {"kind": "unavailable", "status": 504},
    {"kind": "timeout", "seconds": 0.05},
    {"kind": "unauthorized"},
    {"kind": "slow", "seconds": 0.05, "pieces": 3},
)
ANSWER_LOST: Sequence[Plan] = (
    {"kind": "unavailable", "status": 500, "when": "after"},
    {"kind": "unavailable", "status": 504, "when": "after"},
    {"kind": "reset"},
    {"kind": "truncated"},
    {"kind": "timeout", "when": "after", "seconds": 0.05},
)


def plan(disturbed: Disturbed, faults: Sequence[Plan], *requests: Plan) -> int:
    """Let requests of each sort meet the faults, one after another; returns how many are planned."""
    for request in requests:
        for fault in faults:
            disturbed.plan(**request, **fault, times=1)
    return len(requests) * len(faults)


def test_services_that_refuse_or_fail_are_asked_again(disturbed: Disturbed) -> None:
    """Each request meets all of it, one after another; where a time to wait is named, it is waited for."""
    disturbed.calm()
    planned = plan(disturbed, [*TOO_MUCH, *OUT_OF_ORDER], *REPEATABLE) + plan(disturbed, TOO_MUCH, CREATE, TOKEN)

    summary = disturbed.run(attempts=12)

    assert summary.state == "settled", messages(summary)
    assert disturbed.struck == planned
    assert len(disturbed.waits) == planned - 2 * len(REPEATABLE), "a new token, or a slow answer, needs no waiting"
    named = (7, 11) * (len(REPEATABLE) + 2) + (20,) * len(REPEATABLE)
    for held, asked in zip(sorted(disturbed.waits)[-len(named) :], sorted(named), strict=True):
        assert held >= asked
    disturbed.assert_calm()


def test_lost_answers_double_nothing(disturbed: Disturbed) -> None:
    """The request was carried out each time: what is sent again must find its own work."""
    disturbed.calm()
    planned = plan(disturbed, ANSWER_LOST, *REPEATABLE)

    summary = disturbed.run()

    assert summary.state == "settled", messages(summary)
    assert disturbed.struck >= planned - 3, "an answer without a body cannot be cut"
    disturbed.assert_calm()


@pytest.mark.parametrize(
    "fault", [*ANSWER_LOST[2:4], {"kind": "timeout", "when": "after"}], ids=lambda fault: fault["kind"]
)
def test_a_creation_whose_answer_is_lost_is_not_repeated_blindly(disturbed: Disturbed, fault: Plan) -> None:
    """Finance has no upsert: the row may be there. The leg stops, and the next run finds it."""
    disturbed.calm(TASKS)
    disturbed.plan(**CREATE, **fault, times=1)

    broken = disturbed.run(TASKS, read=1.5)

    (leg,) = failed(broken.legs)
    assert (leg.map, leg.state) == ("project_tasks", "failed")
    assert leg.message
    assert disturbed.run(TASKS).state == "settled"
    disturbed.assert_calm(TASKS)


def test_limits_of_requests_are_waited_out(disturbed: Disturbed) -> None:
    """Eight requests in five minutes are granted; the run takes several times as long on the sandbox's clock."""
    disturbed.calm(SHORT)
    disturbed.world.sandbox.limits.change({"dataverse": {"requests": 8}})

    summary = disturbed.run(SHORT)

    assert summary.state == "settled", messages(summary)
    refused = disturbed.world.sandbox.trace(system="dataverse", status=429)
    assert refused
    assert len(refused) == len(disturbed.waits), "nobody asks before the time is up"
    assert sum(disturbed.waits) >= 300
    disturbed.world.sandbox.limits.reset()
    disturbed.assert_calm(SHORT)


def test_finance_that_is_busy_is_given_time(disturbed: Disturbed) -> None:
    """Its limits go by load: each request costs as much as it can do in some seconds."""
    disturbed.calm(SHORT)
    disturbed.world.sandbox.limits.change({"execution_ms": {"finance": 20_000}})

    summary = disturbed.run(SHORT)

    assert summary.state == "settled", messages(summary)
    assert disturbed.world.sandbox.trace(system="finance", status=429)
    disturbed.world.sandbox.limits.reset()
    disturbed.assert_calm(SHORT)


def test_bad_weather(disturbed: Disturbed) -> None:
    """Every kind of failure now and then, for all requests: runs that fail are followed by others until one settles."""
    disturbed.calm(SHORT)
    for number, fault in enumerate((*TOO_MUCH, *OUT_OF_ORDER, *ANSWER_LOST)):
        disturbed.plan(**fault, probability=0.04, seed=number)
    disturbed.plan("unavailable", system="identity", probability=0.2, seed=1)

    for _ in range(6):
        if disturbed.run(SHORT).state == "settled":
            break
    else:
        pytest.fail("no run settled")

    assert disturbed.struck > 0
    disturbed.assert_calm(SHORT)


def failed(legs: Sequence[LegRecord]) -> list[LegRecord]:
    return [one for one in legs if one.state == "failed"]
