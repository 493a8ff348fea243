"""Write ``docs/commands.md``: every command with its help text, as ``--help`` prints it.

Without an argument the page is written. ``--check`` writes nothing and ends with 1 where the page is older than the
commands.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

from dualsync.cli import app
from dualsync.cli.groups import Extension

ROOT = Path(__file__).resolve().parents[1]
PAGE = "docs/commands.md"
PROGRAM = "dualsync"

_WIDTH = 100
"""Characters of a line of help."""

_HEAD = """# Commands

<!-- Made by docs/build_commands.py of the help texts. Change those, then run `python docs/build_commands.py`. -->

`dualsync` does without Airflow what the DAGs do with it. It lies in `.venv/bin/` after `make run` or `make test`, reads
the same settings, and works on the same ledger. `--help` behind a command prints what stands here. [Repair](repair.md)
and [The nightly reconciliation](reconciliation.md) show the commands at work.

Exit codes: 0 all went well; 1 something failed, needs approval or has errors; 2 a setting, a map or an argument is
wrong. Where a command means more by them, it says so. An error begins with its id, such as `error [settings]`;
[Messages](messages.md#errors) says what causes it and what helps. With `--json` a command prints JSON and nothing else
to stdout; keys and ids in it stay as they are from release to release.

Earlier names still work: `dualsync units` is `dualsync documents`, `dualsync breaks` is `dualsync exceptions`,
`dualsync held` is `dualsync approvals`.
"""


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that is shown, with the words that call it; a group comes before its commands."""
    yield from _below((PROGRAM,), get_command(app))


def _below(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(command, Extension):
        command = command.load()
    if command.hidden:
        return
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _below((*words, name), below)


def help_text(words: Sequence[str], command: Any) -> str:
    """Return what ``--help`` prints.

    Args:
        words: The words that call the command.
        command: The command.
    """
    context = command.make_context(" ".join(words), [], resilient_parsing=True, terminal_width=_WIDTH)
    lines = command.get_help(context).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip()


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for words, command in commands():
        # one heading for the program, one for each command or group, one below it for each command of a group
        level = "#" * min(len(words) + 1, 4)
        parts.append(f"{level} {' '.join(words)}\n\n```text\n{help_text(words, command)}\n```\n")
    return "\n".join(parts)


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Write the page, or with ``--check`` say whether it is as new as the commands; return the exit code.

    Args:
        arguments: What stands behind the program's name.
        root: The project's folder.
    """
    target, text = root / PAGE, page()
    if "--check" not in arguments:
        target.write_text(text, encoding="utf-8")
    elif not target.is_file() or target.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"{PAGE} is older than the commands: run `python docs/build_commands.py`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
