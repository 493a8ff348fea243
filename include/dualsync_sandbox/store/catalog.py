"""What transactions know of their store: its tables, the clock, who listens to writes, and the numbers given next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.errors import UnknownTable
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.store.layout import Layout, Row

EventKind = Literal["create", "update", "delete"]
When = Literal["before", "after"]

#: The first record id Finance gives, as seen in real tenants.
FIRST_REC_ID = 5637144576


@dataclass(frozen=True)
class Event:
    """A write, as hooks see it.

    Attributes:
        kind: ``create``, ``update`` or ``delete``.
        table: Logical name or entity set.
        before: The row as it was; ``None`` for a create.
        after: The row as it will be (hooks that run *before* may change it) or is; ``None`` for a delete.
    """

    kind: EventKind
    table: str
    before: Row | None
    after: Row | None

    def changed(self, *columns: str) -> bool:
        """Whether one of ``columns`` differs between before and after (always true for creates and deletes)."""
        if self.before is None or self.after is None:
            return True
        return any(self.before.get(column) != self.after.get(column) for column in columns)


@cache
def layouts_of(schema: SystemSchema) -> dict[str, Layout]:
    """How the tables of a schema are held: worked out once, for that takes longer than opening a store."""
    return {name: Layout(schema, table) for name, table in schema.tables.items()}


class Catalog:
    """Tables, hooks and counters of one store.

    Args:
        schema: The system's tables.
        clock: Gives ``createdon``, ``modifiedon`` and the time of deletions.

    Attributes:
        version: The number of the latest change.
        rec_id: The record id that the next row of Finance gets.
        hooks: What is called for each table, kind of write and time; it takes the transaction and the event.
    """

    def __init__(self, schema: SystemSchema, clock: Clock) -> None:
        self.schema = schema
        self.clock = clock
        self.layouts = layouts_of(schema)
        self.hooks: dict[tuple[str, EventKind, When], list[Callable[[Any, Event], None]]] = {}
        self.version = 0
        self.rec_id = FIRST_REC_ID

    def layout(self, table: str) -> Layout:
        """How the table is held.

        Raises:
            UnknownTable: The system has no such table.
        """
        try:
            return self.layouts[table]
        except KeyError:
            raise UnknownTable(table) from None

    def hooked(self, table: str) -> set[tuple[str, EventKind]]:
        """Which writes to the table have hooks."""
        return {(name, kind) for name, kind, _ in self.hooks if name == table}

    def next_version(self) -> int:
        """A version that no change has had."""
        self.version += 1
        return self.version

    def next_rec_id(self) -> int:
        """A record id that no row has had."""
        self.rec_id += 1
        return self.rec_id - 1
