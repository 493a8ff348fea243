"""Pairs of columns: what fields and lookups have in common, and fields."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field as Setting
from pydantic import StrictBool, field_validator, model_validator

from dualsync.mapping.expressions import Expression
from dualsync.mapping.model.base import MapModel
from dualsync.mapping.words import EvidenceTag, Scalar
from dualsync.sides import Direction, Side, Way


class ConditionalWins(MapModel):
    """A two-way pair whose winner depends on the row: the named side wins where its expression holds."""

    finance: str | None = None
    dataverse: str | None = None
    otherwise: Side = Setting(alias="else")

    @model_validator(mode="after")
    def _one_condition(self) -> ConditionalWins:
        if (self.finance is None) == (self.dataverse is None):
            raise ValueError("needs a condition for exactly one side, finance or dataverse")
        Expression.parse(self.finance or self.dataverse or "")
        return self


class UnknownDefault(MapModel):
    """What to send for a value that the value map does not know."""

    default: Scalar


class Pair(MapModel):
    """What fields and lookups have in common. ``part`` names the part of the map that alone carries the pair."""

    way: Way
    wins: Side | ConditionalWins = "finance"
    required: StrictBool = False
    part: str | None = None
    evidence: Annotated[tuple[EvidenceTag, ...], Setting(min_length=1)]
    note: str = ""

    @field_validator("evidence", mode="before")
    @classmethod
    def _single_tag(cls, value: Any) -> Any:
        """``evidence: doc`` is short for ``evidence: [doc]``."""
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _winner_only_if_contested(self) -> Pair:
        if self.way != "both" and "wins" in self.model_fields_set:
            raise ValueError("wins only means something where way is both")
        return self

    def goes(self, direction: Direction) -> bool:
        """True if the pair's way includes the direction."""
        return self.way in (direction, "both")


class Field(Pair):
    """One pair of plain columns.

    A field with ``constant`` has only the receiving column. A field with one column and no constant is *unpaired*: it
    documents a published pair of which one end is computed by its own system, and carries nothing. A Dataverse column
    that is a lookup, paired with a Finance guid, carries the record's id itself: nothing is resolved and nothing waits.

    ``values`` translates values of the sending side (Dataverse for both ways) into values of the receiving side.
    ``scale`` multiplies a Finance number into the Dataverse number (``invert`` takes the reciprocal first); money and
    rates have no unit of their own, they are in the currency of the row. ``truncate`` is a number of characters.
    ``on_unknown`` decides about a value that the map does not list: the row is held (quarantine), the value is passed
    over as if there were none (pass), or a default is sent.
    ``null`` decides what an emptied value at its owner does: clear the other side (default) or keep it.
    A ``read_only`` field is never written; the nightly comparison alone looks at it, in the form of the side that its
    way leads to.
    """

    dataverse: str | None = None
    finance: str | None = None
    values: dict[Scalar, Scalar] | None = None
    on_unknown: Literal["quarantine", "pass"] | UnknownDefault = "quarantine"
    constant: Scalar | None = None
    on: Literal["create", "always"] = "always"
    null: Literal["clear", "keep"] = "clear"
    scale: Decimal | None = None
    invert: StrictBool = False
    truncate: int | None = Setting(default=None, gt=0)
    raw_option: StrictBool = False
    date: Literal["date_only", "instant"] | None = None
    read_only: StrictBool = False

    @model_validator(mode="after")
    def _columns_fit(self) -> Field:
        if self.dataverse is None and self.finance is None:
            raise ValueError("names no column: give dataverse, finance or both")
        for name in (self.dataverse, self.finance):
            if name is not None and "." in name:
                raise ValueError(f"{name} is a path: paths belong to lookups")
        if self.unpaired and (not self.note or self.way == "both"):
            raise ValueError("a field without its other column needs one way and a note that says why")
        return self

    @model_validator(mode="after")
    def _constant_fits(self) -> Field:
        if self.constant is None:
            if "on" in self.model_fields_set:
                raise ValueError("on only means something with a constant")
            return self
        receiving = {"to_finance": self.finance, "to_dataverse": self.dataverse}.get(self.way)
        sending = {"to_finance": self.dataverse, "to_dataverse": self.finance}.get(self.way)
        if receiving is None or sending is not None:
            raise ValueError("a constant needs one way and names only the receiving column")
        if self.values is not None:
            raise ValueError("a constant has no value map")
        return self

    @model_validator(mode="after")
    def _read_only_fits(self) -> Field:
        if not self.read_only:
            return self
        if self.unpaired or self.constant is not None:
            raise ValueError("read_only compares two columns: name both, and no constant")
        if self.way == "both" or self.required:
            raise ValueError("a read_only field has one way, in whose form it is compared, and is never required")
        return self

    @model_validator(mode="after")
    def _values_fit(self) -> Field:
        if self.scale is not None and self.scale == 0:
            raise ValueError("scale must not be 0")
        sent = [(type(value), value) for value in (self.values or {}).values()]
        if self.way == "both" and len(set(sent)) != len(sent):
            raise ValueError("values must be one-to-one where way is both")
        return self

    @property
    def unpaired(self) -> bool:
        """True for a documented pair that carries nothing because the other end has no column."""
        return self.constant is None and (self.dataverse is None or self.finance is None)

    @property
    def carries(self) -> bool:
        """True if something is written through the field: it is neither unpaired nor read-only."""
        return not self.unpaired and not self.read_only

    def column(self, side: Side) -> str | None:
        """The column of the given side, None if the pair has none there."""
        return self.dataverse if side == "dataverse" else self.finance
