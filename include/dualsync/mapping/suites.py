"""Builds the Great Expectations suite of a table map: row-local rules over what a transfer is about to write.

A rule with severity ``critical`` holds a row back (quarantine), so it only says what the receiving system would refuse:
text that is too long, a missing key or mandatory value, a number, option or enum member outside its range, characters
that no Dataverse key URL can carry. Everything else may only warn: the business rules that the map declares. Uniqueness
and references are set work and not here (``sync/set_rules.py``).

The suites are committed as JSON in ``great_expectations/expectations``; :func:`drifted` tells where they no longer
follow from map and schema.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dualsync.errors import MapErrors
from dualsync.mapping.catalog import Catalog
from dualsync.mapping.model import Field, Rule, TableMap, receiving_columns
from dualsync.mapping.rules import rule_check
from dualsync.mapping.schema import Column, Schema
from dualsync.sides import DIRECTIONS, Side, receiver

GX_VERSION = "1.24.1"
"""The version whose suite format the files follow."""

CREATE_ONLY = "create_only"
"""Meta word of rules that hold for new rows only: an update names just the columns that changed."""

CHECK = "check"
"""Meta word of business rules: what ``mapping/rules.py`` answers in a column of its own, named like the rule."""

_INT32 = 2**31
# Microsoft's documented limits of Dataverse money and decimal columns. A Finance real (32 digits, 6 after the point)
# holds every number that Dataverse can, so it needs no rule.
_DATAVERSE_MONEY = 922_337_203_685_477
_DATAVERSE_DECIMAL = 100_000_000_000
_FORBIDDEN_IN_KEYS = r"[/<>*%&:\\?+]"
_MONEY_SCALE = 4


def build_suite(table_map: TableMap, schema: Schema) -> dict[str, Any]:
    """The suite of a map, as the JSON that Great Expectations keeps.

    Each expectation's meta has ``rule`` (map, column, rule), ``side`` (the receiving one, whose column names the rule
    uses), ``reason`` (for a person), and ``create_only`` where it holds for new rows only. Those of the map's business
    rules have ``check`` too, and a column that is made of it.

    Raises:
        SchemaMismatch: A column of the map is not in the schema.
    """
    expectations: list[dict[str, Any]] = []
    for direction in DIRECTIONS:
        side = receiver(direction)
        table = table_map.finance.set if side == "finance" else table_map.dataverse.table
        for pair in table_map.pairs_of(direction):
            for name in receiving_columns(pair, direction):
                column = schema.column(side, table, name)
                rules = _Rules(table_map, side, column, is_key=_is_key(table_map, side, name))
                expectations += rules.required(pair.required)
                if not (isinstance(pair, Field) and pair.constant is not None):
                    expectations += rules.values()
    expectations += [_business(table_map, rule) for rule in table_map.rules if rule.reference is None]
    return {
        "expectations": expectations,
        "meta": {"great_expectations_version": GX_VERSION},
        "name": table_map.map,
        "notes": f"Made from the table map {table_map.map} and the schema of both sides.",
    }


def suite_text(table_map: TableMap, schema: Schema) -> str:
    """The suite as it stands in its file."""
    return json.dumps(build_suite(table_map, schema), indent=2, ensure_ascii=False) + "\n"


def suites_folder(home: Path) -> Path:
    """The folder of the suite files below the home folder."""
    return home / "great_expectations" / "expectations"


def write_suites(catalog: Catalog, schema: Schema, folder: Path) -> list[Path]:
    """Write the suites of all maps.

    Args:
        catalog: The maps.
        schema: The columns of both sides.
        folder: The folder of the suite files, see :func:`suites_folder`.

    Returns:
        The files that were missing or differed.
    """
    changed = drifted(catalog, schema, folder)
    for file in changed:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(suite_text(catalog.declared[file.stem], schema), encoding="utf-8")
    return changed


def drifted(catalog: Catalog, schema: Schema, folder: Path) -> list[Path]:
    """The suite files that are missing or no longer what map and schema give; parts use the suite of their map."""
    files = {folder / f"{name}.json": suite_text(table_map, schema) for name, table_map in catalog.declared.items()}
    return [file for file, text in files.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]


def load_suite(home: Path, name: str) -> dict[str, Any]:
    """The committed suite of a map.

    Args:
        home: The folder that holds ``great_expectations``.
        name: The map's name.

    Raises:
        MapErrors: The map has no suite, which must not mean that its rows go unchecked.
    """
    file = suites_folder(home) / f"{name}.json"
    try:
        suite: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MapErrors([f"{file}: the map {name} has no suite; make it with `dualsync maps suites`"]) from None
    return suite


def suite_hash(suite: dict[str, Any]) -> str:
    """SHA-256 of a suite's content, in hexadecimal, whatever the layout of its file."""
    return hashlib.sha256(json.dumps(suite, sort_keys=True).encode()).hexdigest()


def _business(table_map: TableMap, rule: Rule) -> dict[str, Any]:
    """The expectation of a business rule: its answer is yes."""
    meta: dict[str, Any] = {"rule": f"{table_map.map}.{rule.name}", "side": rule.side, "reason": rule.reason}
    if rule.on == "create":
        meta[CREATE_ONLY] = True
    return {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": f"rule:{rule.name}", "value_set": [True]},
        "meta": {**meta, CHECK: rule_check(rule)},
        "severity": rule.severity,
    }


def _is_key(table_map: TableMap, side: Side, name: str) -> bool:
    """True for a column that makes up the integration key on its side, itself or as the lookup a key path starts at."""
    if side == "finance":
        return name in table_map.finance.key
    return name in {path.split(".")[0] for path in table_map.dataverse.key}


class _Rules:
    """The expectations of one receiving column."""

    def __init__(self, table_map: TableMap, side: Side, column: Column, *, is_key: bool) -> None:
        self.map = table_map
        self.side = side
        self.column = column
        self.is_key = is_key

    def required(self, by_map: bool) -> Iterator[dict[str, Any]]:
        """A value must be there for a new row, and must not be emptied later."""
        if not (by_map or self.is_key or self.column.required):
            return
        what = "the key" if self.is_key else "a mandatory value"
        reason = f"{self.column.name} is empty, but is {what}"
        yield self._expect("expect_column_values_to_not_be_null", "required", reason, create_only=True)
        if self.column.kind == "text":
            yield self._expect("expect_column_value_lengths_to_be_between", "empty", reason, min_value=1)

    def values(self) -> Iterator[dict[str, Any]]:
        """What a value that is there must look like."""
        match self.column.kind:
            case "text":
                yield from self._text()
            case "int":
                yield self._between(-_INT32, _INT32 - 1)
            case "decimal" if self.side == "dataverse":
                limit = _DATAVERSE_MONEY if self.column.scale == _MONEY_SCALE else _DATAVERSE_DECIMAL
                yield self._between(-limit, limit)
            case "enum" | "option" if self.column.options:
                yield self._in_set(self.column.options)

    def _text(self) -> Iterator[dict[str, Any]]:
        name, length = self.column.name, self.column.length
        if length is not None:
            assumed = " (length assumed)" if self.column.assumes("length") else ""
            reason = f"{name} is longer than {length} characters{assumed}"
            yield self._expect("expect_column_value_lengths_to_be_between", "length", reason, max_value=length)
        if self.is_key and self.side == "dataverse":
            reason = f"{name} holds a character that no Dataverse key can carry: / < > * % & : \\ ? +"
            yield self._expect(
                "expect_column_values_to_not_match_regex", "key_characters", reason, regex=_FORBIDDEN_IN_KEYS
            )

    def _between(self, low: int, high: int) -> dict[str, Any]:
        reason = f"{self.column.name} is outside {low} to {high}"
        return self._expect("expect_column_values_to_be_between", "range", reason, min_value=low, max_value=high)

    def _in_set(self, options: dict[int, str]) -> dict[str, Any]:
        values: Iterable[int | str] = sorted(options) if self.column.kind == "option" else self.column.members
        what = "option" if self.column.kind == "option" else "member"
        reason = f"{self.column.name} has an unknown {what}"
        return self._expect("expect_column_values_to_be_in_set", what, reason, value_set=list(values))

    def _expect(self, kind: str, rule: str, reason: str, *, create_only: bool = False, **kwargs: Any) -> dict[str, Any]:
        meta = {"rule": f"{self.map.map}.{self.column.name}.{rule}", "side": self.side, "reason": reason}
        return {
            "type": kind,
            "kwargs": {"column": self.column.name, **kwargs},
            "meta": {**meta, CREATE_ONLY: True} if create_only else meta,
            "severity": "critical",
        }
