"""Edits of the raw stores: past every check, hook, version and time stamp, as corruption is."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from dualsync_sandbox.errors import ReferenceNotFound
from dualsync_sandbox.store import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualsync_sandbox.store import Row, Tx

_OWN = frozenset({"RecId", "RecVersion", "versionnumber"})


class Raw:
    """The raw rows of one system.

    Args:
        tx: A write transaction.
    """

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self._copies = 0

    def change(self, table: str, row: Row, values: Mapping[str, object]) -> None:
        """Overwrite columns of a row; nobody notices, and its time of change stays what it was."""
        layout = self.tx.store.layout(table)
        encoded = {name: layout.encoders[name](value) for name, value in values.items()}
        assigned = ", ".join(f"{quoted(name)} = ?" for name in encoded)
        sql = f"UPDATE {quoted(table)} SET {assigned} WHERE {quoted(layout.table.id)} = ?"
        self.tx.query(sql, (*encoded.values(), row[layout.table.id]))

    def remove(self, table: str, row: Row) -> None:
        """Take a row away; nothing goes with it and no deletion is remembered."""
        layout = self.tx.store.layout(table)
        sql = f"DELETE FROM {quoted(table)} WHERE {quoted(layout.table.id)} = ?"
        self.tx.query(sql, (row[layout.table.id],))

    def copy(self, table: str, row: Row, **changes: object) -> Row:
        """Put in a row like another one, with changes; Dataverse rows get an id of their own.

        Returns:
            The new row.
        """
        layout = self.tx.store.layout(table)
        new = {name: value for name, value in row.items() if name not in _OWN and value is not None} | changes
        if layout.dataverse and layout.table.id not in changes:
            self._copies += 1
            new[layout.table.id] = str(uuid.uuid5(uuid.UUID(str(row[layout.table.id])), f"copy {self._copies}"))
        return self.add(table, new)

    def add(self, table: str, row: Row) -> Row:
        """Put in a row, and return it."""
        layout = self.tx.store.layout(table)
        # references are checked once a row is in; what is broken may point at what was taken away
        with suppress(ReferenceNotFound):
            self.tx.insert_many(table, [row], hooks=False)
        if layout.dataverse:
            found = self.tx.get(table, row[layout.table.id])
        else:
            found = self.tx.find_one(table, **{name: row[name] for name in layout.table.keys[0].columns})
        assert found is not None
        return found
