"""The two tables that a map pairs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting
from pydantic import model_validator

from dualsync.mapping.expressions import Expression
from dualsync.mapping.model.base import Condition, MapModel


class MapSide(MapModel):
    """What both sides have in common: an integration key, a company and a filter."""

    set: str
    key: Annotated[tuple[str, ...], Setting(min_length=1)]
    company: str | None = None
    filter: Condition = ""

    @property
    def expression(self) -> Expression:
        """The filter, parsed."""
        return Expression.parse(self.filter)


class DataverseSide(MapSide):
    """The Dataverse table of a map.

    ``key`` holds the columns of the integration key without the company; an entry may be a path through a declared
    lookup (``salesorderid.ordernumber``). ``company`` is the path to the company code, None for global maps.
    ``filter`` is an OData expression; a row that does not match does not travel. ``quarantine_when`` is one too: a row
    that matches it cannot be told in or out by the filter, so it is held for a person to decide, never left out.
    """

    table: str
    id: str
    quarantine_when: Condition = ""

    @property
    def company_lookup(self) -> str | None:
        """The lookup at which the path to the company begins; None for global maps."""
        return None if self.company is None else self.company.split(".")[0]

    @property
    def own_company(self) -> str | None:
        """The lookup to the company, where the table itself holds it; None where a parent does."""
        return self.company_lookup if self.company is not None and self.company.count(".") == 1 else None

    @property
    def unclear(self) -> Expression | None:
        """The condition of rows that are held because the filter has no answer for them; None where there is none."""
        return Expression.parse(self.quarantine_when) if self.quarantine_when else None


class FinanceSide(MapSide):
    """The Finance data entity of a map. ``key`` is aligned with ``DataverseSide.key`` by position.

    ``write`` says how rows are written: over OData, or by data package for entities OData does not show. Those cannot
    be read either: what was written before is known from the base alone. ``entity`` is the label that people read;
    ``target`` is the entity's name in Finance's own code, which a data package states too.
    """

    entity: str
    write: Literal["odata", "package"] = "odata"
    target: str | None = None

    @model_validator(mode="after")
    def _packaged(self) -> FinanceSide:
        if (self.write == "package") != (self.target is not None):
            raise ValueError("write: package and target belong together")
        return self
