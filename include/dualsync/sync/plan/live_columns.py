"""What the live systems have: the columns of a map that they lack, and their rows in the types of the columns."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from dualsync.errors import SchemaMismatch
from dualsync.mapping import Column, Side, TableMap
from dualsync.sync.plan.columns import columns_of, essential_columns
from dualsync.sync.plan.values import ValueProblem, parse
from dualsync.sync.plan.vocabulary import PROBLEM, VERSION, type_of
from dualsync.systems import Systems

log = logging.getLogger(__name__)


def missing_columns(table_map: TableMap, systems: Systems) -> dict[str, list[str]]:
    """Columns of a map that the live systems do not have, by side.

    Raises:
        SchemaMismatch: One of them is a key, company or filter column, without which the map must not run.
    """
    live: dict[Side, set[str]] = {"dataverse": set(systems.dataverse.metadata(table_map.dataverse.table).attributes)}
    if table_map.finance.write == "odata":
        live["finance"] = set(systems.finance.metadata(table_map.finance.set).columns)
    missing: dict[str, list[str]] = {}
    for side, names in live.items():
        lacking = [name for name in columns_of(table_map, side) if name not in names]
        fatal = sorted(set(lacking) & essential_columns(table_map, side))
        if fatal:
            place = table_map.dataverse.table if side == "dataverse" else table_map.finance.set
            raise SchemaMismatch(
                f"map {table_map.map}: {side} {place} has no column {', '.join(fatal)}, which the map needs as key, "
                f"company or filter; correct {table_map.path.name} or install what brings the column"
            )
        if lacking:
            log.warning("map %s leaves out columns that %s does not have: %s", table_map.map, side, ", ".join(lacking))
        missing[side] = lacking
    return missing


def typed_row(row: Mapping[str, Any], columns: Mapping[str, Column], side: Side) -> dict[str, Any]:
    """A row as a system gave it, each value in its column's type.

    A value that is not of its column's type is null; :data:`~dualsync.sync.plan.vocabulary.PROBLEM` says which.
    """
    typed: dict[str, Any] = {}
    problems: list[str] = []
    for name, column in columns.items():
        try:
            typed[name] = parse(row.get(name), column, side)
        except ValueProblem as problem:
            typed[name] = None
            problems.append(str(problem))
        if (target := row.get(type_of(name))) is not None:
            typed[type_of(name)] = target
    typed[VERSION] = row.get("@etag")
    typed[PROBLEM] = "; ".join(problems) or None
    return typed
