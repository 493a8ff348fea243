"""Writes the report files of a night: the workbook, its rows as CSV and Parquet, the Data Docs."""

from __future__ import annotations

from upath import UPath

from dualsync.errors import RequestError
from dualsync.reports.exports import write_files
from dualsync.reports.nights import NightReport
from dualsync.reports.workbook import write_workbook
from dualsync.sync.legs.runtime import Runtime


def write_reports(runtime: Runtime, run_id: str) -> list[UPath]:
    """Write all report files of a night that is in the ledger, and return their paths.

    Raises:
        RequestError: The run is no night of the reconciliation.
    """
    report = _report(runtime, run_id)
    return [write_workbook(report, runtime.settings.time_zone), *write_files(report)]


def write_data_docs(runtime: Runtime, run_id: str) -> UPath:
    """Build the Data Docs of a night that is in the ledger, and return the path of their first page.

    Raises:
        RequestError: The run is no night of the reconciliation.
    """
    from dualsync.reports.data_docs import build_data_docs

    return build_data_docs(_report(runtime, run_id))


def _report(runtime: Runtime, run_id: str) -> NightReport:
    report = NightReport.of(runtime.ledger, runtime.catalog, run_id)
    if report is None:
        raise RequestError(f"run {run_id} is no night of the reconciliation")
    return report
