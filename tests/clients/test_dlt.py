"""dlt's REST source, unmodified, reads the sandbox page by page: it follows OData's links like those of any service."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from dualsync_sandbox import Sandbox

#: The Python of an environment that holds dlt; `make dlt` makes one and names it here.
PYTHON = os.environ.get("DLT_PYTHON", "")


@pytest.mark.skipif(not PYTHON, reason="dlt has an environment of its own: make dlt")
def test_dlt_reads_all_pages(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        sandbox.seed("demo", 1)
        sandbox.limits.change({"finance": {"page": 3}})
        # The authority to trust comes as it does for all that speak by requests.
        environ = {
            **os.environ,
            "REQUESTS_CA_BUNDLE": str(sandbox.info["ca_file"]),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "HOME": str(tmp_path),
        }
        command = [PYTHON, str(Path(__file__).with_name("reads_with_dlt.py")), str(tmp_path / "sandbox.json")]
        done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        with sandbox.finance_store.reading() as tx:
            customers = {(row["dataAreaId"], row["CustomerAccount"]) for row in tx.find("CustomersV3")}
            currencies = {row["CurrencyCode"] for row in tx.find("Currencies")}
        with sandbox.dataverse_store.reading() as tx:
            accounts = {row["accountid"] for row in tx.find("account")}
        pages = len(sandbox.trace(system="finance", path="CustomersV3"))
    assert [len(found[name]) for name in ("CustomersV3", "Currencies", "accounts")] == [
        len(customers), len(currencies), len(accounts),
    ]  # fmt: skip
    assert {(row["dataAreaId"], row["CustomerAccount"]) for row in found["CustomersV3"]} == customers
    assert {row["CurrencyCode"] for row in found["Currencies"]} == currencies
    assert {row["accountid"] for row in found["accounts"]} == accounts
    assert pages == -(-len(customers) // 3)
