"""The tree of errors: what stands in its drawing is what is there, and no error stands outside it."""

import ast
import re
from pathlib import Path

from dualsync import errors

LIBRARY = Path(errors.__file__).parent


def drawn() -> dict[str, str]:
    """The base of each class, as the drawing shows it."""
    bases: dict[str, str] = {}
    trail: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    (DualsyncError)|    ([│ ]   )*[├└]── (\w+)", line):
            name = found[1] or found[3]
            depth = 0 if found[1] else (line.index("── ") - 1) // 4
            trail[depth:] = [name]
            if depth:
                bases[name] = trail[depth - 1]
    return bases


def test_the_drawing_is_the_tree() -> None:
    classes = [one for one in vars(errors).values() if isinstance(one, type) and one.__module__ == errors.__name__]
    assert drawn() == {one.__name__: one.__bases__[0].__name__ for one in classes if one is not errors.DualsyncError}


def test_no_error_stands_outside_the_tree() -> None:
    found = {
        node.name
        for file in LIBRARY.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id in ("Exception", "ValueError") for base in node.bases)
        and not any(isinstance(base, ast.Name) and hasattr(errors, base.id) for base in node.bases)
    }
    assert found == {"DualsyncError"}


def test_only_the_beginning_of_a_service_s_text_is_kept() -> None:
    assert len(errors.Refused(400, "", "no", raw="x" * 2_000).raw) == errors.RAW_LENGTH
