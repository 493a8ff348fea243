"""Words of table maps and of the schema that have a fixed set of values or a fixed meaning."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

Kind = Literal["text", "int", "decimal", "bool", "option", "enum", "date", "instant", "guid", "lookup"]
"""What a column holds; see :class:`dualsync.mapping.schema.Column`."""

Scalar = bool | int | Decimal | str
"""A value that can be written into a table map."""

EvidenceTag = Literal["export", "doc", "doc-screenshot", "psa-template-screenshot", "name-match", "inferred", "assumed"]
"""How sure we are that a pair is right, from most to least; ``docs/table-maps.md`` explains them."""

COMPANY_WORD = "company"
"""The word in a lookup's ``on`` that stands for the company of the referenced record."""

TRIGGER = "trigger"
"""The name of the part that sends the trigger of documents."""
