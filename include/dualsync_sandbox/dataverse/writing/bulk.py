"""Writing many rows: "Use bulk operation messages" (developer/data-platform/bulk-operations), "Delete data in bulk".

All tables here are standard tables: one transaction, and any error undoes the whole request.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from threading import Lock

from dualsync_sandbox.dataverse import bodies
from dualsync_sandbox.dataverse.bodies import Bodies
from dualsync_sandbox.dataverse.errors import NOT_IMPLEMENTED_THERE, PARSE_ERROR
from dualsync_sandbox.dataverse.model import Model
from dualsync_sandbox.dataverse.writing.requests import without_key
from dualsync_sandbox.errors import NotImplementedInSandbox, StoreError
from dualsync_sandbox.gateway.trace import Writes
from dualsync_sandbox.protocol.http import ApiError, Call, Reply
from dualsync_sandbox.schema import Table
from dualsync_sandbox.store import Row, Store, Tx

#: How long a bulk delete waits before it runs, by the sandbox's clock.
BULK_DELETE_AFTER = timedelta(seconds=5)
#: Messages that take many rows.
MESSAGES = ("CreateMultiple", "UpdateMultiple", "UpsertMultiple")

Target = dict[str, object]


class Bulk:
    """Answers requests that write many rows.

    Args:
        model: The tables.
        store: Their rows.
        writes: Counts what was written.
    """

    def __init__(self, model: Model, store: Store, writes: Writes) -> None:
        self._model = model
        self._store = store
        self._writes = writes
        self._jobs: list[tuple[datetime, Table, list[str]]] = []
        self._lock = Lock()
        self._actions: Mapping[str, Callable[[Call, Table], Reply]] = {
            "CreateMultiple": self._create,
            "UpdateMultiple": self._update,
            "UpsertMultiple": self._upsert,
            "DeleteMultiple": self._delete,
        }

    def act(self, call: Call, table: Table, action: str) -> Reply:
        """One of the messages.

        Raises:
            NotImplementedInSandbox: The action is none of them.
        """
        if action not in self._actions:
            raise NotImplementedInSandbox(f"action {action}")
        return self._actions[action](call, table)

    def _targets(self, call: Call, table: Table) -> list[Target]:
        targets = call.json().get("Targets")
        if not isinstance(targets, list) or not all(isinstance(target, dict) for target in targets):
            raise ApiError(400, PARSE_ERROR, "The parameter 'Targets' must be a collection of rows.")
        expected = f"Microsoft.Dynamics.CRM.{table.name}"
        for target in targets:
            given = target.get("@odata.type")
            if given != expected and str(given or "").removeprefix("#") != expected:
                text = f'Each target needs "@odata.type": "{expected}"; \'{given or ""}\' found.'
                raise ApiError(400, PARSE_ERROR, text)
        return targets

    def _create(self, call: Call, table: Table) -> Reply:
        """200 with the ids in the order of the targets (the order is an assumption)."""
        targets = self._targets(call, table)
        with self._store.transaction(outside=True) as tx:
            read = Bodies(tx, self._model)
            ids = tx.insert_all(table.name, [read.values(table, target) for target in targets])
        self._writes.add(table.set, "create", len(ids))
        context = f"{call.service}/$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse"
        return Reply.json(200, {"@odata.context": context, "Ids": ids})

    def _update(self, call: Call, table: Table) -> Reply:
        """Each target names its primary id; 204."""
        targets = self._targets(call, table)
        with self._store.transaction(outside=True) as tx:
            read = Bodies(tx, self._model)
            changes = []
            for target in targets:
                row_id = target.get(table.id)
                if not isinstance(row_id, str):
                    raise ApiError(400, PARSE_ERROR, f"Each target of UpdateMultiple needs its '{table.id}'.")
                values = read.values(table, target)
                values.pop(table.id)
                changes.append((row_id.lower(), values))
            tx.update_many(table.name, changes)
        self._writes.add(table.set, "update", len(targets))
        return Reply(204)

    def _upsert(self, call: Call, table: Table) -> Reply:
        """Each target names its row by ``@odata.id``; 204 without a word on which were created.

        That a GUID may stand in ``@odata.id`` is an assumption, as is that a row named twice is written twice; a target
        that names its row by the primary id property is refused, since it is not established what the service does
        with one.
        """
        targets = self._targets(call, table)
        with self._store.transaction(outside=True) as tx:
            upserts = _Upserts(tx, table)
            read = Bodies(tx, self._model)
            for target in targets:
                upserts.add(_key_of(target, table), read.values(table, target))
            upserts.flush()
        for kind, count in upserts.done.items():
            self._writes.add(table.set, kind, count)
        return Reply(204)

    @staticmethod
    def _delete(_: Call, _table: Table) -> Reply:
        """Elastic tables only; the text is documented, code and status are assumptions."""
        raise ApiError(400, NOT_IMPLEMENTED_THERE, "DeleteMultiple has not yet been implemented.")

    # -- bulk delete

    def delete_later(self, call: Call) -> Reply:
        """``BulkDelete``: a job deletes the rows a query finds, after a while; rows it cannot delete stay.

        Only queries for rows of given ids are played, as Microsoft's Python client sends them. That the job runs
        five seconds later by the sandbox's clock is an assumption.

        Raises:
            NotImplementedInSandbox: Another query.
        """
        found = list(self._queried(call.json().get("QuerySet")))
        due = self._store.clock.now() + BULK_DELETE_AFTER
        with self._lock:
            self._jobs += [(due, table, ids) for table, ids in found]
        context = f"{call.service}/$metadata#Microsoft.Dynamics.CRM.BulkDeleteResponse"
        return Reply.json(200, {"@odata.context": context, "JobId": str(uuid.uuid4())})

    def _queried(self, queries: object) -> Iterator[tuple[Table, list[str]]]:
        if not isinstance(queries, list) or not queries:
            raise ApiError(400, PARSE_ERROR, "The parameter 'QuerySet' must be a collection of queries.")
        for query in queries:
            try:
                table = self._model.tables[query["EntityName"]]
                criteria = query["Criteria"]
                (condition,) = criteria["Conditions"]
                ids = [str(value["Value"]).lower() for value in condition["Values"]]
                plain = condition["Operator"] == "In" and condition["AttributeName"] == table.id
            except (KeyError, TypeError, ValueError):
                plain = False
            if not plain or criteria.get("Filters"):
                raise NotImplementedInSandbox("BulkDelete", "a query other than for given ids of one table")
            yield table, ids

    def run_jobs(self) -> None:
        """Run the bulk deletes that are due."""
        if not self._jobs:
            return
        now = self._store.clock.now()
        with self._lock:
            due = [job for job in self._jobs if job[0] <= now]
            self._jobs = [job for job in self._jobs if job[0] > now]
        for _, table, ids in due:
            for row_id in ids:
                self._delete_one(table, row_id)

    def _delete_one(self, table: Table, row_id: str) -> None:
        try:
            with self._store.transaction(outside=True) as tx:
                tx.delete(table.name, row_id)
        except StoreError:
            return  # counted as a failure of the job, which goes on
        self._writes.add(table.set, "delete")


def _key_of(target: Target, table: Table) -> Row:
    """The key values in a target's ``@odata.id``.

    Raises:
        ApiError: It is no URL of a row of this table.
        NotImplementedInSandbox: There is none.
    """
    url = target.get("@odata.id")
    if not isinstance(url, str):
        raise NotImplementedInSandbox("UpsertMultiple", "a target without @odata.id")
    set_name, key = bodies.reference(url)
    if set_name != table.set or key is None:
        raise ApiError(400, PARSE_ERROR, f"'{url}' does not name a row of {table.set}.")
    return bodies.key_values(table, key)


class _Upserts:
    """Creates and updates of one request, gathered as long as their order does not matter, then written together."""

    def __init__(self, tx: Tx, table: Table) -> None:
        self._tx = tx
        self._table = table
        self._keys = [(table.id,), *(key.columns for key in table.keys)]
        self._key_columns = frozenset(name for columns in self._keys for name in columns)
        self._seen: set[tuple[object, ...]] = set()
        self._created: list[Row] = []
        self._changed: list[tuple[str, Row]] = []
        self.done: Counter[str] = Counter()

    def add(self, key_values: Row, values: Row) -> None:
        """One row: created with the values of its key, or changed without them."""
        row = {**key_values, **values}
        marks = {*self._marks(row)}
        if not self._key_columns.isdisjoint(values):
            marks.update(self._marks(key_values))
        if not self._seen.isdisjoint(marks):
            # Perhaps it is among those gathered: they must be there before it is looked for.
            self.flush()
        row_id = self._tx.id_of(self._table.name, key_values)
        self._seen.update(marks)
        if row_id is None:
            self._created.append(row)
            return
        changes = without_key(self._table, values, key_values)
        self._changed.append((row_id, changes))
        if not self._key_columns.isdisjoint(changes):
            self.flush()

    def _marks(self, values: Row) -> Iterator[tuple[object, ...]]:
        """What tells the row apart, by each key that it has whole."""
        for columns in self._keys:
            parts = [values.get(name) for name in columns]
            if None not in parts:
                yield columns, *(str(part).lower() for part in parts)

    def flush(self) -> None:
        """Write what was gathered."""
        self._tx.insert_all(self._table.name, self._created)
        self._tx.update_many(self._table.name, self._changed)
        self.done.update({"create": len(self._created), "update": len(self._changed)})
        self._created, self._changed = [], []
        self._seen.clear()
