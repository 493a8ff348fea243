"""Exceptions on the way of actuals through the integration journals [R4, R5, R34, R36]."""

from __future__ import annotations

from dualsync_sandbox.plant.actuals.chains import (
    ACCOUNTING,
    ACTUALS,
    LINES,
    STAGING,
    SUMS,
    UNPOSTED,
    copy_as_draft,
    planted,
    take_chain,
)
from dualsync_sandbox.plant.ground import Ground, Planted


def line_doubled(ground: Ground) -> Planted:
    """A staged row has two journal lines."""
    chain = take_chain(ground)
    number = ground.rng.randrange(10_000, 90_000)
    ground.finance.copy(LINES, chain.line, LineNumber=number)
    return planted("line-doubled", "two journal lines", chain, ("R4", "duplicate_in_finance"), also=SUMS)


def line_lost(ground: Ground) -> Planted:
    """The journal line of a posted actual is gone."""
    chain = take_chain(ground)
    ground.finance.remove(LINES, chain.line)
    return planted("line-lost", "journal line gone", chain, ("R4", "relation"), also=SUMS)


def not_imported(ground: Ground) -> Planted:
    """A staged row that was never imported, without a word why."""
    return _waiting(ground, "not-imported", "")


def no_rate(ground: Ground) -> Planted:
    """A staged row that was not imported because there is no exchange rate."""
    return _waiting(ground, "no-rate", "The exchange rate between USD and XXX does not exist.")


def _waiting(ground: Ground, kind: str, message: str) -> Planted:
    chain = take_chain(ground)
    origin, import_id = ground.new_id("origin"), ground.new_id("import")
    new = ground.dataverse.copy(ACTUALS, chain.actual, msdyn_actualimportid=import_id, msdyn_origin=origin)
    ground.dataverse.change(ACTUALS, new, {**ACCOUNTING, "modifiedon": ground.old})
    staged = ground.finance.copy(STAGING, chain.staged, ActualsImportId=import_id, ActualId=str(new["msdyn_actualid"]))
    ground.finance.change(STAGING, staged, UNPOSTED)
    if message:
        entry = ground.rng.randrange(10**6, 10**8)
        ground.finance.add(
            "ImportLog",
            {
                "dataAreaId": chain.company.lower(),
                "EntryNumber": entry,
                "ActualsImportId": import_id,
                "Message": message,
                "LoggedDateTime": ground.old,
            },
        )
    records = (str(new["msdyn_actualid"]), import_id, origin)
    return planted(kind, "staged and not imported", chain, ("R34", "not_imported"), also=("R15",), records=records)


def line_forgotten(ground: Ground) -> Planted:
    """The journal line of an actual of last year is still a draft."""
    chain = take_chain(ground)
    records = copy_as_draft(ground, chain, f"{int(ground.now[:4]) - 1}-11-15")
    return planted(
        "line-forgotten", "draft of a past period", chain, ("R5", "not_posted"), also=("R15",), records=records
    )


def line_in_error(ground: Ground) -> Planted:
    """A journal line stands in error."""
    chain = take_chain(ground)
    ground.finance.change(LINES, chain.line, {"LineStatus": "Error", "Message": "No open fiscal period for the date."})
    return planted("line-in-error", "journal line in error", chain, ("R36", "not_posted"), also=SUMS)


def journal_stuck(ground: Ground) -> Planted:
    """A journal has been in processing for two days."""
    headers = [row for row in ground.rows("IntegrationJournalHeaders") if row["dataAreaId"] in ground.areas]
    header = ground.choose(headers, lambda row: [f"{row['dataAreaId']}/{row['JournalId']}"])
    ground.finance.change(
        "IntegrationJournalHeaders", header, {"JournalStatus": "Processing", "ProcessingDateTime": ground.old}
    )
    journal = str(header["JournalId"])
    company = str(header["dataAreaId"]).upper()
    return Planted("journal-stuck", f"in processing: {journal}", company, (("R36", "not_posted"),), (), (journal,))


BREAKS = (
    line_doubled,
    line_lost,
    not_imported,
    no_rate,
    line_forgotten,
    line_in_error,
    journal_stuck,
)
