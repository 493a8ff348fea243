"""Every word of a table map does something: somewhere outside the models it is read.

A word counts as read where an attribute of its name is read, in the library or in the plugin. The models' own methods
count, since others call them; their validators do not, since a word that is only validated does nothing.
"""

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

import dualsync
import dualsync_airflow
from dualsync.mapping import model

ROOTS = [Path(str(package.__file__)).parent for package in (dualsync, dualsync_airflow)]
MODELS = Path(str(model.__file__)).parent
CHECKS = MODELS.parent / "checks"

# Words for those who read the file.
PROSE = {"Field.note", "Lookup.note"}

# Words that only the checks of table maps read: they say what must hold, or allow what is else an error.
CHECKED = {"Field.raw_option"}

# Attributes of the same name that belong to something else.
HOMONYMS = {
    "note": {"mapping/expressions/odata.py", "mapping/schema.py"},  # of a column of the schema
    "version": {"versions.py", "sync/legs/markers.py"},  # of a kind of file
}


def words() -> dict[str, str]:
    """The attribute of each word, by ``Model.word``."""
    classes = [one for one in vars(model).values() if inspect.isclass(one) and issubclass(one, BaseModel)]
    return {f"{one.__name__}.{name}": name for one in classes for name in one.model_fields}


def attributes(tree: ast.AST) -> Iterator[str]:
    """Names of the attributes that are read below a node."""
    return (one.attr for one in ast.walk(tree) if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Load))


def without_validators(tree: ast.Module) -> ast.Module:
    """A module of models without the validators of its classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            node.body = [part for part in node.body if "validator" not in "".join(map(ast.dump, decorators(part)))]
    return tree


def decorators(node: ast.stmt) -> list[ast.expr]:
    return node.decorator_list if isinstance(node, ast.FunctionDef) else []


def readers() -> dict[str, set[Path]]:
    """The files that read an attribute, by its name."""
    found: defaultdict[str, set[Path]] = defaultdict(set)
    for root in ROOTS:
        for file in sorted(root.rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for name in attributes(without_validators(tree) if file.is_relative_to(MODELS) else tree):
                if str(file.relative_to(root)) not in HOMONYMS.get(name, ()):
                    found[name].add(file)
    return found


def test_every_word_but_prose_is_read() -> None:
    read = readers()
    assert {word for word, name in words().items() if not read[name]} == PROSE


def test_words_that_only_checks_read_are_known() -> None:
    read = readers()
    only = {word for word, name in words().items() if read[name] and all(CHECKS in file.parents for file in read[name])}
    assert only == CHECKED
