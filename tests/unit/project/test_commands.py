"""Every command stands in the documents as it is, and every command that a document shows is there.

What a document shows is checked against the commands in any case. Those that need no system are run here as they stand;
where the others are run says :data:`RUN_IN`.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.exceptions import TyperException
from typer.main import get_command
from typer.testing import CliRunner

from dualsync.cli import app
from dualsync.cli.groups import Extension
from support.documents import Command, documents, shown_commands, words_of
from support.paths import ROOT

CLI = "tests/unit/library/cli/test_on_a_ledger.py"
SETUP = "tests/end_to_end/test_setup_commands.py"
RUN_IN = {
    "sync": SETUP,
    "resume": SETUP,
    "status": SETUP,
    "documents": "tests/end_to_end/test_units_subcontracts.py",
    "explain": SETUP,
    "maps list": "here",
    "maps graph": "here",
    "maps check": "here",
    "maps suites": "here",
    "maps schema": "here",
    "quarantine list": SETUP,
    "quarantine show": SETUP,
    "quarantine replay": "tests/end_to_end/test_repair_replay.py",
    "approvals list": "tests/integration/test_release_dag.py",
    "approvals release": "tests/integration/test_release_dag.py",
    "reconcile": "tests/integration/test_nightly_run.py",
    "controls": "here",
    "sign-off": CLI,
    "review": CLI,
    "exceptions list": CLI,
    "exceptions show": CLI,
    "exceptions set": CLI,
    "exceptions resend": "tests/end_to_end/test_repair_resend.py",
    "sandbox seed": "tests/unit/sandbox/seed/test_command.py",
    "sandbox serve": "tests/contract/test_sandbox_control.py",
    "sandbox reset": "tests/contract/test_sandbox_control.py",
    "sandbox trace": "tests/contract/test_sandbox_control.py",
    "sandbox play": "tests/unit/sandbox/play/test_play.py",
    "sandbox play-event": "tests/unit/sandbox/play/test_play.py",
    "sandbox plant": "tests/unit/sandbox/plant/test_command.py",
}
"""The test that runs each command; ``here`` for those that need no system."""

HEAVY = ("pandas", "numpy", "pyarrow", "duckdb", "great_expectations", "sqlalchemy", "httpx", "dualsync_sandbox.cli")
"""What only commands need. ``dualsync --help`` takes a tenth of the memory without it, and a fifth of the time."""


def below(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands and groups, hidden ones too, with the words that call them."""
    command = command.load() if isinstance(command, Extension) else command
    yield words, command
    for name, each in getattr(command, "commands", {}).items():
        yield from below(each, *words, name)


TREE = dict(below(get_command(app)))
LEAVES = {" ".join(words) for words, command in TREE.items() if not hasattr(command, "commands")}
HIDDEN = ("units", "breaks", "held")
"""Earlier names."""

SHOWN = [command for document in documents() for command in shown_commands(document)]
OURS = [command for command in SHOWN if command.words[0] == "dualsync"]


def run(*words: str, **environ: str) -> Any:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "160", **environ})


def split(words: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    """The command that words call, and what is left of them; an unknown command raises KeyError."""
    place: tuple[str, ...] = ()
    rest = words[1:]
    while rest and hasattr(TREE[place], "commands") and not rest[0].startswith("-"):
        place, rest = (*place, rest[0]), rest[1:]
    return TREE[place], rest


def build() -> Any:
    """``docs/build_commands.py`` as a module."""
    spec = importlib.util.spec_from_file_location("build_commands", ROOT / "docs" / "build_commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_as_new_as_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise: python docs/build_commands.py"""
    tool = build()
    assert tool.main(["--check"]) == 0
    (tmp_path / "docs").mkdir()
    assert tool.main(["--check"], tmp_path) == 1
    assert "python docs/build_commands.py" in capsys.readouterr().err
    assert tool.main([], tmp_path) == 0
    assert (tmp_path / tool.PAGE).read_text() == (ROOT / tool.PAGE).read_text()


@pytest.mark.parametrize("words", TREE, ids=lambda words: " ".join(("dualsync", *words)))
def test_every_command_has_help_that_stands_in_the_documents(words: tuple[str, ...]) -> None:
    shown = run(*words, "--help")
    assert shown.exit_code == 0
    command = TREE[words]
    assert command.help
    first = command.get_short_help_str(1_000)
    assert re.match(r"[A-Z].*[.\w]$", first), first
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{' '.join(words)}: {parameter.name} has no help"
    page = (ROOT / "docs" / "commands.md").read_text()
    name = " ".join(("dualsync", *words))
    if words and words[0] in HIDDEN:
        assert f"`dualsync {words[0]}`" in page
    else:
        assert re.search(rf"^#+ {name}$", page, re.MULTILINE)


def test_help_needs_nothing_that_only_commands_need() -> None:
    code = (
        "import sys; sys.argv = ['dualsync', '--help']\nfrom dualsync.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Commands:" in done.stdout
    assert "\n  sandbox " in done.stdout
    assert set(HEAVY) & set(done.stdout.splitlines()[-1].split()) == set()


def test_it_is_said_where_each_command_is_run() -> None:
    assert LEAVES - {leaf for leaf in LEAVES if leaf.split()[0] in HIDDEN} == RUN_IN.keys()
    for leaf, file in RUN_IN.items():
        if file == "here":
            continue
        text = (ROOT / file).read_text()
        if re.search(r"\b(subprocess|CliRunner|dualsync)\b", text) is None:
            pytest.fail(f"{file} runs no command")
        words = leaf.removeprefix("sandbox ").split()
        called = r"""["'],\s*["']""".join(words)
        assert re.search(rf"""["']{called}["']""", text), f"{file} does not run {leaf}"


def test_commands_of_the_documents_are_there() -> None:
    """Those of a block are whole, and would be taken as they stand; of those within a line, what is there is right."""
    wrong = [f"{command.place}: {' '.join(command.words)}: {why}" for command in OURS if (why := mistake(command))]
    assert wrong == []
    assert len(OURS) > 50


def test_commands_that_messages_and_pages_name_are_there() -> None:
    """And by their names of today."""
    files = [file for folder in ("include", "plugins", "dags") for file in (ROOT / folder).rglob("*")]
    named = [
        (file.relative_to(ROOT), tuple(words.split()))
        for file in files
        if file.suffix in (".py", ".html", ".yaml")
        for words in re.findall(r"`dualsync ((?:[a-z][a-z-]* ?)+)", file.read_text(encoding="utf-8"))
    ]
    assert len(named) > 10
    assert [(file, words) for file, words in named if words[0] in HIDDEN or not is_call(words)] == []


def is_call(words: tuple[str, ...]) -> bool:
    """Whether words begin with a command, or are a group."""
    group = hasattr(TREE.get(words[:1]), "commands")
    return words[:2] in TREE if group else words[:1] in TREE


def mistake(command: Command) -> str:
    """What is wrong with a command that a document shows; empty where nothing is."""
    try:
        called, rest = split(command.words)
    except KeyError as unknown:
        return f"there is no command {unknown}"
    options = {name for parameter in called.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown_options = {word for word in rest if word.startswith("-")} - options - {"--help"}
    if unknown_options:
        return f"there is no option {', '.join(sorted(unknown_options))}"
    if command.whole and "--help" not in rest:
        if hasattr(called, "commands"):
            return "the command is missing"
        try:
            called.make_context(called.name, list(rest)).close()
        except TyperException as error:
            return str(error)
    return ""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dualsync sandbox plant --breaks 40 > planted.json", ""),
        ("dualsync explain projects 'A B' # why", ""),
        ("dualsync --help", ""),
        ("dualsync breaks list", ""),
        ("dualsync dance", "there is no command ('dance',)"),
        ("dualsync maps", "the command is missing"),
        ("dualsync maps list --jsonn", "there is no option --jsonn"),
        ("dualsync explain projects", "Missing parameter: key"),
        ("dualsync exceptions show seventeen", "Input should be a valid integer"),
    ],
)
def test_mistakes_are_noticed(line: str, said: str) -> None:
    found = mistake(Command("here", words_of(line), True))
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    "words",
    [("maps", "list"), ("maps", "graph"), ("maps", "check"), ("maps", "suites", "--check"), ("controls",)],
    ids=" ".join,
)
def test_commands_that_need_no_system_run(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "great_expectations").symlink_to(ROOT / "great_expectations")
    done = run(*words, DUALSYNC_HOME=str(tmp_path))
    assert (done.exit_code, done.stderr) == (0, "")
    if words != ("maps", "suites", "--check"):
        assert done.stdout.strip()


def test_the_schema_of_maps_is_written(tmp_path: Path) -> None:
    target = tmp_path / "maps.json"
    assert run("maps", "schema", str(target)).exit_code == 0
    assert target.read_text() == (ROOT / "include/dualsync/maps/table-map.schema.json").read_text()


def test_make_targets_of_the_documents_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert phony
    targets = set(phony.group(1).split())
    wrong = []
    for command in SHOWN:
        if command.words[0] != "make":
            continue
        for word in command.words[1:]:
            name, is_variable, _ = word.partition("=")
            known = re.search(rf"\b{name}\b", makefile) if is_variable else name in targets
            if not known:
                wrong.append(f"{command.place}: {' '.join(command.words)}")
    assert wrong == []
    assert any(command.words[:1] == ("make",) for command in SHOWN)
