"""Opens bases: the Parquet files with the last state both sides agreed on."""

from __future__ import annotations

from upath import UPath

from dualsync.frames import Sets, read_schema
from dualsync.sync.plan.columns import LegColumns


def open_base(sets: Sets, leg_columns: LegColumns, path: UPath | None, name: str = "base") -> None:
    """Make a view of a base; a column the map has gained since the base was written is null in it."""
    schema = leg_columns.base_schema()
    if path is not None and read_schema(path).equals(schema):
        sets.view(name, path)
        return
    sets.table(f"{name}_columns", schema.empty_table())
    if path is None:
        sets.run(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM {name}_columns")
    else:
        sets.view(f"{name}_file", path)
        sets.run(
            f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM {name}_columns UNION ALL BY NAME "
            f"SELECT * FROM {name}_file"
        )
