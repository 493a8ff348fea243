"""What to do about refusals that the product's documentation explains: its mitigation, beside the system's own words.

Sources: the troubleshooting pages of Project Operations on dual-write issues of expenses and timesheets, on currencies
of company and contracting unit, on closed projects, and on what newer versions refuse about actuals.
"""

from __future__ import annotations

import re

_ADVICE = (
    (
        r"Could not resolve project task for export expense",
        "the task has tasks below it: name one of those, a leaf, on the expense",
    ),
    (
        r"Line property .* doesn't exist",
        "give this billing type a line property in the project management parameters of the company",
    ),
    (
        r"category doesn't belong to the owning company",
        "choose a category of the company that owns the project",
    ),
    (
        r"No project cost and revenue profile rule applies",
        "add a rule that gives this project a cost and revenue profile",
    ),
    (
        r"Owning company currency does not match the contracting unit currency",
        "give company and contracting unit the same currency, and run the map ledgers",
    ),
    (
        r"Product id is mandatory",
        "give the line a product, and run the map products in full, so that it is in Dataverse",
    ),
    (
        r"Transaction Category linked to this vendor invoice line is invalid",
        "transaction categories are made in Dataverse: create the category there, and it goes to Finance",
    ),
    (
        r"Project stage finished doesn't allow recording",
        "open the project again, or choose another one",
    ),
    (
        r"Product doesn't support creating actuals manually",
        "actuals are made by approvals and journals of Dataverse only",
    ),
    (
        r"Only dual-write can change",
        "Dataverse keeps these columns for the user of dual-write: let dualsync sign in as that application user",
    ),
)
_MISSING = {
    "units": "run the map units in full, so that the unit comes to Dataverse",
    "products": "run the map products in full, so that the product comes to Dataverse",
    "transaction_categories": "transaction categories are made in Dataverse: create it there, and it goes to Finance",
    "accounts": "see that the vendor is in Dataverse, and run the map vendors_v2 in full",
}
_KNOWN = tuple((re.compile(pattern, re.IGNORECASE), text) for pattern, text in _ADVICE)


def with_advice(message: str) -> str:
    """A system's refusal, followed by what to do about it where that is known.

    Args:
        message: The words of the system.
    """
    advice = [text for pattern, text in _KNOWN if pattern.search(message)]
    return "; ".join([message.rstrip("; "), *advice])


def advised(reason: str, missing: str) -> str:
    """A reason why a row waits, followed by what to do about it where that is documented.

    Args:
        reason: Why it waits.
        missing: What is not there: the map of the parent, or the Dataverse set that was read for it.
    """
    return "; ".join([reason, *([_MISSING[missing]] if missing in _MISSING else [])])
