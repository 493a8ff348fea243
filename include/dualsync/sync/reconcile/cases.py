"""How a row ends: an ordered list of named cases, and a pure function that finds the first that fits.

:func:`classify` gets a frame of rows with their facts and with what was decided of their columns, and says for each its
action, its rule and its reason. Which cases a leg has, and what they say, :func:`cases_of` takes from the table map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dualsync.frames import to_pandas
from dualsync.mapping import TableMap
from dualsync.sync.legs.runtime import Leg
from dualsync.sync.plan import messages
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.messages import Message
from dualsync.sync.plan.vocabulary import SIDE_NAMES, Action, RowState, RuleWord, rule_name

ROW_FACTS = (
    "state",
    "stopped",
    "present",
    "based",
    "several_sent",
    "several_standing",
    "known_otherwise",
    "history",
    "writes",
    "changed_by_non_owner",
    "overwrites",
    "lines_missing",
)
"""The facts of a row, beside the texts and lists that its reason may name.

* ``state``: how it stands at the sender (:class:`~dualsync.sync.plan.vocabulary.RowState`).
* ``stopped``: something stopped it before it was compared; ``stop``, ``rule`` and ``reason`` say what.
* ``present``, ``based``: the receiver, and the base, have it.
* ``several_sent``, ``several_standing``: several rows of the sender, or of the receiver, have its key.
* ``known_otherwise``: the base knows its record under another key.
* ``history``: it is dated before the company's cut-over.
* ``writes``, ``changed_by_non_owner``, ``overwrites``: it has columns of which that was decided.
* ``lines_missing``: lines of its document are missing.
"""

Array = np.ndarray[Any, np.dtype[Any]]
RowFacts = Mapping[str, Array]
Mask = Callable[[RowFacts], Array]


@dataclass(frozen=True, slots=True)
class Case:
    """One way a row can end.

    Attributes:
        name: Its name, for tests and readers.
        when: Whether a row is one of its kind.
        action: What is done with the row.
        rule: The word of the rule, None where the row simply goes on.
        message: Why, None where there is nothing to say.
        values: What the message's names are filled with.
        listed: The column of lists of names, or of texts, that fills ``{listed}`` in the message.
    """

    name: str
    when: Mask
    action: Action
    rule: RuleWord | None = None
    message: Message | None = None
    values: dict[str, str] = field(default_factory=dict)
    listed: str = ""


def classify(rows: pd.DataFrame, cases: Sequence[Case], map_name: str) -> pd.DataFrame:
    """Find out how rows end.

    Args:
        rows: One row each: ``pos``, :data:`ROW_FACTS`, ``stop``, ``rule``, ``reason``, ``lines``, and the lists of
            column names ``foreign_changes`` and ``overwritten``.
        cases: The cases, the weightiest first; the last one fits every row.
        map_name: The map, whose name rules begin with.

    Returns:
        A frame of ``pos``, ``action``, ``rule``, ``reason`` and ``case``; a row that was stopped before it was compared
        keeps what stopped it.
    """
    facts = {name: rows[name].to_numpy(dtype=object if name == "state" else bool) for name in ROW_FACTS}
    chosen = np.select([case.when(facts) for case in cases], list(range(len(cases))), default=len(cases) - 1)
    stopped = pa.array(facts["stopped"])
    rules = [None if case.rule is None else rule_name(map_name, case.rule) for case in cases]
    ended = {
        "action": (_taken([case.action.value for case in cases], chosen), _texts(rows["stop"])),
        "rule": (_taken(rules, chosen), _texts(rows["rule"])),
        "reason": (_reasons(rows, cases, chosen), _texts(rows["reason"])),
        "case": (_taken([case.name for case in cases], chosen), pa.scalar("stopped")),
    }
    columns = {name: pc.if_else(stopped, before, now) for name, (now, before) in ended.items()}
    return to_pandas(pa.table({"pos": rows["pos"].array.__arrow_array__(), **columns}))


def _reasons(rows: pd.DataFrame, cases: Sequence[Case], chosen: Array) -> pa.Array:
    reasons = pa.nulls(len(rows), pa.string())
    for number in np.unique(chosen):
        if cases[number].message is not None:
            reasons = pc.if_else(pa.array(chosen == number), _said(rows, cases[number]), reasons)
    return reasons


def _said(rows: pd.DataFrame, case: Case) -> pa.Array | pa.Scalar:
    """The reason of rows of a case."""
    assert case.message is not None
    if not case.listed:
        return pa.scalar(case.message(**case.values))
    values = rows[case.listed].array.__arrow_array__()
    if pa.types.is_list(values.type):
        values = pc.binary_join(values, ", ")
    before, after = case.message(listed="\0", **case.values).split("\0")
    return pc.binary_join_element_wise(before, _whole(values), after, "")


def _texts(values: pd.Series[Any]) -> pa.Array:
    return _whole(values.array.__arrow_array__())


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return (
        values.combine_chunks().cast(pa.string()) if isinstance(values, pa.ChunkedArray) else values.cast(pa.string())
    )


def _taken(values: list[Any], chosen: Array) -> pa.Array:
    return pa.array(values, type=pa.string()).take(pa.array(chosen))


# --- conditions ------------------------------------------------------------------------------------------------------


def _fact(name: str) -> Mask:
    return lambda facts: facts[name]


def _state(state: RowState) -> Mask:
    return lambda facts: facts["state"] == state.value


def _all(*conditions: Mask) -> Mask:
    return lambda facts: np.logical_and.reduce([condition(facts) for condition in conditions])


def _any(*conditions: Mask) -> Mask:
    return lambda facts: np.logical_or.reduce([condition(facts) for condition in conditions])


def _not(condition: Mask) -> Mask:
    return lambda facts: ~condition(facts)


def _every(facts: RowFacts) -> Array:
    return np.ones(len(facts["present"]), dtype=bool)


_BASED = _fact("based")
_ABSENT = _not(_fact("present"))


# --- the cases of a leg ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """The sides of a leg and their ownership, as its cases need them.

    Attributes:
        sender: The sending side, as people write it.
        receiver: The receiving side, as people write it.
        creates: Whether the sending side may create rows in the other.
        receiver_deletes: Whether the receiving side owns deletions.
        resend: Whether the run sends again what the sender owns.
    """

    sender: str
    receiver: str
    creates: bool
    receiver_deletes: bool
    resend: bool

    @classmethod
    def of(cls, leg: Leg, columns: LegColumns) -> Side:
        """The sides of a leg."""
        rows = leg.map.rows
        return cls(
            SIDE_NAMES[columns.source],
            SIDE_NAMES[columns.target],
            rows.created_by in (columns.source, "both"),
            rows.deleted_by == columns.target,
            leg.run.resend,
        )


def cases_of(leg: Leg, columns: LegColumns, cutover: date | None) -> tuple[Case, ...]:
    """How a row of a leg can end, the weightiest first.

    Args:
        leg: The leg.
        columns: Its columns.
        cutover: The cut-over date of its company.
    """
    side = Side.of(leg, columns)
    if leg.map.sends_trigger:
        return _trigger_cases(leg, columns, side, cutover)
    return (
        *_left_cases(leg.map, side),
        *_key_cases(side),
        *_deleted_cases(side),
        *_history_cases(leg, columns, cutover),
        _new_case(side),
        *_update_cases(side),
    )


def _left_cases(table_map: TableMap, side: Side) -> list[Case]:
    """Rows that are no longer, or not yet, rows of the map."""
    flags = table_map.rows.leaves == "flag"
    named = {"sender": side.sender, "receiver": side.receiver}
    return [
        Case(
            "no company",
            _state(RowState.NO_COMPANY),
            Action.SKIPPED,
            RuleWord.COMPANY,
            messages.NO_COMPANY,
        ),
        Case("gone", _state(RowState.GONE), Action.SKIPPED, RuleWord.GONE, messages.GONE, named),
        Case("company changed", _state(RowState.MOVED), Action.CONFLICT, RuleWord.COMPANY, messages.COMPANY_CHANGED),
        Case(
            "left",
            _state(RowState.LEFT),
            Action.CONFLICT if flags else Action.SKIPPED,
            RuleWord.LEFT,
            messages.LEFT,
            named,
        ),
        Case("kept", _state(RowState.DELETED), Action.CONFLICT, RuleWord.DELETED, messages.KEPT, named),
    ]


def _key_cases(side: Side) -> list[Case]:
    """Rows whose key does not say which row is meant."""
    return [
        Case(
            "several at the sender",
            _fact("several_sent"),
            Action.CONFLICT,
            RuleWord.DUPLICATE,
            messages.DUPLICATE,
            {"side": side.sender},
        ),
        Case(
            "several at the receiver",
            _fact("several_standing"),
            Action.CONFLICT,
            RuleWord.DUPLICATE,
            messages.DUPLICATE,
            {"side": side.receiver},
        ),
        Case("key changed", _fact("known_otherwise"), Action.CONFLICT, RuleWord.KEY_CHANGED, messages.KEY_CHANGED),
    ]


def _deleted_cases(side: Side) -> list[Case]:
    """Rows that stood on both sides and are gone from the receiver."""
    if side.resend and not side.receiver_deletes and side.creates:
        return []  # it is created there again
    named = {"sender": side.sender, "receiver": side.receiver}
    action, message = (
        (Action.SKIPPED, messages.DELETED) if side.receiver_deletes else (Action.CONFLICT, messages.DELETED_BY_OTHER)
    )
    return [Case("deleted at the receiver", _all(_ABSENT, _BASED), action, RuleWord.DELETED, message, named)]


def _history_cases(leg: Leg, columns: LegColumns, cutover: date | None) -> list[Case]:
    """Rows that the receiver does not have and that may be history, which must not be posted twice."""
    initial, company = leg.map.initial, leg.company
    if initial.creates != "from_cutover" or leg.map.rows.created_by != columns.source:
        return []
    if cutover is None:
        return [
            Case(
                "no cut-over date",
                _ABSENT,
                Action.WAITING,
                RuleWord.CUTOVER,
                messages.NO_CUTOVER,
                {"company": company},
            )
        ]
    values = {"company": company, "day": cutover.isoformat()}
    older = _all(_ABSENT, _fact("history"))
    return [Case("history", older, Action.SKIPPED, RuleWord.CUTOVER, messages.HISTORY, values)]


def _new_case(side: Side) -> Case:
    if side.creates:
        return Case("new", _ABSENT, Action.CREATE)
    named = {"sender": side.sender, "receiver": side.receiver}
    return Case("not copied", _ABSENT, Action.CONFLICT, RuleWord.OWNER, messages.NOT_COPIED, named)


def _update_cases(side: Side) -> list[Case]:
    """Rows that stand on both sides."""
    named = {"sender": side.sender, "receiver": side.receiver}
    writes, foreign, owner = _fact("writes"), _fact("changed_by_non_owner"), RuleWord.OWNER
    return [
        Case(
            "overwrites",
            _all(writes, _fact("overwrites")),
            Action.UPDATE,
            owner,
            messages.OVERWRITES,
            named,
            "overwritten",
        ),
        Case(
            "also changed",
            _all(writes, foreign),
            Action.UPDATE,
            owner,
            messages.ALSO_CHANGED,
            named,
            "foreign_changes",
        ),
        Case("changed", writes, Action.UPDATE),
        Case(
            "changed by the other side",
            _all(foreign, _BASED),
            Action.CONFLICT,
            owner,
            messages.CHANGED_BY_NON_OWNER,
            named,
            "foreign_changes",
        ),
        Case(
            "differs at the first run",
            foreign,
            Action.CONFLICT,
            owner,
            messages.DIFFERS_AT_FIRST,
            named,
            "foreign_changes",
        ),
        Case("unchanged", _every, Action.UNCHANGED),
    ]


def _trigger_cases(leg: Leg, columns: LegColumns, side: Side, cutover: date | None) -> tuple[Case, ...]:
    """How a row can end in the leg that sends the trigger; what is wrong with a header, its own leg tells."""
    double = _any(_fact("several_sent"), _fact("several_standing"), _fact("known_otherwise"))
    return (
        Case(
            "header gone",
            _not(_state(RowState.IN)),
            Action.SKIPPED,
            RuleWord.GONE,
            messages.HEADER_GONE,
        ),
        Case("header in conflict", double, Action.SKIPPED, RuleWord.HEADER, messages.HEADER_IN_CONFLICT),
        *_history_cases(leg, columns, cutover),
        Case(
            "waits for its header",
            _ABSENT,
            Action.WAITING,
            RuleWord.HEADER,
            messages.WAITS_FOR_HEADER,
            {"receiver": side.receiver},
        ),
        Case(
            "waits for its lines",
            _all(_fact("writes"), _fact("lines_missing")),
            Action.WAITING,
            RuleWord.LINES,
            messages.WAITS_FOR_LINES,
            listed="lines",
        ),
        *_update_cases(side),
    )
