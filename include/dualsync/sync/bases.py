"""Opens bases: the Parquet files with the last state both sides agreed on."""

from __future__ import annotations

from upath import UPath

from dualsync.frames import Sets
from dualsync.sync.shape import Shape


def open_base(sets: Sets, shape: Shape, path: UPath | None) -> None:
    """Make the view ``base``; a column the map has gained since the base was written is null in it."""
    sets.table("base_columns", shape.base_schema().empty_table())
    if path is None:
        sets.run("CREATE OR REPLACE TEMP VIEW base AS SELECT * FROM base_columns")
    else:
        sets.view("base_file", path)
        sets.run(
            "CREATE OR REPLACE TEMP VIEW base AS SELECT * FROM base_columns UNION ALL BY NAME SELECT * FROM base_file"
        )
