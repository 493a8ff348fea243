"""The OData service of Finance as far as synchronisation needs it.

Every request says ``cross-company=true``: without it only rows of the user's default company are seen, and changing a
row of another one fails as if it did not exist [FO1].
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from dualsync.closing import Closing
from dualsync.errors import SchemaMismatch
from dualsync.systems.finance.metadata import EntityInfo, FinanceMetadata
from dualsync.systems.odata import (
    Row,
    guid_literal,
    literal,
    make_exact,
    or_filters,
    pages,
    picked,
    text_literal,
    wire_value,
    with_query,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dualsync.systems.finance.packages import ImportResult, Packages
    from dualsync.systems.http import Service

API_PATH = "data"
COMPANY = "dataAreaId"

# No limit of the URL is documented; what web servers take by default leaves room above this.
_FILTER_LIMIT = 6000
# What stays as it is within a key: the quotes around text, the colons of moments.
_PLAIN = "':"
_ACROSS = {"cross-company": "true"}
_NUMBERS = frozenset({"Edm.Decimal", "Edm.Double"})
# What `gt` compares; enumerations only know eq and ne [FO3].
_ORDERED = _NUMBERS | {"Edm.String", "Edm.Int32", "Edm.Int64", "Edm.DateTimeOffset"}


class Finance(Closing):
    """One Finance environment. Thread-safe.

    Rows are dictionaries keyed by column name, with the row version as ``@etag``. Decimal columns are Decimal,
    enumerations are the names of their members; dates and moments are text, as the service writes them: a date is
    noon in UTC, an empty one 1900-01-01. There are no nulls.

    Args:
        service: The transport.
        packages: Imports rows of entities that OData does not show.
    """

    def __init__(self, service: Service, packages: Packages | None = None) -> None:
        self._service = service
        self._packages = packages
        self._metadata = FinanceMetadata(service)

    def close(self) -> None:
        """Close all connections."""
        self._service.close()
        if self._packages is not None:
            self._packages.close()

    def metadata(self, set_name: str) -> EntityInfo:
        """Describe an entity by its public collection name; kept for the life of the client.

        Raises:
            SchemaMismatch: There is no such entity.
        """
        return self._metadata.of_set(set_name)

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(
        self,
        set_name: str,
        *,
        select: Sequence[str],
        filter: str | None = None,
        order_by: str | None = None,
        company: str | None = None,
        company_column: str = COMPANY,
    ) -> Iterator[list[Row]]:
        """Read the rows of an entity, a page of up to 10,000 at a time.

        Args:
            set_name: Public collection name.
            select: Column names.
            filter: OData ``$filter``.
            order_by: OData ``$orderby``; default the entity's key.
            company: Only rows of this company, in any case.
            company_column: The column that holds the company of a row.

        Finance counts its pages by position: a row that somebody creates or deletes meanwhile moves all others, and one
        is read twice or never. So each page after the first asks for the keys beyond the last one read, unless another
        order is wanted, the key holds columns that Finance does not order (enumerations), or the last row's key holds
        a ``*``, which Finance may take for a wildcard.

        Raises:
            SchemaMismatch: Unknown entity or column.
        """
        info = self.metadata(set_name)
        names = list(dict.fromkeys(select))
        numbers = [name for name in names if info.column(name).type in _NUMBERS]
        fixed: Mapping[str, object] = {} if company is None else {company_column: company}
        if fixed:
            only = self.condition(set_name, fixed)
            filter = f"({filter}) and {only}" if filter else only
        keys = [name for name in info.keys if name not in fixed]
        by_key = order_by is None and all(info.columns[name].type in _ORDERED for name in keys)
        options = {
            "$select": ",".join(dict.fromkeys([*names, *keys]) if by_key else names),
            "$filter": filter,
            "$orderby": order_by or ",".join(info.keys),
        }

        def following(last: Row) -> str | None:
            if any("*" in str(last[name]) for name in keys):
                return None
            beyond = _beyond(info, [(name, last[name]) for name in keys])
            both = f"({filter}) and ({beyond})" if filter else beyond
            return with_query(set_name, _ACROSS | options | {"$filter": both})

        first = with_query(set_name, _ACROSS | options)
        pairs = [(name, name) for name in names]
        for page in pages(self._service, first, {}, following if by_key and keys else None):
            rows = picked(page["value"], pairs, f"Finance entity {set_name}")
            make_exact(rows, numbers)
            yield rows

    def read_keys(
        self, set_name: str, conditions: Sequence[Mapping[str, object]], *, select: Sequence[str]
    ) -> list[Row]:
        """Read the rows that fit any of the conditions, each a set of columns and their values.

        The service compares text without regard to case and takes ``*`` for a wildcard: compare the rows that come back
        exactly.

        Raises:
            SchemaMismatch: Unknown entity or column.
        """
        terms = [self.condition(set_name, condition) for condition in conditions]
        rows: list[Row] = []
        for filter_text in or_filters(terms, _FILTER_LIMIT):
            for page in self.read(set_name, select=select, filter=filter_text):
                rows.extend(page)
        return rows

    def condition(self, set_name: str, values: Mapping[str, object]) -> str:
        """The ``$filter`` text that all these columns have these values.

        Raises:
            SchemaMismatch: Unknown entity or column.
        """
        info = self.metadata(set_name)
        return " and ".join(f"{name} eq {_literal(info, name, value)}" for name, value in values.items())

    # -- writing ---------------------------------------------------------------------------------------------------

    def create(self, set_name: str, values: Mapping[str, object]) -> Row:
        """Create one row.

        Sent again by itself only where it certainly was not carried out. After a Transient error with ``maybe_applied``
        look for the row before trying again.

        Args:
            set_name: Public collection name.
            values: Column values; enumerations as member names, no None. The company is part of them.

        Returns:
            The row with everything that Finance filled in, all columns.

        Raises:
            AlreadyExists: A row with that key exists.
            Refused: With the messages of Finance's business logic.
        """
        info = self.metadata(set_name)
        body = self._body(info, values)
        reply = self._service.send("POST", with_query(set_name, _ACROSS), body=body, repeatable=False)
        raw: Row = reply.data or {}
        row = {"@etag": raw.get("@odata.etag")} | {name: raw[name] for name in raw if not name.startswith("@")}
        make_exact([row], [name for name in row if name in info.columns and info.columns[name].type in _NUMBERS])
        return row

    def update(self, set_name: str, key: Mapping[str, object], values: Mapping[str, object]) -> None:
        """Update one row; only the given columns.

        Raises:
            NotFound: There is no such row.
            RowChanged: Somebody else changed it at the same time; read it again.
            Refused: With the messages of Finance's business logic.
        """
        info = self.metadata(set_name)
        self._service.send("PATCH", self._address(info, key), body=self._body(info, values), repeatable=True)

    def delete(self, set_name: str, key: Mapping[str, object]) -> None:
        """Delete one row.

        Raises:
            NotFound: There is no such row, perhaps because an attempt of this call whose answer was lost deleted it.
            Refused: With the messages of Finance's business logic.
        """
        self._service.send("DELETE", self._address(self.metadata(set_name), key), repeatable=True)

    def import_rows(
        self,
        entity: str,
        columns: Sequence[str],
        rows: Sequence[Mapping[str, object]],
        legal_entity: str,
        *,
        target: str,
        key: Sequence[str],
    ) -> ImportResult:
        """Insert or update rows by data package, for entities that OData does not show; see ``Packages.import_rows``.

        Raises:
            Refused: Finance rejected the whole package, or does not say which rows failed.
            Transient: No end in time, or another import is running. Importing the same rows again does no harm.
        """
        if self._packages is None:
            raise ValueError("this client has no package API")
        return self._packages.import_rows(entity, columns, rows, legal_entity, target=target, key=key)

    # -- inside ----------------------------------------------------------------------------------------------------

    @staticmethod
    def _address(info: EntityInfo, key: Mapping[str, object]) -> str:
        """The URL of a row. Finance wants every key column, whatever their order."""
        if set(key) != set(info.keys):
            raise SchemaMismatch(
                f"Finance entity {info.set_name} has the key ({', '.join(info.keys)}), not ({', '.join(key)})"
            )
        parts = ",".join(f"{name}={quote(_literal(info, name, key[name]), safe=_PLAIN)}" for name in info.keys)
        return with_query(f"{info.set_name}({parts})", _ACROSS)

    @staticmethod
    def _body(info: EntityInfo, values: Mapping[str, object]) -> dict[str, object]:
        body: dict[str, object] = {}
        for name, value in values.items():
            info.column(name)
            if value is None:
                raise ValueError(f"{info.set_name}.{name}: Finance has no nulls")
            body[name] = _noon(value) if _is_date(value) else wire_value(value)
            if name == COMPANY:
                body[name] = str(value).lower()
        return body


def _literal(info: EntityInfo, name: str, value: object) -> str:
    """The literal of a column's value in a URL: text quoted, enumerations with their type, the rest bare."""
    column = info.column(name)
    if name == COMPANY:
        return text_literal(str(value).lower())
    if column.type == "Edm.String":
        return text_literal(str(value))
    if column.type == "Edm.Guid":
        return guid_literal(value)
    if not column.type.startswith("Edm."):
        return f"{column.type}{text_literal(str(value))}"
    if _is_date(value):
        return _noon(value)
    # Numbers and moments that were kept as text, as they came, are bare as well.
    return value if isinstance(value, str) else literal(value)


def _beyond(info: EntityInfo, last: list[tuple[str, object]]) -> str:
    """The ``$filter`` text of the keys that come after this one."""
    (name, value), *rest = last
    text = _literal(info, name, value)
    return f"{name} ge {text} and ({name} gt {text} or ({_beyond(info, rest)}))" if rest else f"{name} gt {text}"


def _is_date(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _noon(value: object) -> str:
    """A date as Finance writes it: noon in UTC."""
    return f"{value}T12:00:00Z"
