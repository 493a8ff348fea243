"""Compares pairs of frames with datacompy, for the test beside it: run with the Python of datacompy's environment.

Reads ``left.parquet`` and ``right.parquet`` of every folder below the one named, and prints what differs as JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

import datacompy
import polars as pl

KEY = "join_key"


def differences(folder: Path) -> dict[str, Any]:
    """Keys of one side alone, and keys whose cells differ, column by column."""
    left, right = (pl.read_parquet(folder / f"{side}.parquet") for side in ("left", "right"))
    found = datacompy.PolarsCompare(left, right, join_columns=[KEY], cast_column_names_lower=False)
    both = found.intersect_rows
    columns = [name for name in left.columns if name != KEY]
    return {
        "only_left": sorted(found.df1_unq_rows[KEY].to_list()),
        "only_right": sorted(found.df2_unq_rows[KEY].to_list()),
        "cells": sorted(
            [key, name] for name in columns for key in both.filter(~pl.col(f"{name}_match"))[KEY].to_list()
        ),
    }


if __name__ == "__main__":
    print(json.dumps({one.name: differences(one) for one in sorted(Path(sys.argv[1]).iterdir()) if one.is_dir()}))
