"""Rows of a map that travel by themselves."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field as Setting

from dualsync.mapping.model.base import Condition, MapModel


class PartFilter(MapModel):
    """Which rows of a map a part takes, as a condition of each side; they must match the map's own filter too."""

    dataverse: Condition = Setting(min_length=1)
    finance: Condition = ""


class Part(MapModel):
    """Rows of a map that travel by themselves: in an area of their own, with transfers and a base of their own.

    Rows that no part takes stay with the map itself, so a row is in exactly one of them.
    """

    area: str = Setting(pattern=r"^[a-z][a-z0-9_]*$")
    filter: PartFilter
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class PartOf:
    """What a map is a part of: the name of the map in whose file it stands, and the part's own."""

    map: str
    part: str
