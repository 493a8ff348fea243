"""What ``docs/sandbox.md`` says about the control plane, faults and limits, written from the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from dualsync_sandbox.control.routes import ROUTES
from dualsync_sandbox.documentation import table
from dualsync_sandbox.gateway import faults, limits


def _routes() -> str:
    lines = (
        (f"`{route.method} {route.path}`", f"`{route.takes}`" if route.takes else "", route.does) for route in ROUTES
    )
    return table(("request", "takes", "does"), lines)


def _kinds() -> str:
    return table(("kind", "does"), ((f"`{kind}`", does) for kind, does in faults.KINDS.items()))


def _words() -> str:
    chosen = ("system", "method", "path", "query", "skip", "times", "probability", "seed")
    said = _attributes(faults.Fault)
    return table(("word", "says"), ((f"`{name}`", said[name].replace("``", "`")) for name in chosen))


def _limits() -> str:
    return table(("setting", "at first", "says"), _settings("", limits.Grants()))


def _settings(before: str, part: msgspec.Struct) -> Iterator[tuple[object, ...]]:
    said = _attributes(type(part))
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, limits.Milliseconds):
            yield f"`{before}{name}.SYSTEM`", 0, said[name]
        elif isinstance(value, msgspec.Struct):
            yield from _settings(f"{before}{name}.", value)
        else:
            shown = f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else value
            yield f"`{before}{name}`", str(shown).lower() if isinstance(value, bool) else shown, said[name]


def _attributes(kind: type) -> dict[str, str]:
    """What a class says about its attributes."""
    text = inspect.getdoc(kind) or ""
    listed = text.partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", listed, re.MULTILINE)
    return {name: " ".join(said.split()).rstrip(".") for name, said in found}


SECTIONS: Mapping[str, Callable[[], str]] = {
    "control-routes": _routes,
    "fault-kinds": _kinds,
    "fault-words": _words,
    "limits": _limits,
}
