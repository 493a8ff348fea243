"""The facts of rows and cells, as SQL over named views: what is there, what is the same, what moved since the base.

``joined`` puts a wanted row beside the row that stands at the receiver and the row of the base. For each column pair a
few facts follow (:data:`~dualsync.sync.reconcile.policy.FACTS`). Only cells that are not plainly unchanged are fetched.
No statement decides anything, and none is longer than :data:`LONGEST`: column pairs are asked in groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from dualsync.frames import Sets, to_pandas
from dualsync.mapping import ConditionalWins, Expression, Field
from dualsync.sql import quoted
from dualsync.sync.documents.triggers import trigger_slot
from dualsync.sync.legs.leg import Leg
from dualsync.sync.plan.agreement import agreed_column, never_agreed
from dualsync.sync.plan.columns import ColumnPair, LegColumns
from dualsync.sync.plan.equality import same
from dualsync.sync.plan.vocabulary import Prefix, deciding, parent_key, sent, standing, wanted
from dualsync.sync.reconcile.policy import BOOL, FACTS

LONGEST = 5_000
"""No statement has more characters."""

_FEW = 20_000
"""Up to so many wanted rows, the joined rows are held."""

_ALWAYS = ("based", "same", "wanted_empty", "source_moved", "target_moved", "standing_empty")
_RARE = ("parent_named", "never_agreed", "source_wins", "may_send", "due")
_STANDING_DECIDES = "hc:"
"""What stands before the receiver's columns that decide who wins, in ``joined``; the sender's have ``c:``."""

VALUES = f"COLUMNS('^({'|'.join(p.value[0] for p in (Prefix.WANTED, Prefix.SENT, Prefix.PARENT, Prefix.STANDING))}):')"
"""SQL of the columns of a plan that hold values."""


class Facts:
    """The facts of one leg, over the tables ``want``, ``have`` and ``base``.

    Args:
        leg: The leg.
        columns: Its columns.
    """

    def __init__(self, leg: Leg, columns: LegColumns) -> None:
        self._leg = leg
        self._columns = columns
        self._trigger = trigger_slot(leg.map, columns)
        self.pairs = [pair for pair in columns.pairs if not pair.key and not _only_created(pair)]

    def prepare(self, sets: Sets) -> None:
        """Make the views that all facts are asked of: keys are counted, rows of both sides and of the base joined."""
        count = (
            "CREATE OR REPLACE TEMP TABLE {rows}_keys AS SELECT join_key, count(*) AS n FROM {rows} WHERE {where} "
            "GROUP BY join_key"
        )
        sets.run(count.format(rows="want", where="state = 'in' AND join_key IS NOT NULL"))
        sets.run(count.format(rows="have", where="join_key IS NOT NULL"))
        several = sets.scalar("SELECT max(n) > 1 FROM have_keys")
        once = " QUALIFY row_number() OVER (PARTITION BY join_key) = 1" if several else ""
        sets.run(
            "CREATE OR REPLACE TEMP VIEW have_once AS SELECT join_key, id AS have_id, version AS target_version, "
            f"COLUMNS('^[hc]:') FROM have{once}"
        )
        sets.run(
            "CREATE OR REPLACE TEMP TABLE known AS SELECT id, any_value(join_key) AS known_as, any_value(key) AS "
            "known_key FROM base WHERE id IN (SELECT id FROM want) GROUP BY id"
        )
        # Joined once where that is little; where it is much, each question joins what it needs anew.
        few = int(sets.scalar("SELECT count(*) FROM want") or 0) <= _FEW
        sets.run(f"CREATE OR REPLACE TEMP {'TABLE' if few else 'VIEW'} joined AS {self.joined()}")

    def joined(self) -> str:
        """The query of the wanted rows, each beside the row that stands at the receiver and the row of the base."""
        trigger, told = self._trigger_join()
        names = self._columns.condition_columns(self._columns.target)
        renamed = ", ".join(f"{quoted(deciding(name))} AS {quoted(_STANDING_DECIDES + name)}" for name in names)
        return (
            "SELECT w.* EXCLUDE (id, key, version), "
            "CASE WHEN w.join_key IS NULL THEN COALESCE(k.known_key, w.key) ELSE w.key END AS key, "
            "COALESCE(w.id, h.have_id, b.id) AS id, w.version AS source_version, "
            "b.join_key IS NOT NULL AS based, h.join_key IS NOT NULL AS present, wk.n AS want_n, hk.n AS have_n, "
            f"k.known_as, {told}, h.* EXCLUDE (join_key, have_id)"
            f"{f' RENAME ({renamed})' if renamed else ''}, "
            "b.* EXCLUDE (join_key, key, id, dataverse_version, finance_version) "
            f"FROM want w{trigger} LEFT JOIN have_once h ON h.join_key = w.join_key "
            "LEFT JOIN base b ON b.join_key = w.join_key LEFT JOIN known k ON k.id = w.id "
            "LEFT JOIN want_keys wk ON wk.join_key = w.join_key LEFT JOIN have_keys hk ON hk.join_key = w.join_key"
        )

    def _trigger_join(self) -> tuple[str, str]:
        """What the ledger and the trigger's own base say of a row: a join, and the columns it gives."""
        if self._trigger is None:
            return "", "FALSE AS due"
        if self._leg.map.sends_trigger:
            return " LEFT JOIN due u ON u.due_key = w.join_key", "u.due_key IS NOT NULL AS due"
        before = quoted(_triggered(self._trigger))
        value = agreed_column(self._columns.target, self._trigger.target, "t")
        join = f" LEFT JOIN (SELECT join_key, {value} AS {before} FROM trigger_base t) u ON u.join_key = w.join_key"
        return join, f"FALSE AS due, u.{before}"

    @cached_property
    def groups(self) -> list[list[int]]:
        """The numbers of the column pairs that are asked together, so that no statement is too long."""
        groups: list[list[int]] = []
        size = LONGEST
        for number, pair in enumerate(self.pairs):
            length = len(self._facts(pair)) + 2 * len(pair.target) + 60
            if size + length > LONGEST - 300:
                groups.append([])
                size = 0
            groups[-1].append(number)
            size += length
        return groups

    def statement(self, numbers: Sequence[int]) -> str:
        """The query of the facts of some column pairs, of rows in which not all of them are plainly unchanged."""
        pairs = [self.pairs[number] for number in numbers]
        facts = ", ".join(self._facts(pair) for pair in pairs)
        differ = " OR ".join(self._differ(pair) for pair in pairs)
        return f"SELECT * FROM (SELECT pos, based, due, {facts} FROM joined b WHERE present) WHERE {differ}"

    def cells(self, sets: Sets) -> Iterator[pd.DataFrame]:
        """The cells that are not plainly unchanged, with their facts: columns ``pos``, ``pair`` and ``FACTS``."""
        if not sets.scalar("SELECT bool_or(present) FROM joined"):
            return
        for numbers in self.groups:
            rows = to_pandas(sets.fetch(self.statement(numbers)))
            pieces = [self._cells_of(rows, number) for number in numbers] if len(rows) else []
            if pieces:
                yield pd.concat(pieces, ignore_index=True)

    def _cells_of(self, rows: pd.DataFrame, number: int) -> pd.DataFrame:
        target = self.pairs[number].target
        named = {fact: f"{fact} {target}" for fact in (*_ALWAYS[1:], *_RARE)}
        mine = {fact: rows[name] for fact, name in named.items() if name in rows}
        unchanged = mine["same"] if "parent_named" not in mine else mine["same"] & ~mine["parent_named"]
        cells = pd.DataFrame({"pos": rows["pos"], "based": rows["based"], "due": rows["due"], **mine})
        cells = cells[~unchanged.to_numpy(dtype=bool)]
        absent = {
            fact: pd.array(pa.array(np.zeros(len(cells), dtype=bool)), dtype=BOOL)
            for fact in FACTS
            if fact not in cells
        }
        return cells.assign(pair=number, **absent)[["pos", "pair", *FACTS]]

    def _differ(self, pair: ColumnPair) -> str:
        unchanged = quoted(f"same {pair.target}")
        if pair in self._columns.self_pairs:
            return f"NOT {unchanged} OR {quoted(f'parent_named {pair.target}')}"
        return f"NOT {unchanged}"

    def _facts(self, pair: ColumnPair) -> str:
        """SQL of the facts of one column pair, each named by fact and receiving column."""
        facts = self._trigger_facts(pair) if pair is self._trigger else self._ordinary_facts(pair)
        return ", ".join(f"{sql} AS {quoted(f'{fact} {pair.target}')}" for fact, sql in facts.items())

    def _ordinary_facts(self, pair: ColumnPair) -> dict[str, str]:
        wants, stands = quoted(wanted(pair.target)), quoted(standing(pair.target))
        source = self._columns.source
        facts = self._value_facts(pair, wants, stands)
        moved = [f"{quoted(sent(name))} IS DISTINCT FROM {agreed_column(source, name)}" for name in pair.sources]
        facts["source_moved"] = f"(based AND ({' OR '.join(moved) or 'FALSE'}))"
        facts["target_moved"] = f"(based AND NOT {self._same(pair, stands, self._agreed_target(pair))})"
        if pair.sources:
            facts["never_agreed"] = never_agreed(source, pair.sources)
        if pair in self._columns.self_pairs:
            facts["parent_named"] = f"{quoted(parent_key(pair.target))} IS NOT NULL"
        if isinstance(pair.entry.wins, ConditionalWins):
            facts["source_wins"] = self._wins(pair.entry.wins)
        return facts

    def _trigger_facts(self, pair: ColumnPair) -> dict[str, str]:
        """The facts of the column that triggers.

        The header's own leg carries rest alone, where the sender rests; the leg that sends the trigger carries
        everything else. Where the ledger says that the document is incomplete, what stands there is our own rest,
        whatever the base knows.
        """
        wants, stands, now = quoted(wanted(pair.target)), quoted(standing(pair.target)), quoted(sent(pair.sources[0]))
        facts = self._value_facts(pair, wants, stands)
        moved = f"(based AND NOT {self._same(pair, stands, self._agreed_target(pair))}"
        if self._leg.map.sends_trigger:
            ours, moved = "NOT rests", f"{moved} AND NOT due)"
        else:
            ours, moved = "rests", f"{moved} AND NOT {self._same(pair, stands, quoted(_triggered(pair)))})"
        facts["source_moved"] = f"({now} IS DISTINCT FROM {agreed_column(self._columns.source, pair.sources[0])})"
        facts["target_moved"] = moved
        facts["may_send"] = f"(COALESCE({ours}, FALSE) AND {now} IS NOT NULL)"
        return facts

    def _value_facts(self, pair: ColumnPair, wants: str, stands: str) -> dict[str, str]:
        return {
            "same": self._same(pair, wants, stands),
            "wanted_empty": f"{wants} IS NULL",
            "standing_empty": self._same(pair, stands, "NULL"),
        }

    def _agreed_target(self, pair: ColumnPair) -> str:
        return agreed_column(self._columns.target, pair.target)

    def _same(self, pair: ColumnPair, one: str, other: str) -> str:
        return same(self._columns, pair, one, other)

    def _wins(self, wins: ConditionalWins) -> str:
        """SQL of whether the sender's value wins in a row."""
        side = "finance" if wins.finance is not None else "dataverse"
        prefix = Prefix.DECIDING.value if side == self._columns.source else _STANDING_DECIDES
        condition = Expression.parse(str(wins.finance if side == "finance" else wins.dataverse)).to_sql(begin=prefix)
        holds, fails = side == self._columns.source, wins.otherwise == self._columns.source
        return f"(CASE WHEN COALESCE(({condition}), FALSE) THEN {_bool(holds)} ELSE {_bool(fails)} END)"


def _only_created(pair: ColumnPair) -> bool:
    """Whether a pair is a constant that is sent with new rows alone."""
    return isinstance(pair.entry, Field) and pair.entry.constant is not None and pair.entry.on == "create"


def _triggered(pair: ColumnPair) -> str:
    """The column of ``joined`` with the value of the trigger that was sent last."""
    return f"t:{pair.target}"


def _bool(value: bool) -> str:
    return "TRUE" if value else "FALSE"
