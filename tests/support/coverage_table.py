"""Prints which share of lines and branches the unit tests run, and which all tests run, by package: `make coverage`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ABOVE = ("include", "plugins")
"""Folders that hold packages."""


def package(file: str) -> str:
    """The folder of a library that a file lies in, ``dualsync/sync``; the library itself for its own files."""
    parts = Path(file).parts
    inside = parts[next(place for place, part in enumerate(parts) if part in ABOVE) + 1 :]
    return "/".join(inside[: min(2, len(inside) - 1)])


def shares(report: Mapping[str, Any]) -> dict[str, float]:
    """Percent of lines and branches that were run, by package, from coverage's JSON; ``total`` is that of all."""
    run, there = Counter[str](), Counter[str]()
    for file, measured in report["files"].items():
        told = measured["summary"]
        for name in (package(file), "total"):
            run[name] += told["covered_lines"] + told["covered_branches"]
            there[name] += told["num_statements"] + told["num_branches"]
    return {name: 100 * run[name] / there[name] for name in there if there[name]}


def main(unit_file: str, all_file: str) -> None:
    """Print one line for each package."""
    unit, every = (shares(json.loads(Path(file).read_text())) for file in (unit_file, all_file))
    width = max(map(len, every))
    print(f"{'package':{width}}  unit tests  all tests")
    for name in sorted(every, key=lambda name: (name == "total", name)):
        print(f"{name:{width}}  {unit.get(name, 0):9.1f}%  {every[name]:8.1f}%")


if __name__ == "__main__":
    main(*sys.argv[1:])
