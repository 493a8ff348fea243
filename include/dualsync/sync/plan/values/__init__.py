"""How values travel: from the wire into Arrow types, from one side's form into the other's, and back onto the wire.

What comes over the wire is read value by value (``wire.py``); from there on, whole columns change (``convert.py``).
The names that the steps use are here; everything else is each file's own.
"""

from __future__ import annotations

from dualsync.sync.plan.values.convert import convert, translate
from dualsync.sync.plan.values.keys import display_key, display_keys, join_key, join_keys
from dualsync.sync.plan.values.types import DEFAULT_SCALE, ValueProblem, arrow_type
from dualsync.sync.plan.values.wire import parse, to_scale, to_wire

__all__ = [
    "DEFAULT_SCALE",
    "ValueProblem",
    "arrow_type",
    "convert",
    "display_key",
    "display_keys",
    "join_key",
    "join_keys",
    "parse",
    "to_scale",
    "to_wire",
    "translate",
]
