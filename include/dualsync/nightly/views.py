"""The views that controls query: one for each extract, and beside them a few words that all queries may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa

from dualsync.controls.extracts import CompanyOf, Extract, Wanted, column_of, extracts
from dualsync.frames import Sets, literal, quoted
from dualsync.mapping import Schema
from dualsync.nightly.night import NightRuntime
from dualsync.nightly.reading import CHANGED
from dualsync.sync.plan.values import arrow_type

_TEXT = pa.string()
_INTEGRATED = pa.schema({"company": _TEXT, "company_id": _TEXT, "cut_over": pa.date32()})


@dataclass(frozen=True, slots=True)
class Words:
    """What the words of the queries stand for.

    Attributes:
        now: The moment at which the data are looked at.
        window: Rows that changed within it are not judged.
        today: The day of that moment, in the configured time zone.
        companies: Record id in Dataverse (None where it has none) and cut-over of each company that is looked at.
    """

    now: datetime
    window: timedelta
    today: date
    companies: Mapping[str, tuple[str | None, date | None]]


def define_words(sets: Sets, words: Words) -> None:
    """Define the words that every query may use.

    * ``settled(moment)``: whether that is longer ago than the window
    * ``long_ago(moment, hours)``: whether that is at least so many hours ago
    * ``today()``: the day on which the data are looked at
    * ``integrated``: ``company``, ``company_id`` (in Dataverse) and ``cut_over`` (a date) of the companies

    Args:
        sets: Where they are defined.
        words: What they stand for.
    """
    edge = literal((words.now - words.window).isoformat())
    now = f"{literal(words.now.isoformat())}::TIMESTAMPTZ"
    sets.run(f"CREATE OR REPLACE TEMP MACRO settled(moment) AS COALESCE(moment <= {edge}::TIMESTAMPTZ, TRUE)")
    sets.run(f"CREATE OR REPLACE TEMP MACRO long_ago(moment, hours) AS {now} - to_hours(hours) >= moment")
    sets.run(f"CREATE OR REPLACE TEMP MACRO today() AS DATE {literal(words.today.isoformat())}")
    rows = [
        {"company": company, "company_id": record, "cut_over": day}
        for company, (record, day) in words.companies.items()
    ]
    sets.table("integrated", pa.Table.from_pylist(rows, schema=_INTEGRATED))


def with_parents(names: Iterable[str]) -> list[str]:
    """Return the named extracts and those that tell their companies, the latter first.

    Args:
        names: Names of extracts.
    """
    wanted = set(names)
    for name in reversed(list(extracts())):
        company = extracts()[name].company
        if name in wanted and isinstance(company, CompanyOf):
            wanted.add(company.extract)
    return [name for name in extracts() if name in wanted]


def open_views(sets: Sets, night: NightRuntime, names: Iterable[str], window: timedelta) -> None:
    """Make the named extracts views, without rows of companies that are not the night's, and define the words.

    Args:
        sets: Where the views are made.
        night: The night.
        names: Names of extracts.
        window: Rows that changed within it are not judged.
    """
    companies = {code: (night.company_ids.get(code), night.settings.cutover.get(code)) for code in night.companies}
    define_words(sets, Words(night.night.began, window, night.today, companies))
    for name in with_parents(names):
        extract = extracts()[name]
        read = night.read(extract.side, extract.place)
        assert read is not None
        raw = f"raw:{extract.side}:{extract.place}"
        sets.view(raw, read.path)
        open_view(sets, extract, raw)


def open_view(sets: Sets, extract: Extract, raw: str) -> None:
    """Make the view of an extract over the rows as they were read, without rows of other companies.

    The view of the extract that tells its company must be there.

    Args:
        sets: Where the view is made.
        extract: The extract.
        raw: Name of the table or view with the rows as they were read.
    """
    columns = [f"{_value(wanted)} AS {quoted(name)}" for name, wanted in extract.columns.items()]
    key = " || '|' || ".join(f"COALESCE(r.{quoted(name)}::VARCHAR, '?')" for name in extract.key)
    columns.append(f"{key} AS record_key")
    if extract.side == "dataverse":
        columns += [f"r.{quoted(extract.key[0])} AS record_id", f"r.{quoted(CHANGED)} AS changed_at"]
    joined = _joined_company(extract)
    if joined:
        columns.append("p.company AS company")
    sets.run(
        f"CREATE OR REPLACE TEMP VIEW {quoted(extract.extract)} AS SELECT {', '.join(columns)} "
        f"FROM {quoted(raw)} r {joined}"
    )


def empty_table(extract: Extract, schema: Schema, without: str = "") -> pa.Table:
    """Return what the view of an extract looks like, without rows.

    Args:
        extract: The extract.
        schema: The types of the columns that table maps use.
        without: A column that is left out.
    """
    fields = [
        pa.field(name, _TEXT if wanted.values else arrow_type(column_of(extract, wanted, schema)))
        for name, wanted in extract.columns.items()
        if name != without
    ]
    fields.append(pa.field("record_key", _TEXT))
    if extract.side == "dataverse":
        fields += [pa.field("record_id", _TEXT), pa.field("changed_at", pa.timestamp("us", tz="UTC"))]
    if extract.company is not None:
        fields.append(pa.field("company", _TEXT))
    return pa.schema(fields).empty_table()


def _joined_company(extract: Extract) -> str:
    match extract.company:
        case CompanyOf() as parent:
            return f"JOIN {quoted(parent.extract)} p ON p.record_id = r.{quoted(parent.by)}"
        case str() as column if extract.side == "dataverse":
            return f"JOIN integrated p ON p.company_id = r.{quoted(column)}"
        case str() as column:
            return f"JOIN integrated p ON p.company = upper(r.{quoted(column)})"
        case _:
            return ""


def _value(wanted: Wanted) -> str:
    column = f"r.{quoted(wanted.column)}"
    if not wanted.values:
        return column
    cases = " ".join(f"WHEN {number} THEN {literal(word)}" for number, word in wanted.values.items())
    return f"CASE {column} {cases} ELSE {column}::VARCHAR END"
