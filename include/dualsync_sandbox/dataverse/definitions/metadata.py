"""What Dataverse says about itself: service document, ``$metadata``, definitions of tables and relationships.

Follows "Query table definitions using the Web API" (webapi/query-metadata-web-api), "Web API service documents", and
"Query schema definitions" for ``RetrieveMetadataChanges``. Definitions are never paged, and cannot be changed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from odata_query import ast

from dualsync_sandbox.dataverse.definitions import facts
from dualsync_sandbox.dataverse.definitions.csdl import csdl
from dualsync_sandbox.dataverse.definitions.facts import Facts
from dualsync_sandbox.dataverse.definitions.operations import SETS
from dualsync_sandbox.dataverse.errors import NO_SUCH_RESOURCE, NOT_FOUND, UNKNOWN_PROPERTY, URI_ERROR
from dualsync_sandbox.dataverse.model import Model
from dualsync_sandbox.dataverse.reading.expand import Expansion, parse_expand
from dualsync_sandbox.dataverse.reading.requests import check_options, check_played
from dualsync_sandbox.dataverse.reading.rows import Annotations
from dualsync_sandbox.errors import NotImplementedInSandbox
from dualsync_sandbox.protocol.http import ApiError, Call, Reply
from dualsync_sandbox.protocol.keys import split_segment
from dualsync_sandbox.protocol.odata import Parsed, QueryError, parse_filter, selected
from dualsync_sandbox.schema import Column, Table

_CAST = re.compile(r"Microsoft\.Dynamics\.CRM\.(\w+)AttributeMetadata")
_OPTIONS = frozenset({"$select", "$filter", "$expand", "$count"})
_NO_VALUE = object()


class Metadata:
    """Answers metadata requests.

    Args:
        model: The tables.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._csdl: dict[bool, bytes] = {}

    def service_document(self, call: Call) -> Reply:
        """The entity sets by name."""
        check_options(call, frozenset())
        names = [*(table.set for table in self._model.tables.values()), *SETS]
        sets = [{"name": name, "kind": "EntitySet", "url": name} for name in names]
        return Reply.json(200, {"@odata.context": f"{call.service}/$metadata", "value": sets})

    def csdl(self, call: Call) -> Reply:
        """``$metadata``, with annotations by ``annotations=true`` or by preference."""
        check_options(call, frozenset())
        annotated = call.options.get("annotations", "").lower() == "true" or bool(Annotations.of(call).patterns)
        if annotated not in self._csdl:
            self._csdl[annotated] = csdl(self._model, annotations=annotated)
        return Reply(200, self._csdl[annotated], {"content-type": "application/xml"})

    def answer(self, call: Call, segments: list[str]) -> Reply:
        """``EntityDefinitions``, ``RelationshipDefinitions`` and what lies below them."""
        check_played(call, _OPTIONS)
        query = _Query(call.options.get("$select"), call.options.get("$filter"), call.options.get("$expand"))
        query.counted = call.options.get("$count") == "true"
        name, key = split_segment(segments[0])
        base = f"{call.service}/$metadata#{name}"
        if name == "RelationshipDefinitions":
            return self._relationships(query, key, segments, base)
        if key is None:
            if len(segments) > 1:
                raise _no_segment(segments[1])
            found = query.list((table, facts.entity_facts(table)) for table in self._model.tables.values())
            return query.listed(base, [self._expanded(table, chosen, query.expansions) for table, chosen in found])
        table = self._table(key)
        if len(segments) == 1:
            chosen = query.one(facts.entity_facts(table))
            return query.single(base, self._expanded(table, chosen, query.expansions))
        return self._below(table, segments[1:], query, f"{base}('{table.name}')")

    def _table(self, key: str) -> Table:
        match = re.fullmatch(r"LogicalName\s*=\s*'(\w+)'", key)
        if match is None:
            for table in self._model.tables.values():
                if _metadata_id(key) == facts.identity(table.name):
                    return table
        elif match[1] in self._model.tables:
            return self._model.tables[match[1]]
        raise ApiError(404, NOT_FOUND, f"Could not find an entity with the specified key ({key}).")

    def _lists(self, table: Table) -> Mapping[str, Callable[[], list[Facts]]]:
        """What a table has many of."""
        parents, children = self._model.of(table).values(), self._model.collections[table.name].values()
        return {
            "Attributes": lambda: [facts.attribute_facts(table, column) for column in table.columns.values()],
            "Keys": lambda: [facts.key_facts(table, key) for key in table.keys],
            "ManyToOneRelationships": lambda: [facts.relationship_facts(found) for found in parents],
            "OneToManyRelationships": lambda: [facts.relationship_facts(found) for found in children],
            "ManyToManyRelationships": list,
        }

    def _expanded(self, table: Table, chosen: Facts, expansions: Iterable[Expansion]) -> Facts:
        lists = self._lists(table)
        for expansion in expansions:
            if expansion.name not in lists:
                raise NotImplementedInSandbox("$expand", expansion.name)
            query = _Query.of(expansion)
            chosen[expansion.name] = [
                picked for _, picked in query.list((None, item) for item in lists[expansion.name]())
            ]
        return chosen

    def _below(self, table: Table, segments: list[str], query: _Query, base: str) -> Reply:
        name, key = split_segment(segments[0])
        if name == "Attributes":
            return self._attributes(table, key, segments[1:], query, f"{base}/Attributes")
        lists = self._lists(table)
        if name not in lists or len(segments) > 1:
            raise NotImplementedInSandbox(f"EntityDefinitions(...)/{'/'.join(segments)}")
        if query.expansions:
            raise NotImplementedInSandbox("$expand", f"below {name}")
        items = lists[name]()
        if key is None:
            shown = [chosen for _, chosen in query.list((None, item) for item in items)]
            return query.listed(f"{base}/{name}", shown)
        return query.single(f"{base}/{name}", query.one(_by_key(items, key)))

    def _attributes(self, table: Table, key: str | None, rest: list[str], query: _Query, base: str) -> Reply:
        cast_to = _cast_name(rest) if rest else ""
        columns = [column for column in table.columns.values() if cast_to in ("", facts.class_of(column))]
        pairs = [(column, facts.attribute_facts(table, column)) for column in columns]
        if key is not None:
            pairs = [(column, item) for column, item in pairs if _is(item, key)]
            if not pairs:
                raise ApiError(404, NOT_FOUND, f"Could not find an attribute with the specified key ({key}).")
        shown = []
        for column, chosen in query.list(pairs):
            for expansion in query.expansions:
                chosen[expansion.name] = _options(table, column, cast_to, expansion)
            shown.append(chosen)
        return query.listed(base, shown) if key is None else query.single(base, shown[0])

    def _relationships(self, query: _Query, key: str | None, segments: list[str], base: str) -> Reply:
        if query.expansions or len(segments) > 1:
            raise NotImplementedInSandbox("RelationshipDefinitions", "$expand, and paths below")
        items = [facts.relationship_facts(found) for found in self._model.relationships.values()]
        if key is None:
            return query.listed(base, [chosen for _, chosen in query.list((None, item) for item in items)])
        return query.single(base, query.one(_by_key(items, key)))

    # -- RetrieveMetadataChanges

    def changes(self, call: Call, query: Mapping[str, object]) -> Reply:
        """``RetrieveMetadataChanges`` without a version stamp: all that the query describes.

        Played as Microsoft's Python client asks: conditions ``Equals`` and ``In`` on text properties, joined by
        ``And``; attributes, keys and many-to-one relationships with named properties, or all.

        Raises:
            NotImplementedInSandbox: The query describes something else.
        """
        wanted = _Described.of(query, {"Properties", "Criteria", "AttributeQuery", "KeyQuery", "RelationshipQuery"})
        shown = []
        for table in self._model.tables.values():
            item = facts.entity_facts(table)
            if not wanted.fits(item):
                continue
            chosen = wanted.pick(item)
            parts = {"Attributes": "AttributeQuery", "Keys": "KeyQuery", "ManyToOneRelationships": "RelationshipQuery"}
            for name, word in parts.items():
                if wanted.names is None or name in wanted.names:
                    inner = _Described.of(query.get(word) or {}, {"Properties", "Criteria"})
                    chosen[name] = [inner.pick(part) for part in self._lists(table)[name]() if inner.fits(part)]
            shown.append(chosen)
        context = f"{call.service}/$metadata#Microsoft.Dynamics.CRM.RetrieveMetadataChangesResponse"
        stamp = {"ServerVersionStamp": "1", "EntityMetadata": shown, "DeletedMetadata": None}
        return Reply.json(200, {"@odata.context": context, **stamp})


class _Query:
    """``$select``, ``$filter`` and ``$expand`` over things with facts."""

    def __init__(self, select: str | None, condition: str | None, expand: str | None = None) -> None:
        self._names = selected(select)
        self._condition = parse_filter(condition) if condition is not None else None
        self.expansions = parse_expand(expand)
        self.counted = False

    @staticmethod
    def of(expansion: Expansion) -> _Query:
        """Of what is expanded."""
        if expansion.inner or expansion.options.keys() - {"$select", "$filter"}:
            raise NotImplementedInSandbox("$expand", f"{expansion.name} with more than $select and $filter")
        return _Query(expansion.options.get("$select"), expansion.options.get("$filter"))

    def list(self, items: Iterable[tuple[Any, Facts]]) -> list[tuple[Any, Facts]]:
        """Those that fit, with what is selected of them."""
        return [(owner, self.one(item)) for owner, item in items if self._fits(item)]

    def _fits(self, item: Facts) -> bool:
        return self._condition is None or _true(self._condition, self._condition.tree, item)

    def one(self, item: Facts) -> Facts:
        """What is selected; ``MetadataId`` and the type come along."""
        if not self._names:
            return dict(item)
        for name in self._names:
            # Paths are cut: of a managed property all of it is shown.
            _value(item, name.partition("/")[0])
        heads = {name.partition("/")[0] for name in self._names}
        return {name: value for name, value in item.items() if name in heads or name in ("MetadataId", "@odata.type")}

    @property
    def _fields(self) -> str:
        """The part of ``@odata.context`` that says what is shown."""
        shown = [*self._names, *(expansion.name for expansion in self.expansions)] if self._names else []
        return f"({','.join(shown)})" if shown else ""

    def listed(self, context: str, shown: Sequence[Facts]) -> Reply:
        """A list, with its length when asked for."""
        count = {"@odata.count": len(shown)} if self.counted else {}
        return Reply.json(200, {"@odata.context": f"{context}{self._fields}", **count, "value": shown})

    def single(self, context: str, shown: Facts) -> Reply:
        """One thing."""
        return Reply.json(200, {"@odata.context": f"{context}{self._fields}/$entity", **shown})


def _value(item: Facts, path: str) -> object:
    """A property, also inside of another; of another type's, no value.

    Raises:
        ApiError: There is no such property.
        NotImplementedInSandbox: There is, and it is not served.
    """
    head, _, tail = path.partition("/")
    if head in item:
        value = item[head]
        return _value(value, tail) if tail and isinstance(value, dict) else value
    if head in facts.UNSERVED:
        raise NotImplementedInSandbox("metadata property", head)
    if head in facts.FACETS and "AttributeType" in item:
        return _NO_VALUE
    raise ApiError(400, UNKNOWN_PROPERTY, f"Could not find a property named '{head}'.")


def _true(parsed: Parsed, node: ast._Node, item: Facts) -> bool:
    """Whether ``$filter`` holds."""
    if isinstance(node, ast.BoolOp):
        join = all if isinstance(node.op, ast.And) else any
        return join([_true(parsed, node.left, item), _true(parsed, node.right, item)])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _true(parsed, node.operand, item)
    if isinstance(node, ast.Compare) and isinstance(node.comparator, ast.Eq | ast.NotEq):
        equal = _term(parsed, node.left, item) == _term(parsed, node.right, item)
        return equal == isinstance(node.comparator, ast.Eq)
    if isinstance(node, ast.Identifier):
        return _term(parsed, node, item) is True
    raise NotImplementedInSandbox("$filter on metadata", type(node).__name__)


def _term(parsed: Parsed, node: ast._Node, item: Facts) -> object:
    if isinstance(node, ast.Identifier):
        member = parsed.member(node)
        return _value(item, parsed.name(node)) if member is None else member
    if isinstance(node, ast.Null):
        return None
    if isinstance(node, ast.Boolean):
        return node.py_val
    if isinstance(node, ast.Integer):
        return int(node.val)
    if isinstance(node, ast.String | ast.GUID):
        return node.val.lower() if isinstance(node, ast.GUID) else node.val
    raise NotImplementedInSandbox("$filter on metadata", type(node).__name__)


class _Described:
    """A ``MetadataQueryBase``: which things, and which of their properties."""

    def __init__(self, names: frozenset[str] | None, conditions: list[tuple[str, frozenset[str]]]) -> None:
        self.names = names
        self._conditions = conditions

    @staticmethod
    def of(query: object, words: set[str]) -> _Described:
        """As written.

        Raises:
            NotImplementedInSandbox: It says something that is not played.
        """
        if not isinstance(query, dict):
            raise QueryError("The metadata query is malformed.")
        unplayed = {word for word, value in query.items() if value is not None} - words - {"@odata.type"}
        if unplayed:
            raise NotImplementedInSandbox("RetrieveMetadataChanges", ", ".join(sorted(unplayed)))
        properties, criteria = query.get("Properties") or {}, query.get("Criteria") or {}
        if not isinstance(properties, dict) or not isinstance(criteria, dict):
            raise QueryError("The metadata query is malformed.")
        if criteria.get("Filters") or criteria.get("FilterOperator", "And") != "And":
            raise NotImplementedInSandbox("RetrieveMetadataChanges", "criteria other than conditions joined by And")
        conditions = criteria.get("Conditions") or []
        names = properties.get("PropertyNames")
        if not isinstance(conditions, list) or not (names is None or isinstance(names, list)):
            raise QueryError("The metadata query is malformed.")
        if names is None or properties.get("AllProperties") is True:
            return _Described(None, [_condition(item) for item in conditions])
        return _Described(frozenset(map(str, names)), [_condition(item) for item in conditions])

    def fits(self, item: Facts) -> bool:
        """Whether the conditions hold."""
        return all(str(_value(item, name)) in values for name, values in self._conditions)

    def pick(self, item: Facts) -> Facts:
        """The properties asked for; others that a type does not have are passed over."""
        always = ("MetadataId", "@odata.type", "LogicalName")
        return {
            name: value for name, value in item.items() if self.names is None or name in self.names or name in always
        }


def _condition(given: object) -> tuple[str, frozenset[str]]:
    try:
        assert isinstance(given, dict)
        operator, value = given["ConditionOperator"], given["Value"]["Value"]
        name = str(given["PropertyName"])
    except (AssertionError, KeyError, TypeError):
        raise QueryError("A condition of the metadata query is malformed.") from None
    if operator == "Equals" and isinstance(value, str):
        return name, frozenset({value})
    if operator == "In" and isinstance(value, list):
        return name, frozenset(map(str, value))
    raise NotImplementedInSandbox("RetrieveMetadataChanges", f"operator {operator}")


def _options(table: Table, column: Column, cast_to: str, expansion: Expansion) -> Facts | None:
    if cast_to not in facts.OPTION_TYPES or expansion.name not in ("OptionSet", "GlobalOptionSet"):
        raise ApiError(400, URI_ERROR, f"Could not find a property named '{expansion.name}' to expand.")
    if expansion.name == "GlobalOptionSet":
        return None
    return _Query.of(expansion).one(facts.option_set(table, column))


def _cast_name(rest: list[str]) -> str:
    match = _CAST.fullmatch(rest[0])
    if match is None or len(rest) > 1:
        raise NotImplementedInSandbox("EntityDefinitions(...)/Attributes/" + "/".join(rest))
    return match[1]


def _metadata_id(key: str) -> str:
    return re.sub(r"^MetadataId\s*=\s*", "", key).strip().lower()


def _is(item: Facts, key: str) -> bool:
    """Whether a key predicate names this: by logical name, schema name or MetadataId."""
    match = re.fullmatch(r"(LogicalName|SchemaName)\s*=\s*'(\w+)'", key)
    if match is not None:
        return item.get(match[1]) == match[2]
    return item["MetadataId"] == _metadata_id(key)


def _by_key(items: Iterable[Facts], key: str) -> Facts:
    for item in items:
        if _is(item, key):
            return item
    raise ApiError(404, NOT_FOUND, f"Could not find a definition with the specified key ({key}).")


def _no_segment(name: str) -> ApiError:
    return ApiError(404, NO_SUCH_RESOURCE, f"Resource not found for the segment '{name}'.")
