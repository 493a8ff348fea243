"""Asks the rules of a map that no row can answer by itself, over sets of both systems and the leg's own plan and base.

A reference is read into a file of the leg, only as far as the rows to be written name it, and DuckDB does the rest. A
rule whose reference the systems do not offer is *not tested*, which is not the same as fulfilled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from dualsync.errors import Refused, SchemaMismatch, Signal
from dualsync.frames import ParquetSink, Sets
from dualsync.mapping import Column, Expression, Reference, Rule
from dualsync.sql import literal, quoted
from dualsync.sync.legs.context import LegContext
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.values import ValueProblem, arrow_type, parse
from dualsync.sync.plan.vocabulary import BY_KEY, GLOBAL, SIDE_NAMES, UPSERTED, Action, agreed, sql_list, wanted
from dualsync.systems import Systems

_TEXTS = ("text", "enum", "guid", "lookup")


class NotTested(Signal):
    """A rule cannot be tested; the message says why."""


def why_not(rule: Rule, systems: Systems) -> str:
    """Why a set rule will not run on the live systems; empty where it will.

    Args:
        rule: A rule that looks into a set.
        systems: The two systems.
    """
    reference = rule.reference
    assert reference is not None
    to = (rule.opposite.to,) if rule.opposite else ()
    company = (reference.company,) if reference.company else ()
    try:
        for name in (*reference.columns, *to, *company):
            if reference.side == "dataverse":
                systems.dataverse.metadata(reference.set).attribute(name)
            else:
                systems.finance.metadata(reference.set).column(name)
    except SchemaMismatch as error:
        return str(error)
    return ""


class SetRules:
    """The set rules of a transfer.

    Args:
        context: The transfer, reconciled.
        sets: Where ``plan`` is a view of its plan.
    """

    def __init__(self, context: LegContext, sets: Sets) -> None:
        self._context = context
        self._columns = context.columns
        self._sets = sets

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those of the written side."""
        return tuple(r for r in self._context.map.rules if r.reference is not None and r.side == self._columns.target)

    def broken(self, rule: Rule) -> list[int]:
        """Positions in the plan of the rows that break a rule.

        Raises:
            NotTested: The written side lacks a column of the rule, or the rule's reference cannot be read.
            Transient: A system did not answer; try again.
        """
        reference = rule.reference
        assert reference is not None
        missing = [name for name in rule.columns if name not in self._columns.target_columns]
        if missing:
            raise NotTested(f"{SIDE_NAMES[self._columns.target]} has no column {', '.join(missing)}")
        self._ask(rule)
        if not self._sets.scalar("SELECT count(*) FROM asked"):
            return []
        try:
            self._read(rule, reference)
        except (SchemaMismatch, Refused) as error:
            raise NotTested(str(error)) from error
        breaking = self._sets.fetch(self._opposite_sql(rule) if rule.opposite else self._among_sql(rule, reference))
        positions: list[int] = breaking.column(0).to_pylist()
        return positions

    def _ask(self, rule: Rule) -> None:
        """Make ``asked``: the rows a rule is asked of, with its columns as they will be written."""
        columns = ", ".join(f"{quoted(wanted(name))} AS {quoted(name)}" for name in rule.columns)
        if rule.on == "create":
            asked = [f"action = {literal(Action.CREATE)}"]
        else:
            # an update names only what changes
            asked = [f"action IN {sql_list(UPSERTED)}"]
            for name in rule.columns:
                asked.append(f"(action = {literal(Action.CREATE)} OR list_contains(columns, {literal(name)}))")
                asked.append(f"{quoted(wanted(name))} IS NOT NULL")
        self._sets.run(
            f"CREATE OR REPLACE TEMP TABLE asked AS SELECT * FROM (SELECT pos, {columns} FROM plan "
            f"WHERE {' AND '.join(asked)}) WHERE {Expression.parse(rule.when).to_sql()}"
        )

    def _among_sql(self, rule: Rule, reference: Reference) -> str:
        meets = [self._same(f"r.{quoted(theirs)}", f"a.{quoted(ours)}", ours) for ours, theirs in reference.on.items()]
        meets += [
            f"a.{quoted(day)} BETWEEN r.{quoted(first)} AND r.{quoted(last)}"
            for day, (first, last) in reference.between.items()
        ]
        word = "" if rule.not_among else "NOT "
        return f"SELECT pos FROM asked a WHERE {word}EXISTS (SELECT 1 FROM reference r WHERE {' AND '.join(meets)})"

    def _opposite_sql(self, rule: Rule) -> str:
        """The other row is looked for in the plan, which is newer, and then in the base; without it, no answer."""
        assert rule.opposite is not None
        ((key, theirs),) = rule.opposite.through.on.items()
        names = (key, *rule.opposite.numbers)
        side = self._columns.target
        open_base(self._sets, self._columns, self._context.base)
        in_plan = ", ".join(f"{quoted(wanted(name))} AS {quoted(name)}" for name in names)
        in_base = ", ".join(f"{quoted(agreed(side, name))} AS {quoted(name)}" for name in names)
        differs = " OR ".join(f"a.{quoted(name)} <> -o.{quoted(name)}" for name in rule.opposite.numbers)
        to_reference = self._same(f"r.{quoted(theirs)}", f"a.{quoted(key)}", key)
        to_other = self._same(f"o.{quoted(key)}", f"r.{quoted(rule.opposite.to)}", key)
        return (
            f"WITH others AS (SELECT {in_plan} FROM plan UNION ALL SELECT {in_base} FROM base "
            "WHERE join_key NOT IN (SELECT join_key FROM plan WHERE join_key IS NOT NULL)) "
            f"SELECT DISTINCT a.pos FROM asked a JOIN reference r ON {to_reference} JOIN others o ON {to_other} "
            f"WHERE {differs} ORDER BY a.pos"
        )

    def _same(self, left: str, right: str, written: str) -> str:
        """The condition that two values are the same; text compares without regard to case, as in both systems."""
        if self._column(written).kind in _TEXTS:
            return f"lower({left}) = lower({right})"
        return f"{left} = {right}"

    def _column(self, written: str) -> Column:
        return self._columns.column(self._columns.target, written)

    # -- the reference

    def _read(self, rule: Rule, reference: Reference) -> None:
        """Read the reference into a file of the leg and make it the view ``reference``."""
        kinds = {theirs: self._column(ours) for ours, theirs in reference.on.items()}
        for ours, pair in reference.between.items():
            kinds |= dict.fromkeys(pair, self._column(ours))
        if rule.opposite is not None:
            (key,) = rule.opposite.through.on
            kinds[rule.opposite.to] = self._column(key)
        filter = Expression.parse(reference.filter)
        schema = pa.schema([pa.field(name, arrow_type(column)) for name, column in kinds.items()])
        path = self._context.folder.file(f"reference.{rule.name}.parquet")
        select = list(dict.fromkeys((*kinds, *filter.columns)))
        with ParquetSink(path, schema) as sink:
            for page in self._pages(reference, select):
                rows = (row for row in page if filter.matches(row))
                sink.write_rows([_typed(row, kinds, reference) for row in rows])
        self._sets.view("reference", path)

    def _pages(self, reference: Reference, select: Sequence[str]) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Rows of the reference: those the asked rows name, or all of the company where these are many."""
        systems, own = self._context.runtime.systems, self._context.company
        company = reference.company if own != GLOBAL else None
        keys = self._keys(reference)
        if reference.side == "dataverse":
            name = systems.dataverse.metadata(reference.set).set_name
            if keys is not None:
                yield systems.dataverse.read_keys(name, keys, select=select)
            else:
                yield from systems.dataverse.read(name, select=select)
        elif keys is not None:
            area: dict[str, Any] = {} if company is None else {company: own}
            yield systems.finance.read_keys(reference.set, [area | key for key in keys], select=select)
        else:
            words = {} if company is None else {"company": own, "company_column": company}
            yield from systems.finance.read(reference.set, select=select, **words)

    def _keys(self, reference: Reference) -> list[dict[str, Any]] | None:
        """What to ask the reference for, None where it is read as a whole."""
        if not reference.on:
            return None
        ours = ", ".join(quoted(name) for name in reference.on)
        rows = self._sets.fetch(f"SELECT DISTINCT {ours} FROM asked LIMIT {BY_KEY + 1}").to_pylist()
        if len(rows) > BY_KEY:
            return None
        return [{theirs: row[name] for name, theirs in reference.on.items()} for row in rows]


def _typed(row: Mapping[str, Any], kinds: Mapping[str, Column], reference: Reference) -> dict[str, Any]:
    """A row of a reference in the types of the written columns; what is of another type meets nothing."""
    typed: dict[str, Any] = {}
    for name, column in kinds.items():
        try:
            typed[name] = parse(row.get(name), column, reference.side)
        except ValueProblem:
            typed[name] = None
    return typed
