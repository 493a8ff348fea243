"""datacompy, unmodified, finds in random frames what the full comparison finds: rows of one side, cells that differ."""

import json
import os
import random
import subprocess
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from upath import UPath

from dualsync.frames import Sets, write_table
from dualsync.nightly.comparison.diff import Compared, compare

#: The Python of an environment that holds datacompy; `make datacompy` makes one and names it here.
PYTHON = os.environ.get("DATACOMPY_PYTHON", "")
SCHEMA = pa.schema(
    [
        pa.field("join_key", pa.string()),
        pa.field("amount", pa.decimal128(20, 4)),
        pa.field("rate", pa.decimal128(18, 6)),
        pa.field("text", pa.string()),
        pa.field("day", pa.date32()),
        pa.field("moment", pa.timestamp("us", tz="UTC")),
        pa.field("number", pa.int64()),
        pa.field("flag", pa.bool_()),
    ]
)
COLUMNS = [Compared(name) for name in SCHEMA.names[1:]]
TEXTS = ("", "a", "A", "a ", " a", "ä", "tab\t", "quote'\"", "0", "null")

Row = dict[str, Any]


def row(rng: random.Random, key: str) -> Row:
    """A row by chance; each value is missing now and then."""
    values = {
        "amount": Decimal(rng.randrange(-(10**9), 10**9)).scaleb(-4),
        "rate": Decimal(rng.randrange(10**9)).scaleb(-6),
        "text": rng.choice(TEXTS),
        "day": date(2025, 1, 1) + timedelta(rng.randrange(900)),
        "moment": rng.randrange(10**15),
        "number": rng.randrange(-5, 5),
        "flag": rng.random() < 0.5,
    }
    return {"join_key": key} | {name: None if rng.random() < 0.1 else value for name, value in values.items()}


def frames(rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Two lists of rows that have most keys and cells in common, in different order."""
    left = [row(rng, f"key {number}") for number in range(rng.randrange(1, 400))]
    right = [dict(one) for one in left if rng.random() < 0.9]
    for one in right:
        if rng.random() < 0.3:
            name = rng.choice(SCHEMA.names[1:])
            one[name] = row(rng, "")[name]
    right += [row(rng, f"other {number}") for number in range(rng.randrange(40))]
    rng.shuffle(right)
    return left, right


def ours(folder: Path) -> dict[str, Any]:
    """What the full comparison finds."""
    with Sets() as sets:
        if not compare(sets, UPath(folder / "left.parquet"), UPath(folder / "right.parquet"), COLUMNS):
            return {"only_left": [], "only_right": [], "cells": []}
        alone = {name: sets.fetch(f"SELECT join_key FROM {name} ORDER BY 1").column(0).to_pylist()
                 for name in ("only_left", "only_right")}  # fmt: skip
        cells = sets.fetch("SELECT join_key, name FROM cells").to_pylist()
        for side in ("left", "right"):
            assert sets.scalar(f"SELECT count(*) FROM {side}_doubles") == 0
    return {**alone, "cells": sorted([one["join_key"], one["name"]] for one in cells)}


@pytest.mark.skipif(not PYTHON, reason="datacompy has an environment of its own: make datacompy")
def test_datacompy_finds_the_same_in_random_frames(tmp_path: Path) -> None:
    rng = random.Random(5)
    folders = [tmp_path / f"{number:02d}" for number in range(40)]
    for folder in folders:
        folder.mkdir()
        for side, rows in zip(("left", "right"), frames(rng), strict=True):
            # duplicates are found before anything is joined; datacompy pairs them up by chance
            assert len({one["join_key"] for one in rows}) == len(rows)
            write_table(UPath(folder / f"{side}.parquet"), pa.Table.from_pylist(rows, schema=SCHEMA))
    command = [PYTHON, str(Path(__file__).with_name("compares_with_datacompy.py")), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    found = {folder.name: ours(folder) for folder in folders}
    assert found == theirs
    assert sum(len(one["cells"]) for one in found.values()) > 100
    assert sum(len(one["only_left"]) for one in found.values()) > 100
