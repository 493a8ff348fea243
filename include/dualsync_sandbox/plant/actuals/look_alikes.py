"""What only looks like an exception in actuals."""

from __future__ import annotations

from decimal import Decimal

from dualsync_sandbox.business.dataverse.choices import TransactionType
from dualsync_sandbox.plant.actuals.chains import (
    ACCOUNTING,
    ACTUALS,
    STAGING,
    TRANSACTIONS,
    copy_as_draft,
    copy_chain,
    planted,
    take_chain,
)
from dualsync_sandbox.plant.ground import Ground, Planted, exact


def twin(ground: Ground) -> Planted:
    """Two entries of the same hours on the same task: equal actuals, no doubles."""
    chain = take_chain(ground)
    records = copy_chain(ground, chain, ground.new_id("origin"))
    return Planted("twin", f"equal actual of another entry: {records[0]}", chain.company, (), (), records)


def trailing_blanks(ground: Ground) -> Planted:
    """A text with blanks at its end is the same text."""
    chain = take_chain(ground)
    ground.dataverse.change(ACTUALS, chain.actual, {"msdyn_description": f"{chain.actual['msdyn_description']}  "})
    return planted("trailing-blanks", "blanks at the end of the description", chain)


def beyond_the_scale(ground: Ground) -> Planted:
    """Finance keeps six decimals of an amount, Dataverse four: what only the fifth and sixth hold is no difference."""
    chain = take_chain(ground)
    ground.finance.change(STAGING, chain.staged, {"Amount": exact(chain.staged, "Amount") + Decimal("0.000001")})
    return planted("beyond-the-scale", "a millionth in Finance", chain)


def just_changed(ground: Ground) -> Planted:
    """A row that changed ten minutes ago is not judged yet."""
    chain = take_chain(ground)
    ground.dataverse.change(
        ACTUALS, chain.actual, {"msdyn_description": "Changed just now", "modifiedon": ground.young}
    )
    return planted("just-changed", "changed ten minutes ago", chain)


def just_made(ground: Ground) -> Planted:
    """An actual that was made ten minutes ago need not have gone yet."""
    chain = take_chain(ground)
    origin = ground.new_id("origin")
    new = ground.dataverse.copy(
        ACTUALS, chain.actual, msdyn_actualimportid=ground.new_id("import"), msdyn_origin=origin
    )
    ground.dataverse.change(ACTUALS, new, {**ACCOUNTING, "createdon": ground.young, "modifiedon": ground.young})
    records = (str(new["msdyn_actualid"]), origin)
    return Planted("just-made", f"made ten minutes ago: {records[0]}", chain.company, (), (), records)


def history(ground: Ground) -> Planted:
    """An actual from long before the cut-over: Finance has it in its opening balances."""
    chain = take_chain(ground)
    origin = ground.new_id("origin")
    new = ground.dataverse.copy(
        ACTUALS,
        chain.actual,
        msdyn_actualimportid=ground.new_id("import"),
        msdyn_origin=origin,
        msdyn_documentdate="2019-05-31",
        msdyn_accountingdate="2019-05-31",
    )
    ground.dataverse.change(ACTUALS, new, ACCOUNTING)
    records = (str(new["msdyn_actualid"]), origin)
    return Planted("history", f"actual of 2019: {records[0]}", chain.company, (), (), records)


def no_tax(ground: Ground) -> Planted:
    """No tax and a tax of nothing are the same."""
    chain = take_chain(ground, TransactionType.COST)
    ground.dataverse.change(ACTUALS, chain.actual, {"msdyn_salestaxamount": None})
    return planted("no-tax", "no tax instead of a tax of 0", chain)


def line_to_be_posted(ground: Ground) -> Planted:
    """The journal line of an actual of today is a draft: it will be posted before the period ends."""
    chain = take_chain(ground)
    records = copy_as_draft(ground, chain, ground.now[:10])
    return Planted("line-to-be-posted", f"draft of this period: {records[0]}", chain.company, (), (), records)


def costed_elsewhere(ground: Ground) -> Planted:
    """A cost that Finance has posted from a general journal is in no integration journal."""
    chain = take_chain(ground, TransactionType.COST)
    number = f"PTR-G{ground.rng.randrange(10**8):08d}"
    ground.finance.copy(
        TRANSACTIONS, chain.transaction, TransactionId=number, TransactionOrigin="GeneralJournal", ActualsImportId=""
    )
    return planted("general-journal", "a cost from a general journal", chain)


LOOK_ALIKES = (
    twin,
    trailing_blanks,
    beyond_the_scale,
    just_changed,
    just_made,
    history,
    no_tax,
    line_to_be_posted,
    costed_elsewhere,
)
