"""Refusals of the stores, in the words of the schema; the API layers turn them into each system's documented errors.

Tree::

    SandboxError
    ├── NotImplementedInSandbox      a request the sandbox does not understand (HTTP 501)
    └── StoreError                   a row the system would refuse
        ├── UnknownTable
        ├── UnknownColumn
        ├── InvalidValue
        │   ├── WrongType
        │   ├── TooLong
        │   ├── OutOfRange
        │   ├── UnknownOption
        │   └── Required
        ├── DuplicateId
        ├── DuplicateKey
        ├── RowNotFound
        ├── ReferenceNotFound
        ├── DeleteRestricted
        └── BusinessRuleViolation    raised by the rules in ``dualsync_sandbox.business``
"""

from __future__ import annotations

from collections.abc import Sequence


class SandboxError(Exception):
    """Base of everything the sandbox refuses."""


class NotImplementedInSandbox(SandboxError):
    """The request uses a feature of the real system that the sandbox does not play.

    Args:
        feature: What was asked for, for instance ``$expand``.
        detail: Where it was found, or what to use instead.
    """

    def __init__(self, feature: str, detail: str = "") -> None:
        super().__init__(f"{feature}: {detail}" if detail else feature)
        self.feature = feature
        self.detail = detail


class StoreError(SandboxError):
    """A row that the system would refuse. ``table`` is the logical name (Dataverse) or the entity set (Finance)."""

    def __init__(self, table: str, message: str) -> None:
        super().__init__(message)
        self.table = table


class UnknownTable(StoreError):
    """The system has no such table or entity set."""

    def __init__(self, table: str) -> None:
        super().__init__(table, f"there is no table {table!r}")


class UnknownColumn(StoreError):
    """The table has no such column."""

    def __init__(self, table: str, column: str) -> None:
        super().__init__(table, f"{table} has no column {column!r}")
        self.column = column


class InvalidValue(StoreError):
    """A value that the column does not take."""

    def __init__(self, table: str, column: str, value: object, message: str) -> None:
        super().__init__(table, f"{table}.{column}: {message}")
        self.column = column
        self.value = value


class WrongType(InvalidValue):
    """The value is of another type than the column."""

    def __init__(self, table: str, column: str, value: object, expected: str) -> None:
        super().__init__(table, column, value, f"{type(value).__name__} given, {expected} expected")
        self.expected = expected


class TooLong(InvalidValue):
    """The text has more characters than the column holds."""

    def __init__(self, table: str, column: str, value: str, length: int) -> None:
        super().__init__(table, column, value, f"{len(value)} characters given, at most {length} fit")
        self.length = length


class OutOfRange(InvalidValue):
    """The number is beyond the column's range, or has more decimals than the column keeps."""

    def __init__(self, table: str, column: str, value: object, limits: str) -> None:
        super().__init__(table, column, value, f"outside {limits}")
        self.limits = limits


class UnknownOption(InvalidValue):
    """The value is no member of the column's option set or enum."""

    def __init__(self, table: str, column: str, value: object, allowed: Sequence[object]) -> None:
        super().__init__(table, column, value, f"{value!r} is none of {', '.join(map(str, allowed))}")
        self.allowed = tuple(allowed)


class Required(InvalidValue):
    """The column must have a value."""

    def __init__(self, table: str, column: str) -> None:
        super().__init__(table, column, None, "a value is required")


class DuplicateId(StoreError):
    """A row with this primary id exists."""

    def __init__(self, table: str, row_id: object) -> None:
        super().__init__(table, f"{table} {row_id} already exists")
        self.row_id = row_id


class DuplicateKey(StoreError):
    """Another row has the same alternate key (Dataverse) or entity key (Finance)."""

    def __init__(self, table: str, key: str, columns: Sequence[str]) -> None:
        super().__init__(table, f"{table}: another row has the same {', '.join(columns)} (key {key})")
        self.key = key
        self.columns = tuple(columns)


class RowNotFound(StoreError):
    """There is no row with this id."""

    def __init__(self, table: str, row_id: object) -> None:
        super().__init__(table, f"{table} {row_id} does not exist")
        self.row_id = row_id


class ReferenceNotFound(StoreError):
    """A lookup or a related field names a row that does not exist."""

    def __init__(self, table: str, column: str, target: str, value: object) -> None:
        super().__init__(table, f"{table}.{column}: {target} has no row {value!r}")
        self.column = column
        self.target = target
        self.value = value


class DeleteRestricted(StoreError):
    """The row cannot go while rows that depend on it exist."""

    def __init__(self, table: str, row_id: object, dependent: str) -> None:
        super().__init__(table, f"{table} {row_id} cannot be deleted while dependent {dependent} exist")
        self.row_id = row_id
        self.dependent = dependent


class BusinessRuleViolation(StoreError):
    """A rule of the business refuses the row; the message is shown to the caller.

    Args:
        table: The table written to.
        message: The sentence a user of the system would read.
        code: The Dataverse error code, where a particular one is documented.
    """

    def __init__(self, table: str, message: str, code: str = "0x80040265") -> None:
        super().__init__(table, message)
        self.code = code
