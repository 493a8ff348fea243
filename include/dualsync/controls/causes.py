"""Why breaks arise and what helps, as Microsoft's documentation says it: one text for each cause."""

from __future__ import annotations

from typing import NamedTuple

from dualsync.mapping.areas import area_title


class Cause(NamedTuple):
    """A cause in words, and what helps against it."""

    title: str
    mitigation: str


CAUSES = {
    "waiting": Cause(
        "a parent has not arrived",
        "The row goes through by itself once the row it waits for is on both sides; look at that one first.",
    ),
    "quarantined": Cause(
        "in quarantine",
        "Correct the row where it was entered, then let it be sent again; the reason names the rule.",
    ),
    "conflict": Cause(
        "in conflict", "Both systems disagree about who owns the row or the value; the reason says what to change back."
    ),
    "delete": Cause("is to be deleted", "The deletion is carried over with the next run, children first."),
    "held": Cause(
        "the integration would block it", "Correct what the reason names; the row goes through with the next run."
    ),
    "not_synced": Cause("not carried over yet", "Run the area again; if the row stays, look for it in quarantine."),
    "no_rate": Cause("no exchange rate", "Enter the rate in Finance and import from staging again [G9]."),
    "no_category": Cause(
        "no project category",
        "Make a project category of the shared category in that company, or set the default category of the class "
        "[C13, G8].",
    ),
    "no_period": Cause("no fiscal period", "Create the fiscal period in the ledger calendar and import again [G6]."),
    "closed_period": Cause(
        "closed period",
        "Open the period, or let the accounting date be set to the next open period in the parameters [G6].",
    ),
    "no_intercompany": Cause(
        "intercompany set-up missing",
        "Set up ledger accounts, trading relation and lending parameter between the two companies [K4].",
    ),
    "no_line_property": Cause("no line property", "Map the billing type to a line property in that company [A2]."),
    "prevalidation": Cause(
        "not validated against Dataverse",
        "The check runs every five minutes; a row found invalid differs from its actual and has to be sent again [G3].",
    ),
    "import_pending": Cause("not imported", "Run Import from staging; only one run at a time [G2, G21]."),
    "line_deleted": Cause("its journal line is gone", "Import from staging again: the row comes back [G12]."),
    "not_posted": Cause("not posted", "Post the integration journal; lines in error moved to a journal of their own."),
    "no_profile": Cause(
        "no cost and revenue profile", "Add a project cost and revenue profile rule that covers the project [D2]."
    ),
    "stuck": Cause("in processing for more than a day", "Reset the journal to draft and post it again [G13]."),
    "not_written_back": Cause(
        "accounting details not brought back",
        f"Run the area {area_title('estimates_actuals')} again in full for the company [G15].",
    ),
    "not_approved": Cause(
        "not approved in Dataverse", "Look at the system job that approves expenses, and let it run again [I6]."
    ),
    "resent_twice": Cause("carried over more than once", "Keep one of the rows and reverse the other [E25, G21]."),
    "edited": Cause("changed after it was carried over", "Change it back, or send the row again from its owner."),
}
"""By code, as breaks name them."""
