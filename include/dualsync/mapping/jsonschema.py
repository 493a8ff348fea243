"""The JSON schema of table map files, so that editors complete words and mark mistakes while typing."""

from __future__ import annotations

import json
from pathlib import Path

from dualsync.mapping.catalog import MAPS_FOLDER
from dualsync.mapping.model import TableMap

SCHEMA_FILE = MAPS_FOLDER / "table-map.schema.json"


def schema_text() -> str:
    """The schema as it stands in ``maps/table-map.schema.json``."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **TableMap.model_json_schema(by_alias=True)}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schema(file: Path = SCHEMA_FILE) -> None:
    """Write the schema file anew, after a change of the model."""
    file.write_text(schema_text(), encoding="utf-8")
