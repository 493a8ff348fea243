"""Exceptions between actuals and their staging rows [R1 to R3, R38]."""

from __future__ import annotations

from dualsync_sandbox.plant.actuals.chains import (
    ACCOUNTING,
    ACTUALS,
    MAP,
    STAGING,
    SUMS,
    copy_chain,
    planted,
    take_chain,
)
from dualsync_sandbox.plant.ground import Ground, Planted


def staging_lost(ground: Ground) -> Planted:
    """The staging row of a posted actual is gone."""
    chain = take_chain(ground)
    ground.finance.remove(STAGING, chain.staged)
    return planted(
        "staging-lost",
        "staging row gone",
        chain,
        ("R1", "missing_in_finance"),
        (MAP, "missing_in_finance"),
        ("R4", "relation"),
        also=SUMS,
    )


def staging_doubled(ground: Ground) -> Planted:
    """An actual is staged twice, under another import id."""
    chain = take_chain(ground)
    new = ground.new_id(chain.actual["msdyn_actualid"])
    ground.finance.copy(STAGING, chain.staged, ActualsImportId=new)
    return planted(
        "staging-doubled",
        "staged twice",
        chain,
        ("R1", "duplicate_in_finance"),
        (MAP, "wrong_owner"),
        ("R4", "relation"),
        also=SUMS,
        records=(new,),
    )


def skipped_later(ground: Ground) -> Planted:
    """Skip Sync was turned on after the actual had gone."""
    chain = take_chain(ground)
    ground.dataverse.change(ACTUALS, chain.actual, {"msdyn_skipsync": True})
    return planted(
        "skipped-later",
        "Skip Sync turned on",
        chain,
        ("R2", "filtered_out"),
        (MAP, "filtered_out"),
        also=(*SUMS, "R26"),
    )


def actual_lost(ground: Ground) -> Planted:
    """An actual that was carried over is gone from Dataverse."""
    chain = take_chain(ground)
    ground.dataverse.remove(ACTUALS, chain.actual)
    return planted(
        "actual-lost",
        "actual gone",
        chain,
        ("R3", "missing_in_dataverse"),
        (MAP, "missing_in_dataverse"),
        also=(*SUMS, "R26"),
    )


def not_synced(ground: Ground) -> Planted:
    """An actual that was never carried over."""
    chain = take_chain(ground)
    origin = ground.new_id("origin")
    new = ground.dataverse.copy(
        ACTUALS, chain.actual, msdyn_actualimportid=ground.new_id("import"), msdyn_origin=origin
    )
    ground.dataverse.change(ACTUALS, new, ACCOUNTING)
    records = (str(new["msdyn_actualid"]), str(new["msdyn_actualimportid"]), origin)
    return planted(
        "not-synced",
        "copied actual never carried over",
        chain,
        ("R1", "missing_in_finance"),
        (MAP, "missing_in_finance"),
        also=("R15",),
        records=records,
    )


def doubled_in_dataverse(ground: Ground) -> Planted:
    """An entry has the same actual twice, and both went all the way."""
    chain = take_chain(ground)
    new = copy_chain(ground, chain, chain.actual["msdyn_origin"])
    return planted(
        "doubled",
        "two equal actuals of one entry",
        chain,
        ("R38", "duplicate_in_dataverse"),
        also=("R26", "R18", "R15"),
        records=new,
    )


BREAKS = (
    staging_lost,
    staging_doubled,
    skipped_later,
    actual_lost,
    not_synced,
    doubled_in_dataverse,
)
