"""Functions that are bound to no table: "Use Web API functions" (webapi/use-web-api-functions), and what clients probe.

``sdkmessagefilters`` says which tables take which bulk messages ("Use bulk operation messages", availability): all do.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec

from dualsync_sandbox.dataverse.definitions.metadata import Metadata
from dualsync_sandbox.dataverse.errors import NOT_FOUND, PARSE_ERROR, URI_ERROR
from dualsync_sandbox.dataverse.model import Model
from dualsync_sandbox.dataverse.reading.requests import check_played
from dualsync_sandbox.dataverse.writing.bulk import MESSAGES
from dualsync_sandbox.errors import NotImplementedInSandbox
from dualsync_sandbox.protocol.http import ApiError, Call, Reply
from dualsync_sandbox.schema import APPLICATION_USER, BUSINESS_UNIT, ORGANIZATION
from dualsync_sandbox.store import Store

#: ``x-ms-dop-hint``: how many requests at a time are worth while ("Send parallel requests"). The number is assumed.
PARALLEL_HINT = 4
_MESSAGE = r"sdkmessageid/name eq '\w+'"
_NAMED = rf"\(?\s*{_MESSAGE}(?:\s+or\s+{_MESSAGE})*\s*\)?"
_PROBE = re.compile(rf"(?P<messages>{_NAMED})\s+and\s+primaryobjecttypecode eq '(?P<table>\w+)'", re.IGNORECASE)
_WITH_NAMES = "sdkmessageid($select=name)"


class Functions:
    """Answers calls of functions.

    Args:
        model: The tables.
        store: Their rows.
        metadata: What is said about the tables.
    """

    def __init__(self, model: Model, store: Store, metadata: Metadata) -> None:
        self._model = model
        self._store = store
        self._metadata = metadata
        self.known: Mapping[str, Callable[[Call, str], Reply]] = {
            "WhoAmI": self._who_am_i,
            "RetrieveTotalRecordCount": self._total_record_count,
            "RetrieveMetadataChanges": self._metadata_changes,
        }

    def call(self, call: Call, name: str, arguments: str | None) -> Reply:
        """Call function ``name`` with the text in its parentheses."""
        check_played(call, frozenset())
        return self.known[name](call, _aliased(call, arguments or ""))

    @staticmethod
    def _who_am_i(call: Call, arguments: str) -> Reply:
        """The function that tells the caller; its answer carries the hint for parallel requests."""
        if arguments:
            raise ApiError(400, URI_ERROR, "WhoAmI takes no parameters.")
        context = f"{call.service}/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse"
        who = {"BusinessUnitId": BUSINESS_UNIT, "UserId": APPLICATION_USER, "OrganizationId": ORGANIZATION}
        answer = Reply.json(200, {"@odata.context": context, **who})
        answer.headers["x-ms-dop-hint"] = str(PARALLEL_HINT)
        return answer

    def _total_record_count(self, call: Call, arguments: str) -> Reply:
        """``query/count-rows``; the service's numbers may be a day old, these are not."""
        match = re.fullmatch(r"\s*EntityNames\s*=\s*(\[.*\])\s*", arguments, re.DOTALL)
        try:
            names = msgspec.json.decode(match[1].replace("'", '"'), type=list[str]) if match else None
        except (msgspec.DecodeError, ValueError):
            names = None
        if names is None:
            raise ApiError(400, URI_ERROR, "RetrieveTotalRecordCount takes EntityNames=['...'].")
        for name in names:
            if name not in self._model.tables:
                raise ApiError(404, NOT_FOUND, f"The entity with a name = '{name}' was not found in the MetadataCache.")
        with self._store.reading() as tx:
            values = [tx.count(name) for name in names]
        context = f"{call.service}/$metadata#Microsoft.Dynamics.CRM.RetrieveTotalRecordCountResponse"
        counted = {"Count": len(names), "IsReadOnly": False, "Keys": names, "Values": values}
        return Reply.json(200, {"@odata.context": context, "EntityRecordCountCollection": counted})

    def _metadata_changes(self, call: Call, arguments: str) -> Reply:
        match = re.fullmatch(r"\s*Query\s*=\s*(\{.*\})\s*", arguments, re.DOTALL)
        try:
            query = msgspec.json.decode(match[1]) if match else None
        except (msgspec.DecodeError, ValueError) as error:
            raise ApiError(400, PARSE_ERROR, f"The query cannot be read: {error}") from error
        if query is None:
            raise NotImplementedInSandbox("RetrieveMetadataChanges", "parameters other than Query")
        return self._metadata.changes(call, query)

    def message_filters(self, call: Call) -> Reply:
        """``sdkmessagefilters``: only the documented probe for bulk messages is played, also of several."""
        check_played(call, frozenset({"$select", "$filter", "$expand"}))
        probe = _PROBE.fullmatch(call.options.get("$filter", "").strip())
        expand = call.options.get("$expand")
        if probe is None or expand not in (None, _WITH_NAMES):
            raise NotImplementedInSandbox("sdkmessagefilters", "other queries than the probe for bulk messages")
        asked = {name.lower() for name in re.findall(r"'(\w+)'", probe["messages"])}
        played = MESSAGES if probe["table"] in self._model.tables else ()
        rows: list[dict[str, object]] = []
        for message in played:
            if message.lower() in asked:
                row_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{message}/{probe['table']}".lower()))
                rows.append({"@odata.etag": 'W/"1"', "sdkmessagefilterid": row_id})
                if expand is not None:
                    rows[-1]["sdkmessageid"] = {"name": message}
        fields = "sdkmessagefilterid" if expand is None else "sdkmessagefilterid,sdkmessageid(name)"
        return Reply.json(
            200, {"@odata.context": f"{call.service}/$metadata#sdkmessagefilters({fields})", "value": rows}
        )


def _aliased(call: Call, text: str) -> str:
    """The text with parameter aliases replaced by their values."""
    return re.sub(r"@\w+", lambda match: call.options.get(match[0], "null"), text)


def without_aliases(call: Call) -> Call:
    """The request with parameter aliases in ``$filter`` and ``$orderby`` replaced (query/filter-rows).

    Raises:
        ApiError: An alias stands inside of ``$expand``, where the service takes none.
    """
    if not any(name.startswith("@") for name in call.options):
        return call
    if "@" in call.options.get("$expand", ""):
        raise ApiError(400, URI_ERROR, "Parameter aliases are not supported inside of $expand.")
    options = dict(call.options)

    def place(match: re.Match[str]) -> str:
        return match[0] if match[0][0] in "'\"" else call.options.get(match[0], "null")

    for name in ("$filter", "$orderby"):
        if name in options:
            options[name] = re.sub(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|@\w+""", place, options[name])
    return replace(call, options=options)
