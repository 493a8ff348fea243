"""Imports point one way, and what must not be imported where."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import ROOT

# folder -> top-level packages that its files may not import
FORBIDDEN = {
    "include/dualsync": {"airflow", "dualsync_airflow", "dualsync_demo", "dualsync_plugin", "dualsync_sandbox"},
    "include/dualsync_demo": {"airflow", "dualsync_airflow", "dualsync_plugin", "dualsync_sandbox"},
    "include/dualsync_sandbox": {"airflow", "dualsync", "dualsync_airflow", "dualsync_plugin"},
    "plugins": {"dualsync_sandbox"},
    "dags": {"dualsync", "dualsync_sandbox"},
}


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, at any depth."""
    for node in ast.walk(ast.parse(file.read_text(), file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_one_way(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in files
        for line, name in imports(file)
        if name.split(".")[0] in FORBIDDEN[folder]
    ]
    assert wrong == []


def test_dag_files_only_name_their_area() -> None:
    for file in (ROOT / "dags").glob("*.py"):
        tree = ast.parse(file.read_text())
        logic = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.If)]
        assert logic == [], f"{file.name} holds logic; it belongs to dualsync_airflow"


def test_one_module_reads_and_writes_parquet() -> None:
    """Other readers give floats or object columns where money must stay exact."""
    forbidden_calls = {"read_parquet", "to_parquet", "from_parquet"}
    wrong = []
    for file in sorted((ROOT / "include/dualsync").rglob("*.py")):
        if file == ROOT / "include/dualsync/frames.py":
            continue
        wrong += [f"{file.relative_to(ROOT)}:{line}" for line, name in imports(file) if name == "pyarrow.parquet"]
        wrong += [
            f"{file.relative_to(ROOT)}:{node.lineno}"
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Attribute)
            and node.attr in forbidden_calls
            and not (isinstance(node.value, ast.Name) and node.value.id == "frames")
        ]
    assert wrong == []
