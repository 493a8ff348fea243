"""Requests to the Dataverse Web API, and who answers them.

What the service knows and the sandbox does not play is refused with status 501 and the code ``SandboxNotImplemented``.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from http import HTTPStatus

from dualsync_sandbox.dataverse.batches import run_batch
from dualsync_sandbox.dataverse.definitions.metadata import Metadata
from dualsync_sandbox.dataverse.errors import NO_CODE, NO_SUCH_RESOURCE, URI_ERROR, refusal, reply
from dualsync_sandbox.dataverse.functions import Functions, without_aliases
from dualsync_sandbox.dataverse.known_names import kind_of
from dualsync_sandbox.dataverse.model import Model
from dualsync_sandbox.dataverse.reading.requests import Reading
from dualsync_sandbox.dataverse.reading.rows import Annotations
from dualsync_sandbox.dataverse.writing.bulk import Bulk
from dualsync_sandbox.dataverse.writing.requests import Writing
from dualsync_sandbox.errors import NotImplementedInSandbox, SandboxError
from dualsync_sandbox.gateway.trace import Writes
from dualsync_sandbox.protocol.batch import ServiceBroke
from dualsync_sandbox.protocol.http import ApiError, Call, Reply, unescape
from dualsync_sandbox.protocol.keys import split_path, split_segment
from dualsync_sandbox.protocol.odata import QueryError
from dualsync_sandbox.schema import Table
from dualsync_sandbox.store import Store

ROOT = "/api/data/v9.2"
#: Versions of the service that answer as v9.2 does, under their own address ("Compose HTTP requests and handle errors":
#: within v9 versions add and change nothing; Microsoft's own samples use v9.0).
OLDER_ROOTS = ("/api/data/v9.0", "/api/data/v9.1")
#: Headers that would change what a request does (compose-http-requests, bypass-custom-business-logic).
UNPLAYED_HEADERS = (
    "callerobjectid",
    "mscrmcallerid",
    "mscrm.bypassbusinesslogicexecution",
    "mscrm.bypassbusinesslogicexecutionstepids",
    "mscrm.bypasscustompluginexecution",
)
_NAMESPACE = "Microsoft.Dynamics.CRM."
_LIMITS_OF_SQLITE = re.compile(r"too (complex|large|many)|stack overflow|too big")


class DataverseApi:
    """The Web API over one store.

    Args:
        store: The rows.
        writes: Counts what was written through the API.
    """

    def __init__(self, store: Store, writes: Writes) -> None:
        self._store = store
        self._writes = writes
        model = Model(store.schema)
        self._sets = model.by_set
        self._metadata = Metadata(model)
        self._functions = Functions(model, store, self._metadata)
        self._reading = Reading(model, store)
        self._writing = Writing(model, store, writes)
        self._bulk = Bulk(model, store, writes)

    def handle(self, call: Call) -> Reply:
        """Answer one authorised request; refusals become the documented error body."""
        request_id = str(uuid.uuid4())
        try:
            self._bulk.run_jobs()
            answer = self._route(without_aliases(call))
        except ServiceBroke:
            raise
        except SandboxError as error:
            answer = reply(refusal(error), detailed=Annotations.of(call).wants("Microsoft.PowerApps.CDS.HelpLink"))
        except RecursionError:
            answer = reply(refusal(QueryError("The request is nested too deeply.")))
        except (sqlite3.OperationalError, sqlite3.DataError) as error:
            if not _LIMITS_OF_SQLITE.search(str(error)):
                raise
            answer = reply(refusal(QueryError("The query is too complex.")))
        answer.headers.setdefault("odata-version", "4.0")
        answer.headers.setdefault("x-ms-service-request-id", request_id)
        answer.headers.setdefault("req_id", request_id)
        return answer

    def _route(self, call: Call) -> Reply:
        _check_headers(call)
        segments = split_path(unescape(call.path))
        if not segments:
            only(call, "GET")
            return self._metadata.service_document(call)
        name, key = split_segment(segments[0])
        table = self._sets.get(name)
        if table is None:
            return self._general(call, name, key, segments)
        if key is not None:
            return self._row(call, table, key, segments[1:])
        return self._set(call, table, segments[1:])

    def _general(self, call: Call, name: str, key: str | None, segments: list[str]) -> Reply:
        """Everything that is no table."""
        if name == "$batch":
            only(call, "POST")
            return run_batch(call, self.handle, self._store, self._writes)
        if name == "BulkDelete" and len(segments) == 1:
            by_method(call, "POST")
            return self._bulk.delete_later(call)
        if name in ("EntityDefinitions", "RelationshipDefinitions", "$metadata") and call.method != "GET":
            if call.method in ("POST", "PUT", "PATCH", "DELETE") and name != "$metadata":
                raise NotImplementedInSandbox("changes of table definitions", f"{call.method} {name}")
            only(call, "GET")
        if name in ("EntityDefinitions", "RelationshipDefinitions"):
            return self._metadata.answer(call, segments)
        if name == "$metadata" and len(segments) == 1:
            return self._metadata.csdl(call)
        if name == "sdkmessagefilters" and len(segments) == 1 and key is None:
            only(call, "GET")
            return self._functions.message_filters(call)
        if name in self._functions.known and len(segments) == 1:
            by_method(call, "GET")
            return self._functions.call(call, name, key)
        kind = kind_of(name)
        if kind:
            raise NotImplementedInSandbox(f"{name} ({kind})")
        raise ApiError(404, NO_SUCH_RESOURCE, f"Resource not found for the segment '{name}'.")

    def _set(self, call: Call, table: Table, rest: list[str]) -> Reply:
        if not rest:
            only(call, "GET", "POST")
            return self._reading.rows(call, table) if call.method == "GET" else self._writing.create(call, table)
        if rest == ["$count"]:
            only(call, "GET")
            return self._reading.count(call, table)
        if len(rest) == 1 and rest[0].startswith(_NAMESPACE):
            only(call, "POST")
            return self._bulk.act(call, table, rest[0].removeprefix(_NAMESPACE))
        raise ApiError(404, NO_SUCH_RESOURCE, f"Resource not found for the segment '{rest[0]}'.")

    def _row(self, call: Call, table: Table, key: str, rest: list[str]) -> Reply:
        if rest:
            if rest[-1].startswith(_NAMESPACE):
                raise NotImplementedInSandbox("action or function bound to a row", rest[-1])
            only(call, "GET", "POST", "PUT", "DELETE", "PATCH")
            if call.method == "GET":
                return self._reading.below(call, table, key, rest)
            return self._writing.below(call, table, key, rest)
        only(call, "GET", "PATCH", "DELETE", "PUT")
        if call.method == "PUT":
            raise NotImplementedInSandbox("PUT", "of a whole row")
        if call.method == "GET":
            return self._reading.one(call, table, key)
        if call.method == "DELETE":
            return self._writing.delete(call, table, key)
        return self._writing.upsert(call, table, key)


def only(call: Call, *methods: str) -> None:
    """Refuse other methods.

    Raises:
        ApiError: 405.
    """
    if call.method not in methods:
        text = f"The requested resource does not support http method '{call.method}'."
        raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, URI_ERROR, text)


def by_method(call: Call, method: str) -> None:
    """Refuse a function or an action that is called by another method ("Web API client errors").

    Raises:
        ApiError: 404 without a code.
    """
    if call.method != method:
        text = f"No HTTP resource was found that matches the request URI '{call.url}'."
        raise ApiError(HTTPStatus.NOT_FOUND, NO_CODE, text)


def _check_headers(call: Call) -> None:
    accepted = call.headers.get("accept", "").replace(" ", "").lower()
    for words in ("odata.metadata=full", "odata.metadata=none", "ieee754compatible=true"):
        if words in accepted:
            raise NotImplementedInSandbox("Accept", words)
    for name in UNPLAYED_HEADERS:
        if name in call.headers:
            raise NotImplementedInSandbox("header", name)
    if call.headers.get("mscrm.suppressduplicatedetection", "true").lower() == "false":
        raise NotImplementedInSandbox("header", "MSCRM.SuppressDuplicateDetection: false")
