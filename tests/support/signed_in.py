"""A plain HTTP client that signed in to the sandbox with unmodified msal: how tests speak to one of its services."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msal

from dualsync_sandbox import Sandbox


@contextmanager
def signed_in(sandbox: Sandbox, system: str, path: str) -> Iterator[httpx.Client]:
    """A client of ``dataverse`` or ``finance``, based at a path of that service."""
    context = ssl.create_default_context(cafile=str(sandbox.info["ca_file"]))
    with httpx.Client(verify=context) as http:
        application = msal.ConfidentialClientApplication(
            sandbox.info["client_id"],
            client_credential=Path(str(sandbox.info["client_secret_file"])).read_text(encoding="utf-8"),
            authority=sandbox.info["identity"],
            instance_discovery=False,
            http_client=http,
        )
        token = application.acquire_token_for_client([f"{sandbox.info[system]}/.default"])["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    base = f"{sandbox.info[system]}{path}"
    with httpx.Client(base_url=base, verify=context, headers=headers, timeout=60) as client:
        yield client
