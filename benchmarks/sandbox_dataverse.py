"""How quick the sandbox's Dataverse is: pages read, rows upserted, memory held. `make bench-sandbox` runs it.

The sandbox runs in a process of its own, as `dualsync sandbox serve` starts it, and is spoken to over TLS. Seconds of
CPU are given beside those of the clock, because the machine may have other things to do. The client is a quick one that
only looks for the next link: what others would make of the rows is not the sandbox's time.
"""

from __future__ import annotations

import argparse
import json
import re
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.store import Store

API = "/api/data/v9.2/"
COMPANY = "0a0b0c0d-0000-4000-8000-00000000c001"
_NEXT = re.compile(rb'"@odata\.nextLink":"([^"]*)"}$')


def fill(folder: Path, rows: int) -> None:
    """A company, and `rows` rows of a table with 15 columns, all of them with values."""
    schema = SystemSchema.load("dataverse")
    assert len(schema.tables["quote"].columns) == 15
    store = Store(folder / "dataverse.db", schema, Clock())
    with store.transaction() as tx:
        tx.insert("cdm_company", {"cdm_companyid": COMPANY, "cdm_companycode": "BENC", "cdm_name": "Benchmark"})
        customer = tx.insert("account", {"name": "Customer", "accountnumber": "C-1", "msdyn_company": COMPANY})
        currency = tx.insert(
            "transactioncurrency",
            {"isocurrencycode": "EUR", "currencyname": "Euro", "currencyprecision": 2, "exchangerate": 1},
        )
        common = {
            "customerid": customer["accountid"],
            "customerid@type": "account",
            "transactioncurrencyid": currency["transactioncurrencyid"],
            "msdyn_company": COMPANY,
        }
        made = (
            {"name": f"Quote for work number {n}", "quotenumber": f"QUO-{n:07d}", "totalamount": n % 100_000, **common}
            for n in range(rows)
        )
        tx.insert_many("quote", made)
    store.close()


@contextmanager
def served(folder: Path) -> Iterator[tuple[dict[str, str], psutil.Process]]:
    """The sandbox on the rows in `folder`, until the end of the block."""
    command = [sys.executable, "-m", "dualsync.cli", "sandbox", "serve", "--state", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline()), psutil.Process(process.pid)
        finally:
            process.terminate()


class Client:
    """Signed in with the client secret; one connection, which stays open.

    Args:
        info: what the sandbox says of itself.
    """

    def __init__(self, info: dict[str, str]) -> None:
        context = ssl.create_default_context(cafile=info["ca_file"])
        form = {
            "grant_type": "client_credentials",
            "client_id": info["client_id"],
            "client_secret": Path(info["client_secret_file"]).read_text(encoding="utf-8"),
            "scope": f"{info['dataverse']}/.default",
        }
        token = httpx.post(f"{info['identity']}/oauth2/v2.0/token", data=form, verify=context).raise_for_status().json()
        self._headers = {"authorization": f"Bearer {token['access_token']}"}
        self._connection = HTTPSConnection(urlsplit(info["dataverse"]).netloc, context=context, timeout=120)

    def send(self, method: str, url: str, content: bytes | None = None, **headers: str) -> bytes:
        """Send a request and return the content of its answer, which must not be a refusal."""
        path = url if "://" in url else API + url
        self._connection.request(method, path, content, self._headers | headers)
        answer = self._connection.getresponse()
        told = answer.read()
        assert answer.status < 400, told[:2000]
        return told

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Watch:
    """Seconds of the clock and of CPU, and the most memory, of a stretch of work."""

    def __init__(self, server: psutil.Process) -> None:
        self._server = server
        self._started, self._cpu, self._own = time.perf_counter(), self._busy(), time.process_time()
        self.memory = self._server.memory_info().rss

    def _busy(self) -> float:
        times = self._server.cpu_times()
        return float(times.user + times.system)

    def look(self) -> None:
        """Take note of the memory."""
        self.memory = max(self.memory, self._server.memory_info().rss)

    def say(self, what: str, rows: int) -> None:
        """Print one line."""
        seconds, cpu = time.perf_counter() - self._started, self._busy() - self._cpu
        own = time.process_time() - self._own
        print(
            f"{what:34} {rows / seconds:9,.0f} rows/s {seconds:7.2f} s  |  sandbox {cpu:6.2f} s CPU"
            f" ({rows / cpu:9,.0f} rows/s), at most {self.memory / 2**20:5.0f} MiB  |  client {own:6.2f} s CPU"
        )


def read(http: Client, server: psutil.Process, url: str, what: str) -> None:
    """Read all pages, one after another."""
    watch, rows, link = Watch(server), 0, url
    while link:
        content = http.send("GET", link, prefer="odata.maxpagesize=5000")
        rows += content.count(b'"@odata.etag"')
        found = _NEXT.search(content, max(0, len(content) - 4000))
        link = found[1].decode() if found else ""
        watch.look()
    watch.say(what, rows)


def upsert(http: Client, server: psutil.Process, rows: int, text: str, what: str) -> None:
    """Upsert accounts by alternate key, a thousand at a time."""
    bodies = []
    for start in range(0, rows, 1000):
        targets = [
            {
                "@odata.type": "Microsoft.Dynamics.CRM.account",
                "@odata.id": f"accounts(accountnumber='A-{n:07d}',_msdyn_company_value={COMPANY})",
                "name": f"{text} {n}",
                "description": f"{text} of account {n}",
                "telephone1": f"555-{n:07d}",
                "emailaddress1": f"account{n}@example.com",
                "creditlimit": n + 0.25,
                "customertypecode": 3,
                "creditonhold": n % 2 == 0,
                "numberofemployees": n % 1000,
                "msdyn_Company@odata.bind": f"/cdm_companies({COMPANY})",
            }
            for n in range(start, min(start + 1000, rows))
        ]
        bodies.append(json.dumps({"Targets": targets}).encode())
    watch = Watch(server)
    for body in bodies:
        http.send("POST", "accounts/Microsoft.Dynamics.CRM.UpsertMultiple", body)
        watch.look()
    watch.say(what, rows)


def main() -> None:
    """Fill, serve, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to read")
    parser.add_argument("--upserts", type=int, default=100_000, help="rows to upsert")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), given.rows)
        with served(Path(folder)) as (info, server), closing(Client(info)) as http:
            server.cpu_times()
            read(http, server, "quotes", "read, 15 columns, pages of 5,000")
            read(http, server, "quotes?$select=name,quotenumber,totalamount", "read, 3 columns and what comes along")
            upsert(http, server, given.upserts, "New", "UpsertMultiple, 1,000 new rows each")
            upsert(http, server, given.upserts, "Old", "UpsertMultiple, 1,000 old rows each")


if __name__ == "__main__":
    main()
