"""The comparison at the heart of a leg: wanted rows against those that stand there and against the base, as SQL.

For every column pair it says whether this leg carries it, whether the side that does not own it changed it, and whether
it is the other direction's business; from that follows the action of the row (design promises 2 and 4).
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from dualsync.frames import Sets, literal, quoted
from dualsync.mapping import ConditionalWins, Expression, Field
from dualsync.sync.documents.triggers import GONE, trigger_slot
from dualsync.sync.legs.runtime import Leg
from dualsync.sync.plan.columns import ColumnPair, LegColumns
from dualsync.sync.plan.equality import same

SIDE_NAMES = {"dataverse": "Dataverse", "finance": "Finance"}


class Case(NamedTuple):
    """One way a row can end: an SQL condition, the action, and SQL for rule and reason."""

    when: str
    action: str
    rule: str
    reason: str


class Comparison:
    """The comparison of one leg, as SQL over the tables ``want``, ``have`` and ``base``."""

    def __init__(self, leg: Leg, leg_columns: LegColumns, cutover: date | None = None) -> None:
        self._leg = leg
        self._cutover = cutover
        self._leg_columns = leg_columns
        self._source_letter, self._target_letter = ("d", "f") if leg_columns.source == "dataverse" else ("f", "d")
        self._adopts = leg.map.initial.master == leg_columns.source
        self._trigger = trigger_slot(leg.map, leg_columns)
        self._facts: list[str] = []

    def flags(self, sets: Sets) -> None:
        """Make the table ``compared``: each row of ``want`` with its match, base, and what each pair says."""
        carry, foreign, pending, overwritten = [], [], [], []
        for pair in self._leg_columns.pairs:
            if pair.key or (
                isinstance(pair.entry, Field) and pair.entry.constant is not None and pair.entry.on == "create"
            ):
                continue
            c, f, p, o = self._unit(pair)
            name = literal(pair.target)
            carry.append(f"CASE WHEN {c} THEN {name} END")
            foreign.append(f"CASE WHEN {f} THEN {name} END")
            pending.append(f"CASE WHEN {p} THEN {name} END")
            overwritten.append(f"CASE WHEN {c} AND {o} THEN {name} END")
        sets.run(
            "CREATE TEMP TABLE want_keys AS SELECT join_key, count(*) AS n FROM want WHERE state = 'in' AND "
            "join_key IS NOT NULL GROUP BY join_key"
        )
        sets.run(
            "CREATE TEMP TABLE have_keys AS SELECT join_key, count(*) AS n FROM have WHERE join_key IS NOT NULL "
            "GROUP BY join_key"
        )
        wanted = ", ".join(
            f"w.{quoted(prefix + name)}"
            for prefix, names in (("w:", self._leg_columns.target_columns), ("s:", self._leg_columns.source_columns))
            for name in names
        )
        parents = "".join(f", w.{quoted('p:' + p.target)}" for p in self._self_pairs())
        held = ", ".join(f"h.{quoted('h:' + name)}" for name in self._leg_columns.target_columns)
        facts = "".join(f", {fact} AS {_fact_name(place)}" for place, fact in enumerate(self._facts))
        excluded = ", ".join(_fact_name(place) for place in range(len(self._facts)))
        sets.run(
            f"CREATE TEMP TABLE compared AS SELECT * {f'EXCLUDE ({excluded})' if excluded else ''}, "
            f"{_names(carry)} AS carry, {_names(foreign)} AS foreign_changes, {_names(pending)} AS pending, "
            f"{_names(overwritten)} AS overwritten, NULL::VARCHAR AS lines_missing FROM ("
            "SELECT w.pos, w.wave, w.state, w.stop, w.rule, w.reason, "
            "CASE WHEN w.join_key IS NULL THEN COALESCE(i.key, w.key) ELSE w.key END AS key, w.join_key, w.dated, "
            "COALESCE(w.id, h.id, b.id) AS id, w.version AS source_version, h.version AS target_version, "
            "b.join_key IS NOT NULL AS based, h.join_key IS NOT NULL AS held, "
            f"wk.n AS want_n, hk.n AS have_n, i.join_key AS known_as, {wanted}{parents}, {held}{facts} "
            f"FROM want w {self._trigger_join()}"
            "LEFT JOIN (SELECT * FROM have QUALIFY row_number() OVER (PARTITION BY join_key) = 1) h ON "
            "h.join_key = w.join_key "
            "LEFT JOIN base b ON b.join_key = w.join_key "
            "LEFT JOIN base i ON i.id = w.id "
            "LEFT JOIN want_keys wk ON wk.join_key = w.join_key LEFT JOIN have_keys hk ON hk.join_key = w.join_key)"
        )

    def _fact(self, condition: str) -> str:
        """Say a condition over the joined rows once, and return the name under which all that follows asks for it.

        Of each column pair so much follows from so little that the statement would otherwise be several times as long,
        and a short leg takes no time but for planning it.
        """
        self._facts.append(condition)
        return _fact_name(len(self._facts) - 1)

    def _trigger_join(self) -> str:
        """What the comparison of a trigger asks beside the two sides and the base; see ``triggers.prepare``."""
        if self._trigger is None:
            return ""
        if self._leg.map.sends_trigger:
            return "LEFT JOIN due u ON u.due_key = w.join_key "
        return "LEFT JOIN trigger_base u ON u.join_key = w.join_key "

    def _self_pairs(self) -> list[ColumnPair]:
        return [pair for pair in self._leg_columns.pairs if pair.entry in self._leg.map.self_lookups]

    def _unit(self, pair: ColumnPair) -> tuple[str, str, str, str]:
        """SQL conditions: carried; changed by the side that does not own it; the other leg's; overwrites a change.

        They are over facts, and over what is in ``compared`` already.
        """
        want, have = f"w.{quoted('w:' + pair.target)}", f"h.{quoted('h:' + pair.target)}"
        known = f"b.{quoted(f'{self._target_letter}:{pair.target}')}"
        same = self._same(pair, want, have)
        based, held = "b.join_key IS NOT NULL", "h.join_key IS NOT NULL"
        if pair is self._trigger:
            return self._of_trigger(pair, same, based, held)
        if isinstance(pair.entry, Field) and pair.entry.constant is not None:
            return self._fact(f"({held} AND NOT {same})"), "FALSE", "FALSE", "FALSE"
        sources = [(f"w.{quoted('s:' + n)}", f"b.{quoted(f'{self._source_letter}:{n}')}") for n in pair.sources]
        never = " AND ".join(f"{base} IS NULL" for _, base in sources)
        deferred = f" AND w.{quoted('p:' + pair.target)} IS NULL" if pair in self._self_pairs() else ""
        silent = (
            f"({want} IS NULL{deferred}"
            + ("" if pair.entry.null == "keep" else f" AND (b.join_key IS NULL OR ({never}))")
            + ")"
        )
        later = f" OR ({want} IS NULL AND w.{quoted('p:' + pair.target)} IS NOT NULL)" if deferred else ""
        differs = self._fact(f"({held} AND NOT {silent} AND (NOT {same}{later}))")
        moved = " OR ".join(f"{now} IS DISTINCT FROM {base}" for now, base in sources)
        source_changed = self._fact(f"({based} AND ({moved}))")
        target_changed = self._fact(f"({based} AND NOT {self._same(pair, have, known)})")
        adopted = "TRUE" if self._adopts else "FALSE"
        if not pair.both_ways and self._leg.run.resend:
            return differs, "FALSE", "FALSE", target_changed
        if not pair.both_ways:
            carry = f"({differs} AND CASE WHEN based THEN {source_changed} ELSE {adopted} END)"
            foreign = (
                f"({differs} AND CASE WHEN based THEN NOT {source_changed} AND {target_changed} ELSE NOT {adopted} END)"
            )
            return carry, foreign, "FALSE", target_changed
        wins = self._wins(pair)
        foreign = "FALSE"
        if isinstance(pair.entry.wins, ConditionalWins):
            # The condition says whose column it is in this row, so the other side's change does not travel either.
            again = "TRUE" if self._leg.run.resend else f"(NOT based OR {source_changed})"
            carry = f"({differs} AND {wins} AND {again})"
            foreign = f"({differs} AND {wins} AND NOT {again} AND NOT {source_changed} AND {target_changed})"
        elif self._leg.run.resend:
            first = wins if "wins" in pair.entry.model_fields_set else adopted
            agreed = f"(NOT {source_changed} AND NOT {target_changed})"
            ours = f"({wins} AND ({source_changed} OR {agreed})) OR ({source_changed} AND NOT {target_changed})"
            carry = f"({differs} AND CASE WHEN based THEN {ours} ELSE {first} END)"
        else:
            first = wins if "wins" in pair.entry.model_fields_set else adopted
            carry = (
                f"({differs} AND CASE WHEN based THEN {source_changed} AND (NOT {target_changed} OR {wins}) ELSE "
                f"{first} END)"
            )
        pending = f"({differs} AND NOT {carry} AND NOT {foreign})"
        if not self._adopts:
            # A row that the master's own leg has not brought in line yet: an empty value here is no agreement.
            pending = f"({pending} OR {self._fact(f'({held} AND NOT {based} AND {silent} AND NOT {same})')})"
        return carry, foreign, pending, target_changed

    def _of_trigger(self, pair: ColumnPair, same: str, based: str, held: str) -> tuple[str, str, str, str]:
        """As :meth:`_unit`, of the column that triggers.

        The header's own leg carries rest alone, where the sender rests; the leg that sends the trigger everything else,
        where the ledger calls the pair incomplete, whatever the base knows: what stands there then is our own rest.
        """
        have = f"h.{quoted('h:' + pair.target)}"
        now, before = f"w.{quoted('s:' + pair.sources[0])}", f"b.{quoted(f'{self._source_letter}:{pair.sources[0]}')}"
        known = f"{self._target_letter}:{pair.target}"
        adopted = "TRUE" if self._adopts else "FALSE"
        source_changed = self._fact(f"({now} IS DISTINCT FROM {before})")
        target_changed = f"({based} AND NOT {self._same(pair, have, f'b.{quoted(known)}')})"
        if self._leg.map.sends_trigger:
            ours, due = "NOT w.rests", f" OR {self._fact('u.due_key IS NOT NULL')}"
            target_changed = f"({target_changed} AND u.due_key IS NULL)"
        else:
            ours, due = "w.rests", ""
            target_changed = f"({target_changed} AND NOT {self._same(pair, have, f'u.{quoted(known)}')})"
        target_changed = self._fact(target_changed)
        differs = self._fact(f"({held} AND NOT {same})")
        mine = f"({differs} AND {self._fact(f'(COALESCE({ours}, FALSE) AND {now} IS NOT NULL)')})"
        carry = f"({mine} AND (CASE WHEN based THEN {source_changed} ELSE {adopted} END{due}))"
        foreign = f"({mine} AND NOT {carry} AND ({target_changed} OR NOT based))"
        return carry, foreign, f"({differs} AND NOT {carry} AND NOT {foreign})", target_changed

    def _wins(self, pair: ColumnPair) -> str:
        wins = pair.entry.wins
        if not isinstance(wins, ConditionalWins):
            return "TRUE" if wins == self._leg_columns.source else "FALSE"
        side = "finance" if wins.finance is not None else "dataverse"
        expression = Expression.parse(str(wins.finance if side == "finance" else wins.dataverse))
        prefix = "w.c:" if side == self._leg_columns.source else "h.c:"
        condition = expression.to_sql()
        for name in expression.columns:
            condition = condition.replace(quoted(name), _prefixed(prefix, name))
        holds = f"COALESCE(({condition}), FALSE)"
        when, otherwise = (side == self._leg_columns.source), (wins.otherwise == self._leg_columns.source)
        return self._fact(f"(CASE WHEN {holds} THEN {_bool(when)} ELSE {_bool(otherwise)} END)")

    def overwrites_sql(self) -> str:
        """The condition that an update of the plan writes over a value that stands there.

        Filling what is empty does not count, nor do pairs whose owner changes in the life of a row: that their value
        changes once is what they are for.
        """
        overwritten = [
            f"(list_contains(columns, {literal(pair.target)}) AND NOT "
            f"{self._same(pair, quoted(f'h:{pair.target}'), 'NULL')})"
            for pair in self._leg_columns.pairs
            if not isinstance(pair.entry.wins, ConditionalWins)
        ]
        return f"({' OR '.join(overwritten) or 'FALSE'})"

    def _same(self, pair: ColumnPair, one: str, other: str) -> str:
        return same(self._leg_columns, pair, one, other)

    def plan_sql(self, *, strangers: bool) -> str:
        """The query of the plan.

        Args:
            strangers: Whether rows that only the written side has are reported.
        """
        leg, leg_columns = self._leg, self._leg_columns
        target = SIDE_NAMES[leg_columns.target]
        cases = self._cases()
        action = " ".join(f"WHEN {case.when} THEN {literal(case.action)}" for case in cases)
        rule = " ".join(f"WHEN {case.when} THEN {case.rule}" for case in cases)
        reason = " ".join(f"WHEN {case.when} THEN {case.reason}" for case in cases)
        values = ", ".join(
            [quoted("w:" + n) for n in leg_columns.target_columns]
            + [quoted("s:" + n) for n in leg_columns.source_columns]
            + [quoted("p:" + p.target) for p in self._self_pairs()]
            + [quoted("h:" + n) for n in leg_columns.target_columns]
        )
        deletes = delete_states(leg)
        plan = (
            f"SELECT pos, wave, CASE WHEN stop IS NOT NULL THEN stop {action} END AS action, "
            f"CASE WHEN stop IS NOT NULL THEN rule {rule} END AS rule, "
            f"CASE WHEN stop IS NOT NULL THEN reason {reason} END AS reason, key, "
            "COALESCE(join_key, 'id:' || id, 'row:' || pos) AS join_key, id, source_version, target_version, based, "
            f"carry AS columns, list_concat(foreign_changes, pending) AS keep, {values} "
            f"FROM compared WHERE state NOT IN ({deletes})"
        )
        if strangers:
            name = literal(stranger_rule(leg))
            text = literal(
                f"exists only in {target}; rows of this map are created in {_owner(leg.map.rows.created_by)}, so it is "
                "neither copied nor deleted"
            )
            plan = (
                f"{plan} UNION ALL BY NAME SELECT 1000000000 + row_number() OVER () AS pos, 0 AS wave, 'conflict' "
                f"AS action, {name} AS rule, "
                f"{text} AS reason, key, join_key, id, version AS target_version, FALSE AS based, "
                "[]::VARCHAR[] AS columns, []::VARCHAR[] AS keep FROM have "
                "WHERE matches AND join_key IS NOT NULL AND join_key NOT IN (SELECT join_key FROM want WHERE "
                "join_key IS NOT NULL) "
                "AND join_key NOT IN (SELECT join_key FROM base)"
            )
        return f"SELECT * FROM ({plan}) ORDER BY wave, pos"

    def _cases(self) -> list[Case]:
        """How a row can end, in the order of their weight."""
        leg, leg_columns = self._leg, self._leg_columns
        rows, source, target = leg.map.rows, SIDE_NAMES[leg_columns.source], SIDE_NAMES[leg_columns.target]
        if leg.map.sends_trigger:
            return self._trigger_cases()
        target_deletes = rows.deleted_by == leg_columns.target
        restore = "" if target_deletes else f", which does not own it; restore it there or delete it in {source}"
        deleted = self._case(
            "NOT held AND based",
            "skipped" if target_deletes else "conflict",
            "deleted",
            f"was deleted in {target}{restore}",
        )
        return [
            self._case(
                "state = 'no_company'", "skipped", "company", "names no company, so no company's books can take it"
            ),
            self._case("state = 'gone'", "skipped", "gone", f"no longer exists in {source}"),
            self._case(
                "state = 'moved'",
                "conflict",
                "company",
                "its company was changed, although it is known in this one; change it back, or delete and create "
                "it anew",
            ),
            self._case(
                "state = 'left'",
                "conflict" if rows.leaves == "flag" else "skipped",
                "left",
                f"no longer matches the filter of the map; it stays in {target} as it is",
            ),
            self._case(
                "state = 'deleted'",
                "conflict",
                "deleted",
                f"is no longer among the rows of the map in {source}; {target} keeps it, since this map deletes "
                "nothing",
            ),
            self._case(
                "want_n > 1", "conflict", "duplicate", f"{source} holds several rows with this key; keep one of them"
            ),
            self._case(
                "have_n > 1", "conflict", "duplicate", f"{target} holds several rows with this key; keep one of them"
            ),
            self._case(
                "known_as IS NOT NULL AND known_as <> join_key",
                "conflict",
                "key_changed",
                "key changed: the same record was known under another key; change it back, or delete and create "
                "it anew",
            ),
            *(() if self._restores(target_deletes=target_deletes) else (deleted,)),
            *self._history(),
            self._not_held(),
            self._update(),
            self._foreign(),
            Case("TRUE", "unchanged", "NULL", "NULL"),
        ]

    def _restores(self, *, target_deletes: bool) -> bool:
        """Whether a row that stood on both sides and is gone from the receiver is made there again."""
        return self._leg.run.resend and not target_deletes and self._creates

    @property
    def _creates(self) -> bool:
        """Whether the sending side may make rows in the other."""
        return self._leg.map.rows.created_by in (self._leg_columns.source, "both")

    def _trigger_cases(self) -> list[Case]:
        """How a row can end in the leg that sends the trigger; what is wrong with a header, its own leg tells."""
        target = SIDE_NAMES[self._leg_columns.target]
        double = "want_n > 1 OR have_n > 1 OR (known_as IS NOT NULL AND known_as <> join_key)"
        return [
            self._case("state <> 'in'", "skipped", GONE, "its header is no longer a row of the map"),
            self._case(double, "skipped", "header", "its header is in conflict"),
            *self._history(),
            self._case("NOT held", "waiting", "header", f"waits for its header, which is not in {target}"),
            Case(
                "len(carry) > 0 AND lines_missing IS NOT NULL",
                "waiting",
                literal(f"{self._leg.map.map}.lines"),
                "lines_missing",
            ),
            self._update(),
            self._foreign(),
            Case("TRUE", "unchanged", "NULL", "NULL"),
        ]

    def _case(self, when: str, action: str, rule: str, text: str) -> Case:
        return Case(when, action, literal(f"{self._leg.map.map}.{rule}"), literal(text))

    def _history(self) -> list[Case]:
        """Rows that the other side does not have and that may be history, which must not be posted twice."""
        initial, company = self._leg.map.initial, self._leg.company
        if initial.creates != "from_cutover" or self._leg.map.rows.created_by != self._leg_columns.source:
            return []
        if self._cutover is None:
            return [
                self._case(
                    "NOT held",
                    "waiting",
                    "cutover",
                    f"is created once the cut-over date of {company} is known (setting cutover.{company}), so that "
                    "history is not posted twice",
                )
            ]
        day = self._cutover.isoformat()
        text = f"is older than the cut-over of {company} on {day}, so it is taken for history and not created"
        return [self._case(f"NOT held AND dated < DATE {literal(day)}", "skipped", "cutover", text)]

    def _not_held(self) -> Case:
        source, target = SIDE_NAMES[self._leg_columns.source], SIDE_NAMES[self._leg_columns.target]
        if self._creates:
            return Case("NOT held", "create", "NULL", "NULL")
        text = f"exists only in {source}; rows of this map are created in {target}, so it is not copied"
        return self._case("NOT held", "conflict", "owner", text)

    def _update(self) -> Case:
        target = SIDE_NAMES[self._leg_columns.target]
        overwrites = literal(f"overwrites a change made in {target}: ")
        also = literal(f"also changed in {target}, which does not own it: ")
        rule = literal(f"{self._leg.map.map}.owner")
        return Case(
            "len(carry) > 0",
            "update",
            f"CASE WHEN len(overwritten) + len(foreign_changes) > 0 THEN {rule} END",
            f"CASE WHEN len(overwritten) > 0 THEN {overwrites} || {_listed('overwritten')} "
            f"WHEN len(foreign_changes) > 0 THEN {also} || {_listed('foreign_changes')} END",
        )

    def _foreign(self) -> Case:
        source, target = SIDE_NAMES[self._leg_columns.source], SIDE_NAMES[self._leg_columns.target]
        changed = literal(f"changed in {target}, which does not own it: ")
        way_out = literal(f"; change it back there, or in {source}")
        differs = literal(f"differs at the first run, and the master is {target}: ")
        columns = _listed("foreign_changes")
        return Case(
            "len(foreign_changes) > 0",
            "conflict",
            literal(f"{self._leg.map.map}.owner"),
            f"CASE WHEN based THEN {changed} || {columns} || {way_out} ELSE {differs} || {columns} END",
        )


def _listed(names: str) -> str:
    return f"array_to_string({names}, ', ')"


def _owner(created_by: str) -> str:
    return SIDE_NAMES.get(created_by, "either system")


def stranger_rule(leg: Leg) -> str:
    """The rule of rows that only the written side has, though it may not create them; only full runs see them."""
    return f"{leg.map.map}.stranger"


def delete_states(leg: Leg) -> str:
    """The states of source rows that are to be deleted on the other side, as an SQL list."""
    owner = leg.map.rows.deleted_by == leg.source
    states = [("deleted", owner), ("left", leg.map.rows.leaves == "delete")]
    return ", ".join(literal(state) for state, goes in states if goes) or "''"


def _fact_name(place: int) -> str:
    return quoted(f"fact {place}")


def _names(cases: list[str]) -> str:
    return f"list_filter([{', '.join(cases)}]::VARCHAR[], lambda x: x IS NOT NULL)" if cases else "[]::VARCHAR[]"


def _prefixed(prefix: str, name: str) -> str:
    table, _, letter = prefix.partition(".")
    return f"{table}.{quoted(letter + name)}"


def _bool(value: bool) -> str:
    return "TRUE" if value else "FALSE"
