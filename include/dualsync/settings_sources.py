"""Where settings come from: the home folder, its file, the environment, and a running sandbox."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from dualsync.errors import SettingsError
from dualsync.sides import SIDES

PREFIX = "DUALSYNC_"
FILE_NAME = "dualsync.toml"


def find_home(start: Path | None = None) -> Path:
    """The home folder where none is named.

    The nearest parent of ``start`` (default: the working folder) that holds the project file of dualsync, else that of
    the installed copy, else ``start`` itself.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents, *Path(__file__).resolve().parents):
        project = folder / "pyproject.toml"
        if project.is_file() and _project_name(project) == "dualsync":
            return folder
    return start


def _project_name(file: Path) -> object:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")).get("project", {}).get("name")
    except (OSError, ValueError):
        return None


def from_file(file: Path) -> dict[str, Any]:
    """Settings of the file; none where there is no file.

    Raises:
        SettingsError: The file cannot be read.
    """
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error


def from_environment(environ: Mapping[str, str], names: Collection[str]) -> dict[str, Any]:
    """Settings named by environment variables.

    Other variables with the prefix belong to somebody else (the Makefile, the Airflow plugin) and are left alone;
    below a known section every name must be known.

    Args:
        environ: The environment.
        names: The settings and sections that there are, ``home`` among them, which is found before all others.
    """
    values: dict[str, Any] = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or not text:
            continue
        name, *path = variable.removeprefix(PREFIX).lower().split("__")
        if name in names and name != "home":
            nested: Any = text
            for part in reversed(path):
                nested = {part: nested}
            values = merge(values, {name: nested})
    return values


def from_sandbox(environ: Mapping[str, str]) -> dict[str, Any]:
    """Both systems of the sandbox whose description (the JSON line of ``dualsync sandbox serve``) is named.

    Raises:
        SettingsError: The description cannot be read.
    """
    name = environ.get(f"{PREFIX}SANDBOX")
    if not name:
        return {}
    try:
        described = msgspec.json.decode(Path(name).read_bytes(), type=dict[str, Any])
        common = {
            "authority": described["identity"],
            "client_id": described["client_id"],
            "client_secret_file": described["client_secret_file"],
            "ca_file": described["ca_file"],
        }
        return {side: _Whole(common | {"url": described[side]}) for side in SIDES}
    except (OSError, msgspec.DecodeError, KeyError) as error:
        raise SettingsError(f"{PREFIX}SANDBOX={name} does not describe a running sandbox: {error!r}") from error


class _Whole(dict[str, Any]):
    """A section that replaces what is below it instead of being merged into it."""


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one set of nested settings over another."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and not isinstance(value, _Whole):
            merged[name] = merge(old, value)
        else:
            merged[name] = value
    return merged
