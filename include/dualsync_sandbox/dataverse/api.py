"""Requests to the Dataverse Web API, and their answers.

Each method names the page of Microsoft's documentation it follows (folder ``developer/data-platform/webapi`` unless
said otherwise). Whatever is not played here is refused with status 501 and the code ``SandboxNotImplemented``.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable

from dualsync_sandbox.batch import ServiceBroke
from dualsync_sandbox.dataverse import bodies, metadata, paging
from dualsync_sandbox.dataverse.batches import run_batch
from dualsync_sandbox.dataverse.errors import (
    DUPLICATE_ID,
    NO_SUCH_RESOURCE,
    PARSE_ERROR,
    URI_ERROR,
    VERSION_MISMATCH,
    not_found,
    not_found_by_key,
    refusal,
    reply,
)
from dualsync_sandbox.dataverse.rows import Annotations, Shape, etag, resolver
from dualsync_sandbox.errors import NotImplementedInSandbox, SandboxError
from dualsync_sandbox.http import ApiError, Call, Reply, unescape
from dualsync_sandbox.keys import split_path, split_segment
from dualsync_sandbox.odata import FilterCompiler, Where, order_by, selected
from dualsync_sandbox.schema import APPLICATION_USER, BUSINESS_UNIT, ORGANIZATION, Table
from dualsync_sandbox.store import Row, Store, Tx, quoted
from dualsync_sandbox.trace import Writes

ROOT = "/api/data/v9.2"
_READ_OPTIONS = frozenset({"$select", "$filter", "$orderby", "$top", "$count", "$skiptoken", "$deltatoken"})
#: "Unsupported" by the service itself (query/overview).
_UNSUPPORTED = frozenset({"$skip", "$search", "$format", "$compute"})
#: Headers that would change what a request does (compose-http-requests, bypass-custom-business-logic).
_UNPLAYED_HEADERS = (
    "callerobjectid",
    "mscrmcallerid",
    "mscrm.bypassbusinesslogicexecution",
    "mscrm.bypassbusinesslogicexecutionstepids",
    "mscrm.bypasscustompluginexecution",
)


class DataverseApi:
    """The Web API over one store.

    Args:
        store: the rows.
        writes: counts what was written through the API.
    """

    def __init__(self, store: Store, writes: Writes) -> None:
        self._store = store
        self._schema = store.schema
        self._writes = writes
        self._metadata = metadata.Metadata(store.schema)
        self._actions: dict[str, Callable[[Call, Table], Reply]] = {
            "CreateMultiple": self._create_multiple,
            "UpdateMultiple": self._update_multiple,
            "UpsertMultiple": self._upsert_multiple,
        }

    def handle(self, call: Call) -> Reply:
        """Answer one authorised request; refusals become the documented error body."""
        try:
            answer = self._route(call)
        except ServiceBroke:
            raise
        except SandboxError as error:
            answer = reply(refusal(error))
        answer.headers.setdefault("odata-version", "4.0")
        answer.headers.setdefault("x-ms-service-request-id", str(uuid.uuid4()))
        return answer

    def _route(self, call: Call) -> Reply:
        self._check_headers(call)
        segments = split_path(unescape(call.path))
        if not segments:
            return self._service_document(call)
        name, key = split_segment(segments[0])
        if name == "$metadata":
            return Reply(200, metadata.csdl(), {"content-type": "application/xml"})
        if name == "WhoAmI" and key in (None, ""):
            return self._who_am_i(call)
        if name == "EntityDefinitions":
            self._only(call, "GET")
            return self._metadata.answer(call, segments)
        if name == "$batch":
            self._only(call, "POST")
            return run_batch(call, self.handle, self._store, self._writes)
        if name in ("BulkDelete", "RetrieveMetadataChanges", "RetrieveTotalRecordCount"):
            raise NotImplementedInSandbox(name)
        table = self._schema.by_set.get(name)
        if table is None:
            raise ApiError(404, NO_SUCH_RESOURCE, f"Resource not found for the segment '{name}'.")
        if key is not None:
            if len(segments) > 1:
                raise NotImplementedInSandbox("path below a row", "/".join(segments[1:]))
            return self._one(call, table, key)
        if len(segments) == 1:
            return self._set(call, table)
        return self._below(call, table, segments[1:])

    @staticmethod
    def _check_headers(call: Call) -> None:
        for name in _UNPLAYED_HEADERS:
            if name in call.headers:
                raise NotImplementedInSandbox("header", name)
        if call.headers.get("mscrm.suppressduplicatedetection", "true").lower() == "false":
            raise NotImplementedInSandbox("header", "MSCRM.SuppressDuplicateDetection: false")

    @staticmethod
    def _only(call: Call, *methods: str) -> None:
        if call.method not in methods:
            raise ApiError(405, "0x80060888", f"The requested resource does not support http method '{call.method}'.")

    def _service_document(self, call: Call) -> Reply:
        """``web-api-service-documents``."""
        self._only(call, "GET")
        sets = [{"name": table.set, "kind": "EntitySet", "url": table.set} for table in self._schema.tables.values()]
        return Reply.json(200, {"@odata.context": f"{call.service}/$metadata", "value": sets})

    def _who_am_i(self, call: Call) -> Reply:
        """``use-web-api-functions``, the WhoAmI function."""
        self._only(call, "GET")
        context = f"{call.service}/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse"
        who = {"BusinessUnitId": BUSINESS_UNIT, "UserId": APPLICATION_USER, "OrganizationId": ORGANIZATION}
        return Reply.json(200, {"@odata.context": context, **who})

    def _set(self, call: Call, table: Table) -> Reply:
        if call.method == "GET":
            return self._read(call, table)
        if call.method == "POST":
            return self._create(call, table)
        self._only(call, "GET", "POST")
        raise AssertionError

    def _below(self, call: Call, table: Table, rest: list[str]) -> Reply:
        if rest == ["$count"]:
            self._only(call, "GET")
            if paging.tracked(call):
                raise NotImplementedInSandbox("$count with $deltatoken")
            self._check_options(call, frozenset({"$filter"}))
            with self._store.reading() as tx:
                return Reply(
                    200, str(paging.count(tx, table, self._where(call, table))).encode(), {"content-type": "text/plain"}
                )
        action = rest[0].removeprefix("Microsoft.Dynamics.CRM.")
        if len(rest) == 1 and action != rest[0]:
            if action not in self._actions:
                raise NotImplementedInSandbox(f"action {action}")
            self._only(call, "POST")
            return self._actions[action](call, table)
        raise ApiError(404, NO_SUCH_RESOURCE, f"Resource not found for the segment '{rest[0]}'.")

    # -- reading

    def _check_options(self, call: Call, allowed: frozenset[str]) -> None:
        for name in call.options:
            if not name.startswith("$"):
                if name.startswith("@"):
                    raise NotImplementedInSandbox("parameter alias", name)
                continue
            if name in _UNSUPPORTED:
                raise ApiError(400, URI_ERROR, f"The query parameter {name} is not supported.")
            if name not in allowed:
                raise NotImplementedInSandbox("query option", name)

    def _where(self, call: Call, table: Table) -> Where | None:
        text = call.options.get("$filter")
        if text is None:
            return None
        return FilterCompiler(self._schema, table, resolver(self._schema, table)).compile(text)

    def _read(self, call: Call, table: Table) -> Reply:
        """``query/overview``, ``query/page-results``, ``use-change-tracking-synchronize-data-external-systems``."""
        self._check_options(call, _READ_OPTIONS)
        select = selected(call.options.get("$select"))
        shape = Shape(self._schema, table, select, Annotations.of(call))
        with self._store.reading() as tx:
            if paging.tracked(call):
                page = paging.track_page(tx, call, shape, self._store.clock.now())
            else:
                order = call.options.get("$orderby")
                terms = order_by(order, resolver(self._schema, table)) if order else []
                page = paging.read_page(tx, call, shape, self._where(call, table), terms)
        fields = f"({','.join(select)})" if select else ""
        delta = "/$delta" if "$deltatoken" in call.options else ""
        body: dict[str, object] = {"@odata.context": f"{call.service}/$metadata#{table.set}{fields}{delta}"}
        if page.count is not None:
            body["@odata.count"] = page.count
        body["value"] = page.rows
        if page.next_link:
            body["@odata.nextLink"] = page.next_link
        if page.delta_link:
            body["@odata.deltaLink"] = page.delta_link
        answer = Reply.json(200, body)
        applied = [
            name
            for name in ("odata.track-changes", "odata.maxpagesize", "odata.include-annotations")
            if name in call.preferences
        ]
        if applied:
            answer.headers["preference-applied"] = ",".join(
                name if not call.preferences[name] else f'{name}="{call.preferences[name]}"' if "annot" in name
                else f"{name}={call.preferences[name]}"
                for name in applied
            )  # fmt: skip
        return answer

    def _one(self, call: Call, table: Table, key: str) -> Reply:
        if call.method == "GET":
            return self._retrieve(call, table, key)
        if call.method == "PATCH":
            return self._upsert(call, table, key)
        if call.method == "DELETE":
            return self._delete(call, table, key)
        if call.method == "PUT":
            raise NotImplementedInSandbox("PUT")
        self._only(call, "GET", "PATCH", "DELETE")
        raise AssertionError

    def _retrieve(self, call: Call, table: Table, key: str) -> Reply:
        """``retrieve-entity-using-web-api``; 304 by ``perform-conditional-operations-using-web-api``."""
        self._check_options(call, frozenset({"$select"}))
        with self._store.reading() as tx:
            row_id, row = bodies.find(tx, table, key)
            known = call.headers.get("if-none-match", "")
            if known == etag(row["versionnumber"]):
                return Reply(304, b"", {"etag": known})
            return Reply.json(200, self._represent(call, tx, table, row_id), etag=etag(row["versionnumber"]))

    def _represent(self, call: Call, tx: Tx, table: Table, row_id: object) -> Row:
        select = selected(call.options.get("$select"))
        shape = Shape(self._schema, table, select, Annotations.of(call))
        values = tx.query(f"{shape.sql} WHERE {quoted(table.id)} = ?", (str(row_id),)).fetchone()
        fields = f"({','.join(select)})" if select else ""
        return {"@odata.context": f"{call.service}/$metadata#{table.set}{fields}/$entity", **shape.row(values)}

    # -- writing one row

    def _create(self, call: Call, table: Table) -> Reply:
        """``create-entity-web-api``: 204 with the row's URL, or 201 with the row when asked for."""
        body = call.json()
        with self._store.transaction(outside=True) as tx:
            row = tx.insert(table.name, bodies.values_of(tx, table, body))
            url = f"{call.service}/{table.set}({row[table.id]})"
            answer = self._written(call, tx, table, row, created=True, url=url)
        self._writes.add(table.set, "create")
        return answer

    def _written(self, call: Call, tx: Tx, table: Table, row: Row, *, created: bool, url: str) -> Reply:
        if call.preferences.get("return") == "representation":
            answer = Reply.json(201 if created else 200, self._represent(call, tx, table, row[table.id]))
            answer.headers["etag"] = etag(row["versionnumber"])
            answer.headers["preference-applied"] = "return=representation"
            return answer
        return Reply(204, b"", {"odata-entityid": url})

    def _upsert(self, call: Call, table: Table, key: str) -> Reply:
        """``use-upsert-insert-update-record``; conditions by ``perform-conditional-operations-using-web-api``."""
        body = call.json()
        if_match, if_none_match = call.headers.get("if-match"), call.headers.get("if-none-match")
        with self._store.transaction(outside=True) as tx:
            key_values = bodies.key_values(table, key)
            row = bodies.look_up(tx, table, key_values)
            values = bodies.values_of(tx, table, body)
            if row is None:
                if if_match is not None:
                    raise (
                        not_found(table.name, key_values[table.id])
                        if table.id in key_values
                        else not_found_by_key(table.name)
                    )
                row, created = self._create_by_key(tx, table, key_values, values), True
            else:
                self._check_match(row, if_match)
                if if_none_match == "*":
                    raise ApiError(412, DUPLICATE_ID, "A record with matching key values already exists.")
                row, created = self._update_by_key(tx, table, row, key_values, values), False
            answer = self._written(call, tx, table, row, created=created, url=f"{call.service}/{table.set}({key})")
        self._writes.add(table.set, "create" if created else "update")
        return answer

    def _create_by_key(self, tx: Tx, table: Table, key_values: Row, values: Row) -> Row:
        """Key columns in the body win over the URL; absent ones are copied from it."""
        return tx.insert(table.name, {**key_values, **values})

    def _update_by_key(self, tx: Tx, table: Table, row: Row, key_values: Row, values: Row) -> Row:
        """What the body says about key columns in the URL is dropped."""
        changes = {name: value for name, value in values.items() if name not in key_values and name != table.id}
        return tx.update(table.name, row[table.id], changes)

    @staticmethod
    def _check_match(row: Row, if_match: str | None) -> None:
        if if_match not in (None, "*", etag(row["versionnumber"])):
            raise ApiError(
                412,
                VERSION_MISMATCH,
                "The version of the existing record doesn't match the RowVersion property provided.",
            )

    def _delete(self, call: Call, table: Table, key: str) -> Reply:
        """``update-delete-entities-using-web-api``: 204, and 404 when there is nothing to delete."""
        with self._store.transaction(outside=True) as tx:
            row_id, row = bodies.find(tx, table, key)
            self._check_match(row, call.headers.get("if-match"))
            tx.delete(table.name, row_id)
        self._writes.add(table.set, "delete")
        return Reply(204)

    # -- writing many rows: "Use bulk operation messages" (developer/data-platform/bulk-operations)

    def _targets(self, call: Call, table: Table) -> list[dict[str, object]]:
        targets = call.json().get("Targets")
        if not isinstance(targets, list) or not all(isinstance(target, dict) for target in targets):
            raise ApiError(400, PARSE_ERROR, "The parameter 'Targets' must be a collection of rows.")
        for target in targets:
            given = str(target.get("@odata.type", "")).removeprefix("#")
            if given != f"Microsoft.Dynamics.CRM.{table.name}":
                raise ApiError(
                    400,
                    PARSE_ERROR,
                    f'Each target needs "@odata.type": "Microsoft.Dynamics.CRM.{table.name}"; \'{given}\' found.',
                )
        return targets

    def _create_multiple(self, call: Call, table: Table) -> Reply:
        """200 with the ids in the order of the targets (the order is an assumption); all or nothing."""
        with self._store.transaction(outside=True) as tx:
            ids = [
                tx.insert(table.name, bodies.values_of(tx, table, target))[table.id]
                for target in self._targets(call, table)
            ]
        self._writes.add(table.set, "create", len(ids))
        context = f"{call.service}/$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse"
        return Reply.json(200, {"@odata.context": context, "Ids": ids})

    def _update_multiple(self, call: Call, table: Table) -> Reply:
        """Each target names its primary id; 204; all or nothing."""
        targets = self._targets(call, table)
        with self._store.transaction(outside=True) as tx:
            for target in targets:
                row_id = target.get(table.id)
                if not isinstance(row_id, str):
                    raise ApiError(400, PARSE_ERROR, f"Each target of UpdateMultiple needs its '{table.id}'.")
                values = bodies.values_of(tx, table, target)
                values.pop(table.id)
                tx.update(table.name, row_id.lower(), values)
        self._writes.add(table.set, "update", len(targets))
        return Reply(204)

    def _upsert_multiple(self, call: Call, table: Table) -> Reply:
        """Each target names its row by ``@odata.id``; 204 without a word on which were created; all or nothing.

        That a GUID may stand in ``@odata.id`` is an assumption; a target that names its row by the primary id property
        is refused, since it is not established what the service does with one.
        """
        targets = self._targets(call, table)
        done: Counter[str] = Counter()
        with self._store.transaction(outside=True) as tx:
            for target in targets:
                url = target.get("@odata.id")
                if not isinstance(url, str):
                    raise NotImplementedInSandbox("UpsertMultiple", "a target without @odata.id")
                set_name, key = bodies.reference(url)
                if set_name != table.set or key is None:
                    raise ApiError(400, PARSE_ERROR, f"'{url}' does not name a row of {table.set}.")
                key_values = bodies.key_values(table, key)
                row = bodies.look_up(tx, table, key_values)
                values = bodies.values_of(tx, table, target)
                if row is None:
                    self._create_by_key(tx, table, key_values, values)
                else:
                    self._update_by_key(tx, table, row, key_values, values)
                done["create" if row is None else "update"] += 1
        for kind, count in done.items():
            self._writes.add(table.set, kind, count)
        return Reply(204)


def discovery_header(authority: str, base: str) -> str:
    """``WWW-Authenticate`` of an unauthorised answer; clients find the tenant in it."""
    tenant = re.sub(r"/v2\.0$", "", authority)
    return f"Bearer authorization_uri={tenant}/oauth2/authorize, resource_id={base}/"
