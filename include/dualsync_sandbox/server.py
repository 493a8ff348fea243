"""The whole sandbox in one process: identity, Dataverse and Finance over TLS, the control plane beside them.

All of it listens on 127.0.0.1 only. The servers share one event loop in a thread of its own, so the sandbox runs just
as well inside a test as behind ``dualsync sandbox serve``.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import secrets
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette

from dualsync_sandbox import business, control
from dualsync_sandbox import plant as planting
from dualsync_sandbox import play as playing
from dualsync_sandbox import seed as seeding
from dualsync_sandbox.clock import CLOCK_FILE, Clock
from dualsync_sandbox.dataverse.api import ROOT as DATAVERSE_ROOT
from dualsync_sandbox.dataverse.api import DataverseApi
from dualsync_sandbox.faults import Edit, Faults
from dualsync_sandbox.finance.api import ROOT as FINANCE_ROOT
from dualsync_sandbox.finance.api import FinanceApi
from dualsync_sandbox.finance.blobs import ROOT as BLOB_ROOT
from dualsync_sandbox.finance.packages import Packages, exempt
from dualsync_sandbox.finance.recurring import ROOT as QUEUE_ROOT
from dualsync_sandbox.http import to_json
from dualsync_sandbox.identity import CLIENT, Certificates, Client, Identity, write_private
from dualsync_sandbox.limits import Limits
from dualsync_sandbox.manners import MANNERS
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.seed.profile import PROJECTS
from dualsync_sandbox.store import Store
from dualsync_sandbox.trace import Trace, Writes
from dualsync_sandbox.web import Address, Door, House

HOST = "127.0.0.1"
INFO_FILE = "sandbox.json"
STORE_FILES = {"dataverse": "dataverse.db", "finance": "finance.db"}
_START_TIMEOUT = 30.0  # seconds
_STOP_TIMEOUT = 10.0  # seconds
_FINISH_TIMEOUT = 3.0  # seconds a request under way gets at the end


@dataclass(frozen=True)
class Ports:
    """Ports to listen on; 0 takes a free one."""

    identity: int = 0
    dataverse: int = 0
    finance: int = 0
    control: int = 0


class Sandbox:
    """Both systems, running from :meth:`start` to :meth:`stop` (or inside ``with``).

    Args:
        state_dir: where stores, certificates and secrets lie; made when missing. Rows and the clock
            survive a restart.
        ports: ports to listen on.
        default_company: the company of the Finance user that the client is mapped to.

    Raises:
        RuntimeError: another sandbox runs in the same folder.

    Attributes:
        info: addresses and files a client needs; what ``serve`` prints.
        clock: the clock both systems go by.
        dataverse_store: rows of Dataverse.
        finance_store: rows of Finance.
        requests: the trace.
        writes: rows written through each API.
        switches: behaviours that tenants show or do not show.
        faults: what is planned to go wrong.
        limits: what callers are granted, and how long answers take.
    """

    def __init__(self, state_dir: Path, *, ports: Ports | None = None, default_company: str = "uspm") -> None:
        self.state_dir = Path(state_dir)
        self._ports = ports or Ports()
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_folder()
        self.clock = Clock(kept=self.state_dir / CLOCK_FILE)
        self.requests = Trace()
        self.faults = Faults()
        self.limits = Limits(self.clock)
        self.writes = {"dataverse": Writes(), "finance": Writes()}
        self.dataverse_store = self._store("dataverse")
        self.finance_store = self._store("finance")
        self.switches = business.Switches()
        business.install(self.dataverse_store, self.finance_store, self.clock, switches=self.switches)
        self.identity = Identity(self.clock)
        self._dataverse = DataverseApi(self.dataverse_store, self.writes["dataverse"])
        self._finance = FinanceApi(self.finance_store, self.writes["finance"], default_company, self.limits)
        self._audiences: dict[str, list[str]] = {"dataverse": [], "finance": []}
        self._servers: list[_Server] = []
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self.info: dict[str, object] = {}

    def _take_folder(self) -> int:
        """Hold the folder: two processes writing to the same stores would give out the same versions.

        Raises:
            RuntimeError: another sandbox has it.
        """
        lock = os.open(self.state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise RuntimeError(f"another sandbox runs in {self.state_dir}") from None
        return lock

    def _store(self, system: Any) -> Store:
        return Store(self.state_dir / STORE_FILES[system], SystemSchema.load(system), self.clock)

    # -- life

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> dict[str, object]:
        """Start all servers; returns :attr:`info`, which also lies in ``sandbox.json`` from now on.

        Raises:
            OSError: a port is taken.
            RuntimeError: a server did not come up.
        """
        certificates = Certificates.make(self.state_dir / "tls")
        sockets = self._listen()
        urls = {
            name: f"{'http' if name == 'control' else 'https'}://{HOST}:{bound.getsockname()[1]}"
            for name, bound in sockets.items()
        }
        for system, audiences in self._audiences.items():
            audiences += [urls[system], urls[system].replace(HOST, "localhost")]
            self.identity.audiences.update(audiences)
        self.info = self._sign_in_facts(urls, certificates)
        applications = self._applications(urls)
        self._servers = [
            _Server(_config(applications[name], None if name == "control" else certificates)) for name in sockets
        ]
        self._thread = threading.Thread(
            target=self._run, args=(list(sockets.values()),), name="dualsync-sandbox", daemon=True
        )
        self._thread.start()
        self._await_start()
        (self.state_dir / INFO_FILE).write_bytes(to_json(self.info) + b"\n")
        return self.info

    def _listen(self) -> dict[str, socket.socket]:
        sockets: dict[str, socket.socket] = {}
        try:
            for name in ("identity", "dataverse", "finance", "control"):
                sockets[name] = _listen(getattr(self._ports, name))
        except OSError:
            for bound in sockets.values():
                bound.close()
            self.stop()
            raise
        return sockets

    def _await_start(self) -> None:
        deadline = datetime.now(UTC) + timedelta(seconds=_START_TIMEOUT)
        pause = threading.Event()
        while not all(server.started for server in self._servers):
            if self._failure is not None or datetime.now(UTC) > deadline:
                self.stop()
                raise RuntimeError("the sandbox did not start") from self._failure
            pause.wait(0.01)

    def stop(self) -> None:
        """Stop the servers and close the stores; rows stay in the state folder."""
        for server in self._servers:
            server.should_exit = True
        if self._thread is not None:
            self._thread.join(_STOP_TIMEOUT)
            self._thread = None
        with suppress(FileNotFoundError):
            (self.state_dir / INFO_FILE).unlink()
        self.dataverse_store.close()
        self.finance_store.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _run(self, sockets: list[socket.socket]) -> None:
        async def serve() -> None:
            pairs = zip(self._servers, sockets, strict=True)
            await asyncio.gather(*(server.serve(sockets=[bound]) for server, bound in pairs))

        try:
            asyncio.run(serve())
        except BaseException as error:  # handed to the thread that waits in start()
            self._failure = error

    # -- what it offers

    def seed(self, profile: str = "demo", seed: int = 1, projects: int | None = None) -> dict[str, object]:
        """Fill both systems; see ``dualsync_sandbox.seed``.

        Args:
            profile: ``demo``, ``small`` or ``large``.
            seed: the same number gives the same rows.
            projects: another number of projects than the profile's.

        Raises:
            ValueError: unknown profile.
        """
        for name in PROJECTS:
            if name == profile:
                summary = seeding.seed(self.dataverse_store, self.finance_store, name, seed, projects)
                return summary.as_dict()
        raise ValueError(f"{profile!r} is none of {', '.join(PROJECTS)}")

    def play(self, days: int = 1, seed: int = 1) -> dict[str, object]:
        """Play working days in both systems; see ``dualsync_sandbox.play.play``. It moves the clock."""
        return playing.play(self.dataverse_store, self.finance_store, self.clock, days, seed).as_dict()

    def play_event(
        self, name: str, *, company: str = "USPM", project: str | None = None, seed: int = 1
    ) -> dict[str, object]:
        """Let one event happen now; see ``dualsync_sandbox.play.play_event``."""
        stores = (self.dataverse_store, self.finance_store, self.clock)
        return playing.play_event(*stores, name, company=company, project=project, seed=seed)

    def plant(self, breaks: int = 10, seed: int = 1) -> dict[str, object]:
        """Break rows of both systems past all checks; see ``dualsync_sandbox.plant.plant``."""
        return planting.plant(self.dataverse_store, self.finance_store, breaks, seed).as_dict()

    def reset(self) -> None:
        """Remove all rows, traces and counts; change tokens expire; all else is as at first, snapshots stay."""
        self.switches.reset()
        self.faults.clear()
        self.limits.reset()
        self.dataverse_store.clear()
        self.finance_store.clear()
        self.packages.clear()
        self.packages.exports.clear()
        self.packages.recurring.remove_all()
        self.requests.clear()
        for counter in self.writes.values():
            counter.clear()
        self.clock.set(datetime.now(UTC))

    def snapshot(self, name: str) -> None:
        """Keep all rows, the clock and the switches under a name; an earlier snapshot of that name goes.

        Raises:
            ValueError: no name that a folder can have.
        """
        folder = self._snapshot_folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        for system, store in self._stores.items():
            store.save(folder / STORE_FILES[system])
        facts = {"clock": self.clock.state(), "switches": self.switches.as_dict()}
        (folder / "facts.json").write_bytes(to_json(facts))

    def restore(self, name: str) -> None:
        """Go back to a snapshot. Change tokens are good again as they were then; trace, counts and plans stay.

        Jobs and files of data packages are forgotten.

        Raises:
            ValueError: there is no such snapshot.
        """
        folder = self._snapshot_folder(name)
        if not (folder / "facts.json").exists():
            raise ValueError(f"there is no snapshot {name!r}")
        facts = json.loads((folder / "facts.json").read_bytes())
        for system, store in self._stores.items():
            store.load(folder / STORE_FILES[system])
        self.clock.go_back(facts["clock"])
        self.switches.set(**facts["switches"])
        self.packages.clear()
        self.limits.forget()

    def snapshots(self) -> list[str]:
        """Names of all snapshots."""
        return sorted(facts.parent.name for facts in self.state_dir.glob("snapshots/*/facts.json"))

    def _snapshot_folder(self, name: str) -> Path:
        if not re.fullmatch(r"[\w-]{1,60}", name):
            raise ValueError("the name of a snapshot is made of letters, digits, _ and -")
        return self.state_dir / "snapshots" / name

    @property
    def _stores(self) -> dict[str, Store]:
        return {"dataverse": self.dataverse_store, "finance": self.finance_store}

    @property
    def packages(self) -> Packages:
        """The data package service of Finance."""
        return self._finance.packages

    def trace(self, **wanted: Any) -> list[dict[str, object]]:
        """Requests so far; arguments as :meth:`dualsync_sandbox.trace.Trace.find` takes them."""
        return self.requests.find(**wanted)

    # -- parts of the start

    def _applications(self, urls: dict[str, str]) -> dict[str, Starlette]:
        def authority() -> str:
            return self.identity.authority(urls["identity"])

        house = House(self.clock, self.requests, self.faults, self.limits, self._cut, self._edit)

        def door(system: str, root: str, handle: Any, limited: Callable[[str], bool] = bool) -> Door:
            audiences = self._audiences[system]
            check = lambda header: self.identity.check(header, audiences)  # noqa: E731
            return Door(system, root, handle, house, MANNERS[system], check, authority, limited=limited)

        def open_door(system: str, root: str, handle: Any) -> Door:
            return Door(system, root, handle, house, MANNERS[system], private=True)

        dataverse = door("dataverse", DATAVERSE_ROOT, self._dataverse.handle)
        finance = door("finance", FINANCE_ROOT, self._finance.handle, limited=lambda path: not exempt(path))
        queues = door("finance", QUEUE_ROOT, self.packages.recurring.handle, limited=lambda _: False)
        # Blob storage checks the right of access in the URL itself; it lies on the host of Finance to save a port.
        blobs = open_door("finance", BLOB_ROOT, self.packages.blobs.handle)
        return {
            "identity": Starlette(routes=[open_door("identity", "", self.identity.handle).route()]),
            "dataverse": Starlette(routes=[dataverse.route()]),
            "finance": Starlette(routes=[blobs.route(BLOB_ROOT), queues.route(QUEUE_ROOT), finance.route()]),
            "control": control.application(self),
        }

    def _cut(self, address: Address) -> None:
        """Reset the connection from an address."""
        for server in self._servers:
            for connection in list(server.server_state.connections):
                if getattr(connection, "client", None) == tuple(address):
                    transport: asyncio.Transport = connection.transport
                    raw = transport.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    transport.abort()

    def _edit(self, system: str, edits: Sequence[Edit]) -> None:
        """Change rows as somebody else would who works in the system at the same time."""
        with self._stores[system].transaction() as tx:
            for edit in edits:
                if not edit.where:
                    tx.insert(edit.table, edit.values)
                    continue
                key = self._stores[system].layout(edit.table).table.id
                for row in tx.find(edit.table, **edit.where):
                    if edit.values:
                        tx.update(edit.table, row[key], edit.values)
                    else:
                        tx.delete(edit.table, row[key])

    def _sign_in_facts(self, urls: dict[str, str], certificates: Certificates) -> dict[str, object]:
        secret_file = self.state_dir / "client-secret"
        if not secret_file.exists():
            write_private(secret_file, secrets.token_urlsafe(32).encode())
        certificate_file = self.state_dir / "client-certificate.pem"
        certificate = _client_certificate(certificate_file)
        self.identity.clients[CLIENT] = Client([secret_file.read_text(encoding="utf-8")], [certificate])
        return {
            "identity": self.identity.authority(urls["identity"]),
            "dataverse": urls["dataverse"],
            "finance": urls["finance"],
            "control": urls["control"],
            "ca_file": str(certificates.ca_file.resolve()),
            "tenant": self.identity.tenant,
            "client_id": CLIENT,
            "client_secret_file": str(secret_file.resolve()),
            "client_certificate_file": str(certificate_file.resolve()),
            "pid": os.getpid(),
        }


class _Server(uvicorn.Server):
    """A server that ends at once: requests under way may finish, connections that are merely open are cut."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running requests finish, cut all connections, and go the usual way from there."""
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=_FINISH_TIMEOUT)
        for connection in list(self.server_state.connections):
            transport: asyncio.Transport | None = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)
        await super().shutdown(sockets=sockets)
        # Transports report their end to the loop only in its next rounds.
        await asyncio.sleep(0.01)


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off for the connections made.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound


def _config(application: Starlette, certificates: Certificates | None) -> uvicorn.Config:
    tls: dict[str, Any] = {}
    if certificates is not None:
        tls = {
            "ssl_certfile": str(certificates.certificate_file),
            "ssl_keyfile": str(certificates.key_file),
            "ssl_version": ssl.PROTOCOL_TLS_SERVER,
        }
    return uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
        date_header=False,  # answers carry the time of the sandbox's own clock
        **tls,
    )


def _client_certificate(path: Path) -> x509.Certificate:
    """The certificate the client may sign in with; the file holds its key too."""
    if path.exists():
        return x509.load_pem_x509_certificate(path.read_bytes())
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sandbox client")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=730))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(path, pem + certificate.public_bytes(serialization.Encoding.PEM))
    return certificate
