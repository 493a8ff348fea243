"""How much of a reconciliation was tested, as it is shown: by area and company, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(slots=True)
class AreaCoverage:
    """What was tested of the rows that one area judges in one company.

    Attributes:
        area: The area.
        company: The company.
        rows: Rows that could be counted.
        tested: Those of them of which every check of the area was asked.
        uncounted: Titles of the kinds of rows that could not be read.
        amounts: By currency, the amounts that were tested, and all of them.
        untested: Names of the checks that could not be asked.
    """

    area: str
    company: str
    rows: int = 0
    tested: int = 0
    uncounted: list[str] = field(default_factory=list)
    amounts: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    untested: list[str] = field(default_factory=list)


def by_area(coverage: Mapping[str, Any]) -> list[AreaCoverage]:
    """Return the coverage of each area and company.

    Args:
        coverage: What the reconciliation has kept, see :class:`dualsync.nightly.coverage.Coverage`.
    """
    shown: dict[tuple[str, str], AreaCoverage] = {}
    for line in coverage["lines"]:
        place = (line["area"], line["company"])
        _add(shown.setdefault(place, AreaCoverage(*place)), line)
    return list(shown.values())


def _add(area: AreaCoverage, line: Mapping[str, Any]) -> None:
    area.untested += [name for name in line["untested"] if name not in area.untested]
    if line["rows"] is None:
        area.uncounted.append(line["title"])
        return
    tested = line["state"] == "tested"
    area.rows += line["rows"]
    area.tested += line["rows"] if tested else 0
    for code, text in line["amounts"].items():
        part, whole = area.amounts.get(code, (Decimal(0), Decimal(0)))
        amount = Decimal(text)
        area.amounts[code] = (part + (amount if tested else 0), whole + amount)
