"""What the nightly reconciliation has to show, as plain data over the ledger and a night's folder.

The workbook, the files, the command line and the pages all read from here, so that they say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from upath import UPath

from dualsync.controls.causes import CAUSES
from dualsync.controls.extracts import extracts
from dualsync.controls.model import CLASSES, SEVERITIES
from dualsync.controls.registry import controls
from dualsync.frames import Sets, iter_tables, literal, quoted, read_table
from dualsync.ledger import BreakRecord, ControlResult, Ledger, NightRecord, SuiteResult
from dualsync.ledger.breaks import BreakFilter
from dualsync.mapping import Catalog, Schema
from dualsync.nightly.comparison.maps import PREFIX
from dualsync.nightly.packs import SIGNED_PERIOD
from dualsync.sync.legs.folders import read_json, safe_name

AGES = ("0-1", "2-7", "8-30", "30+")
"""Age classes of breaks, in days."""

PAGE = 5_000
"""Breaks read from the ledger at a time."""

DATA_DOCS = "data_docs"
"""Folder of the Data Docs in a night's folder; its first page is ``index.html``."""

_ORDER = {"failed": 0, "breaks": 1, "not_run": 2, "equal": 3}


def age_class(first_seen: datetime, moment: datetime) -> str:
    """The age class of a break at a moment."""
    days = (moment - first_seen).days
    return AGES[0] if days < 2 else AGES[1] if days < 8 else AGES[2] if days <= 30 else AGES[3]


@dataclass(frozen=True, slots=True)
class ControlLine:
    """What one control, or the comparison of one map, said in a night, all companies together.

    Attributes:
        control: Its id.
        title: What it is about.
        area: The integration area.
        severity: Of its breaks.
        evidence: Documented or derived; for maps, that they are compared in full.
        compares: What is held against what.
        tolerance: How far apart values may be.
        exclusions: What is left out.
        state: equal, breaks, not_run or failed: the worst of its companies.
        breaks: How many.
        by_company: State and number of each company.
        reason: Why it could not be asked.
    """

    control: str
    title: str
    area: str
    severity: str
    evidence: str
    compares: str
    tolerance: str
    exclusions: tuple[str, ...]
    state: str
    breaks: int
    by_company: dict[str, tuple[str, int]]
    reason: str


class NightReport:
    """One night, to be shown.

    Args:
        ledger: The ledger.
        catalog: The table maps.
        night: The night.
    """

    def __init__(self, ledger: Ledger, catalog: Catalog, night: NightRecord) -> None:
        self.ledger = ledger
        self.catalog = catalog
        self.night = night
        self.folder = UPath(night.folder)

    @classmethod
    def of(cls, ledger: Ledger, catalog: Catalog, run_id: str) -> NightReport | None:
        """The report of a run, None where it is no night."""
        night = ledger.nights.night(run_id)
        return None if night is None else cls(ledger, catalog, night)

    @property
    def verdict(self) -> dict[str, Any]:
        """What the night said in short: environments, counts, shares, digest of what was read, version."""
        return read_json(self.folder / "verdict.json") or {}

    # --- controls -------------------------------------------------------------------------------------------------

    def control_lines(self) -> list[ControlLine]:
        """One line for each control and compared map, by area, the controls before the maps."""
        by_control: dict[str, list[ControlResult]] = {}
        for one in self.ledger.nights.results(self.night.run_id):
            by_control.setdefault(one.control, []).append(one)
        lines = [self._line(control, results) for control, results in by_control.items()]
        return sorted(lines, key=lambda line: (line.area, line.control.startswith(PREFIX), _natural(line.control)))

    def _line(self, control: str, results: list[ControlResult]) -> ControlLine:
        worst = min(results, key=lambda one: _ORDER[one.state])
        words = describe(control, self.catalog)
        return ControlLine(
            **words,
            control=control,
            state=worst.state,
            breaks=sum(one.breaks for one in results),
            by_company={one.company: (one.state, one.breaks) for one in results},
            reason=worst.reason,
        )

    def areas(self) -> list[dict[str, Any]]:
        """For each area: controls and maps by state, and breaks."""
        found: dict[str, dict[str, Any]] = {}
        for line in self.control_lines():
            empty = {"area": line.area, "equal": 0, "breaks": 0, "not_run": 0, "failed": 0, "number": 0}
            area = found.setdefault(line.area, empty)
            area[line.state] += 1
            area["number"] += line.breaks
        return list(found.values())

    # --- breaks ---------------------------------------------------------------------------------------------------

    def breaks(self) -> Iterator[BreakRecord]:
        """All breaks of the night, the worst first, a page at a time from the ledger."""
        for severity in SEVERITIES:
            yield from _all(self.ledger, BreakFilter(run_id=self.night.run_id, severity=severity))

    def resolved(self) -> Iterator[BreakRecord]:
        """The breaks that were gone in this night."""
        yield from _all(self.ledger, BreakFilter(resolved_by=self.night.run_id))

    def by_class(self) -> list[dict[str, Any]]:
        """Number of breaks by class and severity."""
        grouped = self.ledger.nights.grouped(BreakFilter(run_id=self.night.run_id), "class", "severity")
        return [
            {"class": name, "title": CLASSES.get(name, name), "severity": severity, "breaks": number}
            for (name, severity), number in grouped.items()
        ]

    def ageing(self) -> list[dict[str, Any]]:
        """Breaks by age class and severity: number, and amounts by currency (absolute)."""
        found: dict[tuple[str, str], dict[str, Any]] = {
            (age, severity): {"age": age, "severity": severity, "breaks": 0, "amounts": {}}
            for age in AGES
            for severity in SEVERITIES
        }
        for one in self.breaks():
            line = found[age_class(one.first_seen, self.night.moment), one.severity]
            line["breaks"] += 1
            if one.amount is not None:
                known = line["amounts"].get(one.currency, Decimal(0))
                line["amounts"][one.currency] = known + abs(one.amount)
        return list(found.values())

    # --- totals and the rest --------------------------------------------------------------------------------------

    def totals(self, *, period: str = "") -> Iterator[dict[str, Any]]:
        """The control totals, all or those of one period (its first day, ISO)."""
        path = self.folder / "totals.parquet"
        if not path.exists():
            return
        for table in iter_tables(path):
            for row in table.to_pylist():
                if not period or str(row["period"]) == period:
                    yield row

    def totals_summary(self) -> dict[str, Any]:
        """State of each set of totals, balances of the integration accounts, shares matched."""
        return read_json(self.folder / "totals.json") or {"states": {}, "balances": [], "matched": {}}

    def normalisation(self) -> list[dict[str, str]]:
        """What was done to each column pair before it was compared, by map."""
        lines: list[dict[str, str]] = []
        for name in sorted({one.control for one in self.ledger.nights.results(self.night.run_id)}):
            map_name = name.removeprefix(PREFIX)
            if name.startswith(PREFIX) and (done := self._done(map_name)) is not None:
                lines += [{"map": map_name, **one} for one in done.get("normalisation", ())]
        return lines

    def pairs(self, control: str) -> list[tuple[str, str]]:
        """The columns of Dataverse and of Finance that the comparison of a map held against each other."""
        done = self._done(control.removeprefix(PREFIX)) if control.startswith(PREFIX) else None
        return [(one["dataverse"], one["finance"]) for one in (done or {}).get("normalisation", ())]

    def _done(self, map_name: str) -> dict[str, Any] | None:
        folder = self.folder / "sides" / safe_name(map_name)
        for company in sorted(folder.iterdir(), key=str) if folder.exists() else ():
            done = read_json(company / "done.json")
            if done is not None and "normalisation" in done:
                return done
        return None

    def open_rows(self) -> list[dict[str, Any]]:
        """Rows that the integration itself holds back, by map, direction, company and state."""
        counted = self.ledger.count_open_rows()
        return [
            {"map": name, "direction": direction, "company": company, "state": state, "rows": number}
            for (name, direction, company, state), number in sorted(counted.items())
        ]

    # --- data quality ---------------------------------------------------------------------------------------------

    def suite_rates(self, nights: int = 30) -> list[dict[str, Any]]:
        """What became of each suite in this night and those before it.

        Args:
            nights: How many nights at most, this one included; close packs are no nights of their own.

        Returns:
            One line for each night and suite, newest night first: ``run_id``, ``moment``, ``title``, ``area``, the
            fields of :class:`dualsync.ledger.SuiteResult`, and ``rate``, the share of rows that break no rule (None
            where there were no rows).
        """
        checked = [self.night, *self.ledger.nights.checked(self.night.ended_at, nights - 1)]
        suites = self.ledger.nights.suites([one.run_id for one in checked])
        return [
            {
                "run_id": night.run_id,
                "moment": night.moment,
                **{word: describe(f"{PREFIX}{one.suite}", self.catalog)[word] for word in ("title", "area")},
                **asdict(one),
                "rate": one.rate,
            }
            for night in checked
            for one in suites.get(night.run_id, ())
        ]

    @staticmethod
    def suite_total(suites: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """All suites of a night together: ``rows``, ``refused``, ``warned``, ``held``, and ``rate``."""
        names = ("rows", "refused", "warned", "held", "rules", "broken")
        sums = dict.fromkeys(names, 0)
        for one in suites:
            for name in names:
                sums[name] += one[name]
        judged = SuiteResult("", "checked", rows=sums["rows"], refused=sums["refused"], warned=sums["warned"])
        return {**sums, "rate": judged.rate}

    @property
    def data_docs(self) -> UPath | None:
        """The folder of the night's Data Docs, whose first page is ``index.html``; None where there are none."""
        folder = self.folder / DATA_DOCS
        return folder if (folder / "index.html").exists() else None

    def downloads(self) -> list[dict[str, Any]]:
        """Name, path and size in bytes of each report file."""
        folder = self.folder / "reports"
        files = sorted(folder.iterdir(), key=str) if folder.exists() else []
        return [{"name": file.name, "path": str(file), "bytes": file.stat().st_size} for file in files]

    # --- one break ------------------------------------------------------------------------------------------------

    def detail(self, number: int) -> dict[str, Any] | None:
        """A break with its documented help and both records as they were read; None where there is no such break."""
        found = self.ledger.nights.one_break(number)
        if found is None:
            return None
        cause = CAUSES.get(found.cause)
        urls = self.verdict.get("environments", {})
        return {
            "break": asdict(found),
            "class_title": CLASSES.get(found.break_class, found.break_class),
            "age": age_class(found.first_seen, self.night.moment),
            "control": describe(found.control, self.catalog),
            "cause": cause.title if cause else "",
            "mitigation": cause.mitigation if cause else "",
            "dataverse": self._dataverse(found),
            "finance": self._finance(found),
            "links": links(found, urls, self.catalog),
        }

    def _dataverse(self, found: BreakRecord) -> list[dict[str, Any]]:
        ids = found.dataverse_id.split()
        path = self.folder / "raw" / "dataverse" / f"{safe_name(found.dataverse_table)}.parquet"
        if not ids or not path.exists():
            return []
        column = _record_id(found.dataverse_table, self.catalog)
        return [] if column is None else _rows(path, column, ids)

    def _finance(self, found: BreakRecord) -> list[dict[str, Any]]:
        path = self.folder / "raw" / "finance" / f"{safe_name(found.finance_set)}.parquet"
        names = key_columns(found.finance_set, self.catalog)
        parts = found.finance_key.split("|")
        if not found.finance_key or len(parts) != len(names) or not path.exists():
            return []
        with Sets() as sets:
            sets.view("raw", path)
            where = " AND ".join(
                f"lower({quoted(name)}::VARCHAR) = lower({literal(part)})"
                for name, part in zip(names, parts, strict=True)
            )
            return list(sets.fetch(f"SELECT * FROM raw WHERE {where} LIMIT 10").to_pylist())


def describe(control: str, catalog: Catalog) -> dict[str, Any]:
    """What a control is, in words."""
    known = controls().get(control)
    if known is not None:
        return {
            "title": known.title,
            "area": known.area,
            "severity": known.severity,
            "evidence": known.evidence,
            "compares": known.compares,
            "tolerance": known.tolerance,
            "exclusions": known.exclusions,
        }
    words = {"severity": "error", "evidence": "compared in full", "tolerance": "none", "exclusions": ()}
    if control == SIGNED_PERIOD:
        title, compares = "Signed periods stay as they were signed", "Totals of signed periods against those of tonight"
        return words | {"title": title, "area": "close", "severity": "critical", "compares": compares}
    table_map = catalog.declared.get(control.removeprefix(PREFIX))
    if table_map is None:
        return words | {"title": control, "area": "", "compares": ""}
    compares = f"Dataverse {table_map.dataverse.table} against Finance {table_map.finance.set}, by integration key"
    return words | {"title": table_map.title, "area": table_map.area, "compares": compares}


def key_columns(set_name: str, catalog: Catalog) -> tuple[str, ...]:
    """The columns of the keys that breaks name rows of a Finance set by."""
    for table_map in catalog.declared.values():
        if table_map.finance.set == set_name:
            return table_map.finance.key
    for extract in extracts().values():
        if extract.side == "finance" and extract.set == set_name:
            return extract.key
    return ()


def links(found: BreakRecord, environments: Mapping[str, str], catalog: Catalog) -> dict[str, str]:
    """Where both records can be looked at: the form in Dataverse, the row of the entity in Finance."""
    result: dict[str, str] = {}
    ids = found.dataverse_id.split()
    if ids and found.dataverse_table and (url := environments.get("dataverse")):
        result["dataverse"] = f"{url}/main.aspx?pagetype=entityrecord&etn={found.dataverse_table}&id={ids[0]}"
    names = key_columns(found.finance_set, catalog)
    parts = found.finance_key.split("|")
    if (url := environments.get("finance")) and found.finance_key and len(parts) == len(names):
        conditions = [_condition(found.finance_set, name, part) for name, part in zip(names, parts, strict=True)]
        query = quote(" and ".join(conditions), safe="")
        result["finance"] = f"{url}/data/{found.finance_set}?cross-company=true&$filter={query}"
    return result


def _condition(set_name: str, name: str, value: str) -> str:
    schema = Schema.load()
    kind = "text"
    if schema.has("finance", set_name) and name in schema.table("finance", set_name).columns:
        kind = schema.column("finance", set_name, name).kind
    else:
        wanted = [one for e in extracts().values() if e.set == set_name for one in e.columns.values()]
        kind = next((one.kind or "text" for one in wanted if one.column == name), "text")
    if kind in ("int", "decimal", "guid"):
        return f"{name} eq {value}"
    return f"{name} eq '{value.replace(chr(39), chr(39) * 2)}'"


def _record_id(table: str, catalog: Catalog) -> str | None:
    for table_map in catalog.declared.values():
        if table_map.dataverse.table == table:
            return table_map.dataverse.id
    for extract in extracts().values():
        if extract.table == table:
            return extract.key[0]
    return None


def _rows(path: UPath, column: str, values: list[str]) -> list[dict[str, Any]]:
    with Sets() as sets:
        sets.view("raw", path)
        listed = ", ".join(literal(value) for value in values[:10])
        return list(sets.fetch(f"SELECT * FROM raw WHERE {quoted(column)} IN ({listed})").to_pylist())


def _all(ledger: Ledger, chosen: BreakFilter) -> Iterator[BreakRecord]:
    after = 0
    while page := ledger.nights.breaks(chosen, after=after, limit=PAGE):
        yield from page
        after = page[-1].number


def _natural(text: str) -> tuple[str, int, str]:
    found = re.fullmatch(r"([A-Za-z]+)([0-9]+)", text)
    return (found[1], int(found[2]), "") if found else (text, 0, text)


__all__ = ["AGES", "ControlLine", "NightReport", "age_class", "describe", "key_columns", "links", "read_table"]
