"""All errors of dualsync, in one tree. Whoever retries looks only at its first fork.

A class may stand in the module that raises it; its base is one of these. Each class that a person can meet says in
``id``, ``cause`` and ``way_out`` what ``docs/messages.md`` shows; the forks, which are never raised themselves, and the
signals do not.

::

    DualsyncError
    ├── Transient                try again, after `retry_after` seconds where the service named a time
    │   ├── Throttled            the service asked for less (status 429)
    │   ├── Unavailable          not reachable, overloaded, or broken for the moment (5xx, lost connection, deadlock)
    │   ├── TimedOut             no answer within one of the four time-outs, or the service's own time ran out
    │   ├── BrokenReply          an answer that ends too early or is not what its content type says
    │   ├── RowChanged           the row was changed by somebody else since it was read
    │   ├── ChangeTokenExpired   the service no longer knows the change token: read everything again
    │   └── LegBusy              another run holds the lease of the transfer
    ├── Terminal                 a person must act
    │   ├── SettingsError        a setting is missing or wrong; names it and the places that were searched
    │   ├── RequestError         what was asked for cannot be done: an argument is wrong, or names what is not there
    │   │   ├── ApprovalError    no transfer needs the approval, or its plan is gone
    │   │   └── SignOffError     a period that cannot be signed off or reviewed, or not by this person
    │   ├── MapErrors            table maps that cannot be used; lists every problem
    │   │   └── UnknownName      a map, area, direction, mode, control or key that the maps do not have
    │   ├── SchemaMismatch       a table, set or column that the live system does not have
    │   ├── UnknownVersion       a file or record of a release whose shape this one does not read
    │   ├── ForbiddenKey         a key value with characters that no key URL may carry; names the column only
    │   ├── BrokenProtocol       links that lead to another host, pages that repeat
    │   ├── SignInFailed         the identity service or the system refuses the application
    │   ├── Superseded           the plan was made from an older generation than the ledger holds
    │   ├── LegsFailed           transfers of a map that did not settle; names them
    │   ├── Defect               what must hold within dualsync does not: an error in the program
    │   └── Refused              the service understood and said no; has its status, code and message
    │       ├── NotFound         the addressed row does not exist
    │       └── AlreadyExists    a row with that id or key exists
    └── Signal                   ends a piece of work inside a step, which makes a state or a reason of it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

RAW_LENGTH = 500
"""Most characters of a service's own error text that are kept."""


class DualsyncError(Exception):
    """Anything that dualsync itself reports.

    Attributes:
        id: What the command line prints with the message, and the name in ``docs/messages.md``.
        cause: How it comes about.
        way_out: What a person does, or that nothing is to be done.
    """

    id: ClassVar[str] = ""
    cause: ClassVar[str] = ""
    way_out: ClassVar[str] = ""


class Transient(DualsyncError):
    """A failure that may be gone at the next try.

    Attributes:
        retry_after: Seconds that the service asked to wait, None where it named no time.
        maybe_applied: True if the request may have been carried out although no usable answer came back. A creation
            must then be looked up before it is sent again.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, maybe_applied: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.maybe_applied = maybe_applied


class Throttled(Transient):
    """The service answered 429. Nothing was carried out."""

    id = "throttled"
    cause = "The service limits how much it is asked, and more was asked of it than it allows."
    way_out = (
        "Wait and try again; dualsync has already waited as long as it was told to. If it happens often, let fewer "
        "runs work at the same time."
    )


class Unavailable(Transient):
    """The service could not be reached, or reported a failure of its own (5xx, deadlock)."""

    id = "unavailable"
    cause = "The system is down or overloaded, or the network between it and this machine is broken."
    way_out = (
        "Try again later. If it stays, check the address in the settings, the network, and whether the system is "
        "in maintenance."
    )


class TimedOut(Transient):
    """One of the four time-outs (connect, read, write, pool) ran out, or the service reported one of its own."""

    id = "timed-out"
    cause = "The system took longer than it may to accept a connection or to answer."
    way_out = "Try again later. If it stays, find out why the system is slow."


class BrokenReply(Transient):
    """The answer was cut off or is not the JSON or XML it should be."""

    id = "broken-reply"
    cause = "The answer was cut off, or something between here and the system put another one in its place."
    way_out = "Try again. If it stays, look for a proxy that answers in the place of the system."


class RowChanged(Transient):
    """The row is not the one that was read: its row version differs (status 412, or Finance's update conflict)."""

    id = "row-changed"
    cause = "Somebody changed the row after it was read and before it was written."
    way_out = "Nothing is to be done; the next run reads the row anew."


class ChangeTokenExpired(Transient):
    """The change token is too old, or was made for other columns. A full read gives a new one."""

    id = "token-expired"
    cause = "The changes of a table were not read for longer than the system remembers them."
    way_out = "Nothing is to be done; the next run reads the whole table. `dualsync sync --mode full` does it at once."


class LegBusy(Transient):
    """Another run is working on the same transfer."""

    id = "busy"
    cause = "Another run works on the same map, direction and company."
    way_out = (
        "Wait for the other run and try again. If that run was killed, its hold ends by itself at the time that "
        "the message names."
    )


class Terminal(DualsyncError):
    """A failure that stays until a person does something about it."""


class SettingsError(Terminal):
    """A setting is missing or wrong. The message names the setting and every place it may come from."""

    id = "settings"
    cause = "A setting is missing or wrong, or a file that a setting names cannot be used."
    way_out = "Correct the setting in one of the places that the message names."


class RequestError(Terminal):
    """What was asked for cannot be done: an argument is wrong, or names what is not there."""

    id = "request"
    cause = "An argument is wrong, does not go with the others, or names something that is not there."
    way_out = "Correct the argument. The message says what there is; `--help` describes the arguments."


class ApprovalError(RequestError):
    """No transfer needs the approval that was given, nobody said who gives it, or the plan is gone."""

    id = "approval"
    cause = "No such transfer needs approval any more, nobody said who approves, or the approved plan was deleted."
    way_out = (
        "`dualsync approvals list` shows what needs approval. Where the plan is gone, run the map again: it is planned "
        "anew, and stopped again if it still would change too much."
    )


class SignOffError(RequestError):
    """A period that cannot be signed off or reviewed, or not by this person."""

    id = "sign-off"
    cause = (
        "The period has no sound close package, is signed off or reviewed already, or was prepared by the same person."
    )
    way_out = (
        "Make the close package (`dualsync reconcile --company COMPANY --period PERIOD`), sign it off once, and let "
        "a second person review it."
    )


class MapErrors(Terminal):
    """Table maps that cannot be used.

    Attributes:
        problems: One line for each problem, with file and line where known.
    """

    id = "maps"
    cause = "A table map, a suite or an extract has an error."
    way_out = (
        "Correct each file at the line that the message names; `dualsync maps check` checks them all. "
        "docs/table-maps.md describes the words of a map."
    )

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class UnknownName(MapErrors):
    """A map, area, direction, mode, control or key that the maps do not have."""

    id = "name"
    cause = "A map, area, direction, mode, control or key was named that the maps do not have."
    way_out = (
        "Name one that there is: `dualsync maps list` shows maps, areas and directions, `dualsync controls` the "
        "controls. A key has the parts of its map's key, with `|` between them."
    )


class SchemaMismatch(Terminal):
    """The live system lacks a table, set or column that is asked of it."""

    id = "schema"
    cause = (
        "The live system lacks a table, an entity set, a key or a column that a map needs, or hides it from the "
        "application."
    )
    way_out = (
        "Create or publish it there, give the application the right to read it, or correct the map. `dualsync maps "
        "check --live` lists all that is missing."
    )


class UnknownVersion(Terminal):
    """A file or a record was written by a release whose shape this one does not read."""

    id = "version"
    cause = "A run folder or the ledger was written by another release of dualsync."
    way_out = (
        "Install the release that wrote it. An unfinished run of an earlier release can also be left as it is: "
        "start a new run."
    )


class ForbiddenKey(Terminal):
    """A key value holds a character that cannot stand in the URL of a record.

    Attributes:
        column: The column that holds the value. The value itself is not repeated anywhere.
        position: Place of the row among those of the request, from 0.
    """

    id = "forbidden-key"
    cause = "A column of the key is empty, or holds a character that the address of a row cannot carry."
    way_out = "Correct the value of that column in the system that owns the row."

    def __init__(self, message: str, *, column: str, position: int = 0) -> None:
        super().__init__(message)
        self.column = column
        self.position = position


class BrokenProtocol(Terminal):
    """The service breaks the rules of OData: a link to a foreign host, a page that comes again."""

    id = "protocol"
    cause = (
        "The system, or something between here and it, gave a link to another host, a link without encryption, or "
        "the same page twice."
    )
    way_out = (
        "Check the address in the settings and what stands between. If both are right, report it to whoever runs "
        "the system. Nothing was sent to the other host."
    )


class SignInFailed(Terminal):
    """No token was given, or the system does not accept a fresh one."""

    id = "sign-in"
    cause = (
        "The application, its secret or its certificate is wrong or has expired, or the system does not know the "
        "application as a user."
    )
    way_out = (
        "Check `tenant_id`, `client_id` and the secret or certificate in the settings, and that the application is "
        "a user of the system."
    )


class Superseded(Terminal):
    """The ledger holds a newer generation than the plan was made from; the plan must not be sent any more."""

    id = "superseded"
    cause = "Another run settled the same map, direction and company after this one had made its plan."
    way_out = (
        "Nothing is to be done for the rows; the later run has what is newest. Start a new run rather than "
        "resuming this one."
    )


class LegsFailed(Terminal):
    """Some transfers of a map did not settle.

    Attributes:
        legs: Names of the transfers.
    """

    id = "transfers"
    cause = "One transfer of the map failed, or more. The others are done."
    way_out = (
        "Read the reason of each transfer that the message names, mend it, and try again; what has settled is not "
        "done twice."
    )

    def __init__(self, message: str, *, legs: Sequence[str]) -> None:
        super().__init__(message)
        self.legs = tuple(legs)


class Defect(Terminal):
    """What must always hold within dualsync does not, such as counts that add up. Nothing was changed."""

    id = "defect"
    cause = "An error in dualsync itself."
    way_out = "Report it with the message and the run's folder. Nothing that was checked when it happened was written."


class Refused(Terminal):
    """The service understood the request and refused it.

    Attributes:
        status: HTTP status.
        code: The service's own error code, such as ``0x80040217``; empty where it gave none.
        message: The reason, in one text that a person can read. May quote values of the row: store it, never log it.
        details: The single messages that the reason was made of.
        raw: The beginning of the service's own text: no more than ``RAW_LENGTH`` characters of it are kept.
    """

    id = "refused"
    cause = (
        "The system understood the request and does not allow it: a rule of its own, a missing right, or a value "
        "that it does not take."
    )
    way_out = "Read the reason, which is the system's own. Correct the row or the right there, and try again."

    def __init__(self, status: int, code: str, message: str, *, details: Sequence[str] = (), raw: str = "") -> None:
        super().__init__(f"{message} (status {status}{f', code {code}' if code else ''})")
        self.status = status
        self.code = code
        self.message = message
        self.details = tuple(details) or (message,)
        self.raw = raw[:RAW_LENGTH]


class NotFound(Refused):
    """The addressed row does not exist (Dataverse 404; Finance 400 with its text about missing resources)."""

    id = "not-found"
    cause = "The row that was asked for does not exist, or is hidden from the application."
    way_out = "Restore the row, or give the application the right to see it. The next run looks again."


class AlreadyExists(Refused):
    """A row with the same id or key exists already."""

    id = "already-exists"
    cause = "The system already has a row with that id or key."
    way_out = "Give one of the two rows another key, or let a full run (`dualsync sync --mode full`) match them."


class Signal(DualsyncError):
    """Ends a piece of work inside a step: a value that cannot travel, a rule that cannot be tested, a guard that trips.

    The step that called makes a state, a plan row or a reason of it; nobody outside sees it.
    """
