"""What a control is, and the one shape of what it finds.

A *control* is a rule that must hold between the two systems; what breaks it is a *break*. The controls are ``R1`` to
``R40``; ``docs/rules.md`` lists them beside the rules that they rest on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import pyarrow as pa

Severity = Literal["critical", "error", "warning"]
SEVERITIES: tuple[Severity, ...] = ("critical", "error", "warning")
"""critical: an amount is missing, doubled or wrong in the books. error: the systems disagree otherwise. warning: to be
looked at; also where the documentation leaves the rule open."""

Evidence = Literal["documented", "derived"]
"""Whether the rule is said by the documentation, or follows from what it says."""

CLASSES = {
    "missing_in_finance": "stands in Dataverse and not in Finance",
    "missing_in_dataverse": "stands in Finance and not in Dataverse",
    "duplicate_in_dataverse": "stands in Dataverse more than once",
    "duplicate_in_finance": "stands in Finance more than once",
    "wrong_owner": "was made in the system that may not make it",
    "filtered_out": "no longer matches the filter of its map and stands in the other system all the same",
    "amount": "amounts, quantities or rates differ",
    "date": "dates differ",
    "status": "states or choices differ",
    "text": "texts differ",
    "reference": "the records referred to differ",
    "relation": "a record that belongs to another one is missing or too many",
    "balance": "a balance is not what its open items add up to",
    "not_imported": "is staged and in no journal",
    "not_posted": "is in a journal and not posted",
    "signed_period": "was changed after its period was signed off",
}
"""Every class of break, in words."""

TEXT = pa.string()
BREAK_SCHEMA = pa.schema(
    [
        pa.field("control", TEXT),
        pa.field("check", TEXT),
        pa.field("company", TEXT),
        pa.field("key", TEXT),
        pa.field("class", TEXT),
        pa.field("field", TEXT),
        pa.field("severity", TEXT),
        pa.field("dataverse_value", TEXT),
        pa.field("finance_value", TEXT),
        pa.field("amount", pa.decimal128(38, 6)),
        pa.field("currency", TEXT),
        pa.field("dataverse_table", TEXT),
        pa.field("dataverse_id", TEXT),
        pa.field("finance_set", TEXT),
        pa.field("finance_key", TEXT),
        pa.field("cause", TEXT),
        pa.field("explanation", TEXT),
    ]
)
"""A break. ``check`` is the letter of the check that found it, empty in comparisons of maps. ``key`` is the record as
people name it; ``field`` the column that differs, empty where it is no matter of one. ``amount`` is what Dataverse has
more than Finance, in ``currency``. ``cause`` is one of :data:`~dualsync.controls.causes.CAUSES`; ``explanation`` says
in words what is known of the single record."""

WINDOW = timedelta(hours=1)
"""Rows that Dataverse changed within it are not judged: the integration may still be at work on them."""


Observable = Literal["fully", "partly", "not"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a control tests, with a query of its own: what an environment lacks costs this check alone.

    Attributes:
        id: Its letter; with the control's id in front it is named, such as ``R5d``.
        proves: What holds where it finds nothing, in one line.
        sql: The rest of the query of its exceptions, after what the control's checks share (:attr:`Control.given`). It
            returns columns of :data:`BREAK_SCHEMA`; those it leaves out take what check and control say, or are empty.
            Empty where nothing that can be read shows it anywhere: then it is a *limitation*.
        judges: The extract whose rows it judges; coverage counts these.
        severity: Of its exceptions, where it is not the control's: set by their effect on money.
        limits: What it leaves open, in words; empty where it proves all that it says. A limitation says here why.
    """

    id: str
    proves: str
    sql: str
    judges: str
    severity: Severity | None = None
    limits: str = ""

    @property
    def observable(self) -> Observable:
        """How much of it an environment that has everything can show."""
        if not self.sql:
            return "not"
        return "partly" if self.limits else "fully"


@dataclass(frozen=True, slots=True)
class Control:
    """One rule, declared in a file of its own in ``controls/rules``, as a tuple of checks.

    Attributes:
        id: Its number, such as ``R10``.
        title: The rule in one line.
        area: The integration area it belongs to.
        severity: Of its exceptions, unless the check says otherwise.
        compares: What is held against what, for readers of the report.
        checks: What it tests. Their queries read views named after the extracts; ``settled(moment)`` is whether a row
            was left alone for the length of ``window``.
        evidence: Documented or derived.
        basis: The rules it rests on.
        given: Common table expressions that its checks share, from ``WITH`` on; empty without.
        tolerance: How far values may be apart; amounts must be equal where nothing is said.
        exclusions: What is left out, and why.
        window: Rows that changed within it are not judged: the integration may still be at work on them.
        dataverse_table: Where ``dataverse_id`` leads.
        finance_set: What ``finance_key`` is a key of.
        scope: ``company``: judged company by company. ``global``: of both systems as a whole.
    """

    id: str
    title: str
    area: str
    severity: Severity
    compares: str
    checks: tuple[Check, ...]
    evidence: Evidence
    basis: tuple[str, ...]
    given: str = ""
    tolerance: str = "none: values are equal or they are not"
    exclusions: tuple[str, ...] = ()
    window: timedelta = WINDOW
    dataverse_table: str = ""
    finance_set: str = ""
    scope: Literal["company", "global"] = "company"

    def query(self, check: Check) -> str:
        """Return the whole query of one of its checks.

        Args:
            check: The check; not a limitation.
        """
        return f"{self.given}\n{check.sql}"

    @property
    def asked(self) -> tuple[Check, ...]:
        """The checks that have a query."""
        return tuple(check for check in self.checks if check.sql)

    @property
    def limitations(self) -> tuple[Check, ...]:
        """The checks that no environment can show."""
        return tuple(check for check in self.checks if not check.sql)

    @property
    def order(self) -> tuple[str, int]:
        """Sorts ids by their number."""
        letters = self.id.rstrip("0123456789")
        return letters, int(self.id.removeprefix(letters) or 0)
