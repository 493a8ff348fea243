"""Commands that ask the ledger alone, on a small installation that has been reconciled for two nights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dualsync.cli import app
from support.paths import ROOT
from support.reconciled import NIGHT, PACK, SCRIPT, reconcile


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: what one of them writes, no other reads."""
    folder = tmp_path_factory.mktemp("home")
    reconcile(folder).close()
    return folder


def run(home: Path, *words: str, code: int = 0) -> str:
    """What a command prints, or says is wrong."""
    done = CliRunner().invoke(app, list(words), env={"DUALSYNC_HOME": str(home), "COLUMNS": "200"})
    assert done.exit_code == code, done.output
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stderr if code == 2 else done.stdout


def told(home: Path, *words: str, code: int = 0) -> Any:
    """What it prints with ``--json``."""
    return json.loads(run(home, *words, "--json", code=code))


def numbers(home: Path) -> dict[str, str]:
    return {row["key"]: str(row["number"]) for row in told(home, "exceptions", "list")}


def test_exceptions_are_listed_in_words(home: Path) -> None:
    rows = told(home, "exceptions", "list")
    assert {(row["key"], row["break_class"]) for row in rows} >= {("PRJ-1", "text"), (SCRIPT, "missing_in_finance")}
    shown = run(home, "exceptions", "list")
    assert "missing in Finance" in shown
    assert "1,234,567" not in shown
    assert "1234567.895 USD" in shown
    assert shown.splitlines()[-1] == f"{len(rows)} of {len(rows)} exceptions"
    assert [row["key"] for row in told(home, "exceptions", "list", "--control", "map:projects")] == ["PRJ-1"]
    assert [row["key"] for row in told(home, "exceptions", "list", "--resolved")] == ["GONE"]
    assert run(home, "exceptions", "list", "--limit", "1").splitlines()[-1] == f"1 of {len(rows)} exceptions"


def test_one_exception_is_shown_with_both_records(home: Path) -> None:
    number = numbers(home)["PRJ-1"]
    detail = told(home, "exceptions", "show", number)
    assert (detail["break"]["key"], detail["class_title"]) == ("PRJ-1", "texts differ")
    assert detail["finance"][0]["ProjectName"] == "Bridges"
    shown = run(home, "exceptions", "show", number)
    assert "times seen       2" in shown
    assert "in Dataverse:\n" in shown
    assert "  msdyn_subject: Bridge\n" in shown
    assert "@odata.etag" not in shown
    wrong = run(home, "exceptions", "show", "1717", code=2)
    assert wrong == "error [request]: there is no exception number 1717; `dualsync exceptions list` lists them\n"


def test_an_exception_gets_status_owner_and_comment(home: Path) -> None:
    number = numbers(home)["PRJ-1"]
    words = ("--by", "anna", "--status", "in_progress", "--owner", "bob", "--comment", "asked the vendor")
    assert run(home, "exceptions", "set", number, *words) == f"exception {number}: in progress, owner bob\n"
    kept = told(home, "exceptions", "show", number)["break"]
    assert (kept["status"], kept["owner"], kept["comment"]) == ("in_progress", "bob", "asked the vendor")
    assert "no status 'done'" in run(home, "exceptions", "set", number, "--by", "anna", "--status", "done", code=2)
    assert "--by" in run(home, "exceptions", "set", number, code=2)


def test_a_close_package_is_signed_off_and_reviewed(home: Path) -> None:
    signed = run(home, "sign-off", "uspm", "2026-02", "--by", "anna", "--run", PACK, "--comment", "all in")
    assert signed.startswith("USPM 2026-02-01 signed by anna: ")
    assert "\ndigest " in signed
    assert run(home, "review", "USPM", "2026-02-01", "--by", "bob") == "USPM 2026-02-01 reviewed by bob\n"
    assert "signed off already" in run(home, "sign-off", "USPM", "2026-02", "--by", "anna", "--run", PACK, code=2)
    assert "is not signed off" in run(home, "review", "USPM", "2026-03", "--by", "bob", code=2)
    assert "'soon' is no day and no month" in run(home, "review", "USPM", "soon", "--by", "bob", code=2)


def test_open_rows_are_listed_and_shown(home: Path) -> None:
    assert [row["key"] for row in told(home, "quarantine", "list")] == ["PRJ-2", "PRJ-3"]
    assert len(told(home, "quarantine", "list", "--state", "all")) == 3
    shown = run(home, "quarantine", "list", "--state", "waiting")
    assert "to Finance" in shown
    assert shown.splitlines()[-1] == "1 rows"
    assert "no name" in run(home, "quarantine", "show", "projects", "PRJ-2")
    missing = CliRunner().invoke(app, ["quarantine", "show", "projects", "X"], env={"DUALSYNC_HOME": str(home)})
    assert missing.exit_code == 1
    assert "`dualsync quarantine list --map projects --state all` lists them" in missing.stderr


def test_status_names_what_is_open(home: Path) -> None:
    assert {row["state"] for row in told(home, "status")["open"]} == {"quarantined", "waiting"}
    lines = run(home, "status").splitlines()
    assert "projects to Finance of USPM: 2 quarantined" in lines
    assert "project_tasks to Finance: 1 waiting" in lines


def test_nothing_needs_approval_and_no_document_is_incomplete(home: Path) -> None:
    assert told(home, "approvals", "list") == []
    assert run(home, "approvals", "list").splitlines()[-1] == "0 transfers need approval"
    assert "`dualsync approvals list`" in run(home, "approvals", "release", "--by", "anna", code=2)
    assert told(home, "documents", "--open") == []
    assert run(home, "documents").splitlines()[-1] == "0 documents, 0 incomplete"


@pytest.mark.parametrize(
    ("earlier", "words"),
    [("units", ("documents",)), ("breaks", ("exceptions", "list")), ("held", ("approvals", "list"))],
)
def test_earlier_names_still_work(home: Path, earlier: str, words: tuple[str, ...]) -> None:
    assert run(home, earlier, *words[1:]) == run(home, *words)
    assert f"\n  {earlier} " not in run(home, "--help")


def test_errors_have_the_id_that_the_page_of_messages_explains(home: Path) -> None:
    explained = (ROOT / "docs" / "messages.md").read_text()
    for error, words in {
        "error [settings]: dataverse is not configured": ("maps", "check", "--live"),
        "error [request]: no run 'x'": ("resume", "x"),
        "error [request]: --key needs exactly one --map": ("sync", "project", "--key", "A"),
        "error [request]: no status 'done'": ("exceptions", "set", "1", "--by", "anna", "--status", "done"),
        "error [name]: no table map 'projets'; did you mean 'projects'": ("explain", "projets", "A"),
        "error [sign-off]: the period 2026-03-01 of USPM is not signed off": ("review", "USPM", "2026-03", "--by", "b"),
        "error [approval]: no transfer needs approval": ("approvals", "release", "--by", "anna"),
    }.items():
        assert run(home, *words, code=2).startswith(error)
        assert f"\n### {error.partition(':')[0]}\n" in explained


def test_each_problem_of_a_map_has_a_line_below_the_id(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "odd.yaml").write_text("map: odd\nsharks: 2\n")
    lines = run(tmp_path, "maps", "list", code=2).splitlines()
    assert lines[0] == "error [maps]:"
    assert any(re.search(r"odd\.yaml:2: sharks: ", line) for line in lines[1:])


def test_a_ledger_that_cannot_be_opened_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database, " * 10)
    for url, error in {
        "nosuch://host/ledger": "error [settings]: ledger_url cannot be used",
        "rubbish": "error [settings]: ledger_url cannot be used",
        f"sqlite:///{tmp_path}/text.db/x/ledger.db": "error [settings]: ledger_url cannot be used",
        f"sqlite:///{tmp_path}/text.db": "error [settings]: ledger_url cannot be used: file is not a database",
        f"sqlite:///{tmp_path}": "error [unavailable]: the ledger cannot be reached",
    }.items():
        done = CliRunner().invoke(app, ["status"], env={"DUALSYNC_HOME": str(tmp_path), "DUALSYNC_LEDGER_URL": url})
        assert isinstance(done.exception, SystemExit), url
        assert done.stderr.startswith(error)


def test_errors_name_the_thing_and_the_way_out(home: Path) -> None:
    assert "dualsync.toml" in run(home, "maps", "check", "--live", code=2)
    assert "no run 'x'" in run(home, "resume", "x", code=2)
    assert f"run {NIGHT}" not in run(home, "status")
