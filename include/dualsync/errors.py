"""All errors of dualsync, in one tree. Whoever retries looks only at its first fork.

A class may stand in the module that raises it; its base is one of these.

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
    │   ├── MapErrors            table maps that cannot be used; lists every problem
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

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RAW_LENGTH = 500
"""Most characters of a service's own error text that are kept."""


class DualsyncError(Exception):
    """Anything that dualsync itself reports."""


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


class Unavailable(Transient):
    """The service could not be reached, or reported a failure of its own (5xx, deadlock)."""


class TimedOut(Transient):
    """One of the four time-outs (connect, read, write, pool) ran out, or the service reported one of its own."""


class BrokenReply(Transient):
    """The answer was cut off or is not the JSON or XML it should be."""


class RowChanged(Transient):
    """The row is not the one that was read: its row version differs (status 412, or Finance's update conflict)."""


class ChangeTokenExpired(Transient):
    """The change token is too old, or was made for other columns. A full read gives a new one."""


class LegBusy(Transient):
    """Another run is working on the same transfer."""


class Terminal(DualsyncError):
    """A failure that stays until a person does something about it."""


class SettingsError(Terminal):
    """A setting is missing or wrong. The message names the setting and every place it may come from."""


class MapErrors(Terminal):
    """Table maps that cannot be used.

    Attributes:
        problems: One line for each problem, with file and line where known.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class SchemaMismatch(Terminal):
    """The live system lacks a table, set or column that is asked of it."""


class UnknownVersion(Terminal):
    """A file or a record was written by a release whose shape this one does not read."""


class ForbiddenKey(Terminal):
    """A key value holds a character that cannot stand in the URL of a record.

    Attributes:
        column: The column that holds the value. The value itself is not repeated anywhere.
        position: Place of the row among those of the request, from 0.
    """

    def __init__(self, message: str, *, column: str, position: int = 0) -> None:
        super().__init__(message)
        self.column = column
        self.position = position


class BrokenProtocol(Terminal):
    """The service breaks the rules of OData: a link to a foreign host, a page that comes again."""


class SignInFailed(Terminal):
    """No token was given, or the system does not accept a fresh one."""


class Superseded(Terminal):
    """The ledger holds a newer generation than the plan was made from; the plan must not be sent any more."""


class LegsFailed(Terminal):
    """Some transfers of a map did not settle.

    Attributes:
        legs: Names of the transfers.
    """

    def __init__(self, message: str, *, legs: Sequence[str]) -> None:
        super().__init__(message)
        self.legs = tuple(legs)


class Defect(Terminal):
    """What must always hold within dualsync does not, such as counts that add up. Nothing was changed."""


class Refused(Terminal):
    """The service understood the request and refused it.

    Attributes:
        status: HTTP status.
        code: The service's own error code, such as ``0x80040217``; empty where it gave none.
        message: The reason, in one text that a person can read. May quote values of the row: store it, never log it.
        details: The single messages that the reason was made of.
        raw: The beginning of the service's own text: no more than ``RAW_LENGTH`` characters of it are kept.
    """

    def __init__(self, status: int, code: str, message: str, *, details: Sequence[str] = (), raw: str = "") -> None:
        super().__init__(f"{message} (status {status}{f', code {code}' if code else ''})")
        self.status = status
        self.code = code
        self.message = message
        self.details = tuple(details) or (message,)
        self.raw = raw[:RAW_LENGTH]


class NotFound(Refused):
    """The addressed row does not exist (Dataverse 404; Finance 400 with its text about missing resources)."""


class AlreadyExists(Refused):
    """A row with the same id or key exists already."""


class Signal(DualsyncError):
    """Ends a piece of work inside a step: a value that cannot travel, a rule that cannot be tested, a guard that trips.

    The step that called makes a state, a plan row or a reason of it; nobody outside sees it.
    """
