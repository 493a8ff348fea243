"""Scoring: what was planted against what the nightly reconciliation reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.mapping import Catalog
from dualsync_sandbox.plant import Planted


@dataclass
class Score:
    """Planted breaks that were not found, and reports that nothing planted explains."""

    found: int = 0
    missed: list[str] = field(default_factory=list)
    false: list[dict[str, Any]] = field(default_factory=list)

    @property
    def perfect(self) -> bool:
        return not self.missed and not self.false


def score(
    breaks: Sequence[Planted], look_alikes: Sequence[Planted], reported: Sequence[dict[str, Any]], catalog: Catalog
) -> Score:
    """Recall: every planted break under every rule that must find it. Precision: no report beside them.

    A report belongs to a plant where it comes from one of its rules, in its company, and names one of its records.
    """
    tables = {f"map:{name}": f"table:{one.dataverse.table}" for name, one in catalog.files.items()}
    result = Score()
    rows = [{**row, "rule": tables.get(row["control"], row["control"])} for row in reported]
    named = [_names(row) for row in rows]
    explained = [False] * len(rows)
    for planted in breaks:
        records = [record.casefold() for record in planted.records if record]
        hits = {
            place
            for place, row in enumerate(rows)
            if row["company"] in (planted.company, "_global") or not planted.company
            if any(record in text for record in records for text in named[place])
        }
        rules = {rule for rule, _ in planted.found_by}
        for rule, kind in planted.found_by:
            if any(rows[place]["rule"] == rule and rows[place]["class"] == kind for place in hits):
                result.found += 1
            else:
                result.missed.append(f"{planted.kind}: {rule} {kind}: {planted.text} ({planted.company})")
        for place in hits:
            if rows[place]["rule"] in rules | set(planted.also):
                explained[place] = True
    result.false = [row for row, known in zip(rows, explained, strict=True) if not known]
    return result


def _names(row: dict[str, Any]) -> list[str]:
    return [str(row[name] or "").casefold() for name in ("key", "dataverse_id", "finance_key", "explanation")]
