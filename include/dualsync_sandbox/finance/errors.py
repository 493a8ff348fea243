"""Refusals as Finance words them.

The shape follows recorded answers: status 400, the useful text only in ``innererror.message``, after ``Infolog:``. The
texts of value-not-found, unknown row and changed record are recorded ones; those of over-long text, duplicate rows and
restricted deletes are assumptions after the forms' own messages.
"""

from __future__ import annotations

import re

from dualsync_sandbox.errors import (
    DeleteRestricted,
    DuplicateKey,
    NotImplementedInSandbox,
    OutOfRange,
    ReferenceNotFound,
    Required,
    RowNotFound,
    SandboxError,
    StoreError,
    TooLong,
    UnknownColumn,
    UnknownOption,
    WrongType,
)
from dualsync_sandbox.gateway.dialect import ErrorDialect
from dualsync_sandbox.protocol.http import ApiError, Call, Reply
from dualsync_sandbox.protocol.odata import ENUM_NAMESPACE, QueryError
from dualsync_sandbox.schema import SystemSchema, Table

NOT_IMPLEMENTED = "SandboxNotImplemented"
WRITE_ERROR = "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataWriteException"
DELETE_ERROR = "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataDeleteException"
ODATA_ERROR = "Microsoft.OData.ODataException"
NO_ROWS = "No resources were found when selecting for update."


class FinanceError(ApiError):
    """An answer whose message stands in ``innererror``; ``code`` holds the exception's type name."""


def no_rows() -> FinanceError:
    """PATCH or DELETE of a row that does not exist: 400, not 404."""
    return FinanceError(400, WRITE_ERROR, NO_ROWS)


def field_label(name: str) -> str:
    """``CustomerGroupId`` as a person reads it: ``Customer group id``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return words[:1].upper() + words[1:].lower()


def refusal(schema: SystemSchema, error: SandboxError, *, deleting: bool = False) -> ApiError:
    """The answer to what the store or the query compiler raised."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, NotImplementedInSandbox):
        return ApiError(501, NOT_IMPLEMENTED, f"The sandbox does not implement {error}.")
    if isinstance(error, QueryError):
        return FinanceError(400, ODATA_ERROR, str(error))
    if isinstance(error, RowNotFound):
        return no_rows()
    if not isinstance(error, StoreError):
        return FinanceError(500, "System.Exception", f"An unexpected X++ error occurred. {error}")
    table = schema.tables[error.table]
    payload = _payload_refusal(table, error)
    if payload is not None:
        return FinanceError(400, ODATA_ERROR, payload)
    if isinstance(error, DeleteRestricted) or deleting:
        return FinanceError(
            400, DELETE_ERROR, f"Delete failed for table row of type '{table.aot}'. {_infolog(schema, table, error)}"
        )
    return FinanceError(
        400, WRITE_ERROR, f"Write failed for table row of type '{table.aot}'. {_infolog(schema, table, error)}"
    )


def _payload_refusal(table: Table, error: StoreError) -> str | None:
    """What the OData layer refuses before any business logic runs."""
    if isinstance(error, UnknownColumn):
        return (
            f"The property '{error.column}' does not exist on type '{ENUM_NAMESPACE}{table.entity}'. "
            "Make sure to only use property names that are defined by the type."
        )
    if isinstance(error, UnknownOption):
        kind = ENUM_NAMESPACE + table.columns[error.column].enum
        return f"Cannot convert the literal '{error.value}' to the expected type '{kind}'."
    if isinstance(error, WrongType):
        kind = table.columns[error.column].type
        return f"Cannot convert a value of property '{error.column}' to the expected type '{kind}' ({error.expected})."
    return None


def _infolog(schema: SystemSchema, table: Table, error: StoreError) -> str:
    if isinstance(error, ReferenceNotFound):
        related = schema.tables[error.target].label
        text = f"The value '{error.value}' in field '{field_label(error.column)}' is not found in the related table"
        lines = [f"Warning: {text} '{related}'.", _field_failed(table, error.column)]
    elif isinstance(error, TooLong):
        text = f"The value in field '{field_label(error.column)}' is longer than the maximum length of {error.length}"
        lines = [f"Warning: {text} characters.", _field_failed(table, error.column)]
    elif isinstance(error, OutOfRange):
        text = f"The value in field '{field_label(error.column)}' is outside the valid range."
        lines = [f"Warning: {text}", _field_failed(table, error.column)]
    elif isinstance(error, Required):
        text = f"Field '{field_label(error.column)}' must be filled in."
        lines = [f"Warning: {text}", f"Warning: validateWrite failed on data source '{table.aot}'."]
    elif isinstance(error, DuplicateKey):
        lines = [f"Error: Cannot create a record in {table.label} ({table.aot}). The record already exists."]
    elif isinstance(error, DeleteRestricted):
        dependent = schema.tables[error.dependent].label if error.dependent in schema.tables else error.dependent
        text = f"{table.label} cannot be deleted while dependent {dependent} exist."
        lines = [f"Error: {text} Delete dependent {dependent} and try again."]
    else:
        lines = [f"Error: {error}"]
    return "Infolog: " + "; ".join(lines)


def _field_failed(table: Table, column: str) -> str:
    return f"Warning: validateField failed on field '{table.aot}.{column}'."


def reply(error: ApiError) -> Reply:
    """The recorded error body; the sandbox's own refusals carry their code where Finance leaves it empty."""
    if isinstance(error, FinanceError):
        inner = {"message": str(error), "type": error.code, "stacktrace": ""}
        body: dict[str, object] = {"error": {"code": "", "message": "An error has occurred.", "innererror": inner}}
    else:
        body = {"error": {"code": error.code, "message": str(error)}}
    answer = Reply.json(error.status, body)
    answer.headers.update(error.headers)
    return answer


def no_route(call: Call) -> Reply:
    """An unknown route (recorded: capital M, no ``error`` object)."""
    message = f"No HTTP resource was found that matches the request URI '{call.url}'."
    return Reply.json(404, {"Message": f"{message} No route data was found for this request."})


#: The words of breakdowns and of an expired next link are assumed.
DIALECT = ErrorDialect(
    limit="resources",
    refuse=reply,
    expired_link=FinanceError(400, ODATA_ERROR, "The query specified in the URI is not valid."),
    expired_token=None,
    broken=FinanceError(500, "System.Exception", "An unexpected X++ error occurred."),
)
