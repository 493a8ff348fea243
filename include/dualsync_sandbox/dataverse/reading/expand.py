"""``$expand`` taken apart: "Join tables using OData" (webapi/query/join-tables)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dualsync_sandbox.dataverse.errors import URI_ERROR
from dualsync_sandbox.errors import NotImplementedInSandbox
from dualsync_sandbox.protocol.http import ApiError

MOST_EXPANSIONS = 15
OPTIONS = frozenset({"$select", "$filter", "$orderby", "$top", "$expand"})


@dataclass(frozen=True)
class Expansion:
    """One navigation property to expand.

    Attributes:
        name: The navigation property.
        options: Its query options but ``$expand``.
        inner: What is expanded below it.
        reference: Whether only the URL of the row is wanted (``/$ref``).
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    inner: tuple[Expansion, ...] = ()
    reference: bool = False

    def __str__(self) -> str:
        options = [f"{name}={value}" for name, value in self.options.items()]
        options += [f"$expand={','.join(map(str, self.inner))}"] if self.inner else []
        name = f"{self.name}/$ref" if self.reference else self.name
        return f"{name}({';'.join(options)})" if options else name


def parse_expand(text: str | None) -> tuple[Expansion, ...]:
    """``primarycontactid($select=fullname;$expand=...),other`` as a tree.

    Raises:
        ApiError: It is wrong, or expands more than the service takes.
        NotImplementedInSandbox: ``*``.
    """
    found = _parse(text) if text else ()
    if _count(found) > MOST_EXPANSIONS:
        raise ApiError(400, URI_ERROR, f"At most {MOST_EXPANSIONS} navigation properties can be expanded in a query.")
    return found


def _count(expansions: tuple[Expansion, ...]) -> int:
    return sum(1 + _count(expansion.inner) for expansion in expansions)


def _parse(text: str) -> tuple[Expansion, ...]:
    return tuple(_one(part.strip()) for part in split_outside(text, ","))


def _one(text: str) -> Expansion:
    name, opening, rest = text.partition("(")
    name = name.strip()
    if name == "*":
        raise NotImplementedInSandbox("$expand", name)
    if name.endswith("/$ref") and not opening:
        return Expansion(name.removesuffix("/$ref"), reference=True)
    if not name or (opening and not rest.endswith(")")):
        raise ApiError(400, URI_ERROR, f"Syntax error in $expand: '{text}'.")
    options: dict[str, str] = {}
    for part in split_outside(rest[:-1], ";") if opening else []:
        option, _, value = part.strip().partition("=")
        if option not in OPTIONS:
            raise ApiError(400, URI_ERROR, f"The query parameter {option} is not supported inside of $expand.")
        options[option] = value
    inner = _parse(options.pop("$expand")) if options.get("$expand") else ()
    return Expansion(name, options, inner)


def split_outside(text: str, separator: str) -> list[str]:
    """Split at a character where it stands outside of quotes and parentheses.

    Raises:
        ApiError: Quotes or parentheses are not closed.
    """
    parts, start, depth, quoted = [], 0, 0, False
    for position, character in enumerate(text):
        if character == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    if quoted or depth != 0:
        raise ApiError(400, URI_ERROR, f"Syntax error: quotes or parentheses are not closed in '{text}'.")
    return [*parts, text[start:]]
