"""What a finished step leaves in its marker, typed and with a version.

A marker of the version before is read as one of this version: it has the same fields. One of a later version, or one
that lacks a field, is refused in words, since going on with a plan that is only half understood could send wrong rows.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import msgspec
from upath import UPath

from dualsync.errors import UnknownVersion
from dualsync.sync.plan.vocabulary import AckStatus, Step
from dualsync.versions import VERSION as VERSION_WORD
from dualsync.versions import Format

FORMAT = Format("file of a run", 2, {1: dict})
"""Files of a run as they are written. Version 1 had no field for its version, and the same fields otherwise."""

M = TypeVar("M", bound="Stored")


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A small JSON file of a run.

    Attributes:
        version: Version of the form it has.
    """

    version: int = FORMAT.version

    def content(self) -> dict[str, Any]:
        """As plain data."""
        content: dict[str, Any] = msgspec.to_builtins(self)
        return content


class Marker(Stored, frozen=True, kw_only=True):
    """A file that says that something is so by being there; its name is that of the step or of what it says."""

    name: ClassVar[str]


class Extracted(Marker, frozen=True, kw_only=True):
    """What the extract step read.

    Attributes:
        generation: Generation of the base that the transfer works with; 0 without a base.
        base: Path of that base, None while there is none.
        token: Change token to go on from, None where nothing is tracked.
        full: Whether everything was read on both sides.
        rows: Rows read on the sending side.
        target_rows: Rows read on the receiving side.
        missing: Columns of the map that the live systems do not have, by side.
    """

    name: ClassVar[str] = Step.EXTRACT

    generation: int
    base: str | None
    token: str | None
    full: bool
    rows: int
    target_rows: int
    missing: dict[str, list[str]]

    @property
    def base_path(self) -> UPath | None:
        """The file of the base."""
        return UPath(self.base) if self.base else None

    @property
    def rows_read(self) -> int:
        """Rows read on both sides."""
        return self.rows + self.target_rows


class Reconciled(Marker, frozen=True, kw_only=True):
    """What the reconcile step planned.

    Attributes:
        generation: Generation of the base that the plan was made from.
        actions: Rows of the plan by action.
        planned: Rows of the plan.
    """

    name: ClassVar[str] = Step.RECONCILE

    generation: int
    actions: dict[str, int]
    planned: int


class Validated(Marker, frozen=True, kw_only=True):
    """What the validate step found.

    Attributes:
        checked: Rows checked.
        failures: Broken rules by severity.
        broken: Rows that break a rule, by rule.
        not_run: Rules that could not be tested, with the reason.
        suite: Hash of the suite.
    """

    name: ClassVar[str] = Step.VALIDATE

    checked: int
    failures: dict[str, int]
    broken: dict[str, int]
    not_run: dict[str, str]
    suite: str


class Sending(Marker, frozen=True, kw_only=True):
    """Says, before the first request, that something may have reached the other side.

    Attributes:
        generation: Generation of the base that the plan was made from.
        batch_rows: Rows of a batch; batches keep their size when a load is tried again.
    """

    name: ClassVar[str] = "sending"

    generation: int
    batch_rows: int


class Loaded(Marker, frozen=True, kw_only=True):
    """What the load step sent.

    Attributes:
        batches: Batches sent.
        rows: Rows sent.
        state: How the transfer ends where nothing was sent on purpose (``dry_run``, ``held``); empty otherwise.
        message: Why a guard stopped it.
    """

    name: ClassVar[str] = Step.LOAD

    batches: int
    rows: int
    state: str = ""
    message: str = ""


class Settled(Marker, frozen=True, kw_only=True):
    """How a transfer ended.

    Attributes:
        state: Its state.
        counts: Its counts.
        message: What a person should know.
    """

    name: ClassVar[str] = Step.SETTLE

    state: str
    counts: dict[str, int]
    message: str


class Stopped(Marker, frozen=True, kw_only=True):
    """Why a transfer cannot go on; later steps pass it by.

    Attributes:
        step: The step in which it stopped.
        state: Its state.
        message: Why.
    """

    name: ClassVar[str] = "stopped"

    step: str
    state: str
    message: str


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """How one row of a batch ended.

    Attributes:
        pos: Place of the row in the plan.
        join_key: Its join key.
        action: What was planned for it.
        status: How the receiving side answered.
        id: Its Dataverse record id, None where it has none.
        rule: The rule that stopped it, empty where none did.
        reason: Why, in words.
    """

    pos: int
    join_key: str
    action: str
    status: str = AckStatus.OK
    id: str | None = None
    rule: str = ""
    reason: str = ""


class LookupAck(Ack, frozen=True, kw_only=True):
    """How a lookup to a row of the same map ended, which is written after all rows are there.

    Attributes:
        column: The column of the lookup. ``id`` is the record it points at.
    """

    column: str


class Batch(Stored, frozen=True, kw_only=True):
    """The acknowledgements of a batch, or of the rows of one that got through before the line broke.

    Attributes:
        rows: One for each row.
        deferred: Those of lookups that were written after all rows.
    """

    rows: list[Ack]
    deferred: list[LookupAck] = msgspec.field(default_factory=list)


def read_stored(content: dict[str, Any], kind: type[M], place: UPath | str) -> M:
    """The typed content of a small JSON file of a run.

    Args:
        content: What stands in it.
        kind: What it should be.
        place: Where it lies, for the message.

    Raises:
        UnknownVersion: It was written by a later release, or is not what it should be.
    """
    if not isinstance(content.get(VERSION_WORD, 1), int):
        raise UnknownVersion(f"{place} names no version that dualsync knows: start a new run")
    try:
        current = FORMAT.read(content)
    except UnknownVersion as error:
        raise UnknownVersion(f"{place}: {error}, or start a new run") from error
    try:
        return msgspec.convert({**current, VERSION_WORD: FORMAT.version}, kind)
    except msgspec.ValidationError as error:
        raise UnknownVersion(
            f"{place} is not what this release of dualsync expects there ({error}): go on with the release that wrote "
            "it, or start a new run"
        ) from error
