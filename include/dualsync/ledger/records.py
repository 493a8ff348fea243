"""What the ledger hands out: plain records, no database objects."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

ACTIONS = ("created", "updated", "deleted", "unchanged", "conflict", "waiting", "quarantined", "skipped")
"""The counts that must add up to ``planned``: the conservation law of a transfer."""


@dataclass(frozen=True, slots=True)
class LegCounts:
    """How many rows of a transfer ended how. ``rows_read`` stands apart, since filters and fan-out lie between."""

    rows_read: int = 0
    planned: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    conflict: int = 0
    waiting: int = 0
    quarantined: int = 0
    skipped: int = 0

    @property
    def conserved(self) -> bool:
        """Whether every planned row ended in exactly one way."""
        return bool(self.planned == sum(getattr(self, name) for name in ACTIONS))

    @property
    def written(self) -> int:
        """Rows that were written to the receiving system."""
        return self.created + self.updated + self.deleted

    def __add__(self, other: LegCounts) -> LegCounts:
        return LegCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run: the area, its mode, and how it stands.

    ``layout`` is the version of the layout of its run folder (``dualsync.versions``).
    """

    run_id: str
    area: str
    mode: str
    dry_run: bool
    companies: tuple[str, ...]
    maps: tuple[str, ...]
    state: str
    package_version: str
    started_at: datetime
    ended_at: datetime | None
    layout: int = 1


@dataclass(frozen=True, slots=True)
class LegRecord:
    """One transfer of one run. ``state`` is running, settled, dry_run, held, superseded or failed."""

    run_id: str
    map: str
    direction: str
    part: str
    company: str
    attempt: int
    state: str
    generation_from: int | None
    generation_to: int | None
    map_hash: str
    counts: LegCounts
    message: str
    folder: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class BaseRecord:
    """The current generation of a map and company: the number, and where its file lies in which layout."""

    map: str
    company: str
    generation: int
    path: str
    rows: int
    run_id: str
    layout: int = 1


@dataclass(frozen=True, slots=True)
class OpenRow:
    """A row that is not settled: waiting, quarantined, in conflict, or to be deleted.

    ``join_key`` identifies the row within its transfer, ``key`` is the integration key as people write it,
    ``record_id`` the Dataverse record id where it is known.
    """

    map: str
    direction: str
    company: str
    join_key: str
    key: str
    record_id: str | None
    state: str
    rule: str
    reason: str
    run_id: str = ""
    first_seen: datetime | None = None
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """How far one header's lines of one map have come; all records of a header together are its document.

    ``map`` is the header's map, ``lines`` the map of the lines, or the part that sends the header's trigger: that one
    counts no lines, and is complete once the trigger is where it belongs. ``since`` is when it became complete or
    ceased to be.
    """

    map: str
    company: str
    join_key: str
    key: str
    record_id: str | None
    lines: str
    expected: int
    acknowledged: int
    complete: bool
    since: datetime | None = None
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class NightRecord:
    """One nightly reconciliation and its verdict: ``equal``, ``incomplete``, ``breaks``, or ``failed``.

    ``matched`` is the share of the amounts that agree on both sides, from 0 to 1 with all its digits; empty where
    there are no amounts. ``period`` is the first day of the period of a close package, empty for an ordinary
    reconciliation.
    """

    run_id: str
    companies: tuple[str, ...]
    period: str
    moment: datetime
    verdict: str
    critical: int
    error: int
    warning: int
    not_run: int
    failed: int
    matched: str
    folder: str
    ended_at: datetime


STATES = ("failed", "breaks", "not_run", "incomplete", "equal", "limitation")
"""Every state of a control or compared map in a reconciliation, the worst first."""


@dataclass(frozen=True, slots=True)
class ControlResult:
    """What a control, or the comparison of a map, said in a nightly reconciliation.

    ``state`` is equal, breaks, not_run, failed, incomplete (it agrees as far as it was tested), or limitation (nothing
    can show it anywhere).
    """

    control: str
    company: str
    state: str
    breaks: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """What became of the rows of a suite in a reconciliation.

    ``state`` is checked, not_run or failed. ``rows`` were judged, ``refused`` of them break a critical rule, ``warned``
    only others; ``held`` rows were not judged, since they cannot be brought into the receiver's form. ``broken`` of the
    ``rules`` that were asked are broken by some row.
    """

    suite: str
    state: str
    rows: int = 0
    refused: int = 0
    warned: int = 0
    held: int = 0
    rules: int = 0
    broken: int = 0
    reason: str = ""

    @property
    def rate(self) -> Decimal | None:
        """Share of the judged rows that break no rule, cut to six places; None where there were no rows."""
        if not self.rows:
            return None
        good = Decimal(self.rows - self.refused - self.warned)
        return (good / self.rows).quantize(Decimal("0.000001"), ROUND_DOWN)


@dataclass(frozen=True, slots=True)
class BreakRecord:
    """An exception and its history. ``amount`` is exact; ``break_class`` is one of the classes of the controls' model.

    ``check`` is the letter of the check of the control that found it. ``nights`` counts the reconciliations in which it
    was seen without a gap. ``status`` is what people say of it: open, in_progress, accepted (known and left) or
    disputed; they also give it an owner and a comment.
    """

    number: int
    fingerprint: str
    control: str
    check: str
    company: str
    key: str
    break_class: str
    field: str
    severity: str
    dataverse_value: str
    finance_value: str
    amount: Decimal | None
    currency: str
    dataverse_table: str
    dataverse_id: str
    finance_set: str
    finance_key: str
    cause: str
    explanation: str
    first_seen: datetime
    first_run: str
    last_seen: datetime
    last_run: str
    nights: int
    resolved_at: datetime | None
    resolved_run: str
    status: str
    owner: str
    comment: str
    edited_by: str
    edited_at: datetime | None


@dataclass(frozen=True, slots=True)
class SignOff:
    """A period of a company that was signed off: the package, its digest, who prepared and who reviewed it."""

    company: str
    period: str
    run_id: str
    folder: str
    digest: str
    prepared_by: str
    prepared_at: datetime
    reviewed_by: str = ""
    reviewed_at: datetime | None = None
    comment: str = ""
