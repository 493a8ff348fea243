"""Business rules about rows that are to be written."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field as Setting
from pydantic import model_validator

from dualsync.mapping.expressions import Expression
from dualsync.mapping.model.base import MapModel
from dualsync.mapping.words import EvidenceTag
from dualsync.sides import Side


class Product(MapModel):
    """A number that should be the product of two others, give or take ``within``, in the unit of the number itself."""

    of: tuple[str, str]
    equals: str
    within: Decimal = Decimal(0)


class Reference(MapModel):
    """A set that rules look into and nothing is written to: a Dataverse table or a Finance entity set.

    ``on`` names, for written columns, the columns of the set that hold the same; ``between``, for written dates, its
    columns of first and last day. ``company`` is the set's column of the leg's company. Rows of the set that do not
    match ``filter`` do not count.
    """

    dataverse: str | None = None
    finance: str | None = None
    company: str | None = None
    filter: str = ""
    on: dict[str, str] = Setting(default_factory=dict)
    between: dict[str, tuple[str, str]] = Setting(default_factory=dict)
    evidence: EvidenceTag

    @model_validator(mode="after")
    def _one_set(self) -> Reference:
        if (self.dataverse is None) == (self.finance is None):
            raise ValueError("needs exactly one of dataverse and finance")
        if not self.on and not self.between:
            raise ValueError("needs on or between: what a row of the set must hold")
        Expression.parse(self.filter)
        return self

    @property
    def side(self) -> Side:
        """The side the set is on."""
        return "dataverse" if self.finance is None else "finance"

    @property
    def set(self) -> str:
        """Logical name of the table, or name of the entity set."""
        return str(self.dataverse or self.finance)

    @property
    def written(self) -> tuple[str, ...]:
        """The written columns that are compared."""
        return (*self.on, *self.between)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the set that are read."""
        named = (*self.on.values(), *(name for pair in self.between.values() for name in pair))
        return tuple(dict.fromkeys((*named, *Expression.parse(self.filter).columns)))


class Opposite(MapModel):
    """Numbers that should be the opposite of those of another row of the map.

    ``through`` is the set that leads there, by one written column; its column ``to`` holds what that written column
    holds in the other row.
    """

    numbers: Annotated[tuple[str, ...], Setting(min_length=1)]
    through: Reference
    to: str

    @model_validator(mode="after")
    def _one_way_there(self) -> Opposite:
        if len(self.through.on) != 1 or self.through.between:
            raise ValueError("through needs on with exactly one written column")
        return self


class Rule(MapModel):
    """A business rule about rows that are to be written.

    ``side`` is the side that is written, whose column names the rule uses. A row answers ``holds`` and ``product`` by
    itself, and they become expectations of the map's suite. The others are set work: the row should have a match in
    ``among``, none in ``not_among``, or be the ``opposite`` of another; ``when`` says which rows they are asked of.
    A rule is asked of rows that have a value in each of its columns; with ``on: create`` it is asked of new rows only,
    whatever is empty in them. A ``warning`` tells, only ``critical`` holds a row back.
    """

    name: str = Setting(pattern=r"^[a-z][a-z0-9_]*$")
    side: Side
    holds: str = ""
    product: Product | None = None
    when: str = ""
    among: Reference | None = None
    not_among: Reference | None = None
    opposite: Opposite | None = None
    on: Literal["create", "always"] = "always"
    severity: Literal["critical", "warning"] = "warning"
    reason: str = Setting(min_length=1)

    @model_validator(mode="after")
    def _one_condition(self) -> Rule:
        conditions = (self.holds or None, self.product, self.among, self.not_among, self.opposite)
        if sum(condition is not None for condition in conditions) != 1:
            raise ValueError("needs exactly one of holds, product, among, not_among and opposite")
        if self.when and self.reference is None:
            raise ValueError("when only means something with among, not_among or opposite")
        Expression.parse(self.holds)
        Expression.parse(self.when)
        return self

    @property
    def reference(self) -> Reference | None:
        """The set that the rule looks into; None for a rule that a row answers by itself."""
        return self.among or self.not_among or (self.opposite.through if self.opposite else None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The written columns that the rule looks at."""
        if self.product is not None:
            return (self.product.equals, *self.product.of)
        if self.reference is None:
            return Expression.parse(self.holds).columns
        numbers = self.opposite.numbers if self.opposite else ()
        return tuple(dict.fromkeys((*Expression.parse(self.when).columns, *self.reference.written, *numbers)))
