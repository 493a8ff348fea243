"""The policy of column pairs: every combination of facts and ownership, and the cases a reader looks for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dualsync.sync.reconcile.policy import BOOL, DECISIONS, FACTS, Ownership, Policy, decide

FLAGS = tuple(field.name for field in fields(Policy) if field.name != "ownership")
NOTHING: set[str] = set()


def frame(rows: list[dict[str, bool]], pairs: list[int]) -> pd.DataFrame:
    """Cells with these facts; a fact that is not named is false."""
    columns: dict[str, Any] = {
        name: pd.array(pa.array([row.get(name, False) for row in rows], pa.bool_()), dtype=BOOL) for name in FACTS
    }
    return pd.DataFrame({"pos": range(len(rows)), "pair": pairs, **columns})


def decided(policy: Policy, **facts: bool) -> set[str]:
    """What is decided of one cell."""
    row = decide(frame([facts], [0]), [policy]).iloc[0]
    return {name for name in DECISIONS if row[name]}


def expected(policy: Policy, fact: dict[str, bool]) -> set[str]:
    """The policy once more, cell by cell: what the words of a table map promise."""
    if policy.ownership is Ownership.CONSTANT:
        return _written(fact, over_change=False) if not fact["same"] else NOTHING
    if policy.ownership is Ownership.TRIGGER:
        return _trigger(policy, fact)
    empty = fact["wanted_empty"] and not fact["parent_named"]
    never_was = not fact["based"] or fact["never_agreed"]
    silent = empty and (policy.keeps or never_was)
    later = fact["wanted_empty"] and fact["parent_named"]
    differs = not silent and (not fact["same"] or later)
    early = silent and not fact["same"] and not fact["based"] and not policy.adopts
    by_ownership = {
        Ownership.ONE_WAY: _one_way,
        Ownership.TWO_WAY: _two_way,
        Ownership.CONDITIONAL: _conditional,
    }
    outcome = by_ownership[policy.ownership](policy, fact) if differs else NOTHING
    if early and policy.ownership is not Ownership.ONE_WAY:
        outcome = outcome | {"other_direction"}
    return outcome


def _written(fact: dict[str, bool], *, over_change: bool = True, owner_stays: bool = True) -> set[str]:
    outcome = {"write"}
    if over_change and fact["target_moved"]:
        outcome.add("overwrites")
    if owner_stays and not fact["standing_empty"]:
        outcome.add("replaces")
    return outcome


def _one_way(policy: Policy, fact: dict[str, bool]) -> set[str]:
    if policy.resend:
        return _written(fact)
    if not fact["based"]:
        return _written(fact) if policy.adopts else {"changed_by_non_owner"}
    if fact["source_moved"]:
        return _written(fact)
    return {"changed_by_non_owner"} if fact["target_moved"] else NOTHING


def _two_way(policy: Policy, fact: dict[str, bool]) -> set[str]:
    if not fact["based"]:
        ours = policy.wins if policy.wins_named else policy.adopts
    elif fact["source_moved"] and fact["target_moved"]:
        ours = policy.wins
    elif fact["source_moved"]:
        ours = True
    elif fact["target_moved"]:
        ours = False
    else:
        ours = policy.resend and policy.wins
    return _written(fact) if ours else {"other_direction"}


def _conditional(policy: Policy, fact: dict[str, bool]) -> set[str]:
    if not fact["source_wins"]:
        return {"other_direction"}
    if policy.resend or not fact["based"] or fact["source_moved"]:
        return _written(fact, owner_stays=False)
    return {"changed_by_non_owner"} if fact["target_moved"] else {"other_direction"}


def _trigger(policy: Policy, fact: dict[str, bool]) -> set[str]:
    if fact["same"]:
        return NOTHING
    if not fact["may_send"]:
        return {"other_direction"}
    if fact["due"] or (fact["source_moved"] if fact["based"] else policy.adopts):
        return _written(fact)
    return {"changed_by_non_owner"} if fact["target_moved"] or not fact["based"] else {"other_direction"}


def combinations(ownership: Ownership) -> Iterator[tuple[Policy, list[dict[str, bool]]]]:
    """Every policy of an ownership, with every combination of facts."""
    every = [dict(zip(FACTS, values, strict=True)) for values in itertools.product((False, True), repeat=len(FACTS))]
    for flags in itertools.product((False, True), repeat=len(FLAGS)):
        yield Policy(ownership, *flags), every


@pytest.mark.parametrize("ownership", list(Ownership))
def test_every_combination_of_facts_and_policy(ownership: Ownership) -> None:
    policies, every = zip(*combinations(ownership), strict=True)
    cells = len(every[0])
    pairs = [number for number in range(len(policies)) for _ in range(cells)]
    table = frame([fact for facts in every for fact in facts], pairs)
    result = decide(table, policies)[list(DECISIONS)].to_numpy(dtype=bool)
    wanted = np.array(
        [
            [name in outcome for name in DECISIONS]
            for policy, facts in zip(policies, every, strict=True)
            for outcome in (expected(policy, fact) for fact in facts)
        ]
    )
    assert result.shape == (2 ** (len(FACTS) + len(FLAGS)), len(DECISIONS))
    wrong = np.flatnonzero((result != wanted).any(axis=1))
    assert wrong.size == 0, [(policies[pairs[place]], every[0][place % cells]) for place in wrong[:3]]


ONE_WAY = Policy(Ownership.ONE_WAY)
TWO_WAY = Policy(Ownership.TWO_WAY, wins=True)
LOSES = Policy(Ownership.TWO_WAY)
CONDITIONAL = Policy(Ownership.CONDITIONAL)


@pytest.mark.parametrize(
    ("policy", "facts", "outcome"),
    [
        pytest.param(ONE_WAY, {"based", "source_moved"}, {"write", "replaces"}, id="the owner changed it"),
        pytest.param(
            ONE_WAY,
            {"based", "source_moved", "target_moved"},
            {"write", "overwrites", "replaces"},
            id="both changed what the sender owns",
        ),
        pytest.param(
            ONE_WAY, {"based", "target_moved"}, {"changed_by_non_owner"}, id="only the side that does not own it"
        ),
        pytest.param(ONE_WAY, {"based"}, NOTHING, id="differs, and nobody changed it"),
        pytest.param(
            ONE_WAY,
            {"based", "source_moved", "standing_empty"},
            {"write"},
            id="filling an empty value replaces nothing",
        ),
        pytest.param(
            ONE_WAY, {"based", "wanted_empty", "never_agreed"}, NOTHING, id="an empty value that never was says nothing"
        ),
        pytest.param(
            ONE_WAY, {"based", "wanted_empty", "source_moved"}, {"write", "replaces"}, id="an emptied value travels"
        ),
        pytest.param(
            Policy(Ownership.ONE_WAY, keeps=True),
            {"based", "wanted_empty", "source_moved"},
            NOTHING,
            id="an emptied value that is kept",
        ),
        pytest.param(
            Policy(Ownership.ONE_WAY, adopts=True), {"standing_empty"}, {"write"}, id="first run, the sender is master"
        ),
        pytest.param(ONE_WAY, set(), {"changed_by_non_owner"}, id="first run, the receiver is master"),
        pytest.param(
            Policy(Ownership.ONE_WAY, resend=True), {"based"}, {"write", "replaces"}, id="sent again though unchanged"
        ),
        pytest.param(
            TWO_WAY,
            {"based", "source_moved", "target_moved"},
            {"write", "overwrites", "replaces"},
            id="both changed it, the sender wins",
        ),
        pytest.param(
            LOSES,
            {"based", "source_moved", "target_moved"},
            {"other_direction"},
            id="both changed it, the receiver wins",
        ),
        pytest.param(
            LOSES, {"based", "source_moved"}, {"write", "replaces"}, id="only the sender changed a shared value"
        ),
        pytest.param(
            TWO_WAY, {"based", "target_moved"}, {"other_direction"}, id="only the receiver changed a shared value"
        ),
        pytest.param(CONDITIONAL, {"based", "source_moved"}, {"other_direction"}, id="not the sender's in this row"),
        pytest.param(
            CONDITIONAL, {"based", "source_moved", "source_wins"}, {"write"}, id="the sender's in this row, and changed"
        ),
        pytest.param(
            CONDITIONAL,
            {"based", "target_moved", "source_wins"},
            {"changed_by_non_owner"},
            id="the sender's in this row, and the receiver changed it",
        ),
        pytest.param(
            ONE_WAY,
            {"based", "same", "wanted_empty", "parent_named", "source_moved", "standing_empty"},
            {"write"},
            id="a lookup within the map whose row is named but not there yet",
        ),
        pytest.param(Policy(Ownership.CONSTANT), {"based"}, {"write", "replaces"}, id="a constant that is not there"),
        pytest.param(
            Policy(Ownership.TRIGGER), {"based", "may_send", "due"}, {"write", "replaces"}, id="a trigger that is due"
        ),
        pytest.param(
            Policy(Ownership.TRIGGER),
            {"based", "may_send", "target_moved"},
            {"changed_by_non_owner"},
            id="a trigger that the receiver changed",
        ),
        pytest.param(Policy(Ownership.TRIGGER), {"based"}, {"other_direction"}, id="a trigger that another leg sends"),
    ],
)
def test_named_cases(policy: Policy, facts: set[str], outcome: set[str]) -> None:
    assert decided(policy, **dict.fromkeys(facts, True)) == outcome


def test_no_cells() -> None:
    result = decide(frame([], []), [ONE_WAY])
    assert len(result) == 0
    assert set(DECISIONS) <= set(result.columns)


def test_cells_keep_their_order() -> None:
    moved = {"based": True, "source_moved": True}
    cells = frame([moved, {"based": True}, moved, moved], [1, 0, 0, 1])
    result = decide(cells, [ONE_WAY, CONDITIONAL])
    assert result["pos"].tolist() == [0, 1, 2, 3]
    assert result["write"].tolist() == [False, False, True, False]
