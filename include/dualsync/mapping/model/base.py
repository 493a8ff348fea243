"""What all models of table maps have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from dualsync.mapping.expressions import Expression


def _readable(text: str) -> str:
    Expression.parse(text)
    return text


Condition = Annotated[str, AfterValidator(_readable)]
"""A filter or another condition in the language of ``expressions``; it can be read."""


class MapModel(BaseModel):
    """Base of all map models: immutable, and a word that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
