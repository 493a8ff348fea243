"""The rule book's own tool: what it takes for a citation, what it calls a mistake, and the page it makes."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from support.paths import ROOT

Check = Callable[..., tuple[int, str]]

UNKNOWN = "Q9"
BOOK = """
sites: {po: "https://docs.example/po/"}
areas:
  - title: Sums
    rules:
      A1: {says: One and one are two., kind: finance, page: po/sums/one-and-one}
      A2: {says: Two is even., kind: api, page: none known, evidence: observed}
      A3: {says: Three is odd., kind: dataverse, page: [po/odd, po/three], left_out: Nobody counts so far.}
"""
CONTROL = '''"""Sums agree [R1]."""
CONTROL = Control(id="R1", title="Sums agree", compares="both sums", basis=("A2",), sql="SELECT 1")
'''
CODE = '"""Adds up [A1]."""\n'
TEST = '"""Sums: [A2]."""\n\n\ndef test_sum() -> None:\n    """Two [A1, R1]."""\n'
PLANT = 'found_by = (("R1", "amount"),)\n'


@pytest.fixture(scope="module")
def rules() -> ModuleType:
    """``docs/build_rules.py`` as a module."""
    spec = importlib.util.spec_from_file_location("build_rules", ROOT / "docs" / "build_rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_rules"] = module  # its dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path, rules: ModuleType) -> Path:
    """A project of three rules and one control, with nothing wrong and its page made."""
    files = {
        rules.RULES: BOOK,
        f"{rules.CONTROLS}/r01_sums.py": CONTROL,
        f"{rules.PLANTS}/sums.py": PLANT,
        "include/adding.py": CODE,
        "tests/test_adding.py": TEST,
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert rules.main([], tmp_path) == 0
    return tmp_path


@pytest.fixture
def check(project: Path, rules: ModuleType, capsys: pytest.CaptureFixture[str]) -> Check:
    """Asks what is wrong with the project; returns exit code and messages."""

    def ask(*, stale: bool = False) -> tuple[int, str]:
        if not stale:
            rules.main([], project)
            capsys.readouterr()
        code = rules.main(["--check"], project)
        return code, capsys.readouterr().err

    return ask


def test_a_sound_project_has_no_mistakes(check: Check) -> None:
    assert check(stale=True) == (0, "")


def test_an_unknown_id_is_a_mistake_wherever_it_stands(project: Path, check: Check) -> None:
    (project / "README.md").write_text(f"As [{UNKNOWN}] says.\n")
    code, said = check()
    assert code == 1
    assert f"README.md:1: [{UNKNOWN}] is neither a rule" in said


def test_a_rule_that_no_code_cites_is_a_mistake(project: Path, check: Check) -> None:
    (project / "include" / "adding.py").write_text('"""Adds up."""\n')
    code, said = check()
    assert code == 1
    assert "A1 is cited by no code" in said


def test_a_test_implements_nothing_and_a_control_does(project: Path, check: Check) -> None:
    """The control rests on the second rule; of the first only the test is left."""
    (project / "include" / "adding.py").unlink()
    _, said = check()
    assert "A1 is cited by no code" in said
    assert "A2" not in said


def test_what_is_left_out_and_cited_all_the_same_is_a_mistake(project: Path, check: Check) -> None:
    (project / "include" / "adding.py").write_text('"""Adds up [A1 to A3]."""\n')
    code, said = check()
    assert code == 1
    assert "A3 is left out, and cited by code" in said


def test_a_control_that_rests_on_nothing_known_is_a_mistake(project: Path, rules: ModuleType, check: Check) -> None:
    (project / rules.CONTROLS / "r01_sums.py").write_text(CONTROL.replace("A2", UNKNOWN))
    code, said = check()
    assert code == 1
    assert f"R1 rests on {UNKNOWN}" in said


def test_an_old_page_is_a_mistake(project: Path, check: Check) -> None:
    (project / "include" / "more.py").write_text('"""Adds more [A1]."""\n')
    code, said = check(stale=True)
    assert code == 1
    assert "docs/rules.md is older than the code" in said


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('"""Adds up (A1)."""\n', 1),
        ('def add():\n    """A1."""\n', 2),
        ('"""Adds up.\n\nBy A1, and more.\n"""\n', 3),
        ("SUM = 2  # A1\n", 1),
        ('SUM = 2\n"""By A1."""\n', 2),
    ],
)
def test_an_id_without_brackets_is_a_mistake_in_prose(project: Path, check: Check, text: str, line: int) -> None:
    (project / "include" / "more.py").write_text(text)
    code, said = check()
    assert code == 1
    assert f"include/more.py:{line}: A1 without brackets" in said


@pytest.mark.parametrize(
    "text",
    [
        'cell = sheet["A1"]\n',
        'name = "A1"\n',
        '"""Cell ``A1`` of a sheet."""\n',
        "first = rows[A1]\n",
        '"""Vendors V2, at 2026-05-01T08:00:00Z."""\n',
        'pattern = r"[A-Z][0-9]"\n',
    ],
)
def test_what_only_looks_like_a_citation(project: Path, check: Check, text: str) -> None:
    (project / "include" / "more.py").write_text(text)
    assert check() == (0, "")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("[A1]", ["A1"]),
        ("[A1, B12]", ["A1", "B12"]),
        ("[B2 to B4, A1]", ["B2", "B3", "B4", "A1"]),
        ("[A1,\n    B2 to\n    B3]", ["A1", "B2", "B3"]),
        ("[E-T]", ["E-T"]),
        ("[G-L]", []),
        ("row[A1]", []),
        ("[A1](rules.md#a1)", ["A1"]),
        ("[A1 and B2]", []),
        ("(A1)", []),
    ],
)
def test_forms_of_a_citation(rules: ModuleType, text: str, ids: list[str]) -> None:
    finder = rules.Finder(["A1", "E-T"])
    assert [one.id for one in finder.citations("x.py", "code", text)] == ids


def test_a_head_of_a_test_file_holds_nothing(rules: ModuleType) -> None:
    found = rules.Finder(["A1"]).citations("tests/x.py", "test", '"""All of [A1]."""\n\n"""One of [A1]."""\n')
    assert [(one.line, one.role) for one in found] == [(1, "text"), (3, "test")]


def test_the_page_links_pages_code_controls_and_tests(project: Path, rules: ModuleType) -> None:
    page = (project / rules.PAGE).read_text()
    rows = {line.split("</a>")[1].split(" ")[0]: line for line in page.splitlines() if "</a>" in line}
    assert list(rows) == ["A1", "A2", "R1", "A3"]
    assert "[one-and-one](https://docs.example/po/sums/one-and-one)" in rows["A1"]
    assert "[include/adding](../include/adding.py)" in rows["A1"]
    assert "[tests/test_adding](../tests/test_adding.py)" in rows["A1"]
    assert "control [R1](#r1)" in rows["A2"]
    assert rows["A2"].endswith(f"| {rules.NO_TEST} |"), "what the head of a test file lists holds nothing"
    assert "*(observed)*" in rows["A2"]
    assert "[A2](#a2)" in rows["R1"]
    assert f"({'../' + rules.SCORING}) with [plant/sums]" in rows["R1"]
    assert "Nobody counts so far." in rows["A3"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("kind: finance", "kind: other", "A1: unknown kind"),
        ("evidence: observed", "evidence: rumour", "A2: unknown kind or evidence"),
        ("page: po/sums", "page: elsewhere/sums", "on no site"),
        ("kind: api", "kind: api, implements: x", "A2"),
        ("page: none known, ", "", "on no site"),
    ],
)
def test_a_broken_book_is_refused(project: Path, rules: ModuleType, old: str, new: str, why: str) -> None:
    assert old in BOOK
    (project / rules.RULES).write_text(BOOK.replace(old, new))
    with pytest.raises(ValueError, match=why):
        rules.read_book(project)
