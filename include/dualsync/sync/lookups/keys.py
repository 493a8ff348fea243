"""Integration keys of Dataverse rows in Finance's form, so that both sides' rows can meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from dualsync.frames import to_pandas
from dualsync.mapping import Field, Lookup, TableMap
from dualsync.sync.lookups.missing import KEY
from dualsync.sync.lookups.parents import ID, Parents
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.values.arrays import array_of, column_of, looked_up, series_of
from dualsync.sync.plan.values.convert import convert
from dualsync.sync.plan.values.keys import join_keys
from dualsync.sync.plan.values.types import arrow_type


def finance_keys(
    leg_columns: LegColumns, rows: pd.DataFrame, parents: Parents, maps: Mapping[str, TableMap], zone: ZoneInfo
) -> pd.DataFrame:
    """The Finance key of Dataverse rows.

    Args:
        leg_columns: The columns of either direction of the map.
        rows: Dataverse rows with the key's columns.
        parents: Resolves key parts that are lookups.
        maps: All maps by name.
        zone: Zone in which an instant's date is meant.

    Returns:
        One column for each column of the Finance key, in its type, and ``join_key``; null where a part is empty or
        its parent is not known.
    """
    table_map = leg_columns.map
    columns: dict[str, pd.Series[Any]] = {}
    for path, name in zip(table_map.dataverse.key, table_map.finance.key, strict=True):
        target = leg_columns.column("finance", name)
        attribute, _, rest = path.partition(".")
        if not rest:
            field = key_field(table_map, attribute, name)
            sender = leg_columns.column("dataverse", attribute)
            columns[name], _ = convert(rows[attribute], field, sender, target, "to_finance", zone)
        else:
            lookup = table_map.lookup(attribute)
            columns[name] = _parent_part(lookup, rest, rows[attribute], parents, maps, arrow_type(target))
    frame = pd.DataFrame(columns, index=rows.index)
    frame[KEY] = join_keys(frame, table_map.finance.key)
    return frame


def key_frame(values: Sequence[pa.Array], paths: Sequence[str]) -> pd.DataFrame:
    """Values that name parents, a column for each of the parent's paths, and their ``join_key``; null in no key."""
    frame = to_pandas(pa.table(dict(zip(paths, values, strict=True))))
    frame[KEY] = join_keys(frame, paths)
    return frame


def distinct_keys(keys: pd.DataFrame) -> pd.DataFrame:
    """Each key once, as it comes first."""
    return keys.dropna(subset=[KEY]).drop_duplicates(KEY)


def other_company(table_map: TableMap, column: str | None) -> bool:
    """Whether a lookup's parent may be of another company than the row.

    Args:
        table_map: The map of the row.
        column: The Finance column that holds the company of the parent.
    """
    return column is not None and column != table_map.finance.company


def key_field(table_map: TableMap, attribute: str, name: str) -> Field:
    """The field that pairs a plain key column.

    Raises:
        KeyError: The key column is not paired.
    """
    for field in table_map.fields:
        if field.dataverse == attribute and field.finance == name:
            return field
    raise KeyError(f"map {table_map.map} has no field that pairs its key column {attribute} with {name}")


def _parent_part(
    lookup: Lookup, path: str, ids: pd.Series[Any], parents: Parents, maps: Mapping[str, TableMap], kind: pa.DataType
) -> pd.Series[Any]:
    """The part of a key that is a value of the parent."""
    asked = array_of(ids)
    wanted = asked.unique().drop_null()
    if lookup.through is not None:
        read = parents.through(lookup, wanted.to_pylist())
        known, answers = pa.array(read, asked.type), pa.array(read.values(), kind)
    else:
        (parent,) = lookup.maps
        found = parents.finance_values(maps[parent], [path], wanted)
        known, answers = column_of(found, ID, asked.type), column_of(found, path, kind)
    return series_of(looked_up(asked, known, answers), ids.index)
