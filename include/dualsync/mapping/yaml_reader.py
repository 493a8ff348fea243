"""Reads YAML by the core schema of YAML 1.2, and remembers the line of each part.

Only ``true`` and ``false`` are booleans here: YAML's ``yes``, ``no``, ``on`` and ``off`` stay text, because ``on`` is a
word of the maps and ``Yes`` and ``No`` are members of Finance enums. So does ``null`` where it is a key. Numbers with a
point are exact decimals. There are no dates, and no octal or sexagesimal numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import yaml

from dualsync.mapping.places import Loc, dotted

_TAG = "tag:yaml.org,2002:"
_SCALARS: dict[str, Callable[[str], Any]] = {
    f"{_TAG}str": str,
    f"{_TAG}bool": lambda text: text == "true",
    f"{_TAG}int": int,
    f"{_TAG}float": Decimal,
    f"{_TAG}null": lambda _: None,
}


# Parsing all maps with the parser that is written in C takes a fifth of the time; PyYAML may be there without it.
_QuickLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_QuickLoader):  # type: ignore[misc, valid-type]  # which of the two it is, is known at run time
    """PyYAML's loader, with fewer words that are anything but text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  the name and the type are PyYAML's


for _kind, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("int", r"^-?(?:0|[1-9][0-9]*)$", "-0123456789"),
    ("float", r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$", "-0123456789"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(_pattern), list(_first))


class YamlReader:
    """One YAML file as plain data.

    Args:
        text: The text of the file.

    Attributes:
        data: What the file holds: dictionaries, lists and scalars.
        lines: The line (from 1) of each part.
        problems: What is wrong although it is YAML: the line, and a text that begins with the place.

    Raises:
        yaml.YAMLError: The text is not YAML.
    """

    def __init__(self, text: str) -> None:
        self.lines: dict[Loc, int] = {}
        self.problems: list[tuple[int, str]] = []
        root = yaml.compose(text, Loader=_Loader)
        self.data = None if root is None else self._data(root, ())

    def _data(self, node: yaml.Node, loc: Loc) -> Any:
        self.lines.setdefault(loc, _line(node))
        match node:
            case yaml.MappingNode():
                return self._mapping(node, loc)
            case yaml.SequenceNode():
                return [self._data(item, (*loc, position)) for position, item in enumerate(node.value)]
            case _:
                return self._scalar(node, loc)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            # `null` is a word of the maps, so a key is never nothing
            key = key_node.value if key_node.tag == f"{_TAG}null" else self._scalar(key_node, loc)
            # true and 1 are one key to Python, and two to us
            if any(type(earlier) is type(key) and earlier == key for earlier in values):
                self.problems.append((_line(key_node), f"{dotted((*loc, key))}: stands here twice"))
                continue
            self.lines[(*loc, key)] = _line(key_node)
            values[key] = self._data(value_node, (*loc, key))
        return values

    def _scalar(self, node: yaml.Node, loc: Loc) -> Any:
        if node.tag not in _SCALARS:
            self.problems.append((_line(node), f"{dotted(loc)}: the tag {node.tag} is not allowed"))
            return None
        return _SCALARS[node.tag](node.value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
