"""Requests to the OData service of Finance, and their answers.

Follows "Open Data Protocol (OData)" (dev-itpro/data-entities/odata.md) and "Cross-company behavior", and recorded
answers of a real environment. Whatever is not played here is refused with status 501 and ``SandboxNotImplemented``.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dualsync_sandbox.errors import NotImplementedInSandbox, SandboxError
from dualsync_sandbox.finance import metadata
from dualsync_sandbox.finance.data_management.packages import SET as DATA_MANAGEMENT
from dualsync_sandbox.finance.data_management.packages import Packages
from dualsync_sandbox.finance.errors import ODATA_ERROR, WRITE_ERROR, FinanceError, no_route, no_rows, refusal, reply
from dualsync_sandbox.finance.known_sets import known_sets
from dualsync_sandbox.finance.rows import Shape, etag, find, key_values
from dualsync_sandbox.gateway.limits import Limits
from dualsync_sandbox.gateway.trace import Writes
from dualsync_sandbox.protocol.batch import BatchFault, Runner, read_batch, size
from dualsync_sandbox.protocol.http import ApiError, Call, Reply, unescape
from dualsync_sandbox.protocol.keys import split_path, split_segment
from dualsync_sandbox.protocol.odata import FilterCompiler, Operand, order_by, own_column, selected, whole
from dualsync_sandbox.schema import Table
from dualsync_sandbox.store import Row, Store, Tx
from dualsync_sandbox.store.values import SqlValue

ROOT = "/data"
LARGEST_BATCH = 5_000
READ_OPTIONS = frozenset({"$filter", "$select", "$orderby", "$top", "$skip", "$count", "$format"})


class FinanceApi:
    """The service over one store.

    Args:
        store: The rows.
        writes: Counts what was written through the API.
        default_company: The company of the user that the client id is mapped to.
        limits: Name the largest page.

    Attributes:
        packages: The data management package API, whose actions stand among the entity sets.
    """

    def __init__(self, store: Store, writes: Writes, default_company: str, limits: Limits) -> None:
        self._limits = limits
        self._store = store
        self._schema = store.schema
        self._writes = writes
        self._company = default_company.lower()
        self.packages = Packages(store, writes, self._company)

    def handle(self, call: Call) -> Reply:
        """Answer one authorised request; refusals become the recorded error body."""
        try:
            answer = self._route(call)
        except SandboxError as error:
            answer = reply(refusal(self._schema, error, deleting=call.method == "DELETE"))
        answer.headers.setdefault("odata-version", "4.0")
        answer.headers.setdefault("x-ms-service-request-id", str(uuid.uuid4()))
        return answer

    def _route(self, call: Call) -> Reply:
        _check_accepted(call)
        segments = split_path(unescape(call.path))
        if not segments:
            return self._service_document(call)
        name, key = split_segment(segments[0])
        if name == "$metadata":
            return Reply(200, metadata.csdl(), {"content-type": "application/xml"})
        if name == "$batch":
            return self._batch(call)
        if name == DATA_MANAGEMENT and key is None:
            return self.packages.action(call, segments[1:])
        table = self._schema.by_set.get(name)
        if table is None:
            return _not_served(call, name)
        return self._table(call, table, key, segments)

    def _table(self, call: Call, table: Table, key: str | None, segments: list[str]) -> Reply:
        if call.options.get("$format", "json") != "json":
            raise NotImplementedInSandbox("$format", call.options["$format"])
        if segments[1:] == ["$count"] and key is None:
            return Reply(200, str(self._count(call, table)).encode(), {"content-type": "text/plain"})
        if len(segments) == 2 and key is not None and segments[1] in table.columns:
            return self._property(call, table, key, segments[1])
        if len(segments) > 1:
            raise NotImplementedInSandbox("path or action below an entity", "/".join(segments[1:]))
        return self._set(call, table) if key is None else self._one(call, table, key)

    def _set(self, call: Call, table: Table) -> Reply:
        if call.method == "GET":
            return self._read(call, table)
        if call.method == "POST":
            return self._create(call, table)
        raise ApiError(405, "", f"The requested resource does not support http method '{call.method}'.")

    def _service_document(self, call: Call) -> Reply:
        names = sorted([*self._schema.by_set, DATA_MANAGEMENT])
        sets = [{"name": name, "kind": "EntitySet", "url": name} for name in names]
        return Reply.json(200, {"@odata.context": f"{call.service}/$metadata", "value": sets})

    def _batch(self, call: Call) -> Reply:
        """Requests in order, change sets all or nothing; "Batch requests" in odata.md, limited to 5,000 operations.

        Assumed: without ``odata.continue-on-error`` a failed operation ends the batch, whose own status is 200.
        """
        if call.method != "POST":
            raise ApiError(405, "", f"The requested resource does not support http method '{call.method}'.")
        try:
            items = read_batch(call)
        except BatchFault as error:
            raise FinanceError(400, ODATA_ERROR, str(error)) from error
        if size(items) > LARGEST_BATCH:
            raise FinanceError(400, ODATA_ERROR, f"A batch holds at most {LARGEST_BATCH} operations.")
        if any(not one.content_id for item in items if isinstance(item, tuple) for one in item):
            raise FinanceError(400, ODATA_ERROR, "An operation in a change set needs its Content-ID.")

        def unreadable(message: str) -> Reply:
            return reply(FinanceError(400, ODATA_ERROR, message))

        def handle(inner: Call) -> Reply:
            return unreadable("A batch cannot hold a batch.") if inner.path == "$batch" else self.handle(inner)

        runner = Runner(call, handle, self._all_or_nothing, unreadable)
        return runner.run(items, go_on="odata.continue-on-error" in call.preferences)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        with self._writes.together(), self._store.transaction(outside=True):
            yield

    # -- reading

    def _check_options(self, call: Call, allowed: frozenset[str]) -> None:
        for name in call.options:
            if name.startswith(("$", "@")) and name not in allowed:
                raise NotImplementedInSandbox("query option", name)

    def _resolver(self, table: Table) -> Callable[[str], Operand]:
        return lambda name: own_column(self._schema, table, name)

    def _scope(self, call: Call, table: Table) -> str | None:
        """The one company a request sees, unless it says ``cross-company=true``."""
        if "dataAreaId" not in table.columns or call.options.get("cross-company", "").lower() == "true":
            return None
        return self._company

    def _conditions(self, call: Call, table: Table) -> tuple[str, list[SqlValue]]:
        clauses: list[str] = []
        parameters: list[SqlValue] = []
        company = self._scope(call, table)
        if company is not None:
            clauses.append('"dataAreaId" = ?')
            parameters.append(company)
        if "$filter" in call.options:
            where = FilterCompiler(self._schema, table, self._resolver(table)).compile(call.options["$filter"])
            clauses.append(where.sql)
            parameters += where.parameters
        return (f" WHERE {' AND '.join(clauses)}" if clauses else ""), parameters

    def _count(self, call: Call, table: Table) -> int:
        self._check_options(call, frozenset({"$filter"}))
        where, parameters = self._conditions(call, table)
        with self._store.reading() as tx:
            return self._counted(tx, table, where, parameters)

    @staticmethod
    def _counted(tx: Tx, table: Table, where: str, parameters: list[SqlValue]) -> int:
        return int(tx.query(f'SELECT count(*) FROM "{table.name}"{where}', parameters).fetchone()[0])

    def _read(self, call: Call, table: Table) -> Reply:
        """Pages of at most 10,000 rows; the next link counts on with ``$skip``, as observed."""
        self._check_options(call, READ_OPTIONS)
        select = selected(call.options.get("$select"))
        shape = Shape(table, select)
        where, parameters = self._conditions(call, table)
        order = call.options.get("$orderby")
        terms = [*(order_by(order, self._resolver(table)) if order else []), '"RecId"']
        top, skip = whole(call.options, "$top"), whole(call.options, "$skip") or 0
        largest = self._limits.grants.finance.page
        limit = largest if top is None else min(top, largest)
        body: dict[str, object] = {"@odata.context": f"{call.service}/$metadata#{table.set}{shape.fields}"}
        sql = f"{shape.sql}{where} ORDER BY {', '.join(terms)} LIMIT ? OFFSET ?"
        with self._store.reading() as tx:
            if call.options.get("$count") == "true":
                body["@odata.count"] = self._counted(tx, table, where, parameters)
            rows = [shape.row(values) for values in tx.query(sql, [*parameters, limit + 1, skip])]
        body["value"] = rows[:limit]
        rest = None if top is None else top - limit
        if len(rows) > limit and rest != 0:
            body["@odata.nextLink"] = call.link(skip=str(skip + limit), top=None if rest is None else str(rest))
        return Reply.json(200, body)

    def _one(self, call: Call, table: Table, key: str) -> Reply:
        values = key_values(self._schema, table, key)
        visible = self._scope(call, table) in (None, values.get("dataAreaId"))
        if call.method == "GET":
            return self._retrieve(call, table, values)
        if call.method == "PATCH":
            return self._update(call, table, values, visible)
        if call.method == "DELETE":
            return self._delete(call, table, values, visible)
        if call.method == "PUT":
            return self._update(call, table, values, visible, replace=True)
        raise ApiError(405, "", f"The requested resource does not support http method '{call.method}'.")

    def _property(self, call: Call, table: Table, key: str, name: str) -> Reply:
        """``X(key)/Field``: one value; odata.md."""
        if call.method != "GET":
            raise NotImplementedInSandbox(call.method, "of a single property")
        values = key_values(self._schema, table, key)
        shape = Shape(table, [name])
        with self._store.reading() as tx:
            row = self._found(call, tx, table, values)
            found = tx.query(f'{shape.sql} WHERE "RecId" = ?', (row["RecId"],)).fetchone()
        context = f"{call.service}/$metadata#{table.set}({_key_text(table, row)})/{name}"
        return Reply.json(200, {"@odata.context": context, "value": shape.row(found)[name]})

    def _found(self, call: Call, tx: Tx, table: Table, values: dict[str, SqlValue]) -> Row:
        """A missing row is 404; its body is an assumption."""
        visible = self._scope(call, table) in (None, values.get("dataAreaId"))
        row = find(tx, table, values) if visible else None
        if row is None:
            raise FinanceError(404, ODATA_ERROR, "Resource not found.")
        return row

    def _retrieve(self, call: Call, table: Table, values: dict[str, SqlValue]) -> Reply:
        self._check_options(call, frozenset({"$select", "$format"}))
        shape = Shape(table, selected(call.options.get("$select")))
        with self._store.reading() as tx:
            row = self._found(call, tx, table, values)
            return Reply.json(200, self._represent(call, tx, shape, table, row["RecId"]))

    @staticmethod
    def _represent(call: Call, tx: Tx, shape: Shape, table: Table, rec_id: object) -> Row:
        assert isinstance(rec_id, int)
        found = tx.query(f'{shape.sql} WHERE "RecId" = ?', (rec_id,)).fetchone()
        return {"@odata.context": f"{call.service}/$metadata#{table.set}{shape.fields}/$entity", **shape.row(found)}

    # -- writing

    def _values(self, table: Table, body: Row) -> Row:
        """The values of a body; null only where the property is nullable (texts and enums)."""
        values = {name: value for name, value in body.items() if "@" not in name}
        for name, value in values.items():
            column = table.columns.get(name)
            if value is None and column is not None and column.kind not in ("text", "enum"):
                message = f"A null value was found for the property named '{name}', which has the expected type "
                raise FinanceError(400, ODATA_ERROR, message + f"'{metadata.edm_type(column)}[Nullable=False]'.")
        return values

    def _create(self, call: Call, table: Table) -> Reply:
        """201 with the whole row, defaults filled in. The company comes from the body, else it is the user's own."""
        values = self._values(table, call.json())
        if "dataAreaId" in table.columns and not values.get("dataAreaId"):
            values["dataAreaId"] = self._company
        with self._store.transaction(outside=True) as tx:
            row = tx.insert(table.name, values)
            represented = self._represent(call, tx, Shape(table, ()), table, row["RecId"])
        self._writes.add(table.set, "create")
        return Reply.json(201, represented, location=f"{call.service}/{table.set}({_key_text(table, row)})")

    def _update(
        self, call: Call, table: Table, values: dict[str, SqlValue], visible: bool, *, replace: bool = False
    ) -> Reply:
        """204; a missing row is 400. That key fields cannot be changed is an assumption.

        A PUT gives fields that it does not name their default values; that it answers 204 as well is an assumption.
        """
        changes = self._values(table, call.json())
        if replace:
            rest = [column for column in table.columns.values() if not column.key and column.name not in changes]
            changes |= {column.name: column.default for column in rest}
        with self._store.transaction(outside=True) as tx:
            row = find(tx, table, values) if visible else None
            if row is None:
                raise no_rows()
            self._check_match(call, table, row)
            for name in table.keys[0].columns:
                if name in changes and str(changes.pop(name)).lower() != str(row[name]).lower():
                    text = f"Write failed for table row of type '{table.aot}'. Infolog: Warning: "
                    text += f"Field '{name}' cannot be changed."
                    raise FinanceError(400, WRITE_ERROR, text)
            tx.update(table.name, row["RecId"], changes)
        self._writes.add(table.set, "update")
        return Reply(204)

    def _delete(self, call: Call, table: Table, values: dict[str, SqlValue], visible: bool) -> Reply:
        with self._store.transaction(outside=True) as tx:
            row = find(tx, table, values) if visible else None
            if row is None:
                raise no_rows()
            self._check_match(call, table, row)
            tx.delete(table.name, row["RecId"])
        self._writes.add(table.set, "delete")
        return Reply(204)

    @staticmethod
    def _check_match(call: Call, table: Table, row: Row) -> None:
        """Conflicts surface as 400 with this text, as observed by clients."""
        if call.headers.get("if-match") not in (None, "*", etag(row["RecId"], row["RecVersion"])):
            raise FinanceError(
                400,
                WRITE_ERROR,
                f"Cannot edit a record in {table.label} ({table.aot}). An update conflict occurred due to another user "
                "process deleting the record or changing one or more fields in the record.",
            )


def _not_served(call: Call, name: str) -> Reply:
    """No such route.

    Raises:
        NotImplementedInSandbox: Finance has the set all the same.
    """
    if name in known_sets():
        raise NotImplementedInSandbox(f"{name} (entity set)")
    return no_route(call)


def _check_accepted(call: Call) -> None:
    """Refuse forms of JSON that are not played.

    Raises:
        NotImplementedInSandbox: The caller accepts one of them.
    """
    accepted = call.headers.get("accept", "").replace(" ", "").lower()
    for words in ("odata.metadata=full", "odata.metadata=none", "ieee754compatible=true"):
        if words in accepted:
            raise NotImplementedInSandbox("Accept", words)


def _key_text(table: Table, row: Row) -> str:
    parts = []
    for name in table.keys[0].columns:
        value = str(row[name])
        if table.columns[name].kind == "text":
            value = "'" + value.replace("'", "''") + "'"
        elif table.columns[name].kind == "enum":
            value = f"{metadata.edm_type(table.columns[name])}'{value}'"
        parts.append(f"{name}={value}")
    return re.sub(r"[^\x21-\x7e]", lambda match: f"%{ord(match[0]):02X}", ",".join(parts))
