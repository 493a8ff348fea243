"""The difference of two files: what only one has, what one has twice, every cell that differs, by hypothesis too."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upath import UPath

from dualsync.frames import Sets, write_table
from dualsync.nightly.comparison.diff import VALUE, Compared, compare

SCHEMA = pa.schema(
    [
        pa.field("join_key", pa.string()),
        pa.field("f:amount", pa.decimal128(38, 4)),
        pa.field("f:name", pa.string()),
        pa.field("d:id", pa.string()),
        pa.field("other", pa.string()),
    ]
)
COLUMNS = (
    Compared("f:amount", f"COALESCE({VALUE}, 0)"),
    Compared("f:name", f"COALESCE({VALUE}, '')"),
    Compared("d:id"),
)

Row = dict[str, Any]


def row(key: str, amount: str | None = "1", name: str | None = "a", id: str | None = "x", other: str = "") -> Row:
    return {
        "join_key": key,
        "f:amount": None if amount is None else Decimal(amount),
        "f:name": name,
        "d:id": id,
        "other": other,
    }


def differences(tmp_path: Path, left: list[Row], right: list[Row]) -> dict[str, Any] | None:
    """What `compare` leaves behind, None where all is equal."""
    for name, rows in (("left", left), ("right", right)):
        write_table(UPath(tmp_path / f"{name}.parquet"), pa.Table.from_pylist(rows, schema=SCHEMA))
    with Sets() as sets:
        if not compare(sets, UPath(tmp_path / "left.parquet"), UPath(tmp_path / "right.parquet"), COLUMNS):
            return None
        cells = sets.fetch("SELECT * FROM cells ORDER BY ALL").to_pylist()
        return {
            "only_left": set(sets.fetch("SELECT join_key FROM only_left").column(0).to_pylist()),
            "only_right": set(sets.fetch("SELECT join_key FROM only_right").column(0).to_pylist()),
            "left_doubles": dict(map(tuple, (r.values() for r in sets.fetch("FROM left_doubles").to_pylist()))),
            "right_doubles": dict(map(tuple, (r.values() for r in sets.fetch("FROM right_doubles").to_pylist()))),
            "cells": {(cell["join_key"], cell["name"]): (cell["left_value"], cell["right_value"]) for cell in cells},
        }


def test_equal_files_have_no_difference_whatever_their_order_and_other_columns(tmp_path: Path) -> None:
    rows = [row("1"), row("2", None, None, None), row("3", "0", "", None)]
    others = [row("3", None, None, None, "b"), row("1", other="c"), row("2", "0.0000", "")]
    others[2]["d:id"] = None
    assert differences(tmp_path, rows, others) is None
    assert differences(tmp_path, [], []) is None


def test_cells_missing_rows_and_duplicates_are_told_apart(tmp_path: Path) -> None:
    left = [row("same"), row("cell", "2.5000", id=None), row("left"), row("twice"), row("twice", name="b"), row("both")]
    right = [row("same"), row("cell"), row("right"), row("twice"), row("both"), row("both")]
    found = differences(tmp_path, left, right)
    assert found == {
        "only_left": {"left"},
        "only_right": {"right"},
        "left_doubles": {"twice": 2},
        "right_doubles": {"both": 2},
        "cells": {("cell", "f:amount"): ("2.5000", "1.0000"), ("cell", "d:id"): (None, "x")},
    }


def test_rows_that_are_doubled_alike_on_both_sides_are_duplicates_and_not_equal(tmp_path: Path) -> None:
    rows = [row("1"), row("2"), row("2")]
    found = differences(tmp_path, rows, rows)
    assert found is not None
    assert (found["left_doubles"], found["right_doubles"], found["cells"]) == ({"2": 2}, {"2": 2}, {})


keys = st.sampled_from([f"k{number}" for number in range(12)])
rows = st.builds(
    row,
    keys,
    st.sampled_from([None, "0", "1", "1.0001", "99999999999999999999.9999"]),
    st.sampled_from([None, "", "a", "A", "a "]),
    st.sampled_from([None, "x", "y"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows, max_size=14), st.lists(rows, max_size=14))
def test_it_finds_what_a_look_at_every_row_finds(tmp_path: Path, left: list[Row], right: list[Row]) -> None:
    found = differences(tmp_path, left, right)
    counts = [Counter(one["join_key"] for one in side) for side in (left, right)]
    doubles = [{key: n for key, n in count.items() if n > 1} for count in counts]
    cells = {}
    for one in left:
        key = one["join_key"]
        if counts[0][key] == counts[1].get(key) == 1:
            other = next(it for it in right if it["join_key"] == key)
            for name, nothing in (("f:amount", Decimal(0)), ("f:name", ""), ("d:id", None)):
                if (one[name] or nothing) != (other[name] or nothing):
                    shown = [None if it[name] is None else str(it[name]) for it in (one, other)]
                    cells[key, name] = tuple(shown)
    expected = {
        "only_left": set(counts[0]) - set(counts[1]),
        "only_right": set(counts[1]) - set(counts[0]),
        "left_doubles": doubles[0],
        "right_doubles": doubles[1],
        "cells": set(cells),
    }
    if found is None:
        assert expected == {
            "only_left": set(),
            "only_right": set(),
            "left_doubles": {},
            "right_doubles": {},
            "cells": set(),
        }
    else:
        assert {**found, "cells": set(found["cells"])} == expected
