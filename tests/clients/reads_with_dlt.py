"""Reads both systems of a running sandbox with dlt's REST source, as its documentation says, and prints what came.

Runs in an environment of its own, which holds dlt and nothing of this project: see `make dlt`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials
from dlt.sources.rest_api import rest_api_source

info = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
LINKS = {"type": "json_link", "next_url_path": "['@odata.nextLink']"}


def read(system: str, root: str, resources: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """All rows of some entity sets, by set."""
    auth = OAuth2ClientCredentials(
        access_token_url=f"{info['identity']}/oauth2/v2.0/token",
        client_id=info["client_id"],
        client_secret=Path(info["client_secret_file"]).read_text(encoding="utf-8"),
        access_token_request_data={"scope": f"{info[system]}/.default"},
    )
    client = {"base_url": f"{info[system]}{root}", "auth": auth, "paginator": LINKS}
    source = rest_api_source({"client": client, "resources": resources})
    return {name: list(source.resources[name]) for name in source.resources}


finance = read(
    "finance",
    "/data/",
    [
        {"name": name, "endpoint": {"path": name, "data_selector": "value", "params": {"cross-company": "true"}}}
        for name in ("Currencies", "CustomersV3")
    ],
)
dataverse = read(
    "dataverse",
    "/api/data/v9.2/",
    [
        {
            "name": "accounts",
            "endpoint": {
                "path": "accounts",
                "data_selector": "value",
                "params": {"$select": "accountnumber,name"},
                "headers": {"Prefer": "odata.maxpagesize=2"},
            },
        }
    ],
)
print(json.dumps(finance | dataverse, default=str))
