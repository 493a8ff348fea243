"""Refusals as Dataverse words them.

Codes and texts follow "Compose HTTP requests and handle errors" (webapi/compose-http-requests-handle-errors), the
troubleshooting article "Web API client errors" and errors quoted by public clients. Where only a code is known, the
status is an assumption (noted below).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from dualsync_sandbox.errors import (
    BusinessRuleViolation,
    DeleteRestricted,
    DuplicateId,
    DuplicateKey,
    InvalidValue,
    NotImplementedInSandbox,
    OutOfRange,
    ReferenceNotFound,
    Required,
    RowNotFound,
    SandboxError,
    TooLong,
    UnknownColumn,
    UnknownOption,
    WrongType,
)
from dualsync_sandbox.gateway.dialect import ErrorDialect
from dualsync_sandbox.protocol.batch import BatchFault
from dualsync_sandbox.protocol.http import ApiError, Reply
from dualsync_sandbox.protocol.odata import QueryError, UnknownProperty

#: The sandbox's own code: the real service may well do this, the sandbox does not.
NOT_IMPLEMENTED = "SandboxNotImplemented"
#: Of a function or an action that is called by another method.
NO_CODE = ""
PARSE_ERROR = "0x80048d19"
URI_ERROR = "0x80060888"
UNKNOWN_PROPERTY = "0x0"
NO_SUCH_RESOURCE = "0x8006088a"
NOT_FOUND = "0x80040217"
NOT_FOUND_BY_KEY = "0x80060891"
DUPLICATE_ID = "0x80040237"
DUPLICATE_KEY = "0x80060892"
VERSION_MISMATCH = "0x80060882"
VALIDATION = "0x80044331"
OPTION_OUT_OF_RANGE = "0x8004431A"
CHANGES_EXPIRED = "0x80044352"
BUSINESS_RULE = "0x80040265"
NOT_IMPLEMENTED_THERE = "0x80040216"
STILL_ASSOCIATED = "0x80040227"


@dataclass(frozen=True)
class Meaning:
    """What a code stands for, for the documentation."""

    statuses: str
    meaning: str


#: The codes that are answered, as documented or quoted by public clients; what is assumed is said.
CODES: Mapping[str, Meaning] = {
    PARSE_ERROR: Meaning("400", "the payload cannot be parsed; a wrong navigation property; a broken batch"),
    URI_ERROR: Meaning("400, 405, 414", "a bad query, key or URL; the status of a wrong method is documented alone"),
    UNKNOWN_PROPERTY: Meaning("400", "no such property, or no such key"),
    NO_SUCH_RESOURCE: Meaning("404", "no such entity set or segment"),
    NO_CODE: Meaning("404", "a function or an action, called by another method"),
    NOT_FOUND: Meaning("404", "no row with this id; no such definition (assumed)"),
    NOT_FOUND_BY_KEY: Meaning("404", "no row with this alternate key (status assumed)"),
    DUPLICATE_ID: Meaning("412", "a row with this id is there; `If-None-Match: *` and a row is there"),
    DUPLICATE_KEY: Meaning("412", "another row has the same alternate key"),
    VERSION_MISMATCH: Meaning("412", "the row is not as `If-Match` says"),
    VALIDATION: Meaning("400", "a text too long; a number out of range, a required value missing (code assumed)"),
    OPTION_OUT_OF_RANGE: Meaning("400", "no option of the choice"),
    CHANGES_EXPIRED: Meaning("400", "the change token has expired (status assumed)"),
    BUSINESS_RULE: Meaning("400", "a rule of the business refuses the row, as a plug-in does"),
    NOT_IMPLEMENTED_THERE: Meaning("400", "DeleteMultiple of a standard table (code and status assumed)"),
    STILL_ASSOCIATED: Meaning("400", "rows that depend on the row keep it (code assumed)"),
    NOT_IMPLEMENTED: Meaning("501", "the service may do this, the sandbox does not: the message names the feature"),
}


def not_found(table: str, row_id: object) -> ApiError:
    """No row with this id."""
    return ApiError(404, NOT_FOUND, f"{table} With Id = {row_id} Does Not Exist")


def not_found_by_key(table: str) -> ApiError:
    """No row with this alternate key (also when a bind by alternate key resolves to nothing)."""
    return ApiError(404, NOT_FOUND_BY_KEY, f"A record with the specified key values does not exist in {table} entity")


def refusal(error: SandboxError) -> ApiError:
    """The answer to what the store or the query compiler raised."""
    if isinstance(error, ApiError):
        if error.code or error.status != HTTPStatus.BAD_REQUEST:
            return error
        return ApiError(error.status, PARSE_ERROR, str(error), error.headers)
    if isinstance(error, NotImplementedInSandbox):
        return ApiError(501, NOT_IMPLEMENTED, f"The sandbox does not implement {error}.")
    if isinstance(error, UnknownProperty):
        return ApiError(
            400,
            UNKNOWN_PROPERTY,
            f"Could not find a property named '{error.name}' on type 'Microsoft.Dynamics.CRM.{error.table.entity}'.",
        )
    if isinstance(error, BatchFault):
        return ApiError(400, PARSE_ERROR, str(error))
    if isinstance(error, QueryError):
        return ApiError(400, URI_ERROR, str(error))
    return _store_refusal(error)


def _store_refusal(error: SandboxError) -> ApiError:
    if isinstance(error, InvalidValue):
        return _invalid_value(error)
    if isinstance(error, UnknownColumn):
        text = f"Invalid property '{error.column}' was found in entity 'Microsoft.Dynamics.CRM.{error.table}'."
        return ApiError(400, UNKNOWN_PROPERTY, text)
    if isinstance(error, DuplicateId):
        return ApiError(412, DUPLICATE_ID, "A record with matching key values already exists.")
    if isinstance(error, DuplicateKey):
        names = ", ".join(error.columns)
        return ApiError(
            412,
            DUPLICATE_KEY,
            f"Entity Key {error.key} violated. A record with the same value for {names}"
            " already exists. A duplicate record cannot be created.",
        )
    if isinstance(error, RowNotFound):
        return not_found(error.table, error.row_id)
    if isinstance(error, ReferenceNotFound):
        return not_found(error.target, error.value)
    if isinstance(error, DeleteRestricted):
        return ApiError(
            400,
            STILL_ASSOCIATED,
            "The object you tried to delete is associated with another object "
            f"({error.dependent}) and cannot be deleted.",
        )
    if isinstance(error, BusinessRuleViolation):
        return ApiError(400, error.code, str(error))
    return ApiError(500, "0x80040216", f"An unexpected error occurred: {error}")


def _invalid_value(error: InvalidValue) -> ApiError:
    if isinstance(error, TooLong):
        return ApiError(
            400,
            VALIDATION,
            "A validation error occurred. The length of the "
            f"'{error.column}' attribute of the '{error.table}' entity exceeded the maximum "
            f"allowed length of '{error.length}'.",
        )
    if isinstance(error, UnknownOption):
        accepted = ",".join(map(str, error.allowed))
        return ApiError(
            400,
            OPTION_OUT_OF_RANGE,
            f"The value {error.value} of '{error.column}' on record of type "
            f"'{error.table}' is outside the valid range. Accepted Values: {accepted}",
        )
    if isinstance(error, OutOfRange):
        return ApiError(
            400,
            VALIDATION,
            "A validation error occurred. The value of "
            f"'{error.column}' on record of type '{error.table}' is outside the valid range.",
        )
    if isinstance(error, Required):
        return ApiError(
            400,
            VALIDATION,
            f"A validation error occurred. The '{error.column}' attribute of the '{error.table}' entity is required.",
        )
    if isinstance(error, WrongType):
        return ApiError(
            400,
            PARSE_ERROR,
            f"Error identified in Payload provided by the user for Entity '{error.table}': "
            f"cannot convert a value to the type of '{error.column}' ({error.expected}).",
        )
    return ApiError(400, VALIDATION, str(error))


def reply(error: ApiError, *, detailed: bool = False) -> Reply:
    """The documented error body.

    Args:
        error: What is refused.
        detailed: With the annotations that ``odata.include-annotations="*"`` adds ("Handle errors"); their values other
            than the message are assumed.
    """
    body: dict[str, object] = {"code": error.code, "message": str(error)}
    if detailed:
        body |= {
            "@Microsoft.PowerApps.CDS.ErrorDetails.OperationStatus": "0",
            "@Microsoft.PowerApps.CDS.ErrorDetails.SubErrorCode": "0",
            "@Microsoft.PowerApps.CDS.HelpLink": f"http://go.microsoft.com/fwlink/?LinkID=398563&error={error.code}",
            "@Microsoft.PowerApps.CDS.TraceText": "",
            "@Microsoft.PowerApps.CDS.InnerError.Message": str(error),
        }
    answer = Reply.json(error.status, {"error": body})
    answer.headers.update(error.headers)
    return answer


#: The words of breakdowns and of an expired next link are assumed.
DIALECT = ErrorDialect(
    limit="requests",
    refuse=reply,
    expired_link=ApiError(400, URI_ERROR, "The $skiptoken has expired."),
    expired_token=ApiError(
        400, CHANGES_EXPIRED, "Version stamp associated with the client has expired. Please perform a full sync."
    ),
    broken=ApiError(500, NOT_IMPLEMENTED_THERE, "An unexpected error occurred."),
)
