"""Pairs of a Dataverse lookup and the Finance columns that name the same record."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Setting
from pydantic import StrictBool, model_validator

from dualsync.mapping.model.base import MapModel
from dualsync.mapping.model.fields import Pair
from dualsync.mapping.words import COMPANY_WORD


class Target(MapModel):
    """One target table of a polymorphic lookup: the map of that table and its key columns."""

    map: str
    on: dict[str, str] = Setting(min_length=1)


class Through(MapModel):
    """A Dataverse table that is read to translate a lookup, because no base answers it.

    ``column`` holds the Finance value itself (systemusers to employeeid). With ``lookup: true`` it is a lookup: the
    record it points to is one of the lookup's ``map``, and ``on`` names columns of that one (a task to its transaction
    category). ``company`` is the table's lookup to the company: on the way to Dataverse a record is found by
    ``column`` within the company of the row, so it must be named where the values differ by company.
    """

    set: str
    id: str
    column: str
    lookup: StrictBool = False
    company: str | None = None


class Lookup(Pair):
    """A Dataverse lookup column and the Finance columns that name the same record.

    ``on`` maps columns of the parent in Dataverse (key column, mapped column, its primary id, one of its key paths, or
    the path to its company) to columns of this map's Finance entity; the word ``company`` names the Finance column with
    the parent's company. Where that is not the entity's own company column, the parent may be of another integrated
    company than the row.
    ``targets`` replaces ``map`` and ``on`` for polymorphic lookups. ``waits``: a value that does not resolve makes the
    row wait. ``ordered_by``: the parent already comes first because of that other map, so the lookup adds no edge to
    the task graph (the published dependency list does the same).
    """

    dataverse: str
    map: str | None = None
    on: dict[str, str] | None = None
    targets: dict[str, Target] | None = None
    waits: StrictBool = True
    through: Through | None = None
    ordered_by: str | None = None
    null: Literal["clear", "keep"] = "clear"

    @model_validator(mode="after")
    def _parent_named(self) -> Lookup:
        if self.targets is not None:
            if self.map is not None or self.on is not None or self.through is not None:
                raise ValueError("targets replaces map, on and through")
            if len(self.targets) < 2:
                raise ValueError("targets needs at least two tables; use map for one")
        elif not self.on:
            raise ValueError("needs on: which Finance column holds the parent's key")
        elif self.map is None and self.through is None:
            raise ValueError("needs map, targets or through")
        elif self.map is None and self.through is not None and self.through.lookup:
            raise ValueError("through a lookup needs map: the map of the record it points to")
        if self.through is not None and self.through.lookup and self.way != "to_finance":
            raise ValueError("through a lookup leads to Finance only")
        if self.through is not None and len(self.on or {}) != 1 and not self.through.lookup:
            raise ValueError("through a column needs one Finance column in on")
        return self

    @property
    def maps(self) -> tuple[str, ...]:
        """Names of the parent maps, in the order written."""
        if self.targets is not None:
            return tuple(target.map for target in self.targets.values())
        return () if self.map is None else (self.map,)

    def on_of(self, target: str | None = None) -> dict[str, str]:
        """The ``on`` of the lookup, or of the given target table where it is polymorphic.

        Raises:
            KeyError: The lookup is polymorphic and has no such target.
        """
        if self.targets is None:
            return dict(self.on or {})
        return dict(self.targets[target or ""].on)

    @property
    def finance_columns(self) -> tuple[str, ...]:
        """Finance columns the lookup stands for, without the one that only says the parent's company."""
        ons = [target.on for target in self.targets.values()] if self.targets is not None else [self.on or {}]
        return tuple(dict.fromkeys(column for on in ons for word, column in on.items() if word != COMPANY_WORD))
