"""Writing one row: create, update, upsert, delete, single properties, links between rows.

Each method names the page of Microsoft's documentation it follows (folder ``developer/data-platform/webapi``).
"""

from __future__ import annotations

from collections import Counter

from dualsync_sandbox.dataverse import bodies
from dualsync_sandbox.dataverse.bodies import Bodies, Draft
from dualsync_sandbox.dataverse.errors import (
    DUPLICATE_ID,
    NO_SUCH_RESOURCE,
    PARSE_ERROR,
    URI_ERROR,
    VERSION_MISMATCH,
)
from dualsync_sandbox.dataverse.model import Model, Relationship, column_of
from dualsync_sandbox.dataverse.reading.requests import check_options, represent
from dualsync_sandbox.dataverse.reading.rows import etag
from dualsync_sandbox.errors import NotImplementedInSandbox
from dualsync_sandbox.gateway.trace import Writes
from dualsync_sandbox.protocol.http import ApiError, Call, Reply
from dualsync_sandbox.protocol.odata import UnknownProperty
from dualsync_sandbox.schema import Table
from dualsync_sandbox.store import Row, Store, Tx

_SHOWN = frozenset({"$select", "$expand"})


class Writing:
    """Answers requests that write one row.

    Args:
        model: The tables.
        store: Their rows.
        writes: Counts what was written.
    """

    def __init__(self, model: Model, store: Store, writes: Writes) -> None:
        self._model = model
        self._store = store
        self._writes = writes

    def create(self, call: Call, table: Table) -> Reply:
        """``create-entity-web-api``: 204 with the row's URL, or 201 with the row when asked for."""
        check_options(call, _SHOWN)
        body = call.json()
        with self._store.transaction(outside=True) as tx:
            making = _Making(tx, self._model)
            row = making.make(table, body)
            url = f"{call.service}/{table.set}({row[table.id]})"
            answer = self._written(call, tx, table, row, created=True, url=url)
        self._count(making.done)
        return answer

    def _count(self, done: Counter[tuple[str, str]]) -> None:
        for (set_name, kind), number in done.items():
            self._writes.add(set_name, kind, number)

    def _written(self, call: Call, tx: Tx, table: Table, row: Row, *, created: bool, url: str) -> Reply:
        if call.preferences.get("return") == "representation":
            body = represent(tx, call, self._model, table, row[table.id])
            headers = {
                "content-type": "application/json; odata.metadata=minimal",
                "etag": etag(row["versionnumber"]),
                "preference-applied": "return=representation",
            }
            return Reply(201 if created else 200, body, headers)
        return Reply(204, b"", {"odata-entityid": url})

    def upsert(self, call: Call, table: Table, key: str) -> Reply:
        """``use-upsert-insert-update-record``; conditions by ``perform-conditional-operations-using-web-api``."""
        check_options(call, _SHOWN)
        body = call.json()
        if_match, if_none_match = call.headers.get("if-match"), call.headers.get("if-none-match")
        with self._store.transaction(outside=True) as tx:
            making = _Making(tx, self._model)
            key_values = bodies.key_values(table, key)
            row = bodies.look_up(tx, table, key_values)
            if row is None:
                if if_match is not None:
                    raise bodies.missing(table, key_values)
                created, row = True, making.make(table, body, key_values)
            else:
                created = False
                check_match(row, if_match)
                if if_none_match == "*":
                    raise ApiError(412, DUPLICATE_ID, "A record with matching key values already exists.")
                values = Bodies(tx, self._model).values(table, body)
                row = tx.update(table.name, row[table.id], without_key(table, values, key_values))
                making.done[table.set, "update"] += 1
            url = f"{call.service}/{table.set}({key})"
            answer = self._written(call, tx, table, row, created=created, url=url)
        self._count(making.done)
        return answer

    def delete(self, call: Call, table: Table, key: str) -> Reply:
        """``update-delete-entities-using-web-api``: 204, and 404 when there is nothing to delete."""
        check_options(call, frozenset())
        with self._store.transaction(outside=True) as tx:
            row_id, row = bodies.find(tx, table, key)
            check_match(row, call.headers.get("if-match"))
            tx.delete(table.name, row_id)
        self._writes.add(table.set, "delete")
        return Reply(204)

    # -- below a row

    def below(self, call: Call, table: Table, key: str, rest: list[str]) -> Reply:
        """A single property (PUT, DELETE) or a link to another row (``$ref``).

        Raises:
            ApiError: There is no such property, or it cannot be written so.
            NotImplementedInSandbox: A PATCH, which is for files.
        """
        check_options(call, frozenset({"$id"}))
        if rest[-1] == "$ref" and len(rest) == 2:
            return self._link(call, table, key, rest[0])
        if call.method == "PATCH" and len(rest) == 1:
            # "Use file column data": files travel so, in pieces; no table here has a file column.
            raise NotImplementedInSandbox("PATCH", f"of a single column ({rest[0]})")
        if len(rest) > 1 or call.method not in ("PUT", "DELETE"):
            raise _no_method(call)
        try:
            column = column_of(table, rest[0])
        except UnknownProperty:
            raise ApiError(404, NO_SUCH_RESOURCE, f"Resource not found for the segment '{rest[0]}'.") from None
        if column.kind == "lookup" or column.name == table.id:
            raise ApiError(400, URI_ERROR, f"'{rest[0]}' cannot be written.")
        value = None
        if call.method == "PUT":
            body = call.json()
            if "value" not in body:
                raise ApiError(400, PARSE_ERROR, "The payload must hold the property 'value'.")
            value = body["value"]
        changes = {column.name: value} if bodies.writable(column) else {}
        with self._store.transaction(outside=True) as tx:
            row_id, row = bodies.find(tx, table, key)
            check_match(row, call.headers.get("if-match"))
            tx.update(table.name, row_id, changes)
        self._writes.add(table.set, "update")
        return Reply(204)

    def _link(self, call: Call, table: Table, key: str, segment: str) -> Reply:
        """``associate-disassociate-entities-using-web-api``."""
        name, _, child_key = segment.partition("(")
        single = self._model.of(table).get(name)
        many = self._model.collections[table.name].get(name)
        if single is not None and call.method in ("PUT", "DELETE"):
            return self._link_one(call, table, key, single)
        if many is not None and call.method in ("POST", "DELETE"):
            return self._link_member(call, table, key, many, child_key.removesuffix(")"))
        if single is None and many is None:
            raise ApiError(404, NO_SUCH_RESOURCE, f"Resource not found for the segment '{name}'.")
        raise _no_method(call)

    def _link_one(self, call: Call, table: Table, key: str, single: Relationship) -> Reply:
        with self._store.transaction(outside=True) as tx:
            row_id, _ = bodies.find(tx, table, key)
            url = _named(call) if call.method == "PUT" else None
            bind: dict[str, object] = {f"{single.navigation}@odata.bind": url}
            tx.update(table.name, row_id, Bodies(tx, self._model).values(table, bind))
        self._writes.add(table.set, "update")
        return Reply(204)

    def _link_member(self, call: Call, table: Table, key: str, many: Relationship, child_key: str) -> Reply:
        """A row is added to a collection, or taken out of it, by its own lookup."""
        child = many.child
        with self._store.transaction(outside=True) as tx:
            row_id, _ = bodies.find(tx, table, key)
            read = Bodies(tx, self._model)
            if call.method == "POST":
                child_id = read.bound(child, _named(call), many.name)
            elif child_key:
                child_id = bodies.find(tx, child, child_key)[0]
            else:
                child_id = read.bound(child, call.options.get("$id", ""), many.name)
            url = f"{table.set}({row_id})" if call.method == "POST" else None
            tx.update(child.name, child_id, read.values(child, {f"{many.navigation}@odata.bind": url}))
        self._writes.add(child.set, "update")
        return Reply(204)


class _Making:
    """Creates a row and those inside of its body: ``create-entity-web-api``, related rows in one operation."""

    def __init__(self, tx: Tx, model: Model) -> None:
        self._tx = tx
        self._bodies = Bodies(tx, model, self._inner)
        self.done: Counter[tuple[str, str]] = Counter()

    def _inner(self, table: Table, body: dict[str, object]) -> str:
        return str(self.make(table, body)[table.id])

    def make(self, table: Table, body: dict[str, object], key_values: Row | None = None) -> Row:
        """Key columns in the body win over those of the URL; absent ones are copied from it."""
        draft: Draft = self._bodies.read(table, body)
        row = self._tx.insert(table.name, {**(key_values or {}), **draft.values})
        self.done[table.set, "create"] += 1
        for relationship, child in draft.children:
            self._child(relationship, child, str(row[table.id]))
        return row

    def _child(self, relationship: Relationship, body: dict[str, object], parent_id: str) -> None:
        own: Row = {relationship.column.name: parent_id}
        if relationship.column.polymorphic:
            own[f"{relationship.column.name}@type"] = relationship.parent.name
        if set(body) == {"@odata.id"}:
            row_id = self._bodies.bound(relationship.child, str(body["@odata.id"]), relationship.name)
            self._tx.update(relationship.child.name, row_id, own)
            self.done[relationship.child.set, "update"] += 1
        else:
            self.make(relationship.child, body, own)


def without_key(table: Table, values: Row, key_values: Row) -> Row:
    """What an update's body says about key columns in the URL is dropped."""
    return {name: value for name, value in values.items() if name not in key_values and name != table.id}


def check_match(row: Row, if_match: str | None) -> None:
    """``If-Match`` against the row as it is.

    Raises:
        ApiError: 412, it has been changed.
    """
    if if_match not in (None, "*", etag(row["versionnumber"])):
        raise ApiError(
            412,
            VERSION_MISMATCH,
            "The version of the existing record doesn't match the RowVersion property provided.",
        )


def _named(call: Call) -> str:
    """The URL in the body of a link."""
    url = call.json().get("@odata.id")
    if not isinstance(url, str):
        raise ApiError(400, PARSE_ERROR, "The payload must hold the URL of a row in '@odata.id'.")
    return url


def _no_method(call: Call) -> ApiError:
    return ApiError(405, URI_ERROR, f"The requested resource does not support http method '{call.method}'.")
