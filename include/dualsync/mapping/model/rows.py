"""Who owns the rows of a map, and what the first synchronisation does with them."""

from __future__ import annotations

from typing import Literal

from pydantic import StrictBool, model_validator

from dualsync.mapping.model.base import MapModel
from dualsync.sides import Side


class Rows(MapModel):
    """Who owns the rows of a map.

    ``leaves`` says what happens on the other side when a row stops matching its filter.
    """

    created_by: Literal["dataverse", "finance", "both"]
    deleted_by: Literal["dataverse", "finance", "nobody"]
    leaves: Literal["delete", "keep", "flag"]


class Initial(MapModel):
    """The first synchronisation: whether it is required, its published place in the order, and whose value wins.

    ``creates: from_cutover`` keeps a first run from creating rows that are older than the company's cut-over date;
    ``dated_by`` is the column of the creating side that says how old a row is.
    """

    required: StrictBool = False
    order: int | None = None
    master: Side = "finance"
    creates: Literal["always", "from_cutover"] = "always"
    dated_by: str | None = None

    @model_validator(mode="after")
    def _dated(self) -> Initial:
        if (self.creates == "from_cutover") != (self.dated_by is not None):
            raise ValueError("creates: from_cutover and dated_by belong together")
        return self
