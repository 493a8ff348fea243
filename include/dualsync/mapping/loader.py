"""Reads table maps and the like: YAML with line numbers, typed, every mistake with file, line and nearest known word.

Only ``true`` and ``false`` are booleans here: YAML's ``yes``, ``no``, ``on`` and ``off`` stay text, because ``on`` is a
word of the maps and ``Yes`` and ``No`` are members of Finance enums. So does ``null`` where it is a key. Numbers with a
point are exact decimals.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import types
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dualsync.errors import MapErrors
from dualsync.mapping.model import Loc, Origin, TableMap

M = TypeVar("M", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the core schema of YAML 1.2 only: no dates, no yes/no, no octal or sexagesimal."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("int", r"^-?(?:0|[1-9][0-9]*)$", "-0123456789"),
    ("float", r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$", "-0123456789"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


_NULL = "tag:yaml.org,2002:null"


class _Reader:
    """Turns YAML nodes into plain data and remembers the line of each part."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[Loc, int] = {}
        self.problems: list[str] = []

    def data(self, node: yaml.Node | None, loc: Loc = ()) -> Any:
        """The value of a node; duplicate keys and unexpected tags become problems."""
        if node is None:
            return None
        line = node.start_mark.line + 1
        self.lines.setdefault(loc, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.data(item, (*loc, position)) for position, item in enumerate(node.value)]
        return self._scalar(node, loc)

    def line(self, loc: Loc) -> int:
        """The line where a place, or the nearest part around it, stands."""
        return next((self.lines[loc[:end]] for end in range(len(loc), -1, -1) if loc[:end] in self.lines), 1)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            # `null` is a word of the maps, so a key is never nothing
            key = key_node.value if key_node.tag == _NULL else self._scalar(key_node, loc)
            line = key_node.start_mark.line + 1
            if any(type(known) is type(key) and known == key for known in found):
                self.problems.append(f"{self.file}:{line}: {dotted((*loc, key))}: stands here twice")
                continue
            self.lines[(*loc, key)] = line
            found[key] = self.data(value_node, (*loc, key))
        return found

    def _scalar(self, node: yaml.Node, loc: Loc) -> Any:
        kind = node.tag.rsplit(":", 1)[-1]
        text = node.value
        match kind:
            case "str":
                return text
            case "bool":
                return text == "true"
            case "int":
                return int(text)
            case "float":
                return Decimal(text)
            case "null":
                return None
            case _:
                line = node.start_mark.line + 1
                self.problems.append(f"{self.file}:{line}: {dotted(loc)}: the tag {node.tag} is not allowed")
                return None


def dotted(loc: Iterable[str | int]) -> str:
    """A place in a map as text: ``fields[3].values``."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "(top)"


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` with the known word nearest to the given one, or nothing."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return f"; did you mean '{names[close[0]]}'?" if close else ""


def read_map(file: Path, shown: Path | None = None) -> TableMap:
    """Read one table map; see :func:`read_model`."""
    table_map, origin = read_model(file, TableMap, shown)
    return table_map.read_from(origin)


def read_model(file: Path, model: type[M], shown: Path | None = None) -> tuple[M, Origin]:
    """Read one YAML file into a typed model.

    Args:
        file: The YAML file.
        model: What it holds.
        shown: How errors name the file; the path itself where None.

    Returns:
        The model, and where its parts stand.

    Raises:
        MapErrors: All that is wrong in the file, each with file, line, place and nearest known word.
    """
    shown = shown or file
    text = file.read_text(encoding="utf-8")
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise MapErrors([f"{shown}:{line}: (top): {error.problem}"]) from None
    reader = _Reader(shown)
    data = reader.data(node)
    problems = reader.problems
    try:
        found = model.model_validate(data)
    except ValidationError as error:
        problems += dict.fromkeys(_explain(detail, reader, model) for detail in error.errors(include_url=False))
    if problems:
        raise MapErrors(problems)
    return found, Origin(shown, hashlib.sha256(text.encode()).hexdigest(), reader.lines)


def _explain(detail: ErrorDetails, reader: _Reader, model: type[BaseModel]) -> str:
    """One pydantic error as a line a person can act on."""
    place: Loc = ()
    for part in detail["loc"]:
        # pydantic puts the names of union members into the place; they do not stand in the file
        if (*place, part) in reader.lines:
            place = (*place, part)
    holder = place[:-1] if detail["type"] == "extra_forbidden" else place
    if detail["type"] == "missing":
        place = (*place, detail["loc"][-1])
    known: Iterable[str] = ()
    word = str(detail["input"])
    match detail["type"]:
        case "extra_forbidden":
            word, message, known = str(place[-1]), "is not a known word here", _words(holder, model)
        case "missing":
            message = "is missing"
        case "literal_error":
            expected = str(detail["ctx"]["expected"])
            message, known = f"'{word}' is not one of {expected}", re.findall(r"'([^']+)'", expected)
        case "value_error":
            message = str(detail["ctx"]["error"])
        case _:
            message = detail["msg"][:1].lower() + detail["msg"][1:]
    return f"{reader.file}:{reader.line(place)}: {dotted(place)}: {message}{nearest(word, known)}"


def _words(place: Loc, model: type[BaseModel]) -> list[str]:
    """The words that may stand at a place of a file."""
    annotation: Any = model
    for part in place:
        inside = _model_in(annotation)
        if inside is not None:
            annotation = _settings(inside).get(str(part))
        else:
            inner = get_args(_collection_in(annotation))
            annotation = next((member for member in inner if member not in (str, ...)), None)
    inside = _model_in(annotation)
    return list(_settings(inside)) if inside else []


def _settings(model: type[BaseModel]) -> dict[str, Any]:
    """The words of a model as they stand in the files, with their types."""
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model an annotation stands for, alone or as a member of a union."""
    for member in (annotation, *_members(annotation)):
        if isinstance(member, type) and issubclass(member, BaseModel):
            return member
    return None


def _collection_in(annotation: Any) -> Any:
    """The tuple or dict an annotation stands for, alone or as a member of a union."""
    return next((m for m in (annotation, *_members(annotation)) if get_origin(m) in (tuple, dict)), None)


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()
