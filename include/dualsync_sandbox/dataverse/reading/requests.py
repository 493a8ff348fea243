"""Reading rows: sets, single rows, single properties, related rows, counts.

Follows "Query data using the Web API" (webapi/query/overview and the pages below it), "Retrieve a table row"
(webapi/retrieve-entity-using-web-api) and, for 304, webapi/perform-conditional-operations-using-web-api.
"""

from __future__ import annotations

from dualsync_sandbox.dataverse import bodies
from dualsync_sandbox.dataverse.errors import NO_SUCH_RESOURCE, URI_ERROR
from dualsync_sandbox.dataverse.model import Model, Relationship, Scope, column_of, value_of
from dualsync_sandbox.dataverse.reading import paging
from dualsync_sandbox.dataverse.reading.expand import parse_expand
from dualsync_sandbox.dataverse.reading.paging import Condition
from dualsync_sandbox.dataverse.reading.rows import (
    LARGEST_PAGE,
    Annotations,
    Shape,
    View,
    document,
    etag,
    filtered,
    single,
)
from dualsync_sandbox.errors import NotImplementedInSandbox
from dualsync_sandbox.protocol.http import ApiError, Call, Reply, to_json
from dualsync_sandbox.protocol.odata import UnknownProperty, order_terms, selected
from dualsync_sandbox.schema import Table
from dualsync_sandbox.store import Store, Tx
from dualsync_sandbox.store.values import SqlValue

_JSON = "application/json; odata.metadata=minimal"
LIST_OPTIONS = frozenset({"$select", "$expand", "$filter", "$orderby", "$top", "$count", "$skiptoken", "$deltatoken"})
#: "Unsupported" by the service itself (query/overview).
UNSUPPORTED = frozenset({"$skip", "$search", "$format", "$compute", "$index", "$levels"})
#: Other ways to query, which go by parameters without a dollar sign.
OTHER_QUERIES = ("fetchXml", "savedQuery", "sql", "userQuery")
#: Annotations that say how many rows there are.
COUNTS = ("Microsoft.Dynamics.CRM.totalrecordcount", "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded")
_TOTAL, _EXCEEDED = COUNTS
APPLIED = ("odata.track-changes", "odata.maxpagesize", "odata.include-annotations")


def check_options(call: Call, allowed: frozenset[str]) -> None:
    """Refuse query options that the request cannot have, or that the sandbox does not play.

    Raises:
        ApiError: The service takes no such option.
        NotImplementedInSandbox: It does.
    """
    for name in call.options:
        if name in allowed or (name and name[0] == "@"):
            continue
        if not name.startswith("$"):
            # Others, such as ``tag``, are passed on to plug-ins and change nothing.
            if name.lower() in {other.lower() for other in OTHER_QUERIES}:
                raise NotImplementedInSandbox("query option", name)
        elif name == "$apply":
            raise NotImplementedInSandbox("query option", name)
        elif name in UNSUPPORTED:
            raise ApiError(400, URI_ERROR, f"The query parameter {name} is not supported.")
        elif name in LIST_OPTIONS:
            raise ApiError(400, URI_ERROR, f"The query parameter {name} is not supported here.")
        else:
            raise ApiError(400, URI_ERROR, f"'{name}' is no query parameter.")


def check_played(call: Call, allowed: frozenset[str]) -> None:
    """Like :func:`check_options`, where the service may take the options of queries that the sandbox does not play.

    Raises:
        ApiError: The service takes no such option anywhere.
        NotImplementedInSandbox: It may take it here.
    """
    for name in call.options:
        if name in LIST_OPTIONS - allowed:
            raise NotImplementedInSandbox("query option", f"{name} of {call.path.partition('(')[0]}")
    check_options(call, allowed)


def view_of(call: Call) -> View:
    """What the request wants to see of rows."""
    return View(
        service=call.service,
        select=tuple(selected(call.options.get("$select"))),
        annotations=Annotations.of(call),
        expansions=parse_expand(call.options.get("$expand")),
        page=paging.page_size(call) or LARGEST_PAGE,
    )


def represent(tx: Tx, call: Call, model: Model, table: Table, row_id: object) -> bytes:
    """One row as the request wants to see it."""
    view = view_of(call)
    shape = Shape(Scope(model, table), view)
    sql = f"SELECT {shape.sql} FROM {shape.scope.source} WHERE {shape.scope.id} = ?"
    row = tx.query(sql, [*shape.parameters, str(row_id)]).fetchone()[0]
    context = f"{call.service}/$metadata#{table.set}{view.fields}/$entity"
    return single({"@odata.context": context}, row)


class Reading:
    """Answers requests that read.

    Args:
        model: The tables.
        store: Their rows.
    """

    def __init__(self, model: Model, store: Store) -> None:
        self._model = model
        self._store = store

    def rows(self, call: Call, table: Table, of: tuple[Relationship, str] | None = None) -> Reply:
        """Rows of a set; page by page, tracked, or since a change token.

        Args:
            call: The request.
            table: Of the rows.
            of: Only rows that point to this row by this relationship.
        """
        check_options(call, LIST_OPTIONS)
        view = view_of(call)
        scope = Scope(self._model, table)
        shape = Shape(scope, view)
        where = self._where(call, scope, of)
        counted: int | None = None
        with self._store.reading() as tx:
            if of is None and paging.tracked(call):
                page = paging.track_page(tx, call, shape, self._store.clock.now())
            else:
                if "$deltatoken" in call.options:
                    raise ApiError(400, URI_ERROR, "Change tracking is for whole tables.")
                order = call.options.get("$orderby")
                page = paging.read_page(tx, call, shape, where, order_terms(order, scope.ordered) if order else [])
                if call.options.get("$count") == "true":
                    counted = paging.count(tx, scope.source, where)
        delta = "/$delta" if "$deltatoken" in call.options else ""
        head: dict[str, object] = {"@odata.context": f"{call.service}/$metadata#{table.set}{view.fields}{delta}"}
        head |= _counts(view.annotations, counted)
        tail = {"@odata.nextLink": page.next_link, "@odata.deltaLink": page.delta_link}
        body = document(head, page.rows, {name: link for name, link in tail.items() if link})
        return Reply(200, body, {"content-type": _JSON, **_applied(call)})

    def _where(self, call: Call, scope: Scope, of: tuple[Relationship, str] | None) -> Condition:
        conditions = ["1"]
        parameters: list[SqlValue] = []
        if of is not None:
            conditions.append(of[0].joined(scope.alias, "?"))
            parameters.append(of[1])
        if call.options.get("$filter") is not None:
            sql, values = filtered(scope, call.options["$filter"])
            conditions.append(sql)
            parameters += values
        return " AND ".join(conditions), parameters

    def count(self, call: Call, table: Table) -> Reply:
        """``set/$count``, also of changes since a token. It never says more than 5,000 (query/count-rows)."""
        check_options(call, frozenset({"$filter", "$deltatoken"}))
        with self._store.reading() as tx:
            if "$deltatoken" in call.options:
                if "$filter" in call.options:
                    text = 'The "$filter" query parameter isn\'t supported when Change Tracking is enabled.'
                    raise ApiError(400, URI_ERROR, text)
                version = paging.since(tx, call.options["$deltatoken"], self._store.clock.now())
                found = paging.count_changes(tx, table, version)
            else:
                scope = Scope(self._model, table)
                found = paging.count(tx, scope.source, self._where(call, scope, None))
        return Reply(200, str(min(found, LARGEST_PAGE)).encode(), {"content-type": "text/plain"})

    def one(self, call: Call, table: Table, key: str) -> Reply:
        """One row; 304 when the caller has it as it is."""
        check_options(call, frozenset({"$select", "$expand"}))
        with self._store.reading() as tx:
            row_id, row = bodies.find(tx, table, key)
            known, plain = call.headers.get("if-none-match", ""), not call.options.get("$expand")
            tag = etag(row["versionnumber"])
            if known == tag and plain and not Annotations.of(call).patterns:
                return Reply(304, b"", {"etag": known})
            body = represent(tx, call, self._model, table, row_id)
        return Reply(200, body, {"content-type": _JSON, "etag": tag, **_applied(call)})

    def below(self, call: Call, table: Table, key: str, rest: list[str]) -> Reply:
        """A property of a row (``/name``, ``/name/$value``), or the rows a navigation property leads to.

        Raises:
            ApiError: There is no such property.
            NotImplementedInSandbox: ``$ref``, and paths that go on.
        """
        name, *more = rest
        many = self._model.collections[table.name].get(name)
        single_valued = self._model.of(table).get(name)
        if (many or single_valued) and more:
            raise NotImplementedInSandbox("path below a navigation property", "/".join(rest))
        with self._store.reading() as tx:
            row_id, row = bodies.find(tx, table, key)
        if many is not None:
            return self.rows(call, many.child, (many, row_id))
        if single_valued is not None:
            column = single_valued.column
            target = row.get(f"{column.name}@type") if column.polymorphic else single_valued.parent.name
            value = value_of(column, row)
            if value is None or target != single_valued.parent.name:
                return Reply(204)
            return self.one(call, single_valued.parent, str(value))
        check_options(call, frozenset())
        return self._property(call, table, row_id, row, name, more)

    @staticmethod
    def _property(call: Call, table: Table, row_id: str, row: dict[str, object], name: str, more: list[str]) -> Reply:
        try:
            column = column_of(table, name)
        except UnknownProperty:
            raise ApiError(404, NO_SUCH_RESOURCE, f"Resource not found for the segment '{name}'.") from None
        if more not in ([], ["$value"]):
            raise ApiError(404, NO_SUCH_RESOURCE, f"Resource not found for the segment '{more[0]}'.")
        value = value_of(column, row)
        if value is None:
            return Reply(204)
        if more:
            text = value if isinstance(value, str) else to_json(value).decode()
            return Reply(200, text.encode(), {"content-type": "text/plain"})
        context = f"{call.service}/$metadata#{table.set}({row_id})/{name}"
        return Reply.json(200, {"@odata.context": context, "value": value})


def _counts(annotations: Annotations, counted: int | None) -> dict[str, object]:
    """``@odata.count``, at most 5,000; annotations say whether there are more (query/count-rows)."""
    found: dict[str, object] = {}
    if counted is not None:
        found["@odata.count"] = min(counted, LARGEST_PAGE)
    if annotations.wants(_TOTAL):
        found[f"@{_TOTAL}"] = -1 if counted is None else min(counted, LARGEST_PAGE)
    if annotations.wants(_EXCEEDED):
        found[f"@{_EXCEEDED}"] = counted is not None and counted > LARGEST_PAGE
    return found


def _applied(call: Call) -> dict[str, str]:
    """``Preference-Applied``: the preferences that were honoured."""
    parts = []
    for name in APPLIED:
        value = call.preferences.get(name)
        if value is not None:
            shown = f'"{value}"' if "annotations" in name else value
            parts.append(f"{name}={shown}" if value else name)
    return {"preference-applied": ",".join(parts)} if parts else {}
