"""The Data Docs of a reconciliation: what became of each suite and rule, as pages that can be read offline.

Great Expectations renders the rules. Its own page around them would load style sheets, scripts, fonts and a logo from
public hosts, so the pages around are ours (``templates/``): they need no script and no network. They are made of the
counts that the reconciliation keeps, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from typing import Any

from upath import UPath

from dualsync.mapping.areas import area_title
from dualsync.mapping.suites import CHECK
from dualsync.mapping.validation import import_great_expectations
from dualsync.nightly.quality import CHECKED, quality_path
from dualsync.reports.figures import percent
from dualsync.reports.nights import DATA_DOCS, NightReport
from dualsync.reports.words import reconciliation_name, state_word
from dualsync.sync.legs.folders import read_json, safe_name

NIGHTS_BEFORE = 7
"""Of how many earlier reconciliations the first page shows the pass rates."""

_NOT_RUN = "not_run"
_ORDER = {"failed": 0, CHECKED: 2, _NOT_RUN: 3}


def build_data_docs(report: NightReport) -> UPath:
    """Build the pages of a reconciliation anew; to be called by one task at a time.

    Args:
        report: The reconciliation, which is in the ledger.

    Returns:
        Their first page.
    """
    folder = report.folder / DATA_DOCS
    with as_file(files("dualsync.reports") / "templates") as templates:
        pages = _Pages(str(templates))
        suites = _suites(report)
        for suite in suites:
            kept = read_json(quality_path(report.folder, suite["suite"]))
            if suite["page"] and kept is not None:
                _write(folder / suite["page"], pages.suite(report, suite, kept["expectations"]))
        _write(folder / "static" / "data_docs.css", (templates / "data_docs.css").read_text(encoding="utf-8"))
        _write(folder / "index.html", pages.index(report, suites))
    return folder / "index.html"


def _write(path: UPath, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def _suites(report: NightReport) -> list[dict[str, Any]]:
    """Return a line for each suite, those with broken rules first."""
    rates = report.suite_rates(NIGHTS_BEFORE + 1)
    now = [rate for rate in rates if rate["run_id"] == report.night.run_id]
    before: dict[str, list[str]] = {}
    for rate in rates:
        if rate["run_id"] != report.night.run_id:
            before.setdefault(rate["suite"], []).append(percent(rate["rate"]))
    now.sort(key=lambda rate: (1 if rate["broken"] else _ORDER[rate["state"]], rate["area"], rate["suite"]))
    return [{**rate, **_shown(rate, report), "before": before.get(rate["suite"], [])} for rate in now]


def _shown(rate: Mapping[str, Any], report: NightReport) -> dict[str, str]:
    """Return what the pages show of a suite, in words."""
    table_map = report.catalog.declared.get(rate["suite"])
    between = f"Dataverse {table_map.dataverse.table} and Finance {table_map.finance.set}" if table_map else ""
    return {
        "percent": percent(rate["rate"]),
        "page": f"suites/{safe_name(rate['suite'])}.html" if rate["state"] == CHECKED else "",
        "between": between,
        "area_title": area_title(rate["area"]) if rate["area"] else "",
        "state_word": state_word(rate["state"]),
    }


class _Pages:
    """Renders pages.

    Args:
        templates: The folder of our templates.
    """

    def __init__(self, templates: str) -> None:
        self._gx = import_great_expectations()
        from great_expectations.render.view.view import DefaultJinjaPageView

        self._view = DefaultJinjaPageView(custom_views_directory=templates)

    def index(self, report: NightReport, suites: Sequence[Mapping[str, Any]]) -> str:
        """Return the first page."""
        total = report.suite_total(suites)
        text = self._view.env.get_template("index.html").render(
            night=_night(report), suites=suites, total={**total, "percent": percent(total["rate"])}
        )
        return str(text)

    def suite(self, report: NightReport, suite: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> str:
        """Return the page of a suite."""
        from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

        document = ValidationResultsPageRenderer().render(self._result(suite, rules)).to_json_dict()
        text = self._view.env.get_template("suite.html").render(
            night=_night(report),
            suite=suite,
            broken=[rule for rule in rules if rule["broken"]],
            sections=document["sections"][1:],  # the first tells of a batch and a run that there are none of here
        )
        return str(text)

    def _result(self, suite: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> Any:
        """Return the counts of a suite in the form that Great Expectations renders."""
        from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult

        broken = sum(1 for rule in rules if rule["broken"])
        statistics = {
            "evaluated_expectations": len(rules),
            "successful_expectations": len(rules) - broken,
            "unsuccessful_expectations": broken,
            "success_percent": 100 * (len(rules) - broken) / len(rules) if rules else None,
        }
        return ExpectationSuiteValidationResult(
            success=not broken,
            results=[_rule_result(rule) for rule in rules],
            suite_name=suite["suite"],
            statistics=statistics,
            meta={"great_expectations_version": self._gx.__version__},
        )


def _rule_result(rule: Mapping[str, Any]) -> Any:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    kwargs, meta = dict(rule["kwargs"]), rule["meta"]
    if CHECK in meta:
        kwargs["column"] = f"{kwargs['column'].removeprefix('rule:')} (business rule)"
    judged = rule["rows"] - rule["missing"]
    return ExpectationValidationResult(
        success=not rule["broken"],
        expectation_config=ExpectationConfiguration(
            type=rule["type"], kwargs=kwargs, meta={}, severity=rule["severity"]
        ),
        result={
            "element_count": rule["rows"],
            "missing_count": rule["missing"],
            "missing_percent": 100 * rule["missing"] / rule["rows"],
            "unexpected_count": rule["broken"],
            "unexpected_percent": 100 * rule["broken"] / judged if judged else 0,
            "partial_unexpected_list": [],
        },
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
    )


def _night(report: NightReport) -> dict[str, str]:
    return {"run_id": report.night.run_id, "name": reconciliation_name(report.night.moment, "UTC")}
