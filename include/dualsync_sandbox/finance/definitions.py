"""The metadata service of Finance: public entities, data entities and public enumerations, from the schema.

"Services overview" (dev-itpro/data-entities/services-home-page.md) names the service; the properties of an entity, a
property and an enumeration are those that public clients read (the ``d365fo.integrations`` module for PowerShell, the
Python package ``d365fo-client``, which also lists the words of ``DataType``). Assumed: which options of queries there
are, that a list comes whole, and the body of 404. Label ids and categories of entities are not known here, so they are
null; labels and navigation between entities are not served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from odata_query import ast

from dualsync_sandbox.errors import NotImplementedInSandbox, SandboxError
from dualsync_sandbox.finance.errors import ODATA_ERROR, FinanceError, refusal, reply
from dualsync_sandbox.finance.metadata import edm_type
from dualsync_sandbox.protocol.http import ApiError, Call, Reply, unescape
from dualsync_sandbox.protocol.keys import literal, split_path, split_segment
from dualsync_sandbox.protocol.odata import Parsed, QueryError, parse_filter, selected, whole
from dualsync_sandbox.schema import Column, Kind, SystemSchema, Table

#: Names of paths are not case sensitive on the real service's web server; these are the two that clients write.
ROOT = "/Metadata"
OTHER_ROOT = "/metadata"
_OPTIONS = frozenset({"$filter", "$select", "$top", "$skip", "$count"})
_DATA_TYPES: Mapping[Kind, str] = {
    "text": "String",
    "decimal": "Real",
    "guid": "Guid",
    "enum": "Enum",
    "instant": "UtcDateTime",
    "date": "Date",
}

Facts = dict[str, object]


def _property(column: Column) -> Facts:
    return {
        "Name": column.name,
        "TypeName": edm_type(column),
        "DataType": _DATA_TYPES.get(column.kind, column.type),
        "LabelId": None,
        "IsKey": column.key,
        "IsMandatory": column.key or column.required,
        "ConfigurationEnabled": True,
        "AllowEdit": not column.key,
        "AllowEditOnCreate": True,
        "IsDimension": False,
        "DimensionRelation": None,
        "IsDynamicDimension": False,
        "DimensionLegalEntityProperty": None,
        "DimensionTypeProperty": None,
    }


def _entity(table: Table) -> Facts:
    return {
        "Name": table.entity,
        "EntitySetName": table.set,
        "LabelId": None,
        "IsReadOnly": False,
        "ConfigurationEnabled": True,
        "Properties": [_property(column) for column in table.columns.values()],
        "NavigationProperties": [],
        "PropertyGroups": [],
        "Actions": [],
    }


def _data_entity(table: Table) -> Facts:
    """The entity as data management knows it: also those that are not on OData."""
    return {
        "Name": table.aot,
        "PublicEntityName": table.entity,
        "PublicCollectionName": table.set,
        "LabelId": None,
        "DataServiceEnabled": table.public,
        "DataManagementEnabled": True,
        "EntityCategory": None,
        "IsReadOnly": False,
    }


def _enumeration(name: str, members: Mapping[str, int]) -> Facts:
    listed = [
        {"Name": member, "Value": value, "LabelId": None, "ConfigurationEnabled": True}
        for member, value in members.items()
    ]
    return {"Name": name, "LabelId": None, "Members": listed}


class Definitions:
    """Answers requests to the metadata service.

    Args:
        schema: Of Finance.
    """

    def __init__(self, schema: SystemSchema) -> None:
        self._schema = schema
        self._lists: Mapping[str, Callable[[], list[Facts]]] = {
            "DataEntities": lambda: [_data_entity(table) for table in schema.tables.values()],
            "PublicEntities": lambda: [_entity(table) for table in schema.by_set.values()],
            "PublicEnumerations": lambda: [_enumeration(*enum) for enum in schema.enums.items()],
        }

    def handle(self, call: Call) -> Reply:
        """Answer one authorised request."""
        try:
            answer = self._route(call)
        except SandboxError as error:
            answer = reply(refusal(self._schema, error))
        answer.headers.setdefault("odata-version", "4.0")
        return answer

    def _route(self, call: Call) -> Reply:
        segments = split_path(unescape(call.path))
        name, key = split_segment(segments[0]) if segments else ("", None)
        if name not in self._lists or len(segments) > 1:
            raise NotImplementedInSandbox(f"{call.root}/{'/'.join(segments)}")
        if call.method != "GET":
            raise ApiError(405, "", f"The requested resource does not support http method '{call.method}'.")
        for option in call.options:
            if option.startswith("$") and option not in _OPTIONS:
                raise NotImplementedInSandbox("query option", f"{option} of {name}")
        found = self._lists[name]()
        context = f"{call.service}/$metadata#{name}"
        if key is not None:
            return _one(call, found, key, f"{context}/$entity")
        return _listed(call, found, context)


def _one(call: Call, found: list[Facts], key: str, context: str) -> Reply:
    wanted = str(literal(key)).lower()
    for item in found:
        if str(item["Name"]).lower() == wanted:
            return Reply.json(200, {"@odata.context": context, **_picked(call, item)})
    raise FinanceError(404, ODATA_ERROR, "Resource not found.")


def _listed(call: Call, found: list[Facts], context: str) -> Reply:
    if "$filter" in call.options:
        parsed = parse_filter(call.options["$filter"])
        found = [item for item in found if _fits(parsed, parsed.tree, item)]
    counted = {"@odata.count": len(found)} if call.options.get("$count") == "true" else {}
    skip, top = whole(call.options, "$skip") or 0, whole(call.options, "$top")
    shown = found[skip:] if top is None else found[skip : skip + top]
    return Reply.json(200, {"@odata.context": context, **counted, "value": [_picked(call, item) for item in shown]})


def _picked(call: Call, item: Facts) -> Facts:
    names = selected(call.options.get("$select"))
    for name in names:
        _value(item, name)
    return {name: value for name, value in item.items() if name in names} if names else item


def _value(item: Facts, name: str) -> object:
    if name not in item:
        raise QueryError(f"Could not find a property named '{name}'.")
    return item[name]


def _fits(parsed: Parsed, node: ast._Node, item: Facts) -> bool:
    """Whether ``$filter`` holds: comparisons for equality, text functions, ``and``, ``or`` and ``not``."""
    if isinstance(node, ast.BoolOp):
        join = all if isinstance(node.op, ast.And) else any
        return join([_fits(parsed, node.left, item), _fits(parsed, node.right, item)])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _fits(parsed, node.operand, item)
    if isinstance(node, ast.Compare) and isinstance(node.comparator, ast.Eq | ast.NotEq):
        equal = _term(parsed, node.left, item) == _term(parsed, node.right, item)
        return equal == isinstance(node.comparator, ast.Eq)
    if isinstance(node, ast.Call):
        if len(node.args) != 2:
            raise QueryError(f"'{node.func.name}' takes two arguments.")
        text, part = (str(_term(parsed, argument, item)) for argument in node.args)
        return {"contains": part in text, "startswith": text.startswith(part), "endswith": text.endswith(part)}[
            node.func.name
        ]
    raise NotImplementedInSandbox("$filter on metadata", type(node).__name__)


def _term(parsed: Parsed, node: ast._Node, item: Facts) -> object:
    """A property or a constant; texts are compared without regard to case (assumed, as everywhere in Finance)."""
    if isinstance(node, ast.Identifier):
        value = _value(item, parsed.name(node))
        return value.lower() if isinstance(value, str) else value
    if isinstance(node, ast.String):
        return node.val.lower()
    if isinstance(node, ast.Boolean):
        return node.py_val
    if isinstance(node, ast.Null):
        return None
    raise NotImplementedInSandbox("$filter on metadata", type(node).__name__)
