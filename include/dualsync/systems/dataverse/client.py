"""The Dataverse Web API as far as synchronisation needs it."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from dualsync.closing import Closing
from dualsync.errors import (
    ChangeTokenExpired,
    ForbiddenKey,
    NotFound,
    SchemaMismatch,
)
from dualsync.systems.dataverse.metadata import DataverseMetadata, TableInfo
from dualsync.systems.dataverse.rows import Bind, Changes, Columns, UpsertRow
from dualsync.systems.odata import (
    Row,
    guid_literal,
    literal,
    or_filters,
    pages,
    text_literal,
    wire_value,
    with_query,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from dualsync.systems.http import Service

API_PATH = "api/data/v9.2"

# Characters that no value of an alternate key may hold in a URL [DV5].
FORBIDDEN_IN_KEYS = frozenset("/<>*%&:\\?+")

# The service takes URLs up to 32 KB [DV1].
_URL_LIMIT = 30_000


class Dataverse(Closing):
    """One Dataverse environment. Thread-safe.

    Rows are dictionaries keyed by attribute name: lookups by the attribute's own name with the record id as lower-case
    text, polymorphic ones also ``<attribute>@type`` with the logical name of the table they point to, the record id
    always, and the row version as ``@etag``. Money and decimal columns are Decimal; dates and moments are text, as the
    service writes them.

    Args:
        service: The transport.
        page_size: Rows of a page.
    """

    def __init__(self, service: Service, *, page_size: int = 5000) -> None:
        self._service = service
        self._page_size = page_size
        self._metadata = DataverseMetadata(service)

    def close(self) -> None:
        """Close all connections."""
        self._service.close()

    def metadata(self, table: str, *, facets: bool = False) -> TableInfo:
        """Describe a table (logical name); kept for the life of the client.

        Args:
            table: Logical name.
            facets: Also lengths, precisions, options and date behaviours, which cost eight more requests.

        Raises:
            SchemaMismatch: There is no such table.
        """
        return self._metadata.table(table, facets=facets)

    def now(self) -> datetime:
        """The time in the environment, from the header of an answer: rows carry times of that clock, not of ours."""
        return parsedate_to_datetime(self._service.send("GET", "WhoAmI", repeatable=True).headers["Date"])

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(
        self,
        set_name: str,
        *,
        select: Sequence[str],
        filter: str | None = None,
        order_by: str | None = None,
        page_size: int | None = None,
    ) -> Iterator[list[Row]]:
        """Read the rows of a table, a page at a time.

        Args:
            set_name: Entity set name.
            select: Attribute names.
            filter: OData ``$filter``, with the names of the wire (``_x_value`` for lookups).
            order_by: OData ``$orderby``.
            page_size: Rows of a page; default that of the client, at most 5000.

        Raises:
            SchemaMismatch: Unknown set or column.
        """
        columns = self._columns(set_name, select)
        url = with_query(set_name, {"$select": columns.select, "$filter": filter, "$orderby": order_by})
        for page in pages(self._service, url, columns.headers(page_size or self._page_size)):
            yield columns.pick(page["value"])

    def changes(self, set_name: str, *, select: Sequence[str], token: str | None) -> Changes:
        """Read what changed since ``token`` was given out; everything where it is None.

        The feed is at-least-once: it may hold rows that did not change. Deletions come last [DV4].

        Args:
            set_name: Entity set name.
            select: Attribute names.
            token: ``Changes.token`` of the read before.

        Raises:
            ChangeTokenExpired: The token is too old, or was made for other columns, whose values in unchanged rows
                would never arrive. Raised here or while reading.
            SchemaMismatch: Unknown set or column.
        """
        columns = self._columns(set_name, select)
        url = with_query(set_name, {"$select": columns.select})
        if token is not None:
            selected = parse_qs(urlsplit(token).query).get("$select", [""])[0]
            if set(selected.split(",")) != set(columns.select.split(",")):
                raise ChangeTokenExpired(f"the change token of {set_name} was made for other columns")
            url = token
        headers = columns.headers(self._page_size, "odata.track-changes")
        return Changes(pages(self._service, url, headers), columns, self._service.root)

    def read_ids(self, set_name: str, ids: Sequence[str], *, select: Sequence[str]) -> list[Row]:
        """Read rows by record id; ids without a row are left out. The order is the service's.

        Raises:
            SchemaMismatch: Unknown set or column.
        """
        columns = self._columns(set_name, select)
        primary = columns.info.primary_id
        step = 500  # 45 characters for each encoded id stay below the limit of a URL
        rows: list[Row] = []
        for start in range(0, len(ids), step):
            chosen = ",".join(f'"{guid_literal(id)}"' for id in ids[start : start + step])
            condition = f"Microsoft.Dynamics.CRM.In(PropertyName='{primary}',PropertyValues=[{chosen}])"
            for page in self.read(set_name, select=select, filter=condition):
                rows.extend(page)
        return rows

    def read_keys(
        self, set_name: str, conditions: Sequence[Mapping[str, object]], *, select: Sequence[str]
    ) -> list[Row]:
        """Read the rows that fit any of the conditions, each a set of columns and their values.

        The service compares text without regard to case, and its ``%`` and ``_`` may act as wildcards [DV3]:
        compare the rows that come back exactly.

        Raises:
            SchemaMismatch: Unknown set or column.
        """
        columns = self._columns(set_name, select)
        info = columns.info
        terms = [
            " and ".join(
                f"{info.wire_name(name)} eq {self._literal(info, name, value)}" for name, value in condition.items()
            )
            for condition in conditions
        ]
        rows: list[Row] = []
        taken = len(self._service.url(with_query(set_name, {"$select": columns.select, "$filter": " "})))
        for filter_text in or_filters(terms, _URL_LIMIT - taken):
            for page in self.read(set_name, select=select, filter=filter_text):
                rows.extend(page)
        return rows

    def get(self, set_name: str, id: str, select: Sequence[str]) -> Row | None:
        """Read one row by record id; None if there is none."""
        columns = self._columns(set_name, select)
        url = with_query(f"{set_name}({guid_literal(id)})", {"$select": columns.select})
        try:
            return columns.pick([self._service.get(url, headers=columns.headers())])[0]
        except NotFound:
            return None

    # -- writing ---------------------------------------------------------------------------------------------------

    def upsert_many(self, table: str, rows: Sequence[UpsertRow]) -> None:
        """Create or update rows by an alternate key, in one UpsertMultiple: all of them or none.

        Doing it again changes nothing, so it is repeated after Transient failures. The service tells neither ids nor
        which rows were created [DV7]. No two rows may have the same key.

        Raises:
            ForbiddenKey: A key value that cannot stand in a URL; nothing was sent.
            SchemaMismatch: The columns of the keys are no active alternate key, or a column is unknown.
            Refused: With the service's code and message; it need not say which row it means.
        """
        info = self.metadata(table)
        targets = [
            {
                "@odata.type": f"Microsoft.Dynamics.CRM.{table}",
                "@odata.id": f"{info.set_name}({self._key(info, row.key, position)})",
                **self._body(info, row.values, without=row.key),
            }
            for position, row in enumerate(rows)
        ]
        self._many(info, "UpsertMultiple", targets)

    def update_many(self, table: str, rows: Sequence[tuple[str, Mapping[str, object]]]) -> None:
        """Update rows by record id, in one UpdateMultiple: all of them or none. Repeated after Transient failures.

        Args:
            table: Logical name.
            rows: Record id and the columns that shall change, as in UpsertRow.

        Raises:
            NotFound: A row does not exist.
            Refused: With the service's code and message.
        """
        info = self.metadata(table)
        targets = [
            {
                "@odata.type": f"Microsoft.Dynamics.CRM.{table}",
                info.primary_id: guid_literal(id),
                **self._body(info, values, without={info.primary_id: id}),
            }
            for id, values in rows
        ]
        self._many(info, "UpdateMultiple", targets)

    def create_with_id(self, table: str, id: str, values: Mapping[str, object]) -> None:
        """Create a row under a given record id; never touches one that exists.

        Raises:
            AlreadyExists: There is such a row, perhaps from an attempt of this call whose answer was lost.
            Refused: With the service's code and message.
        """
        info = self.metadata(table)
        self._service.send(
            "PATCH",
            f"{info.set_name}({guid_literal(id)})",
            headers={"If-None-Match": "*"},
            body=self._body(info, values, without={info.primary_id: id}),
            repeatable=True,
        )

    def update(self, table: str, id: str, values: Mapping[str, object], etag: str | None = None) -> None:
        """Update one row; never creates it.

        Args:
            table: Logical name.
            id: Record id.
            values: The columns that shall change, as in UpsertRow.
            etag: The row version it must still have.

        Raises:
            NotFound: There is no such row.
            RowChanged: It has another version.
            Refused: With the service's code and message.
        """
        info = self.metadata(table)
        self._service.send(
            "PATCH",
            f"{info.set_name}({guid_literal(id)})",
            headers={"If-Match": etag or "*"},
            body=self._body(info, values, without={info.primary_id: id}),
            repeatable=True,
        )

    def delete(self, table: str, id: str, etag: str | None = None) -> None:
        """Delete one row.

        Raises:
            NotFound: There is no such row, perhaps because an attempt of this call whose answer was lost deleted it.
            RowChanged: It has another version than ``etag``.
            Refused: With the service's code and message.
        """
        info = self.metadata(table)
        headers = {"If-Match": etag} if etag else {}
        self._service.send("DELETE", f"{info.set_name}({guid_literal(id)})", headers=headers, repeatable=True)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _columns(self, set_name: str, select: Sequence[str]) -> Columns:
        return Columns(self._metadata.of_set(set_name), select)

    def _many(self, info: TableInfo, action: str, targets: list[dict[str, Any]]) -> None:
        if targets:
            path = f"{info.set_name}/Microsoft.Dynamics.CRM.{action}"
            self._service.send("POST", path, body={"Targets": targets}, repeatable=True)

    def _key(self, info: TableInfo, key: Mapping[str, object], position: int) -> str:
        if not any(declared.active and set(declared.columns) == set(key) for declared in info.keys):
            raise SchemaMismatch(f"Dataverse table {info.table} has no active alternate key ({', '.join(key)})")
        parts = []
        for name, value in key.items():
            if value is None or value == "":
                raise ForbiddenKey(f"{info.table}.{name} is empty but part of the key", column=name, position=position)
            if isinstance(value, str) and not FORBIDDEN_IN_KEYS.isdisjoint(value):
                raise ForbiddenKey(
                    f"{info.table}.{name} holds a character that a key cannot carry (one of / < > * % & : \\ ? +)",
                    column=name,
                    position=position,
                )
            text = quote(self._literal(info, name, value), safe="'")
            parts.append(f"{info.wire_name(name)}={text}")
        return ",".join(parts)

    @staticmethod
    def _literal(info: TableInfo, name: str, value: object) -> str:
        """The literal of a column's value in a URL; record ids, which come as text, stand there bare."""
        attribute = info.attribute(name)
        if value is None:
            return "null"
        if attribute.is_lookup or attribute.type == "Uniqueidentifier":
            return guid_literal(value.id if isinstance(value, Bind) else value)
        if isinstance(value, str) and attribute.type in ("String", "Memo"):
            return text_literal(value)
        # Dates and numbers that were kept as text, as they came, are bare as well.
        return value if isinstance(value, str) else literal(value)

    def _body(self, info: TableInfo, values: Mapping[str, object], *, without: Mapping[str, object]) -> dict[str, Any]:
        body: dict[str, Any] = {}
        for name, value in values.items():
            if name in without:
                # In an upsert such a value would win over the key in the URL when the row is new [DV6].
                raise ValueError(f"{info.table}.{name} is part of the key and must not be among the values")
            attribute = info.attribute(name)
            if not attribute.is_lookup:
                body[name] = wire_value(value)
            elif value is None:
                body[f"{self._navigation(info, name)}@odata.bind"] = None
            elif isinstance(value, Bind):
                target = f"/{self.metadata(value.table).set_name}({guid_literal(value.id)})"
                body[f"{self._navigation(info, name, value.table)}@odata.bind"] = target
            else:
                raise TypeError(f"{info.table}.{name} is a lookup and needs a Bind")
        return body

    @staticmethod
    def _navigation(info: TableInfo, name: str, target: str | None = None) -> str:
        """The navigation property of a lookup; to empty a polymorphic one, that of any target will do."""
        for table in (target,) if target else info.attributes[name].targets:
            if (name, table) in info.navigation:
                return info.navigation[name, table]
        raise SchemaMismatch(f"Dataverse lookup {info.table}.{name} does not point to {target or 'anything'}")
