"""Writes the report files of a night: the workbook, and its rows as CSV and Parquet."""

from __future__ import annotations

from upath import UPath

from dualsync.errors import SettingsError
from dualsync.reports.exports import write_files
from dualsync.reports.nights import NightReport
from dualsync.reports.workbook import write_workbook
from dualsync.sync.runtime import Runtime


def write_reports(runtime: Runtime, run_id: str) -> list[UPath]:
    """Write all report files of a night that is in the ledger, and return their paths.

    Raises:
        SettingsError: The run is no night of the reconciliation.
    """
    report = NightReport.of(runtime.ledger, runtime.catalog, run_id)
    if report is None:
        raise SettingsError(f"run {run_id} is no night of the reconciliation")
    return [write_workbook(report, runtime.settings.time_zone), *write_files(report)]
