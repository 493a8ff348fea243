"""Recorded transfers: what went into each decision of a played week, what came out, and the archive that holds them.

Nothing here knows the code that decides; see ``deciding.py`` for that.

The archive is a ``tar.xz``. ``legs.json`` lists the transfers; ``tables/<map>.<digest>.arrow`` are their tables, each
stored once; ``maps/<name>.yaml`` are the table maps as they were, so that a later change of a map changes no recorded
decision.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

ARCHIVE = Path(__file__).parent / "week.tar.xz"

Answers = dict[str, dict[str, Any]]
"""By question, as JSON text, the answers by what was asked about, as JSON text too."""


@dataclass
class RecordedLeg:
    """One transfer: one table map, one direction, one company, one run.

    Attributes:
        name: Number and label; unique.
        test: The test in which it was recorded.
        map: The table map.
        direction: ``to_finance`` or ``to_dataverse``.
        company: The company.
        run: The options of the run: ``mode``, ``dry_run``, ``keys``, ``rows``, ``resend``, ``approved`` and so on.
        settings: The settings a decision asks for: integrated companies, time zone, cut-over of the company.
        full: Whether everything of both sides was read.
        missing: Columns, by side, that the live systems did not have.
        due: Keys of the headers that the ledger did not call complete; of transfers that send triggers.
        answers: What was answered about parents of the rows.
        source: Rows of the side that is read.
        want: The same rows in the form of the side that is written, before lookups within the map are resolved.
        have: Rows of the side that is written.
        base: What both sides agreed on last, None before the first run.
        trigger_base: The base of the part that sends the trigger, of transfers of headers.
        lines: How many lines of each header are there, of transfers that send triggers.
        approved: The plan that a person approved, where the run carries one out.
        plan: What was decided.
        deletes: Which rows are to be deleted.
        first: Whether it is one of those that are looked at first: together they show every map and every rule.
    """

    name: str
    test: str
    map: str
    direction: str
    company: str
    run: dict[str, Any]
    settings: dict[str, Any]
    full: bool
    missing: dict[str, list[str]]
    source: pa.Table
    want: pa.Table
    have: pa.Table
    plan: pa.Table
    deletes: pa.Table
    base: pa.Table | None = None
    trigger_base: pa.Table | None = None
    lines: pa.Table | None = None
    approved: pa.Table | None = None
    due: list[str] | None = None
    answers: Answers = field(default_factory=dict)
    first: bool = False


TABLES = ("source", "want", "have", "plan", "deletes", "base", "trigger_base", "lines", "approved")


def write_archive(path: Path, legs: Iterable[RecordedLeg], maps: Mapping[str, str]) -> None:
    """Write transfers, and the table maps they were made with."""
    listed: list[dict[str, Any]] = []
    tables: dict[str, bytes] = {}
    for leg in legs:
        told = {one.name: getattr(leg, one.name) for one in fields(leg) if one.name not in TABLES}
        told["tables"] = {}
        for name in TABLES:
            table = getattr(leg, name)
            if table is not None:
                content = _to_bytes(table)
                digest = hashlib.sha256(content).hexdigest()[:16]
                # tables of one map side by side, and tables of one kind too: what repeats is near
                told["tables"][name] = f"tables/{leg.map}.{digest}.arrow"
                tables[told["tables"][name]] = content
        listed.append(told)
    with tarfile.open(path, "w:xz", preset=9) as archive:
        _add(archive, "legs.json", json.dumps(listed, indent=1).encode())
        for name, text in sorted(maps.items()):
            _add(archive, f"maps/{name}.yaml", text.encode())
        for name, content in sorted(tables.items()):
            _add(archive, name, content)


def read_archive(path: Path = ARCHIVE) -> tuple[list[RecordedLeg], dict[str, str]]:
    """The transfers of an archive, and the table maps by name."""
    with tarfile.open(path, "r:xz") as archive:
        content = {one.name: _content(archive, one) for one in archive}
    tables = {name: _from_bytes(data) for name, data in content.items() if name.startswith("tables/")}
    maps = {Path(name).stem: data.decode() for name, data in content.items() if name.startswith("maps/")}
    legs = []
    for told in json.loads(content["legs.json"]):
        names = told.pop("tables")
        legs.append(RecordedLeg(**told, **{kind: tables[name] for kind, name in names.items()}))
    return legs, maps


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(entry)
    assert file is not None
    return file.read()


def _to_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata(None).combine_chunks()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _from_bytes(content: bytes) -> pa.Table:
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()


# --- questions and answers about parents ----------------------------------------------------------------------------


def as_text(value: Any) -> str:
    """A value, or a tuple of values, as JSON text that keeps its type."""
    return json.dumps(value, default=_tagged, sort_keys=True)


def plain(value: Any) -> Any:
    """A value as JSON holds it, its type kept."""
    return json.loads(as_text(value))


def value_of(told: Any) -> Any:
    """The value that :func:`plain` was given; a list comes back as a tuple."""
    if isinstance(told, list):
        return tuple(value_of(one) for one in told)
    if isinstance(told, dict):
        ((kind, text),) = told.items()
        readers: dict[str, Any] = {"decimal": Decimal, "date": date.fromisoformat, "instant": datetime.fromisoformat}
        return readers[kind](text)
    return told


def _tagged(value: Any) -> dict[str, str]:
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, datetime):
        return {"instant": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    raise TypeError(f"no JSON for {type(value)}")


# --- comparing ------------------------------------------------------------------------------------------------------


def differences(told: pa.Table, now: pa.Table) -> list[str]:
    """How two tables differ, row by row and column by column, in words; empty where they are alike."""
    if set(told.column_names) != set(now.column_names):
        return [f"columns: {sorted(set(told.column_names) ^ set(now.column_names))} stand in one of the two"]
    now = now.select(told.column_names)
    if told.schema.equals(now.schema) and told.equals(now):
        return []
    found = [
        f"{name} is {now.schema.field(name).type}, was {told.schema.field(name).type}"
        for name in told.column_names
        if told.schema.field(name).type != now.schema.field(name).type
    ]
    if told.num_rows != now.num_rows:
        found.append(f"{now.num_rows} rows, were {told.num_rows}")
    for place, (before, after) in enumerate(zip(told.to_pylist(), now.to_pylist(), strict=False)):
        found += [
            f"row {place} ({before.get('key')}): {name} is {after[name]!r}, was {before[name]!r}"
            for name in told.column_names
            if before[name] != after[name]
        ]
    return found


def outcomes(plan: pa.Table) -> Iterator[tuple[str, str]]:
    """Action and rule of each row of a plan; of the rule, what follows the name of the map."""
    for action, rule in zip(plan.column("action").to_pylist(), plan.column("rule").to_pylist(), strict=True):
        yield action, "" if rule is None else rule.partition(".")[2]
