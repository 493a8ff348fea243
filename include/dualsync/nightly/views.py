"""Opens tonight's extracts as views that controls query by their short names."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from dualsync.controls.extracts import CompanyOf, Extract, Wanted, extracts
from dualsync.frames import Sets, literal, quoted
from dualsync.nightly.night import NightRuntime
from dualsync.nightly.reading import CHANGED


def lacking(night: NightRuntime, names: Iterable[str]) -> str:
    """Why extracts cannot be read tonight, empty where all can: then nothing may be called equal."""
    reasons: list[str] = []
    for name in with_parents(names):
        extract = extracts()[name]
        read = night.read(extract.side, extract.place)
        if read is None:
            reasons.append(f"{extract.title} ({extract.place}) were not read")
        elif read.absent:
            reasons.append(f"{extract.title}: {read.absent}")
        else:
            missing = sorted({one.column for one in extract.columns.values()} & set(read.missing))
            if missing:
                reasons.append(f"{extract.title}: {extract.side} {extract.place} has no column {', '.join(missing)}")
    return "; ".join(reasons)


def with_parents(names: Iterable[str]) -> list[str]:
    """The named extracts and those that tell their companies, the latter first."""
    wanted = set(names)
    for name in reversed(list(extracts())):
        company = extracts()[name].company
        if name in wanted and isinstance(company, CompanyOf):
            wanted.add(company.extract)
    return [name for name in extracts() if name in wanted]


def open_views(sets: Sets, night: NightRuntime, names: Iterable[str], window: timedelta) -> None:
    """Make the named extracts views, without rows of other companies than the night's, and beside them some words.

    * ``settled(moment)``: whether that is longer ago than ``window``
    * ``long_ago(moment, hours)``: whether that is at least so many hours ago
    * ``today()``: the day the night began, in the configured time zone
    * ``integrated``: ``company``, ``company_id`` (in Dataverse) and ``cut_over`` (a date) of the companies of the night
    """
    moment = literal(night.night.settled(window).isoformat())
    sets.run(f"CREATE OR REPLACE TEMP MACRO settled(moment) AS COALESCE(moment <= {moment}::TIMESTAMPTZ, TRUE)")
    now = f"{literal(night.night.moment)}::TIMESTAMPTZ"
    today = night.night.began.astimezone(ZoneInfo(night.settings.time_zone)).date()
    sets.run(f"CREATE OR REPLACE TEMP MACRO long_ago(moment, hours) AS {now} - to_hours(hours) >= moment")
    sets.run(f"CREATE OR REPLACE TEMP MACRO today() AS DATE {literal(today.isoformat())}")
    companies = list(night.companies)
    sets.table(
        "integrated",
        pa.table(
            {
                "company": pa.array(companies, type=pa.string()),
                "company_id": pa.array([night.company_ids.get(code) for code in companies], type=pa.string()),
                "cut_over": pa.array([night.settings.cutover.get(code) for code in companies], type=pa.date32()),
            }
        ),
    )
    for name in with_parents(names):
        _open(sets, night, extracts()[name])


def _open(sets: Sets, night: NightRuntime, extract: Extract) -> None:
    read = night.read(extract.side, extract.place)
    assert read is not None
    raw = f"raw:{extract.side}:{extract.place}"
    sets.view(raw, read.path)
    columns = [f"{_value(wanted)} AS {quoted(name)}" for name, wanted in extract.columns.items()]
    key = " || '|' || ".join(f"COALESCE(r.{quoted(name)}::VARCHAR, '?')" for name in extract.key)
    columns.append(f"{key} AS record_key")
    if extract.side == "dataverse":
        columns += [f"r.{quoted(extract.key[0])} AS record_id", f"r.{quoted(CHANGED)} AS changed_at"]
    match extract.company:
        case CompanyOf():
            parent = extract.company
            joined = f"JOIN {quoted(parent.extract)} p ON p.record_id = r.{quoted(parent.by)}"
            columns.append("p.company AS company")
        case str() if extract.side == "dataverse":
            joined = f"JOIN integrated p ON p.company_id = r.{quoted(extract.company)}"
            columns.append("p.company AS company")
        case str():
            joined = f"JOIN integrated p ON p.company = upper(r.{quoted(extract.company)})"
            columns.append("p.company AS company")
        case _:
            joined = ""
    sets.run(
        f"CREATE OR REPLACE TEMP VIEW {quoted(extract.extract)} AS SELECT {', '.join(columns)} "
        f"FROM {quoted(raw)} r {joined}"
    )


def _value(wanted: Wanted) -> str:
    column = f"r.{quoted(wanted.column)}"
    if not wanted.values:
        return column
    cases = " ".join(f"WHEN {number} THEN {literal(word)}" for number, word in wanted.values.items())
    return f"CASE {column} {cases} ELSE {column}::VARCHAR END"
