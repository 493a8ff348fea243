"""How much of both systems a night has tested, and why not the rest: in checks, rows and money, by area and company.

A row counts as tested in an area where every check of the area that judges its kind was asked; why a check could not be
asked is said. Checks that no environment can show are *limitations*: they are listed and not counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from dualsync.controls.extracts import Extract, extracts
from dualsync.controls.model import WINDOW, Control
from dualsync.decimals import money
from dualsync.frames import Sets, quoted
from dualsync.ledger import ControlResult, SuiteResult
from dualsync.nightly.checks import BREAKS, EQUAL, FAILED, LIMITATION, NOT_RUN
from dualsync.nightly.needs import lacking, reads
from dualsync.nightly.night import NightRuntime
from dualsync.nightly.views import open_views
from dualsync.sync.plan.vocabulary import GLOBAL

_CHECK = re.compile(r"^(r[0-9]+)[a-z]$")

COVERAGE = "coverage.json"
"""The file of a night's coverage in its folder."""


@dataclass(frozen=True, slots=True)
class ControlState:
    """What a control said in a night, all companies together.

    Attributes:
        control: The control.
        result: Its state, exceptions and reason, and the same of each of its checks.
    """

    control: Control
    result: dict[str, Any]

    @property
    def tested(self) -> tuple[str, ...]:
        """The letters of its checks that were asked and answered."""
        return tuple(one["check"] for one in self.result["checks"] if one["state"] in (EQUAL, BREAKS))

    @property
    def untested(self) -> dict[str, str]:
        """Why its other checks were not, by name; limitations left out."""
        lost = (one for one in self.result["checks"] if one["state"] in (NOT_RUN, FAILED))
        return {f"{self.control.id}{one['check']}": one["reason"] for one in lost}


@dataclass(frozen=True, slots=True)
class Covered:
    """The rows of one extract in one company, as one area judges them.

    Attributes:
        area: The area.
        company: The company; ``_global`` for rows that belong to none.
        extract: Name of the extract.
        title: What it holds.
        rows: How many rows there are; None where they could not be read.
        amounts: Their absolute amounts by currency, as text; empty where they have none.
        checks: How many checks of the area judge them.
        untested: Why checks could not be asked, by name.
    """

    area: str
    company: str
    extract: str
    title: str
    rows: int | None
    amounts: dict[str, str]
    checks: int
    untested: dict[str, str]

    @property
    def state(self) -> str:
        """``tested``, ``partly`` or ``not`` tested."""
        if not self.untested:
            return "tested"
        return "not" if len(self.untested) == self.checks else "partly"


@dataclass(frozen=True, slots=True)
class Untested:
    """Something that could not be tested, or failed.

    Attributes:
        name: The check, compared map (``map:NAME``) or suite (``suite:NAME``).
        reason: Why not.
        accepted: Why people have accepted that, and until when; empty where nobody has.
    """

    name: str
    reason: str
    accepted: str


@dataclass(slots=True)
class Coverage:
    """What a night has tested.

    Attributes:
        lines: By area, company and extract.
        checks: How many checks this environment was to serve.
        tested: How many of them were asked and answered.
        gaps: What was not tested.
        limitations: What no environment can show, by check: what it would prove, and why it cannot be shown.
    """

    lines: list[Covered]
    checks: int
    tested: int
    gaps: list[Untested]
    limitations: dict[str, tuple[str, str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "lines": [{**asdict(line), "state": line.state} for line in self.lines]}

    def in_words(self) -> str:
        """How much was tested, in one line: checks, rows, and money by currency."""
        known = [line for line in self._by_extract() if line.rows is not None]
        done = [line for line in known if not line.untested]
        rows, total = (sum(line.rows or 0 for line in lines) for lines in (done, known))
        unread = sum(line.rows is None for line in self._by_extract())
        words = [f"{self.tested} of {self.checks} checks", f"{rows:,} of {total:,} rows"]
        words += [f"{money(_sum(done, code))} of {money(_sum(known, code))} {code}" for code in _codes(known)]
        if unread:
            words.append(f"rows of {unread} kinds could not be counted")
        return "; ".join(words)

    def _by_extract(self) -> list[Covered]:
        """Each kind of row of a company once, however many areas judge it."""
        once: dict[tuple[str, str], Covered] = {}
        for line in self.lines:
            other = once.get((line.extract, line.company))
            if other is None or (line.untested and not other.untested):
                once[line.extract, line.company] = line
        return list(once.values())


def coverage(
    night: NightRuntime,
    controls: Sequence[ControlState],
    results: Iterable[ControlResult],
    suites: Iterable[SuiteResult],
) -> Coverage:
    """Return what a night has tested.

    Args:
        night: The night.
        controls: What each control said.
        results: What each control and compared map said, company by company.
        suites: What became of each suite.
    """
    judged: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for said in controls:
        lost = said.untested
        for check in said.control.asked:
            name = f"{said.control.id}{check.id}"
            judged.setdefault((said.control.area, check.judges), []).append((name, lost.get(name, "")))
    names = {extract for _, extract in judged}
    counted = {name: _count(night, extracts()[name]) for name in names}
    lines = [
        Covered(
            area,
            company,
            extract,
            extracts()[extract].title,
            *_rows_of(counted[extract], company),
            len(checks),
            {name: reason for name, reason in checks if reason},
        )
        for (area, extract), checks in sorted(judged.items())
        for company in _companies(night, extracts()[extract])
    ]
    names_of = {said.control.id for said in controls}
    gaps = {name: reason for said in controls for name, reason in said.untested.items()}
    rows = list(results)
    gaps |= {row.control: row.reason for row in rows if row.control not in names_of and row.state in (NOT_RUN, FAILED)}
    gaps |= {f"suite:{suite.suite}": suite.reason for suite in suites if suite.state in (NOT_RUN, FAILED)}
    limitations = {
        f"{said.control.id}{check.id}": (check.proves, check.limits)
        for said in controls
        for check in said.control.limitations
    }
    limitations |= {row.control: ("both sides agree row by row", row.reason) for row in rows if row.state == LIMITATION}
    checks = sum(len(said.control.asked) for said in controls)
    untested = [Untested(name, reason, _accepted(name, night)) for name, reason in gaps.items()]
    return Coverage(lines, checks, sum(len(said.tested) for said in controls), untested, limitations)


def _accepted(name: str, night: NightRuntime) -> str:
    """Why and until when a gap is accepted, by its own name or that of its control."""
    names = {name.casefold(), _CHECK.sub(r"\1", name.casefold())}
    for of, gap in night.settings.gaps.items():
        if of.casefold() in names and gap.until >= night.today:
            return f"{gap.reason} (until {gap.until.isoformat()})"
    return ""


_Counted = dict[str, tuple[int, dict[str, str]]]


def _count(night: NightRuntime, extract: Extract) -> _Counted | None:
    """Rows and amounts of an extract by company; None where it cannot be read."""
    name = quoted(extract.extract)
    company = "company" if extract.company is not None else f"'{GLOBAL}'"
    plain = f"SELECT {company} AS company, NULL AS currency, NULL AS amount FROM {name}"
    if lacking(night, plain):
        return None
    query = plain
    if extract.money is not None:
        with_money = _money(extract, company)
        query = plain if lacking(night, with_money) else with_money
    with Sets() as sets:
        open_views(sets, night, reads(query), WINDOW)
        rows = sets.fetch(
            "SELECT company, currency, count(*) AS n, sum(abs(amount::DECIMAL(38,6))) AS amount "
            f"FROM ({query}) GROUP BY ALL ORDER BY ALL"
        ).to_pylist()
    counted: _Counted = {}
    for row in rows:
        number, amounts = counted.get(row["company"], (0, {}))
        if row["currency"] is not None and row["amount"]:
            amounts = {**amounts, row["currency"]: format(row["amount"].normalize(), "f")}
        counted[row["company"]] = (number + row["n"], amounts)
    return counted


def _money(extract: Extract, company: str) -> str:
    """The query of company, currency code and amount of each row."""
    assert extract.money is not None
    amount, currency = extract.money
    name = quoted(extract.extract)
    company = "v.company" if company == "company" else company
    if not currency.endswith("_id"):
        return (
            f"SELECT {company} AS company, v.{quoted(currency)} AS currency, v.{quoted(amount)} AS amount FROM {name} v"
        )
    return (
        f"SELECT {company} AS company, c.code AS currency, v.{quoted(amount)} AS amount FROM {name} v "
        f"LEFT JOIN currencies c ON c.id = v.{quoted(currency)}"
    )


def _companies(night: NightRuntime, extract: Extract) -> list[str]:
    return list(night.companies) if extract.company is not None else [GLOBAL]


def _rows_of(counted: _Counted | None, company: str) -> tuple[int | None, dict[str, str]]:
    return (None, {}) if counted is None else counted.get(company, (0, {}))


def _codes(lines: Iterable[Covered]) -> list[str]:
    return sorted({code for line in lines for code in line.amounts})


def _sum(lines: Iterable[Covered], code: str) -> Decimal:
    return sum((Decimal(line.amounts.get(code, 0)) for line in lines), Decimal(0))
