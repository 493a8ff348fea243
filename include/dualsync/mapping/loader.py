"""Reads YAML files into typed models: every mistake is named with file, line, place and nearest known word."""

from __future__ import annotations

import hashlib
import re
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dualsync.errors import MapErrors
from dualsync.mapping.model import TableMap
from dualsync.mapping.places import Loc, Origin, dotted
from dualsync.mapping.yaml_reader import YamlReader
from dualsync.spelling import nearest

M = TypeVar("M", bound=BaseModel)


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
        reader = YamlReader(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise MapErrors([f"{shown}:{line}: (top): {error.problem}"]) from None
    origin = Origin(shown, hashlib.sha256(text.encode()).hexdigest(), reader.lines)
    problems = [f"{shown}:{line}: {problem}" for line, problem in reader.problems]
    try:
        made = model.model_validate(reader.data)
    except ValidationError as error:
        problems += dict.fromkeys(_explain(detail, origin, model) for detail in error.errors(include_url=False))
    if problems:
        raise MapErrors(problems)
    return made, origin


def _explain(detail: ErrorDetails, origin: Origin, model: type[BaseModel]) -> str:
    """One pydantic error as a line that a person can act on."""
    place: Loc = ()
    for part in detail["loc"]:
        # pydantic puts the names of union members into the place; they do not stand in the file
        if (*place, part) in origin.lines:
            place = (*place, part)
    words: Iterable[str] = ()
    word = str(detail["input"])
    match detail["type"]:
        case "extra_forbidden":
            word, message, words = str(place[-1]), "is not a known word here", _words(place[:-1], model)
        case "missing":
            place, message = (*place, detail["loc"][-1]), "is missing"
        case "literal_error":
            expected = str(detail["ctx"]["expected"])
            message, words = f"'{word}' is not one of {expected}", re.findall(r"'([^']+)'", expected)
        case "value_error":
            message = str(detail["ctx"]["error"])
        case _:
            message = detail["msg"][:1].lower() + detail["msg"][1:]
    return f"{origin.path}:{origin.line(place)}: {dotted(place)}: {message}{nearest(word, words)}"


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
