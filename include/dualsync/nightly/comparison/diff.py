"""The difference of two Parquet files by key: what only one has, what one has twice, and every cell that differs.

Two passes. The first takes from each row a hash of its key and one of key and compared values, and joins both sides by
them: what is equal is done with. The second pass fetches the few rows that are left and compares them value by value,
so that a hash that two keys share costs time and never an answer.

Duplicates are found before cells are compared. A key that stands twice on one side meets the same row of the other side
twice, so the join gives more rows than the sides have; only then is it worth counting keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upath import UPath

from dualsync.frames import Sets, count_rows, literal, quoted

KEY = "join_key"
VALUE = "{value}"
_SIDES = ("left", "right")
_BASE_MEMORY, _ROW_MEMORY = 176, 80
"""Megabytes to read with, and bytes of a row in the join (measured)."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A column that is compared.

    Attributes:
        name: Its name in both files; its type is the same in both.
        form: SQL of the form in which values are compared, with :data:`VALUE` where the value goes.
    """

    name: str
    form: str = VALUE

    def sql(self, alias: str) -> str:
        """The comparable value of a row."""
        return self.form.replace(VALUE, f"{alias}.{quoted(self.name)}")


def compare(sets: Sets, left: UPath, right: UPath, columns: Sequence[Compared]) -> bool:
    """Compare two files whose rows carry ``join_key``, never null.

    Leaves the views ``left_file`` and ``right_file`` behind and, unless all is equal, these temporary tables of the
    rows that are not equal on both sides:

    * ``left_rows`` and ``right_rows``: the rows with all columns of their file
    * ``left_doubles`` and ``right_doubles``: keys that stand there more than once, and ``n``, how often
    * ``only_left`` and ``only_right``: keys of one side alone
    * ``cells``: ``join_key``, ``name`` of a column, ``left_value`` and ``right_value`` as text, ``left_empty`` and
      ``right_empty``, whether a side has no value; of keys that stand once on each side

    Args:
        sets: The connection to work in.
        left: One file.
        right: The other.
        columns: What is compared.

    Returns:
        Whether anything differs.
    """
    # reading ahead takes all columns of a row group at once, for every thread; beside us nothing is gained by it
    near = left.protocol in ("", "file", "local")
    sets.run(f"SET disable_parquet_prefetching = {near}")
    for name, path in (("left", left), ("right", right)):
        sets.view(f"{name}_file", path)
    # what the join needs; with more to spare, the database would keep what it has read
    rows = max(count_rows(left), count_rows(right))
    sets.limit_memory(f"{_BASE_MEMORY + rows * _ROW_MEMORY // 10**6}MB")
    try:
        # equal rows all fall into the one group without a key
        sets.run(
            "CREATE OR REPLACE TEMP TABLE met AS "
            "SELECT CASE WHEN l.h IS DISTINCT FROM r.h THEN COALESCE(l.k, r.k) END AS k, "
            f"count(l.k) AS left_n, count(r.k) AS right_n FROM ({_hashes('left', columns)}) l "
            f"FULL JOIN ({_hashes('right', columns)}) r ON l.k = r.k GROUP BY 1"
        )
    finally:
        sets.limit_memory()
    sets.run("CREATE OR REPLACE TEMP TABLE suspects AS SELECT k FROM met WHERE k IS NOT NULL")
    sums = {name: f"SELECT COALESCE(sum({name}_n), 0) <> (SELECT count(*) FROM {name}_file)" for name in _SIDES}
    if any(sets.scalar(f"{sql} FROM met") for sql in sums.values()):
        for name in _SIDES:
            sets.run(f"INSERT INTO suspects {_doubles(name)}")
    if not sets.scalar("SELECT count(*) FROM suspects"):
        return False
    for name in _SIDES:
        sets.run(
            f"CREATE OR REPLACE TEMP TABLE {name}_rows AS SELECT f.* FROM {name}_file f "
            f"WHERE hash(f.{KEY}) IN (SELECT k FROM suspects)"
        )
        sets.run(
            f"CREATE OR REPLACE TEMP TABLE {name}_doubles AS SELECT {KEY}, count(*) AS n FROM {name}_rows "
            f"GROUP BY {KEY} HAVING count(*) > 1"
        )
    for name, other in (("left", "right"), ("right", "left")):
        sets.run(
            f"CREATE OR REPLACE TEMP TABLE only_{name} AS SELECT DISTINCT {KEY} FROM {name}_rows "
            f"WHERE {KEY} NOT IN (SELECT {KEY} FROM {other}_rows)"
        )
    _cells(sets, columns)
    return True


def _doubles(name: str) -> str:
    return f"SELECT k FROM (SELECT hash(f.{KEY}) AS k FROM {name}_file f) GROUP BY k HAVING count(*) > 1"


def _hashes(name: str, columns: Sequence[Compared]) -> str:
    values = ", ".join([f"f.{KEY}", *(column.sql("f") for column in columns)])
    return f"SELECT hash(f.{KEY}) AS k, hash({values}) AS h FROM {name}_file f"


def _cells(sets: Sets, columns: Sequence[Compared]) -> None:
    cells = ", ".join(
        f"CASE WHEN {column.sql('l')} IS DISTINCT FROM {column.sql('r')} THEN {{'name': {literal(column.name)}, "
        f"'left_value': l.{quoted(column.name)}::VARCHAR, 'right_value': r.{quoted(column.name)}::VARCHAR, "
        f"'left_empty': l.{quoted(column.name)} IS NULL, 'right_empty': r.{quoted(column.name)} IS NULL}} END"
        for column in columns
    )
    empty = (
        "NULL::STRUCT(name VARCHAR, left_value VARCHAR, right_value VARCHAR, left_empty BOOLEAN, right_empty BOOLEAN)"
    )
    sets.run(
        f"CREATE OR REPLACE TEMP TABLE cells AS SELECT {KEY}, cell.name AS name, cell.left_value AS left_value, "
        f"cell.right_value AS right_value, cell.left_empty AS left_empty, cell.right_empty AS right_empty FROM "
        f"(SELECT l.{KEY} AS {KEY}, unnest([{cells or empty}]) AS cell FROM left_rows l JOIN right_rows r "
        f"USING ({KEY}) WHERE {KEY} NOT IN (SELECT {KEY} FROM left_doubles UNION ALL SELECT {KEY} FROM right_doubles)) "
        "WHERE cell IS NOT NULL"
    )
