"""Integration keys of Dataverse rows in Finance's form, so that both sides' rows can meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from dualsync.mapping import Field, Lookup, TableMap
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.values import arrow_type, converter, display_key, join_key, translate


def finance_keys(
    leg_columns: LegColumns, rows: pd.DataFrame, parents: Parents, runtime_maps: dict[str, TableMap], zone: ZoneInfo
) -> pd.DataFrame:
    """The Finance key of Dataverse rows.

    Args:
        leg_columns: Any leg_columns of the map.
        rows: Dataverse rows with the key's columns.
        parents: Resolves key parts that are lookups.
        runtime_maps: All maps by name.
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
            change = converter(field, leg_columns.column("dataverse", attribute), target, "to_finance", zone)
            columns[name], _ = translate(rows[attribute], change, arrow_type(target))
        else:
            lookup = table_map.lookup(attribute)
            columns[name] = _parent_part(lookup, rest, rows[attribute], parents, runtime_maps, arrow_type(target))
    frame = pd.DataFrame(columns, index=rows.index)
    frame["join_key"] = join_keys(frame, table_map.finance.key)
    return frame


def join_keys(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.Series[Any]:
    """The join key of each row, from columns that hold the Finance key."""
    parts = [frame[name].array.__arrow_array__().to_pylist() for name in names]
    return _texts([join_key(list(values)) for values in zip(*parts, strict=True)], frame.index)


def display_keys(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.Series[Any]:
    """The key of each row as people write it, from columns that hold the Finance key."""
    parts = [frame[name].array.__arrow_array__().to_pylist() for name in names]
    return _texts([display_key(list(values)) for values in zip(*parts, strict=True)], frame.index)


def _texts(values: Sequence[str | None], index: pd.Index) -> pd.Series[Any]:
    return pd.Series(pd.array(pa.array(values, type=pa.string()), dtype=pd.ArrowDtype(pa.string())), index=index)


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
    lookup: Lookup, path: str, ids: pd.Series[Any], parents: Parents, maps: dict[str, TableMap], target: pa.DataType
) -> pd.Series[Any]:
    wanted = [str(i) for i in ids.dropna().unique()]
    if lookup.through is not None:
        known = parents.through(lookup, wanted)
    else:
        (parent,) = lookup.maps
        known = {record: value for record, (value,) in parents.finance_values(maps[parent], [path], wanted).items()}
    found, _ = translate(ids, known.get, target)
    return found
