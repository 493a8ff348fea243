"""A night in an environment that does not show everything: it agrees as far as tested, and says what was not."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from dualsync.errors import SchemaMismatch
from dualsync.nightly import steps
from dualsync.nightly.coverage import COVERAGE
from dualsync.nightly.publish import Verdict, publish
from dualsync.nightly.reading import Reader, Source
from dualsync.nightly.totals import compute_totals
from dualsync.reports.nights import NightReport
from dualsync.settings import Gap
from support.worlds import World


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str] | None]:
    """Columns that the systems do not have, by table or set; None where they do not have it at all."""
    missing: dict[str, set[str] | None] = {}
    live = Reader._live

    def without(self: Reader, source: Source) -> set[str]:
        lost = missing.get(source.place, set())
        if lost is None:
            raise SchemaMismatch(f"{source.side} has no {source.place}")
        return live(self, source) - lost

    monkeypatch.setattr(Reader, "_live", without)
    return missing


def controls_of_a_night(world: World, **settings: Any) -> tuple[Verdict, dict[str, Any], NightReport]:
    with world.runtime() as runtime:
        runtime.settings = runtime.settings.model_copy(update=settings)
        night = steps.begin(runtime, maps=())
        steps.read(night, runtime)
        steps.ask(night, runtime)
        compute_totals(steps.tonight(night, runtime))
        verdict = publish(night, runtime)
        report = NightReport.of(runtime.ledger, runtime.catalog, verdict.run_id)
        assert report is not None
        return verdict, json.loads((night.folder / COVERAGE).read_text()), report


def test_everything_that_can_be_tested_is_and_the_night_agrees(evening: World) -> None:
    verdict, covered, _ = controls_of_a_night(evening)
    assert (verdict.state, verdict.exit_code, verdict.gaps) == ("equal", 0, ())
    assert covered["gaps"] == []
    assert covered["tested"] == covered["checks"] > 90
    assert set(covered["limitations"]) == {"R24b"}
    lines = {(line["extract"], line["company"], line["area"]): line for line in covered["lines"]}
    actuals = lines["actuals", "USPM", "estimates_actuals"]
    rows = evening.dataverse_api.rows("msdyn_actuals")
    (company,) = evening.dataverse_api.rows("cdm_companies", "cdm_companycode eq 'USPM'")
    mine = [row for row in rows if row["_msdyn_owningcompany_value"] == company["cdm_companyid"]]
    assert (actuals["rows"], actuals["state"]) == (len(mine), "tested")
    assert set(actuals["amounts"]) >= {"USD"}


def test_what_is_hidden_costs_the_checks_that_read_it_and_no_other(
    evening: World, hidden: dict[str, set[str] | None]
) -> None:
    hidden["FiscalPeriods"] = {"EndDate"}  # one check reads it
    hidden["IntercompanyRelations"] = None
    verdict, covered, report = controls_of_a_night(evening, gaps={"r27": Gap(reason="known", until=date(2099, 1, 1))})

    assert (verdict.state, verdict.exit_code) == ("incomplete", 3)
    gaps = {gap["name"]: gap for gap in covered["gaps"]}
    assert set(gaps) == {"R5d", *(name for name in gaps if name.startswith("R27"))} > {"R5d"}
    assert "no column EndDate" in gaps["R5d"]["reason"]
    assert verdict.gaps == ("R5d",), "R27 is accepted"
    lines = {line.control: line for line in report.control_lines()}
    assert (lines["R5"].state, lines["R6"].state) == ("incomplete", "equal")
    assert lines["R5"].reason.startswith("R5d: ")
    assert f"{covered['tested']} of {covered['checks']} checks" in verdict.tested
    journal_lines = [line for line in covered["lines"] if "R5d" in line["untested"]]
    assert {line["state"] for line in journal_lines} <= {"partly", "not"}
    assert all(line["rows"] is not None for line in journal_lines)


def test_what_cannot_be_read_at_all_has_no_number_of_rows(evening: World, hidden: dict[str, set[str] | None]) -> None:
    hidden["ProjActualsImports"] = None
    verdict, covered, report = controls_of_a_night(evening)
    assert verdict.state == "incomplete"
    staging = [line for line in covered["lines"] if line["extract"] == "staging"]
    assert staging
    assert all((line["rows"], line["state"]) == (None, "not") for line in staging)
    assert "could not be counted" in verdict.tested
    assert next(line for line in report.control_lines() if line.control == "R3").state == "not_run"
    assert verdict.matched == ""
