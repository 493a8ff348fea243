"""What the tracked files may and may not hold."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from support.paths import ROOT

LOCKS = ("requirements.lock", "requirements-dev.lock")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """The files of the repository, or, where there is none, the files of an unpacked source."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        files = [ROOT / name for name in listed.split("\0") if name]
    else:
        folders = ("benchmarks", "dags", "docs", "great_expectations", "include", "plugins", "tests")
        files = [file for folder in folders for file in (ROOT / folder).rglob("*") if "__pycache__" not in file.parts]
        files += [ROOT / name for name in ("Makefile", "pyproject.toml", "LICENSE", *LOCKS)] + [*ROOT.glob("*.md")]
    return [file for file in files if file.is_file()]


def lines_with(pattern: str, files: list[Path]) -> list[str]:
    """Places whose line matches, this file left out."""
    found = []
    for file in files:
        if file == Path(__file__):
            continue
        text = file.read_bytes().decode("utf-8", errors="ignore")
        found += [
            f"{file.relative_to(ROOT)}:{number}: {line[:100]}"
            for number, line in enumerate(text.splitlines(), 1)
            if re.search(pattern, line)
        ]
    return found


def test_no_package_registry_is_named(tracked: list[Path]) -> None:
    assert lines_with(r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|--(extra-)?index-url|find-links", tracked) == []


def test_no_machine_path_is_named(tracked: list[Path]) -> None:
    assert lines_with(r"""(?<![\w.}>/:-])/(home|root|work|Users)/[\w.]""", tracked) == []


def test_no_lock_with_addresses(tracked: list[Path]) -> None:
    assert ROOT / "uv.lock" not in tracked
    assert lines_with(r"https?://", [ROOT / name for name in LOCKS]) == []


def test_no_state_is_tracked(tracked: list[Path]) -> None:
    assert [file for file in tracked if {".dualsync", ".venv", "__pycache__"} & set(file.parts)] == []


def test_lock_holds_what_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    for lock, wanted in (
        ("requirements.lock", project["project"]["dependencies"] + groups["test"] + groups["build"]),
        ("requirements-dev.lock", groups["lint"] + groups["browser"] + groups["postgres"]),
    ):
        text = (ROOT / lock).read_text()
        locked = {name.lower() for name in re.findall(r"^([\w.-]+)==", text, flags=re.MULTILINE)}
        names = {re.split(r"[<>=\[ ]", requirement)[0].lower() for requirement in wanted}
        assert names - locked == set(), f"{lock} is older than pyproject.toml"


def test_the_source_package_holds_every_tracked_file_and_folder(tracked: list[Path]) -> None:
    """What begins with a dot serves the repository alone; pyproject.toml is always in."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = project["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]
    tops = {file.relative_to(ROOT).parts[0] for file in tracked}
    assert {top for top in tops if not top.startswith(".")} == {*named, "pyproject.toml"}


def test_make_help_lists_every_target() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert phony
    shown = subprocess.run([make, "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in shown.splitlines()[1:]] == phony.group(1).split()


def test_every_package_that_claims_types_has_its_marker() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "Typing :: Typed" in project["project"]["classifiers"]
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert (ROOT / package / "py.typed").is_file(), package
