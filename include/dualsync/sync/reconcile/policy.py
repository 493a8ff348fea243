"""What is to be done about columns that differ: a pure function from facts and ownership to decisions.

:func:`decide` knows no SQL, no system and no leg. It gets a frame of *cells*, one per row and column pair, with the
facts that ``facts.py`` found, and says for each cell whether this direction writes it, whether the side that does not
own it changed it, and whether it is the other direction's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd
import pyarrow as pa

from dualsync.mapping import ConditionalWins, Field
from dualsync.sync.documents.triggers import trigger_slot
from dualsync.sync.legs.leg import Leg
from dualsync.sync.plan.columns import ColumnPair, LegColumns

BOOL = pd.ArrowDtype(pa.bool_())

FACTS = (
    "based",
    "same",
    "wanted_empty",
    "parent_named",
    "never_agreed",
    "source_moved",
    "target_moved",
    "standing_empty",
    "source_wins",
    "may_send",
    "due",
)
"""The facts of a cell; see :mod:`dualsync.sync.reconcile.facts` for how each is found.

* ``based``: the base knows the row.
* ``same``: the wanted value and the value that stands at the receiver are the same.
* ``wanted_empty``: there is no wanted value.
* ``parent_named``: of a lookup within the map, the sender names a row although its value is not known yet.
* ``never_agreed``: the base has no value of the sender either.
* ``source_moved``: the sender's value is another than the base has.
* ``target_moved``: the receiver's value is another than the base has.
* ``standing_empty``: nothing stands at the receiver.
* ``source_wins``: the condition of a two-way pair says that the sender's value wins in this row.
* ``may_send``: of a trigger, whether this leg is the one that sends the value the sender has.
* ``due``: of a trigger, whether the ledger says that it is still to be sent.
"""

DECISIONS = ("write", "changed_by_non_owner", "other_direction", "overwrites", "replaces")
"""What :func:`decide` says of a cell.

* ``write``: this leg writes it.
* ``changed_by_non_owner``: the receiver changed it and does not own it; it is reported and left.
* ``other_direction``: it differs, and the other direction's leg carries it.
* ``overwrites``: it is written over a change that was made at the receiver.
* ``replaces``: it is written over a value that stands there, of a pair whose owner does not change.
"""


class Ownership(StrEnum):
    """Who may change a column pair."""

    CONSTANT = "constant"
    """A constant that is sent whenever it does not stand there."""
    ONE_WAY = "one_way"
    """The sender owns it."""
    TWO_WAY = "two_way"
    """Both may change it; of two changes the winner's stands."""
    CONDITIONAL = "conditional"
    """A condition says for each row whose column it is."""
    TRIGGER = "trigger"
    """It sets the receiver to work on a document, and goes last."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How one column pair is decided in a leg.

    Attributes:
        ownership: Who may change it.
        keeps: An emptied value at the sender leaves the receiver's as it is.
        wins: The sender wins where both changed a two-way pair.
        wins_named: The map names the winner, so that it also decides at the first run.
        adopts: The sender is the map's master at the first run.
        resend: The run sends again what the sender owns, although it did not change.
    """

    ownership: Ownership
    keeps: bool = False
    wins: bool = False
    wins_named: bool = False
    adopts: bool = False
    resend: bool = False


def policy_of(leg: Leg, columns: LegColumns, pair: ColumnPair) -> Policy:
    """The policy of a column pair in a leg."""
    entry = pair.entry
    return Policy(
        _ownership(leg, columns, pair),
        keeps=pair.keeps,
        wins=entry.wins == columns.source,
        wins_named="wins" in entry.model_fields_set,
        adopts=leg.map.initial.master == columns.source,
        resend=leg.run.resend,
    )


def _ownership(leg: Leg, columns: LegColumns, pair: ColumnPair) -> Ownership:
    if pair is trigger_slot(leg.map, columns):
        return Ownership.TRIGGER
    if isinstance(pair.entry, Field) and pair.entry.constant is not None:
        return Ownership.CONSTANT
    if not pair.both_ways:
        return Ownership.ONE_WAY
    return Ownership.CONDITIONAL if isinstance(pair.entry.wins, ConditionalWins) else Ownership.TWO_WAY


def decide(cells: pd.DataFrame, policies: Sequence[Policy]) -> pd.DataFrame:
    """Decide cells by their facts and the policy of their column pair.

    Args:
        cells: One row per cell that is present on both sides: ``pair``, the number of its column pair, and
            :data:`FACTS` as booleans without nulls.
        policies: The policy of each column pair, by its number.

    Returns:
        ``cells`` with :data:`DECISIONS` as further boolean columns.
    """
    told = _policies(policies).take(cells["pair"].to_numpy(dtype="int64")).set_index(cells.index)
    by_ownership = {
        Ownership.CONSTANT: _constant,
        Ownership.ONE_WAY: _one_way,
        Ownership.TWO_WAY: _two_way,
        Ownership.CONDITIONAL: _conditional,
        Ownership.TRIGGER: _trigger,
    }
    pieces = [
        by_ownership[Ownership(name)](group, told.loc[group.index])
        for name, group in cells.groupby(told["ownership"], sort=False)
    ]
    none = pd.DataFrame({name: pd.Series(dtype=BOOL) for name in DECISIONS})
    decided = pd.concat(pieces).loc[cells.index] if pieces else none
    return pd.concat([cells, decided], axis=1)


def _policies(policies: Sequence[Policy]) -> pd.DataFrame:
    flags = ("keeps", "wins", "wins_named", "adopts", "resend")
    columns = {
        name: pd.array(pa.array([getattr(policy, name) for policy in policies], pa.bool_()), dtype=BOOL)
        for name in flags
    }
    return pd.DataFrame({"ownership": [policy.ownership.value for policy in policies], **columns})


def says_nothing(cells: pd.DataFrame, keeps: pd.Series[bool]) -> pd.Series[bool]:
    """Whether an empty wanted value says nothing, rather than that the value was emptied.

    It says nothing where emptied values are kept, and where there never was one to empty: what the receiver filled in
    by itself is no difference. A lookup within the map whose row is named is not empty, only not known yet.
    """
    empty = cells["wanted_empty"] & ~cells["parent_named"]
    return empty & (keeps | ~cells["based"] | cells["never_agreed"])


def _differs(cells: pd.DataFrame, told: pd.DataFrame) -> pd.Series[bool]:
    not_known_yet = cells["wanted_empty"] & cells["parent_named"]
    return ~says_nothing(cells, told["keeps"]) & (~cells["same"] | not_known_yet)


def _if(condition: pd.Series[bool], then: pd.Series[bool], otherwise: pd.Series[bool]) -> pd.Series[bool]:
    return (condition & then) | (~condition & otherwise)


def _constant(cells: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
    never = cells["same"] & ~cells["same"]
    return _decisions(cells, write=~cells["same"], foreign=never, other=never, target_moved=never)


def _one_way(cells: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    differs, based = _differs(cells, told), cells["based"]
    moved, target_moved = cells["source_moved"], cells["target_moved"]
    write = differs & (told["resend"] | _if(based, moved, told["adopts"]))
    foreign = differs & ~told["resend"] & _if(based, ~moved & target_moved, ~told["adopts"])
    return _decisions(cells, write=write, foreign=foreign, other=write & ~write)


def _two_way(cells: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    differs, based, wins = _differs(cells, told), cells["based"], told["wins"]
    moved, target_moved = cells["source_moved"], cells["target_moved"]
    first = _if(told["wins_named"], wins, told["adopts"])
    agreed = ~moved & ~target_moved
    changed = moved & (~target_moved | wins)
    ours = changed | (told["resend"] & wins & agreed)
    write = differs & _if(based, ours, first)
    return _decisions(cells, write=write, foreign=write & ~write, other=_others(cells, told, differs & ~write))


def _conditional(cells: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    differs, wins = _differs(cells, told), cells["source_wins"]
    moved = cells["source_moved"]
    # The condition says whose column it is in this row, so the other side's change does not travel either.
    ours = told["resend"] | ~cells["based"] | moved
    write = differs & wins & ours
    foreign = differs & wins & ~ours & ~moved & cells["target_moved"]
    other = _others(cells, told, differs & ~write & ~foreign)
    return _decisions(cells, write=write, foreign=foreign, other=other, replaces=write & ~write)


def _others(cells: pd.DataFrame, told: pd.DataFrame, differs: pd.Series[bool]) -> pd.Series[bool]:
    # A row that the master's own leg has not brought in line yet: an empty value here is no agreement.
    early = ~cells["based"] & ~told["adopts"] & says_nothing(cells, told["keeps"]) & ~cells["same"]
    return differs | early


def _trigger(cells: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    differs, based = ~cells["same"], cells["based"]
    mine = differs & cells["may_send"]
    write = mine & (_if(based, cells["source_moved"], told["adopts"]) | cells["due"])
    foreign = mine & ~write & (cells["target_moved"] | ~based)
    return _decisions(cells, write=write, foreign=foreign, other=differs & ~write & ~foreign)


def _decisions(
    cells: pd.DataFrame,
    *,
    write: pd.Series[bool],
    foreign: pd.Series[bool],
    other: pd.Series[bool],
    target_moved: pd.Series[bool] | None = None,
    replaces: pd.Series[bool] | None = None,
) -> pd.DataFrame:
    moved = cells["target_moved"] if target_moved is None else target_moved
    replaced = write & ~cells["standing_empty"] if replaces is None else replaces
    return pd.DataFrame(dict(zip(DECISIONS, (write, foreign, other, write & moved, replaced), strict=True)))
