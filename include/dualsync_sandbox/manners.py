"""How each service words what goes wrong before or around it: the bodies of throttling, breakdowns and expired links.

That Dataverse answers 0x80040216 when it breaks down, what Finance says then, the refusal of a next link that has
expired in either system, and the words of the identity service are assumptions.
"""

from __future__ import annotations

from dualsync_sandbox.dataverse import errors as dataverse
from dualsync_sandbox.faults import Manners
from dualsync_sandbox.finance import errors as finance
from dualsync_sandbox.http import ApiError, Reply


def _identity_refusal(error: ApiError) -> Reply:
    reply = Reply.json(error.status, {"error": "temporarily_unavailable", "error_description": str(error)})
    reply.headers.update(error.headers)
    return reply


_IDENTITY_BROKEN = ApiError(500, "", "The service is temporarily unavailable.")

MANNERS = {
    "identity": Manners(
        limit="resources",
        refuse=_identity_refusal,
        expired_link=_IDENTITY_BROKEN,
        expired_token=None,
        broken=_IDENTITY_BROKEN,
    ),
    "dataverse": Manners(
        limit="requests",
        refuse=dataverse.reply,
        expired_link=ApiError(400, dataverse.URI_ERROR, "The $skiptoken has expired."),
        expired_token=ApiError(
            400,
            dataverse.CHANGES_EXPIRED,
            "Version stamp associated with the client has expired. Please perform a full sync.",
        ),
        broken=ApiError(500, "0x80040216", "An unexpected error occurred."),
    ),
    "finance": Manners(
        limit="resources",
        refuse=finance.reply,
        expired_link=finance.FinanceError(400, finance.ODATA_ERROR, "The query specified in the URI is not valid."),
        expired_token=None,
        broken=finance.FinanceError(500, "System.Exception", "An unexpected X++ error occurred."),
    ),
}
