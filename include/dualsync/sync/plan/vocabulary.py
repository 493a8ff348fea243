"""The words that the steps of a transfer say to each other: states, actions, column prefixes, rule names, join keys.

Every word stands here once, in the form in which files and ledger keep it. The module imports nothing heavy and no
other part of ``sync``, so that DAG files, pages and commands may use it too.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync.mapping import Side

GLOBAL = "_global"
"""The company of transfers whose map knows no companies."""

BY_KEY = 200
"""Up to so many rows, a system is asked for each by its key; above, it is read as a whole."""


# --- runs, steps and transfers ----------------------------------------------------------------------------------------


class Step(StrEnum):
    """The steps of a transfer, in order. A finished step leaves its marker, ``<step>.json``."""

    EXTRACT = "extract"
    RECONCILE = "reconcile"
    VALIDATE = "validate"
    LOAD = "load"
    SETTLE = "settle"


class Phase(StrEnum):
    """The two phases of a transfer: all rows are written first, deletions follow at the end of the run.

    The values are what the ledger and the names of folders keep.
    """

    UPSERTS = "rows"
    DELETIONS = "deletes"


class RunMode(StrEnum):
    """What a run looks at, as the ledger keeps it.

    ``SELECTED`` is what the ledger calls a run of chosen rows or keys, whatever it was started as.
    """

    INCREMENTAL = "incremental"
    FULL = "full"
    AUDIT = "audit"
    SELECTED = "rows"


MODES = (RunMode.INCREMENTAL, RunMode.FULL, RunMode.AUDIT)
"""The modes a run can be started in: what changed; everything; everything, writing nothing and tracking nothing."""


class LegState(StrEnum):
    """How a transfer stands, as the ledger keeps it.

    ``HELD`` means one thing only: a guard stopped it, and a person has to approve what it planned (shown: needs
    approval).
    """

    RUNNING = "running"
    SETTLED = "settled"
    DRY_RUN = "dry_run"
    HELD = "held"
    SUPERSEDED = "superseded"
    FAILED = "failed"


ENDED = (LegState.SETTLED, LegState.DRY_RUN)
"""States of transfers that came to their end."""


# --- rows -------------------------------------------------------------------------------------------------------------


class RowState(StrEnum):
    """How a row stands on the sending side: the column ``@state`` of ``source.parquet``."""

    IN = "in"
    """It is a row of the map and of this company."""
    LEFT = "left"
    """It was one, and no longer matches the map's filter."""
    MOVED = "moved"
    """It was one, and now names another company."""
    DELETED = "deleted"
    """It was one, and is no longer there."""
    UNCLEAR = "unclear"
    """The filter cannot tell, since columns it looks at are empty."""
    GONE = "gone"
    """It was left open earlier, never became a row of both sides, and is no longer there."""
    NO_COMPANY = "no_company"
    """It names no company."""


class Action(StrEnum):
    """What a plan does with a row, and how the row ended."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    WAITING = "waiting"
    QUARANTINED = "quarantined"
    SKIPPED = "skipped"


UPSERTED = (Action.CREATE, Action.UPDATE)
"""Actions that create or update a row of the receiving side."""

WRITTEN = (*UPSERTED, Action.DELETE)
"""Actions that write."""

OPEN = (Action.WAITING, Action.QUARANTINED, Action.CONFLICT)
"""How rows end that are not settled: the next run looks at them again."""


class AckStatus(StrEnum):
    """How the receiving side answered one row of a batch."""

    OK = "ok"
    REFUSED = "refused"
    WAITING = "waiting"


class Severity(StrEnum):
    """What a broken rule means for its row: ``CRITICAL`` quarantines it, ``WARNING`` is only counted."""

    CRITICAL = "critical"
    WARNING = "warning"


def sql_list(words: Iterable[str]) -> str:
    """Words as an SQL list, such as ``('create', 'update')``; words of this module hold no quotes."""
    return "(" + ", ".join(f"'{word}'" for word in words) + ")"


# --- columns of frames, plans and bases -------------------------------------------------------------------------------

VERSION = "@version"
"""Column with the row version (ETag) as it was read."""

JOIN_KEY = "@key"
"""Column of Finance rows with the text by which both sides' rows meet."""

PROBLEM = "@problem"
"""Column that says which value of a row is not of its column's type; such a value is read as null."""

STATE = "@state"
"""Column with the row's :class:`RowState`."""

TYPE_SUFFIX = "@type"
"""End of the column that says which table a lookup with several targets points at."""


class Prefix(StrEnum):
    """What a column of a wanted row, a plan or a base holds; the prefix stands before the column's own name.

    ::

        sender                            receiver                     what both agreed on (base)

        s:name    value that is sent  ->  w:name    value it becomes   d:name    Dataverse's value
        c:name    decides who wins        h:name    value that stands  f:name    Finance's value
                                          c:name    decides who wins
                                          p:name    join key or id of the row of the same map
                                                    that a self lookup points at

    ``s:`` and, on the sending side, ``c:`` are named by the sender's columns; ``w:``, ``h:`` and ``p:`` by the
    receiver's. The base has the columns of both sides.
    """

    WANTED = "w:"
    SENT = "s:"
    STANDING = "h:"
    PARENT = "p:"
    DECIDING = "c:"
    DATAVERSE = "d:"
    FINANCE = "f:"


def wanted(name: str) -> str:
    """The column with the value a receiving column should have, in the receiver's form."""
    return f"{Prefix.WANTED}{name}"


def sent(name: str) -> str:
    """The column with the sender's value that wanted values were made of."""
    return f"{Prefix.SENT}{name}"


def standing(name: str) -> str:
    """The column with the value that stands at the receiver now."""
    return f"{Prefix.STANDING}{name}"


def parent_key(name: str) -> str:
    """The column with the row of the same map that a self lookup points at."""
    return f"{Prefix.PARENT}{name}"


def deciding(name: str) -> str:
    """The column with a value that decides whose value wins."""
    return f"{Prefix.DECIDING}{name}"


def agreed_prefix(side: Side | str) -> Prefix:
    """The prefix of a side's columns in a base."""
    return Prefix.DATAVERSE if side == "dataverse" else Prefix.FINANCE


def agreed(side: Side | str, name: str) -> str:
    """The column of a base with the value of one side that both agreed on."""
    return f"{agreed_prefix(side)}{name}"


def type_of(name: str) -> str:
    """The column with the table that a lookup with several targets points at."""
    return f"{name}{TYPE_SUFFIX}"


# --- sides ------------------------------------------------------------------------------------------------------------

SIDE_NAMES = {"dataverse": "Dataverse", "finance": "Finance"}
"""The two sides as people write them."""


# --- rules ------------------------------------------------------------------------------------------------------------


class RuleWord(StrEnum):
    """The words of rules that are not of a map's own making; a rule is named ``<map>.<word>``."""

    CHILDREN = "children"
    COMPANY = "company"
    CUTOVER = "cutover"
    DELETED = "deleted"
    DUPLICATE = "duplicate"
    FILTERED = "filtered"
    GONE = "gone"
    HEADER = "header"
    KEY = "key"
    KEY_CHANGED = "key_changed"
    LEFT = "left"
    LINES = "lines"
    MOVED = "moved"
    OWNER = "owner"
    REFUSED = "refused"
    STRANGER = "stranger"
    TYPE = "type"
    UNCLEAR = "unclear"
    UNKNOWN = "unknown"
    UNKNOWN_VALUE = "unknown_value"
    WAITING = "waiting"


def rule_name(map_name: str, word: RuleWord | str, column: str = "") -> str:
    """The name of a rule: ``<map>.<word>``, or ``<map>.<column>.<word>`` of a rule about one column.

    Args:
        map_name: The map.
        word: A :class:`RuleWord`, or the name a map gives its own rule.
        column: The receiving column it is about.
    """
    return f"{map_name}.{column}.{word}" if column else f"{map_name}.{word}"


def has_rule_word(rule: str, *words: RuleWord) -> bool:
    """Whether a rule's name ends in one of these words."""
    return rule.rpartition(".")[2] in words


# --- join keys --------------------------------------------------------------------------------------------------------

DELETE_SCHEME = "delete:"
"""Begin of the join key under which the ledger notes that a row is to be deleted."""

ID_SCHEME = "id:"
"""Begin of the join key of a row whose key is not whole, followed by its record id."""

ROW_SCHEME = "row:"
"""Begin of the join key of a row that has neither key nor record id, followed by its place in the plan."""


def delete_key(join_key: str) -> str:
    """The join key under which a deletion is noted."""
    return f"{DELETE_SCHEME}{join_key}"


def deleted_row(join_key: str) -> str:
    """The join key of the row that a noted deletion is about; any other key as it is."""
    return join_key.removeprefix(DELETE_SCHEME)
