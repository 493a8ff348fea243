"""How a row ends: an ordered list of named cases, and a pure function that finds the first that fits.

:func:`classify` gets a frame of rows with their facts and with what was decided of their columns, and says for each its
action, its rule and its reason. Which cases a leg has, and what they say, :func:`cases_of` takes from the table map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dualsync.mapping import TableMap
from dualsync.sync.legs.runtime import Leg
from dualsync.sync.plan import messages
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.messages import Message
from dualsync.sync.plan.vocabulary import SIDE_NAMES, Action, RowState, RuleWord, rule_name

TEXT = pd.ArrowDtype(pa.string())

ROW_FACTS = (
    "pos",
    "state",
    "stop",
    "rule",
    "reason",
    "join_key",
    "known_as",
    "dated",
    "present",
    "based",
    "want_n",
    "have_n",
    "columns",
    "foreign_changes",
    "overwritten",
    "lines_missing",
)
"""The columns of the frame that :func:`classify` gets.

``stop``, ``rule`` and ``reason`` say what stopped the row before it was compared. ``present`` and ``based`` say whether
the receiver and the base have it; ``want_n`` and ``have_n`` how many rows of either side have its key; ``known_as``
under which key the base has its record. ``columns``, ``foreign_changes`` and ``overwritten`` are lists of receiving
columns: written, changed by the side that does not own them, and written over such a change.
"""

Rows = pd.DataFrame
Mask = Callable[[Rows], "pd.Series[Any]"]


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
        listed: A column of lists, whose names fill ``{columns}``, or of texts, which fill ``{lines}``.
    """

    name: str
    when: Mask
    action: Action
    rule: RuleWord | None = None
    message: Message | None = None
    values: dict[str, str] = field(default_factory=dict)
    listed: str = ""


def classify(rows: Rows, cases: Sequence[Case], map_name: str) -> Rows:
    """Find out how rows end.

    Args:
        rows: One row each, with :data:`ROW_FACTS`.
        cases: The cases, the weightiest first; the last one fits every row.
        map_name: The map, whose name rules begin with.

    Returns:
        A frame of ``pos``, ``action``, ``rule``, ``reason`` and ``case``; a row that was stopped before it was compared
        keeps what stopped it.
    """
    masks = [_mask(case.when(rows)) for case in cases]
    chosen = np.select(masks, list(range(len(cases))), default=len(cases) - 1)
    reasons = _none(len(rows))
    for number in np.unique(chosen):
        told = _said(rows, cases[number])
        reasons = reasons.where(chosen != number, told)
    stopped = _mask(rows["stop"].notna())
    rules = [None if case.rule is None else rule_name(map_name, case.rule) for case in cases]
    return pd.DataFrame(
        {
            "pos": rows["pos"].to_numpy(),
            "action": _text(_taken([case.action.value for case in cases], chosen)).where(
                ~stopped, _plain(rows["stop"])
            ),
            "rule": _text(_taken(rules, chosen)).where(~stopped, _plain(rows["rule"])),
            "reason": reasons.where(~stopped, _plain(rows["reason"])),
            "case": _text(_taken([case.name for case in cases], chosen)).where(~stopped, "stopped"),
        }
    )


def _said(rows: Rows, case: Case) -> pd.Series[Any] | str | None:
    """The reason of rows of a case."""
    if case.message is None:
        return None
    if case.message is messages.WAITS_FOR_LINES:
        return _plain(rows[case.listed])
    if not case.listed:
        return case.message(**case.values)
    before, after = case.message(columns="\0", **case.values).split("\0")
    names = pc.binary_join(rows[case.listed].array.__arrow_array__(), ", ")
    return _text(pc.binary_join_element_wise(before, names, after, ""))


def _mask(values: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return values.fillna(value=False).to_numpy(dtype=bool)


def _taken(values: list[Any], chosen: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(values, type=pa.string()).take(pa.array(chosen))


def _text(values: pa.Array | pa.ChunkedArray) -> pd.Series[Any]:
    return pd.Series(pd.array(values, dtype=TEXT))


def _none(rows: int) -> pd.Series[Any]:
    return _text(pa.nulls(rows, pa.string()))


def _plain(values: pd.Series[Any]) -> pd.Series[Any]:
    return values.astype(TEXT).reset_index(drop=True)


# --- conditions ------------------------------------------------------------------------------------------------------


def _has(column: str) -> Mask:
    return lambda rows: pd.Series(
        pc.greater(pc.fill_null(pc.list_value_length(rows[column].array.__arrow_array__()), 0), 0).to_numpy(
            zero_copy_only=False
        ),
        index=rows.index,
    )


def _state(state: RowState) -> Mask:
    return lambda rows: rows["state"] == state.value


def _several(column: str) -> Mask:
    return lambda rows: rows[column].fillna(0) > 1


def _all(*conditions: Mask) -> Mask:
    def holds(rows: Rows) -> pd.Series[Any]:
        held = pd.Series(True, index=rows.index)
        for condition in conditions:
            held &= pd.Series(_mask(condition(rows)), index=rows.index)
        return held

    return holds


def _any(*conditions: Mask) -> Mask:
    return lambda rows: ~_all(*(_not(condition) for condition in conditions))(rows)


def _not(condition: Mask) -> Mask:
    return lambda rows: pd.Series(~_mask(condition(rows)), index=rows.index)


def _every(rows: Rows) -> pd.Series[Any]:
    return pd.Series(True, index=rows.index)


def _based(rows: Rows) -> pd.Series[Any]:
    return rows["based"]


def _present(rows: Rows) -> pd.Series[Any]:
    return rows["present"]


_ABSENT = _not(_present)


def _renamed(rows: Rows) -> pd.Series[Any]:
    """Whether the base knows the record under another key."""
    return rows["known_as"].notna() & (rows["known_as"] != rows["join_key"])


def _older(day: date) -> Mask:
    return lambda rows: (
        rows["dated"]
        < pd.Series(
            pd.array(pa.array([day] * len(rows), pa.date32()), dtype=pd.ArrowDtype(pa.date32())), index=rows.index
        )
    )


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
            _several("want_n"),
            Action.CONFLICT,
            RuleWord.DUPLICATE,
            messages.DUPLICATE,
            {"side": side.sender},
        ),
        Case(
            "several at the receiver",
            _several("have_n"),
            Action.CONFLICT,
            RuleWord.DUPLICATE,
            messages.DUPLICATE,
            {"side": side.receiver},
        ),
        Case("key changed", _renamed, Action.CONFLICT, RuleWord.KEY_CHANGED, messages.KEY_CHANGED),
    ]


def _deleted_cases(side: Side) -> list[Case]:
    """Rows that stood on both sides and are gone from the receiver."""
    if side.resend and not side.receiver_deletes and side.creates:
        return []  # it is created there again
    named = {"sender": side.sender, "receiver": side.receiver}
    action, message = (
        (Action.SKIPPED, messages.DELETED) if side.receiver_deletes else (Action.CONFLICT, messages.DELETED_BY_OTHER)
    )
    return [Case("deleted at the receiver", _all(_ABSENT, _based), action, RuleWord.DELETED, message, named)]


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
    older = _all(_ABSENT, _older(cutover))
    return [Case("history", older, Action.SKIPPED, RuleWord.CUTOVER, messages.HISTORY, values)]


def _new_case(side: Side) -> Case:
    if side.creates:
        return Case("new", _ABSENT, Action.CREATE)
    named = {"sender": side.sender, "receiver": side.receiver}
    return Case("not copied", _ABSENT, Action.CONFLICT, RuleWord.OWNER, messages.NOT_COPIED, named)


def _update_cases(side: Side) -> list[Case]:
    """Rows that stand on both sides."""
    named = {"sender": side.sender, "receiver": side.receiver}
    writes, foreign, owner = _has("columns"), _has("foreign_changes"), RuleWord.OWNER
    return [
        Case(
            "overwrites",
            _all(writes, _has("overwritten")),
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
            _all(foreign, _based),
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
    double = _any(_several("want_n"), _several("have_n"), _renamed)
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
            _all(_has("columns"), lambda rows: rows["lines_missing"].notna()),
            Action.WAITING,
            RuleWord.LINES,
            messages.WAITS_FOR_LINES,
            listed="lines_missing",
        ),
        *_update_cases(side),
    )
