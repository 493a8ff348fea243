"""How a row ends: an ordered list of named cases, and a pure function that finds the first that fits.

:func:`classify` gets a frame of rows with their facts and with what was decided of their columns, and says for each its
action, its rule and its reason. Which cases a leg has, and what they say, :func:`cases_for` takes from what
:class:`LegRules` says of the leg.
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
from dualsync.sync.legs.leg import Leg
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


_ABSENT = _not(_fact("present"))


# --- the cases of a leg ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LegRules:
    """What the cases of a leg depend on.

    Attributes:
        map: The map, whose name rules begin with.
        company: The company.
        sender: The sending side, as people write it.
        receiver: The receiving side, as people write it.
        creates: The sending side may create rows in the other.
        receiver_deletes: The receiving side owns deletions.
        flags_left: A row that leaves the map's filter is reported.
        resend: The run sends again what the sender owns.
        sends_trigger: The leg sends the triggers of documents, and nothing else.
        history_waits: Rows are created from a cut-over date only.
        cutover: That date, as ``2026-01-31``; None where the company has none.
    """

    map: str
    company: str
    sender: str
    receiver: str
    creates: bool
    receiver_deletes: bool
    flags_left: bool
    resend: bool
    sends_trigger: bool
    history_waits: bool
    cutover: str | None

    @classmethod
    def of(cls, leg: Leg, columns: LegColumns, cutover: date | None) -> LegRules:
        """What the cases of a leg depend on, from its map, its run and the cut-over date of its company."""
        rows = leg.map.rows
        return cls(
            map=leg.map.map,
            company=leg.company,
            sender=SIDE_NAMES[columns.source],
            receiver=SIDE_NAMES[columns.target],
            creates=rows.created_by in (columns.source, "both"),
            receiver_deletes=rows.deleted_by == columns.target,
            flags_left=rows.leaves == "flag",
            resend=leg.run.resend,
            sends_trigger=leg.map.sends_trigger,
            history_waits=leg.map.initial.creates == "from_cutover" and rows.created_by == columns.source,
            cutover=None if cutover is None else cutover.isoformat(),
        )

    @property
    def sides(self) -> dict[str, str]:
        """The two sides, as messages name them."""
        return {"sender": self.sender, "receiver": self.receiver}


def cases_for(leg: LegRules) -> tuple[Case, ...]:
    """How a row of a leg can end, the weightiest first."""
    if leg.sends_trigger:
        return _trigger_cases(leg)
    return (
        *_left_cases(leg),
        *_key_cases(leg),
        *_deleted_cases(leg),
        *_history_cases(leg),
        _new_case(leg),
        *_update_cases(leg),
    )


def _left_cases(leg: LegRules) -> list[Case]:
    """Rows that are no longer, or not yet, rows of the map."""
    left = Action.CONFLICT if leg.flags_left else Action.SKIPPED
    return [
        Case("no company", _state(RowState.NO_COMPANY), Action.SKIPPED, RuleWord.COMPANY, messages.NO_COMPANY),
        Case("gone", _state(RowState.GONE), Action.SKIPPED, RuleWord.GONE, messages.GONE, leg.sides),
        Case("company changed", _state(RowState.MOVED), Action.CONFLICT, RuleWord.COMPANY, messages.COMPANY_CHANGED),
        Case("left", _state(RowState.LEFT), left, RuleWord.LEFT, messages.LEFT, leg.sides),
        Case("kept", _state(RowState.DELETED), Action.CONFLICT, RuleWord.DELETED, messages.KEPT, leg.sides),
    ]


def _key_cases(leg: LegRules) -> list[Case]:
    """Rows whose key does not say which row is meant."""
    sent, standing, other = _fact("several_sent"), _fact("several_standing"), _fact("known_otherwise")
    conflict, double, message = Action.CONFLICT, RuleWord.DUPLICATE, messages.DUPLICATE
    return [
        Case("several at the sender", sent, conflict, double, message, {"side": leg.sender}),
        Case("several at the receiver", standing, conflict, double, message, {"side": leg.receiver}),
        Case("key changed", other, conflict, RuleWord.KEY_CHANGED, messages.KEY_CHANGED),
    ]


def _deleted_cases(leg: LegRules) -> list[Case]:
    """Rows that stood on both sides and are gone from the receiver."""
    if leg.resend and leg.creates and not leg.receiver_deletes:
        return []  # they are created there again
    action, message = Action.CONFLICT, messages.DELETED_BY_OTHER
    if leg.receiver_deletes:
        action, message = Action.SKIPPED, messages.DELETED
    gone = _all(_ABSENT, _fact("based"))
    return [Case("deleted at the receiver", gone, action, RuleWord.DELETED, message, leg.sides)]


def _history_cases(leg: LegRules) -> list[Case]:
    """Rows that the receiver does not have and that may be history, which must not be posted twice."""
    if not leg.history_waits:
        return []
    values = {"company": leg.company, "day": leg.cutover or ""}
    if leg.cutover is None:
        return [Case("no cut-over date", _ABSENT, Action.WAITING, RuleWord.CUTOVER, messages.NO_CUTOVER, values)]
    older = _all(_ABSENT, _fact("history"))
    return [Case("history", older, Action.SKIPPED, RuleWord.CUTOVER, messages.HISTORY, values)]


def _new_case(leg: LegRules) -> Case:
    if leg.creates:
        return Case("new", _ABSENT, Action.CREATE)
    return Case("not copied", _ABSENT, Action.CONFLICT, RuleWord.OWNER, messages.NOT_COPIED, leg.sides)


def _update_cases(leg: LegRules) -> list[Case]:
    """Rows that stand on both sides."""
    writes, foreign, owner, sides = _fact("writes"), _fact("changed_by_non_owner"), RuleWord.OWNER, leg.sides
    over, listed = _all(writes, _fact("overwrites")), "foreign_changes"
    changed = _all(foreign, _fact("based"))
    return [
        Case("overwrites", over, Action.UPDATE, owner, messages.OVERWRITES, sides, "overwritten"),
        Case("also changed", _all(writes, foreign), Action.UPDATE, owner, messages.ALSO_CHANGED, sides, listed),
        Case("changed", writes, Action.UPDATE),
        Case(
            "changed by the other side", changed, Action.CONFLICT, owner, messages.CHANGED_BY_NON_OWNER, sides, listed
        ),
        Case("differs at the first run", foreign, Action.CONFLICT, owner, messages.DIFFERS_AT_FIRST, sides, listed),
        Case("unchanged", _every, Action.UNCHANGED),
    ]


def _trigger_cases(leg: LegRules) -> tuple[Case, ...]:
    """How a row can end in the leg that sends the trigger; what is wrong with a header, its own leg tells."""
    double = _any(_fact("several_sent"), _fact("several_standing"), _fact("known_otherwise"))
    lines = _all(_fact("writes"), _fact("lines_missing"))
    out, waits, header = _not(_state(RowState.IN)), Action.WAITING, RuleWord.HEADER
    return (
        Case("header gone", out, Action.SKIPPED, RuleWord.GONE, messages.HEADER_GONE),
        Case("header in conflict", double, Action.SKIPPED, header, messages.HEADER_IN_CONFLICT),
        *_history_cases(leg),
        Case("waits for its header", _ABSENT, waits, header, messages.WAITS_FOR_HEADER, leg.sides),
        Case("waits for its lines", lines, waits, RuleWord.LINES, messages.WAITS_FOR_LINES, listed="lines"),
        *_update_cases(leg),
    )
