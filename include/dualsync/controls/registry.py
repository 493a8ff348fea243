"""Finds the controls: every module of ``controls/rules`` declares one as ``CONTROL``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from dualsync.controls import rules
from dualsync.controls.model import Control
from dualsync.errors import MapErrors, UnknownName
from dualsync.spelling import nearest


@cache
def controls() -> Mapping[str, Control]:
    """All controls by id, in the order of their numbers.

    Raises:
        MapErrors: Two modules declare the same id.
    """
    found: dict[str, Control] = {}
    for module in sorted(iter_modules(rules.__path__), key=lambda one: one.name):
        control: Control = import_module(f"{rules.__name__}.{module.name}").CONTROL
        if control.id in found:
            raise MapErrors([f"{module.name}: control {control.id} is declared twice"])
        found[control.id] = control
    return MappingProxyType({one.id: one for one in sorted(found.values(), key=lambda one: one.order)})


def chosen(ids: tuple[str, ...]) -> list[Control]:
    """The controls named, all of them where none is.

    Raises:
        UnknownName: There is no such control.
    """
    known = controls()
    unknown = [f"no control '{one}'{nearest(one, known)}" for one in ids if one.upper() not in known]
    if unknown:
        raise UnknownName(unknown)
    return [known[one.upper()] for one in ids] if ids else list(known.values())
