"""Entity sets that Finance has and the sandbox does not serve: they are refused by name, not denied.

``known_sets.txt`` beside this module names the public entity sets of one real environment and says where they come
from. Another environment may have fewer or more, by version, licence and extension.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def known_sets() -> frozenset[str]:
    """Their names."""
    lines = files(__package__).joinpath("known_sets.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
