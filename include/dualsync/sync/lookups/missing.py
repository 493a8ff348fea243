"""Why a parent does not resolve, in words.

A parent that has not arrived yet makes the row wait; one that is deleted, filtered out, or of a company that is not
integrated never will arrive, so the row is quarantined with that reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from dualsync.mapping import Lookup, TableMap
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.paths import base_column
from dualsync.sync.plan.advice import advised
from dualsync.sync.plan.values.arrays import array_of
from dualsync.sync.plan.values.keys import join_key
from dualsync.sync.plan.vocabulary import Action, RuleWord, rule_name

KEY = "join_key"
"""The column of frames with the text by which rows meet."""

Row = dict[str, Any]
"""A row as a system gave it."""

WAITING = Action.WAITING.value
QUARANTINED = Action.QUARANTINED.value


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a parent does not resolve: the row's state, the rule, and a reason a person can read."""

    state: str
    rule: str
    reason: str


def missing_table(name: str, reasons: Mapping[str, Missing]) -> pa.Table:
    """Reasons as a table: what is missing, in the column ``name``, then ``state``, ``rule`` and ``reason``."""
    columns = {
        name: list(reasons),
        "state": [missing.state for missing in reasons.values()],
        "rule": [missing.rule for missing in reasons.values()],
        "reason": [missing.reason for missing in reasons.values()],
    }
    return pa.table({column: pa.array(texts, type=pa.string()) for column, texts in columns.items()})


def waiting(parent: TableMap, column: str) -> Missing:
    """The reason of a row whose parent has not arrived."""
    text = (
        f"{column} points at a row of map {parent.map} that is not on both sides yet; it goes through once that row is "
        "there"
    )
    return Missing(WAITING, rule_name(parent.map, RuleWord.WAITING), advised(text, parent.map))


def unread(lookup: Lookup, parent: TableMap, column: str) -> Missing:
    """The reason of a row whose parent has arrived, but not the record of another table that stands for it."""
    assert lookup.through is not None
    spec = lookup.through
    text = (
        f"{column} names a row of map {parent.map} for which {spec.set} has no record with that {spec.column} in the "
        "company; it goes through once there is one"
    )
    return Missing(WAITING, rule_name(parent.map, RuleWord.WAITING), advised(text, spec.set))


def why_missing_records(runtime: Runtime, parent: TableMap, attribute: str, ids: Sequence[str]) -> dict[str, Missing]:
    """Why parents given by record id are not in the base, by id; Dataverse is asked for all of them at once."""
    spec = parent.dataverse
    company = spec.own_company
    select = dict.fromkeys([spec.id, *spec.expression.columns, *((company,) if company else ())])
    read = runtime.systems.dataverse.read_ids(spec.set, ids, select=list(select))
    records = {str(row[spec.id]).lower(): row for row in read}
    integrated = {runtime.company_ids.get(code) for code in runtime.settings.companies}

    def elsewhere(row: Row) -> bool:
        return company is not None and row.get(company) not in integrated

    return {record: _why_missing_record(parent, attribute, records.get(record), elsewhere) for record in ids}


def _why_missing_record(parent: TableMap, attribute: str, row: Row | None, elsewhere: Callable[[Row], bool]) -> Missing:
    spec = parent.dataverse
    if row is None:
        text = f"{attribute} points at a record of {spec.table} that no longer exists; choose another one"
        return _quarantined(parent, RuleWord.DELETED, text)
    if not spec.expression.matches(row):
        text = (
            f"{attribute} points at a record of {spec.table} that does not travel, since the filter of map "
            f"{parent.map} ({spec.filter}) leaves it out"
        )
        return _quarantined(parent, RuleWord.FILTERED, text)
    if elsewhere(row):
        text = f"{attribute} points at a record of {spec.table} whose company is not integrated"
        return _quarantined(parent, RuleWord.COMPANY, text)
    return waiting(parent, attribute)


def why_missing_keys(
    runtime: Runtime,
    parent: TableMap,
    columns: Sequence[str],
    keys: pd.DataFrame,
    *,
    company: str | None,
    own: str,
) -> dict[str, Missing]:
    """Why parents given by Finance values are not in the base, by join key; Finance is asked for all of them at once.

    Args:
        runtime: Maps and systems.
        parent: The parent's map.
        columns: Finance columns that hold the values.
        keys: The values, named by the parent's columns in Dataverse that they stand for, and ``join_key``.
        company: The parent's company, where the row says it.
        own: The company of the leg; the parent's where the row does not say it.
    """
    label = ", ".join(columns)
    texts: list[str] = array_of(keys[KEY]).to_pylist()
    if parent.finance.write == "package":
        # nothing can be asked about rows of such an entity, and only Dataverse makes them
        return dict.fromkeys(texts, waiting(parent, label))
    if company is not None and company not in runtime.settings.companies:
        text = f"{label} names a row of {parent.finance.set} in {company}, which is not integrated"
        return dict.fromkeys(texts, _quarantined(parent, RuleWord.COMPANY, text))
    rows = _in_finance(runtime, parent, keys, company or own)
    return {text: _why_missing_key(parent, label, rows.get(text)) for text in texts}


def _in_finance(runtime: Runtime, parent: TableMap, keys: pd.DataFrame, company: str) -> dict[str, Row]:
    """The rows of Finance under keys, by join key."""
    spec = parent.finance
    paths = [name for name in keys.columns if name != KEY]
    names = [base_column(parent, path)[2:] for path in paths]
    parts = [array_of(keys[path]).to_pylist() for path in paths]
    area = {} if parent.scope == "global" else {str(spec.company): company}
    conditions = [area | dict(zip(names, values, strict=True)) for values in zip(*parts, strict=True)]
    select = dict.fromkeys([*names, *spec.expression.columns])
    found: dict[str, Row] = {}
    for row in runtime.systems.finance.read_keys(spec.set, conditions, select=list(select)):
        text = join_key([row.get(name) for name in names])
        if text is not None:
            found[text] = row
    return found


def _why_missing_key(parent: TableMap, label: str, row: Row | None) -> Missing:
    spec = parent.finance
    if row is None:
        text = f"{label} names a row of {spec.set} that does not exist in Finance; correct it there"
        return _quarantined(parent, RuleWord.UNKNOWN, text)
    if not spec.expression.matches(row):
        text = (
            f"{label} names a row of {spec.set} that does not travel, since the filter of map {parent.map} "
            f"({spec.filter}) leaves it out"
        )
        return _quarantined(parent, RuleWord.FILTERED, text)
    return waiting(parent, label)


def _quarantined(parent: TableMap, word: RuleWord, reason: str) -> Missing:
    return Missing(QUARANTINED, rule_name(parent.map, word), reason)
