"""What a nightly reconciliation has to show, as plain data over the ledger and its folder.

The workbook, the files, the command line and the pages all read from here, so that they say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from upath import UPath

from dualsync.controls.causes import CAUSES
from dualsync.controls.model import CLASSES, SEVERITIES
from dualsync.frames import iter_tables
from dualsync.ledger import BreakRecord, Ledger, NightRecord, SuiteResult
from dualsync.ledger.breaks import BreakFilter
from dualsync.ledger.records import STATES
from dualsync.mapping import Catalog
from dualsync.nightly.comparison.maps import PREFIX
from dualsync.nightly.coverage import COVERAGE
from dualsync.reports.controls import ControlLine, control_lines, describe
from dualsync.reports.figures import AGES, age_class
from dualsync.reports.records import dataverse_records, finance_records, links
from dualsync.sync.legs.folders import read_json, safe_name

PAGE = 5_000
"""Exceptions read from the ledger at a time."""

DATA_DOCS = "data_docs"
"""Folder of the Data Docs in the folder of a reconciliation; its first page is ``index.html``."""


class NightReport:
    """One nightly reconciliation, to be shown.

    Args:
        ledger: The ledger.
        catalog: The table maps.
        night: The reconciliation.
    """

    def __init__(self, ledger: Ledger, catalog: Catalog, night: NightRecord) -> None:
        self.ledger = ledger
        self.catalog = catalog
        self.night = night
        self.folder = UPath(night.folder)

    @classmethod
    def of(cls, ledger: Ledger, catalog: Catalog, run_id: str) -> NightReport | None:
        """Return the report of a run, None where it is no reconciliation.

        Args:
            ledger: The ledger.
            catalog: The table maps.
            run_id: The run.
        """
        night = ledger.nights.night(run_id)
        return None if night is None else cls(ledger, catalog, night)

    @property
    def verdict(self) -> dict[str, Any]:
        """What it said in short: environments, counts, shares, digest of what was read, version."""
        return read_json(self.folder / "verdict.json") or {}

    # --- controls -------------------------------------------------------------------------------------------------

    def control_lines(self) -> list[ControlLine]:
        """Return one line for each control and compared map, by area, the controls before the maps."""
        return control_lines(self.ledger.nights.results(self.night.run_id), self.catalog)

    def coverage(self) -> dict[str, Any]:
        """Return what was tested, see :class:`dualsync.nightly.coverage.Coverage`; empty for older ones."""
        return read_json(self.folder / COVERAGE) or {
            "lines": [],
            "checks": 0,
            "tested": 0,
            "gaps": [],
            "limitations": {},
        }

    def areas(self) -> list[dict[str, Any]]:
        """Return for each area its number of controls and maps by state, and of exceptions."""
        areas: dict[str, dict[str, Any]] = {}
        for line in self.control_lines():
            empty = {"area": line.area, "number": 0, **dict.fromkeys(STATES, 0)}
            area = areas.setdefault(line.area, empty)
            area[line.state] += 1
            area["number"] += line.breaks
        return list(areas.values())

    # --- exceptions -----------------------------------------------------------------------------------------------

    def breaks(self) -> Iterator[BreakRecord]:
        """Yield all exceptions, the worst first, read from the ledger page by page."""
        for severity in SEVERITIES:
            yield from _all(self.ledger, BreakFilter(run_id=self.night.run_id, severity=severity))

    def resolved(self) -> Iterator[BreakRecord]:
        """Yield the exceptions that were gone in this reconciliation."""
        yield from _all(self.ledger, BreakFilter(resolved_by=self.night.run_id))

    def ageing(self) -> list[dict[str, Any]]:
        """Return exceptions by age class and severity: number, and absolute amounts by currency."""
        lines: dict[tuple[str, str], dict[str, Any]] = {
            (age, severity): {"age": age, "severity": severity, "breaks": 0, "amounts": {}}
            for age in AGES
            for severity in SEVERITIES
        }
        for exception in self.breaks():
            line = lines[age_class(exception.first_seen, self.night.moment), exception.severity]
            line["breaks"] += 1
            if exception.amount is not None:
                sum_so_far = line["amounts"].get(exception.currency, Decimal(0))
                line["amounts"][exception.currency] = sum_so_far + abs(exception.amount)
        return list(lines.values())

    def detail(self, number: int) -> dict[str, Any] | None:
        """Return an exception with what helps and both records as they were read, None where there is none.

        Args:
            number: Its number.
        """
        exception = self.ledger.nights.one_break(number)
        if exception is None:
            return None
        cause = CAUSES.get(exception.cause)
        environments = self.verdict.get("environments", {})
        return {
            "break": asdict(exception),
            "class_title": CLASSES.get(exception.break_class, exception.break_class),
            "age": age_class(exception.first_seen, self.night.moment),
            "control": describe(exception.control, self.catalog),
            "cause": cause.title if cause else "",
            "mitigation": cause.mitigation if cause else "",
            "dataverse": dataverse_records(exception, self.folder, self.catalog),
            "finance": finance_records(exception, self.folder, self.catalog),
            "links": links(exception, environments, self.catalog),
        }

    # --- totals and the rest --------------------------------------------------------------------------------------

    def totals(self, *, period: str = "") -> Iterator[dict[str, Any]]:
        """Yield the control totals.

        Args:
            period: Only those of this period: its first day, ISO; empty for all.
        """
        path = self.folder / "totals.parquet"
        if not path.exists():
            return
        for table in iter_tables(path):
            for row in table.to_pylist():
                if not period or str(row["period"]) == period:
                    yield row

    def totals_summary(self) -> dict[str, Any]:
        """Return the state of each set of totals, balances of the integration accounts, shares and amounts matched."""
        empty: dict[str, Any] = {"states": {}, "balances": [], "matched": {}, "amounts": {}}
        return {**empty, **(read_json(self.folder / "totals.json") or {})}

    def normalisation(self) -> list[dict[str, str]]:
        """Return what was done to each column pair before it was compared, by map."""
        names = {result.control for result in self.ledger.nights.results(self.night.run_id)}
        maps = sorted(name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX))
        return [{"map": name, **pair} for name in maps for pair in self._pairs(name)]

    def pairs(self, control: str) -> list[tuple[str, str]]:
        """Return the columns of Dataverse and of Finance that the comparison of a map held against each other.

        Args:
            control: ``map:NAME``; a control has none.
        """
        pairs = self._pairs(control.removeprefix(PREFIX)) if control.startswith(PREFIX) else []
        return [(pair["dataverse"], pair["finance"]) for pair in pairs]

    def _pairs(self, map_name: str) -> list[dict[str, str]]:
        """Return the column pairs of a map with their normalisation; every company's folder has the same."""
        folder = self.folder / "sides" / safe_name(map_name)
        for company in sorted(folder.iterdir(), key=str) if folder.exists() else ():
            done = read_json(company / "done.json")
            if done is not None and "normalisation" in done:
                return list(done["normalisation"])
        return []

    def open_rows(self) -> list[dict[str, Any]]:
        """Return how many rows wait or are blocked now, by map, direction, company and state."""
        return [
            {"map": map_name, "direction": direction, "company": company, "state": state, "rows": number}
            for (map_name, direction, company, state), number in sorted(self.ledger.count_open_rows().items())
        ]

    # --- data quality ---------------------------------------------------------------------------------------------

    def suite_rates(self, nights: int = 30) -> list[dict[str, Any]]:
        """Return what became of each suite in this reconciliation and those before it.

        Args:
            nights: How many reconciliations at most, this one included; those of a close package do not count.

        Returns:
            One line for each reconciliation and suite, newest first: ``run_id``, ``moment``, ``title``, ``area``, the
            fields of :class:`dualsync.ledger.SuiteResult`, and ``rate``, the share of rows that break no rule (None
            where there were no rows).
        """
        checked = [self.night, *self.ledger.nights.checked(self.night.ended_at, nights - 1)]
        suites = self.ledger.nights.suites([night.run_id for night in checked])
        return [
            {
                "run_id": night.run_id,
                "moment": night.moment,
                **{word: describe(f"{PREFIX}{result.suite}", self.catalog)[word] for word in ("title", "area")},
                **asdict(result),
                "rate": result.rate,
            }
            for night in checked
            for result in suites.get(night.run_id, ())
        ]

    @staticmethod
    def suite_total(suites: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Return all suites together: ``rows``, ``refused``, ``warned``, ``held``, ``rules``, ``broken``, ``rate``.

        Args:
            suites: Lines of :meth:`suite_rates`.
        """
        names = ("rows", "refused", "warned", "held", "rules", "broken")
        sums = dict.fromkeys(names, 0)
        for suite in suites:
            for name in names:
                sums[name] += suite[name]
        together = SuiteResult("", "checked", rows=sums["rows"], refused=sums["refused"], warned=sums["warned"])
        return {**sums, "rate": together.rate}

    @property
    def data_docs(self) -> UPath | None:
        """The folder of the Data Docs, whose first page is ``index.html``; None where there are none."""
        folder = self.folder / DATA_DOCS
        return folder if (folder / "index.html").exists() else None

    def downloads(self) -> list[dict[str, Any]]:
        """Return name, path and size in bytes of each report file."""
        folder = self.folder / "reports"
        files = sorted(folder.iterdir(), key=str) if folder.exists() else []
        return [{"name": file.name, "path": str(file), "bytes": file.stat().st_size} for file in files]


def _all(ledger: Ledger, chosen: BreakFilter) -> Iterator[BreakRecord]:
    after = 0
    while page := ledger.nights.breaks(chosen, after=after, limit=PAGE):
        yield from page
        after = page[-1].number
