"""The words people are shown for what the ledger and the run folders hold by id.

Ids stay as they are in the ledger, in JSON and in XCom. Workbook, files, alerts, command line and pages all take the
shown word from here, so that they say the same. ``docs/glossary.md`` explains the words.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

_STATES = {
    "equal": "agrees",
    "breaks": "exceptions",
    "not_run": "not tested",
    "incomplete": "agrees as far as tested",
    "limitation": "cannot be tested",
    "held": "needs approval",
    "dry_run": "dry run",
    "delete": "to be deleted",
    "in_progress": "in progress",
}
_CLASSES = {
    "missing_in_finance": "missing in Finance",
    "missing_in_dataverse": "missing in Dataverse",
    "duplicate_in_dataverse": "duplicate in Dataverse",
    "duplicate_in_finance": "duplicate in Finance",
}
_DIRECTIONS = {"to_finance": "to Finance", "to_dataverse": "to Dataverse"}
_PHASES = {"rows": "rows", "deletes": "deletions"}
_SEVERITIES = {
    "critical": ("critical exception", "critical exceptions"),
    "error": ("error", "errors"),
    "warning": ("warning", "warnings"),
}


def state_word(state: str) -> str:
    """Return how a state is shown: of a control, a reconciliation, a suite, a run, a transfer or an open row.

    Args:
        state: The state as the ledger holds it, such as ``not_run``.
    """
    return _STATES.get(state) or _spoken(state)


def status_word(status: str) -> str:
    """Return how the status that a person gave an exception is shown.

    Args:
        status: The status as the ledger holds it, such as ``in_progress``.
    """
    return _STATES.get(status) or _spoken(status)


def class_word(name: str) -> str:
    """Return how the class of an exception is shown.

    Args:
        name: The class as the ledger holds it, such as ``missing_in_finance``.
    """
    return _CLASSES.get(name) or _spoken(name)


def direction_word(direction: str) -> str:
    """Return how the direction of a transfer is shown.

    Args:
        direction: ``to_finance`` or ``to_dataverse``.
    """
    return _DIRECTIONS.get(direction) or _spoken(direction)


def phase_word(phase: str) -> str:
    """Return how the phase of a transfer is shown.

    Args:
        phase: ``rows`` or ``deletes``.
    """
    return _PHASES.get(phase) or _spoken(phase)


def company_word(company: str) -> str:
    """Return how a company is shown: its code, or that the rows belong to none.

    Args:
        company: The company as the ledger holds it, such as ``USPM`` or ``_global``.
    """
    return "no company" if company.startswith("_") else company


def transfer_name(map_name: str, direction: str, company: str, phase: str = "rows") -> str:
    """Return the name of a transfer in a sentence, such as ``projects to Finance of USPM``.

    Args:
        map_name: Its table map.
        direction: Its direction.
        company: Its company; ``_global`` for a map whose rows belong to none.
        phase: ``rows`` or ``deletes``.
    """
    owner = "" if company.startswith("_") else f" of {company}"
    deletions = f" ({phase_word(phase)})" if phase == "deletes" else ""
    return f"{map_name} {direction_word(direction)}{owner}{deletions}"


def severity_count(severity: str, number: int) -> str:
    """Return a number of exceptions of a severity, such as ``2 critical exceptions``.

    Args:
        severity: ``critical``, ``error`` or ``warning``.
        number: How many.
    """
    one, more = _SEVERITIES[severity]
    return f"{number:,} {one if number == 1 else more}"


def reconciliation_name(moment: datetime, zone: str) -> str:
    """Return the name of a nightly reconciliation: the moment that its data are as of.

    Args:
        moment: The moment, with a time zone of its own.
        zone: The zone in which people read it, such as ``Europe/Paris``.
    """
    return f"Reconciliation as at {moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} ({zone})"


def _spoken(name: str) -> str:
    return name.replace("_", " ")
