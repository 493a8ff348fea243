"""Documents: a header and its lines that are one thing, although they travel as rows of several maps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field as Setting
from pydantic import model_validator

from dualsync.mapping.model.base import MapModel
from dualsync.mapping.words import Scalar


class UnitLines(MapModel):
    """Lines of a document that hold no lookup to its header: they name records of other lines.

    ``of`` is the map of those, ``by`` the columns in Dataverse of which one holds their record id.
    """

    map: str
    of: str
    by: Annotated[tuple[str, ...], Setting(min_length=1)]


class HeaderUnit(MapModel):
    """Said of a header: it and its lines are one thing, although they travel as rows of several maps.

    ``lines`` are the maps of the lines. ``trigger`` is the receiving column that sets the other system to work,
    ``rest`` its value that does not. The header travels with ``rest`` in place of any other value; the part ``trigger``
    of the map sends the true one, to headers all of whose lines are on both sides. A document without a trigger is only
    watched.
    """

    lines: Annotated[tuple[str | UnitLines, ...], Setting(min_length=1)]
    trigger: str | None = None
    rest: Scalar | None = None

    @model_validator(mode="after")
    def _rests(self) -> HeaderUnit:
        if (self.trigger is None) != (self.rest is None):
            raise ValueError("trigger and rest belong together")
        return self

    @property
    def maps(self) -> tuple[str, ...]:
        """Names of the maps of the lines, in the order written."""
        return tuple(line if isinstance(line, str) else line.map for line in self.lines)
