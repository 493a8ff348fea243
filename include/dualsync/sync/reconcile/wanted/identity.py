"""Who the rows of a transfer are: record id, integration key, and what is wrong with it."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dualsync.settings import Settings
from dualsync.sync.lookups.missing import QUARANTINED, Missing
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.values.arrays import array_of, mask_of, repeated
from dualsync.sync.plan.values.keys import display_keys, join_keys
from dualsync.sync.plan.values.texts import as_text, casefold
from dualsync.sync.plan.values.types import TEXT
from dualsync.sync.plan.vocabulary import JOIN_KEY, STATE, Action, RowState, RuleWord, rule_name, wanted
from dualsync.sync.reconcile.wanted.issues import Issues

MAX_KEY = 380


def identify(
    leg_columns: LegColumns, settings: Settings, rows: pd.DataFrame, values: pd.DataFrame, issues: Issues
) -> pd.DataFrame:
    """The columns ``id``, ``join_key`` and ``key`` of the rows.

    Args:
        leg_columns: The columns of the transfer.
        settings: Which companies are integrated.
        rows: Rows of the sending side.
        values: Their wanted values.
        issues: Gets the rows whose key is not whole or too long, or names a company that is not integrated.
    """
    table_map = leg_columns.map
    names = table_map.finance.key
    if leg_columns.direction == "to_finance":
        keys = pd.DataFrame({name: values[wanted(name)] for name in names}, index=rows.index)
        ids, texts = rows[table_map.dataverse.id], join_keys(keys, names)
        label = " + ".join(table_map.dataverse.key)
    else:
        keys = rows[list(names)]
        ids, texts = repeated(None, len(rows), TEXT, rows.index), rows[JOIN_KEY]
        label = " + ".join(names)
    if table_map.integrated_by is not None:
        outside = _not_integrated(array_of(keys[table_map.integrated_by]), settings)
        company = Missing(
            Action.SKIPPED.value, rule_name(table_map.map, RuleWord.COMPANY), "its company is not integrated"
        )
        issues.add(mask_of(outside), company)
    _check_keys(table_map.map, label, rows, array_of(texts), issues)
    return pd.DataFrame({"id": ids, "join_key": texts, "key": display_keys(keys, names)}, index=rows.index)


def _not_integrated(codes: pa.Array, settings: Settings) -> pa.Array:
    integrated = pa.array([code.casefold() for code in settings.companies], TEXT)
    return pc.and_(codes.is_valid(), pc.invert(pc.is_in(casefold(as_text(codes)), value_set=integrated)))


def _check_keys(map_name: str, label: str, rows: pd.DataFrame, keys: pa.Array, issues: Issues) -> None:
    """Quarantine rows whose key is not whole, unless something else says why, and rows whose key is too long."""
    rule = rule_name(map_name, RuleWord.KEY)
    here = (rows[STATE] == RowState.IN.value).fillna(value=False).to_numpy(dtype=bool)
    incomplete = Missing(QUARANTINED, rule, f"the integration key is not complete: fill {label}")
    issues.add(mask_of(keys.is_null()) & ~issues.rows & here, incomplete)
    long = mask_of(pc.greater(pc.utf8_length(keys), MAX_KEY))
    issues.add(long, Missing(QUARANTINED, rule, f"the integration key {label} is too long"))
