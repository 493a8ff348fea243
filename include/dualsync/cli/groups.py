"""How commands are listed, and how those of other packages are found.

A package names its commands as an entry point of the group ``dualsync.commands``. They are imported only when one of
them is called: the list of commands shows the first sentence of the package's docstring instead, so that it costs no
import of all that the package needs.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typer.main import get_group_from_info
from typer.models import TyperInfo

GROUP = "dualsync.commands"
"""The group of entry points."""

_WHOLE = 1_000
"""More characters than any first sentence has, so that none is cut off."""


class CommandGroup(TyperGroup):
    """A group that lists its commands with their whole first sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands.

        Args:
            ctx: The call.
            formatter: Takes the text.
        """
        commands = [self.commands[name] for name in self.list_commands(ctx)]
        lines = [(command.name, command.get_short_help_str(_WHOLE)) for command in commands if not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(lines)


class Extension(TyperCommand):
    """Stands for the commands of a package until one of them is called.

    Args:
        point: The entry point.
    """

    def __init__(self, point: EntryPoint) -> None:
        super().__init__(point.name, help=_summary(point), rich_markup_mode=None)
        self._point = point

    def load(self) -> Any:
        """Import the package's commands, and return their group."""
        info = TyperInfo(self._point.load(), name=self._point.name, cls=CommandGroup)
        return get_group_from_info(
            info, pretty_exceptions_short=True, suggest_commands=True, rich_markup_mode=self.rich_markup_mode
        )

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Begin a call: the real group takes it from here.

        Args:
            info_name: The name of the group as it was called.
            args: What follows it.
            parent: The call of ``dualsync`` itself.
            extra: Further settings of the call.
        """
        return self.load().make_context(info_name, args, parent=parent, **extra)


class ExtendedGroup(CommandGroup):
    """The commands of ``dualsync``, with those of other packages behind them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for point in entry_points(group=GROUP):
            self.commands.setdefault(point.name, Extension(point))


def _summary(point: EntryPoint) -> str:
    """Return what a package's docstring says first."""
    package = point.module.partition(".")[0]
    doc = " ".join((import_module(package).__doc__ or "").split())
    return re.split(r"(?<=\.)\s", doc)[0] or f"Commands of the package {package}."
