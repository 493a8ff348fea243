"""What people are shown for the ids of the ledger."""

from datetime import UTC, datetime

import pytest

from dualsync.controls.model import CLASSES, SEVERITIES
from dualsync.ledger.breaks import STATUSES
from dualsync.mapping import DIRECTIONS
from dualsync.nightly.checks import BREAKS, EQUAL, FAILED, NOT_RUN
from dualsync.reports import words


def test_states_of_controls_and_transfers() -> None:
    shown = {state: words.state_word(state) for state in (EQUAL, BREAKS, FAILED, NOT_RUN, "held", "dry_run", "settled")}
    assert shown == {
        "equal": "agrees",
        "breaks": "exceptions",
        "failed": "failed",
        "not_run": "not tested",
        "held": "needs approval",
        "dry_run": "dry run",
        "settled": "settled",
    }


def test_no_id_is_shown_as_it_is_stored() -> None:
    shown = [
        *map(words.class_word, CLASSES),
        *map(words.status_word, STATUSES),
        *map(words.direction_word, DIRECTIONS),
        *(words.severity_count(severity, 2) for severity in SEVERITIES),
    ]
    assert not [text for text in shown if "_" in text]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (("projects", "to_finance", "USPM"), "projects to Finance of USPM"),
        (("currencies", "to_dataverse", "_global", "deletes"), "currencies to Dataverse (deletions)"),
    ],
)
def test_a_transfer_is_named_in_a_sentence(place: tuple[str, ...], name: str) -> None:
    assert words.transfer_name(*place) == name


def test_counts_and_moments() -> None:
    assert words.severity_count("critical", 1) == "1 critical exception"
    assert words.severity_count("error", 1200) == "1,200 errors"
    moment = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    assert words.reconciliation_name(moment, "Europe/Paris") == "Reconciliation as at 2026-03-02 02:30 (Europe/Paris)"


def test_rows_of_no_company_say_so() -> None:
    assert (words.company_word("USPM"), words.company_word("_global")) == ("USPM", "no company")
