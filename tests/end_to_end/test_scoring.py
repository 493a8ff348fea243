"""Planted breaks against what a night reports: all are found, nothing beside them, and the workbook says the same."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from dualsync.ledger import NightRecord
from dualsync.nightly import steps
from dualsync.nightly.night import NightRef
from dualsync.nightly.publish import publish
from dualsync.nightly.totals import compute_totals
from dualsync.reports.publishing import write_reports
from dualsync.sync.legs.runtime import Runtime
from dualsync_sandbox.plant import BREAKS, LOOK_ALIKES
from support.cycles import SINCE
from support.nights import COMPANIES
from support.scores import declared, judge, unplantable
from support.worlds import World

pytestmark = pytest.mark.slow

EACH_ONCE = len(BREAKS)
"""Enough that every kind of break is planted once."""


def table(sheet: Worksheet) -> list[dict[str, Any]]:
    """The rows of a sheet by their heads; what is below the filter's range is left out."""
    heads, *rows = [[cell.value for cell in row] for row in sheet[sheet.auto_filter.ref]]
    return [dict(zip(heads, row, strict=True)) for row in rows]


def test_a_night_reports_every_planted_break_and_nothing_else(evening: World) -> None:
    """Recall and precision are 100 % for every control and class; `make score` does the same for 20 seeds.

    The workbook of that night ties to the ledger, and its totals to the stores of both systems.
    """
    files: list[Path] = []
    nights: list[NightRecord] = []

    def report(night: NightRef, runtime: Runtime) -> None:
        compute_totals(steps.tonight(night, runtime))
        publish(night, runtime)
        files.extend(Path(str(path)) for path in write_reports(runtime, night.run.run_id))
        record = runtime.ledger.nights.night(night.run.run_id)
        assert record is not None
        nights.append(record)

    planted, found = judge(evening, 1, EACH_ONCE, report)
    assert len(planted.breaks) == len(planted.look_alikes) == EACH_ONCE
    assert found.silent == []
    assert not found.missed, "\n".join(f"{rule}: nothing reports {text}" for rule, text in found.missed)
    assert not found.false, "no plant explains (see Planted.also):\n" + "\n".join(
        f"{rule} {row['company']} {row['key']}: {row['dataverse_value']!r} / {row['finance_value']!r}"
        for rule, row in found.false
    )
    assert declared() - set(found.planted) == unplantable().keys()
    # breaks come first: few invoices and receipts are left for those of them that only look broken
    assert len({one.kind for one in planted.look_alikes}) >= len(LOOK_ALIKES) - 5

    book = load_workbook(next(file for file in files if file.suffix == ".xlsx"))
    breaks = table(book["Exceptions"])
    assert len(breaks) == found.reported.total()
    assert list(dict.fromkeys(row["Severity"] for row in breaks)) == ["critical", "error", "warning"]
    cover = {row[0].value: row[1].value for row in book["Cover"].iter_rows(max_col=2)}
    severities = Counter(row["Severity"] for row in breaks)
    (night,) = nights
    assert (night.critical, night.error, night.warning) == tuple(
        severities[one] for one in ("critical", "error", "warning")
    )
    told = [cover[name] for name in ("Critical exceptions", "Errors", "Warnings")]
    assert told == [night.critical, night.error, night.warning]
    assert not any(str(cell.value).startswith("=") for sheet in book for row in sheet.iter_rows() for cell in row)
    young = staged(evening, book["Totals staged"])
    # what only looks broken is out of the way of what is: what is young is not judged
    assert not {text for one in planted.breaks for text in one.records if text in young}


def staged(world: World, sheet: Worksheet) -> set[str]:
    """Rows and amounts of the sheet are those of the two stores, without what changed within the hour.

    Returns the ids of the actuals that did.
    """
    rows = table(sheet)
    since = (world.sandbox.clock.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with world.sandbox.dataverse_store.reading() as here, world.sandbox.finance_store.reading() as there:
        codes = {row["cdm_companyid"]: row["cdm_companycode"] for row in here.find("cdm_company")}
        actuals = {str(row["msdyn_actualid"]): row for row in here.find("msdyn_actual")}
        staging = there.find("ProjActualsImports")
    young = {key for key, row in actuals.items() if str(row["modifiedon"]) > since}
    assert young
    landed = [row for row in staging if str(row["ActualId"]).lower() not in young]
    known = {str(row["ActualId"]).lower() for row in staging}
    sent = [
        row
        for key, row in actuals.items()
        if row["msdyn_skipsync"] is False
        and key not in young
        and (key in known or str(row["msdyn_documentdate"]) >= str(SINCE))
    ]
    for company in COMPANIES:
        mine = [row for row in rows if row["Company"] == company]
        ours = [row for row in sent if codes.get(row["msdyn_owningcompany"]) == company]
        theirs = [row for row in landed if row["dataAreaId"] == company.lower()]
        assert sum(row["Dataverse rows"] for row in mine) == len(ours) > 50
        assert sum(row["Finance rows"] for row in mine) == len(theirs) > 50
        for name, amounts in (
            ("Dataverse amount", [row["msdyn_amount"] or 0 for row in ours]),
            ("Finance amount", [row["Amount"] for row in theirs]),
        ):
            shown = sum(Decimal(str(row[name])) for row in mine)
            assert shown == sum(amounts), (company, name)
    return young
