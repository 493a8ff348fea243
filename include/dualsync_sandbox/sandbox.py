"""The whole sandbox in one process: identity, Dataverse and Finance over TLS, the control plane beside them.

All of it listens on 127.0.0.1 only. The servers share one event loop in a thread of its own, so the sandbox runs just
as well inside a test as behind ``dualsync sandbox serve``.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette

from dualsync_sandbox.control import plane
from dualsync_sandbox.dataverse.api import OLDER_ROOTS
from dualsync_sandbox.dataverse.api import ROOT as DATAVERSE_ROOT
from dualsync_sandbox.dataverse.errors import DIALECT as DATAVERSE_DIALECT
from dualsync_sandbox.finance.api import ROOT as FINANCE_ROOT
from dualsync_sandbox.finance.data_management.blobs import ROOT as BLOB_ROOT
from dualsync_sandbox.finance.data_management.packages import exempt
from dualsync_sandbox.finance.data_management.recurring import ROOT as QUEUE_ROOT
from dualsync_sandbox.finance.definitions import OTHER_ROOT as METADATA_OTHER_ROOT
from dualsync_sandbox.finance.definitions import ROOT as METADATA_ROOT
from dualsync_sandbox.finance.errors import DIALECT as FINANCE_DIALECT
from dualsync_sandbox.gateway.endpoint import Address, Endpoint, Services
from dualsync_sandbox.identity.certificates import Certificates, client_certificate, write_private
from dualsync_sandbox.identity.service import CLIENT, Client
from dualsync_sandbox.identity.service import DIALECT as IDENTITY_DIALECT
from dualsync_sandbox.protocol.http import to_json
from dualsync_sandbox.serving import HOST, Ports, Servers, checked, listen, urls
from dualsync_sandbox.systems import Systems

INFO_FILE = "sandbox.json"
_DIALECTS = {"identity": IDENTITY_DIALECT, "dataverse": DATAVERSE_DIALECT, "finance": FINANCE_DIALECT}


class Sandbox(Systems):
    """Both systems, running from :meth:`start` to :meth:`stop` (or inside ``with``).

    Args:
        state_dir: Where stores, certificates and secrets lie; made when missing. Rows and the clock
            survive a restart.
        ports: Ports to listen on.
        default_company: The company of the Finance user that the client is mapped to.
        hosts: Further names by which clients reach ``identity``, ``dataverse`` and ``finance``, for those that insist
            on names of a certain form. The servers listen on 127.0.0.1 all the same: whoever uses a name makes it lead
            there, for instance in the hosts file.

    Raises:
        RuntimeError: Another sandbox runs in the same folder.

    Attributes:
        info: Addresses and files a client needs; what ``serve`` prints.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        ports: Ports | None = None,
        default_company: str = "uspm",
        hosts: Mapping[str, str] | None = None,
    ) -> None:
        self._hosts = checked(hosts or {})
        super().__init__(state_dir, default_company=default_company)
        self._ports = ports or Ports()
        self._audiences: dict[str, list[str]] = {"dataverse": [], "finance": []}
        self._servers: Servers | None = None
        self.info: dict[str, object] = {}

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
            OSError: A port is taken.
            RuntimeError: A server did not come up.
        """
        certificates = Certificates.make(self.state_dir / "tls", sorted(self._hosts.values()))
        try:
            sockets = listen(self._ports)
            addresses = urls(sockets)
            for system, audiences in self._audiences.items():
                audiences += [addresses[system], addresses[system].replace(HOST, "localhost")]
                if system in self._hosts:
                    named = addresses[system].replace(HOST, self._hosts[system])
                    audiences += [named, named.rpartition(":")[0]]  # some clients drop the port
                self.identity.audiences.update(audiences)
            self.info = self._sign_in_facts(addresses, certificates)
            self._servers = Servers(sockets, self._applications(addresses), certificates)
            self._servers.start()
        except (OSError, RuntimeError):
            self.stop()
            raise
        (self.state_dir / INFO_FILE).write_bytes(to_json(self.info) + b"\n")
        return self.info

    def stop(self) -> None:
        """Stop the servers and close the stores; rows stay in the state folder."""
        if self._servers is not None:
            self._servers.stop()
            self._servers = None
        with suppress(FileNotFoundError):
            (self.state_dir / INFO_FILE).unlink()
        self.close()

    def _applications(self, addresses: dict[str, str]) -> dict[str, Starlette]:
        def authority() -> str:
            return self.identity.authority(addresses["identity"].replace(HOST, self._hosts.get("identity", HOST)))

        services = Services(self.clock, self.requests, self.faults, self.limits, self._cut, self.edit)

        def signed_in(system: str, root: str, handle: Any, **more: Any) -> Endpoint:
            audiences = self._audiences[system]
            check = lambda header: self.identity.check(header, audiences)  # noqa: E731
            return Endpoint(system, root, handle, services, _DIALECTS[system], check, authority, **more)

        def open_to_all(system: str, root: str, handle: Any) -> Endpoint:
            return Endpoint(system, root, handle, services, _DIALECTS[system], private=True)

        dataverse = signed_in("dataverse", DATAVERSE_ROOT, self.dataverse.handle, also=OLDER_ROOTS)
        finance = signed_in("finance", FINANCE_ROOT, self.finance.handle, limited=lambda path: not exempt(path))
        definitions = signed_in("finance", METADATA_ROOT, self.finance_definitions.handle, also=(METADATA_OTHER_ROOT,))
        queues = signed_in("finance", QUEUE_ROOT, self.packages.recurring.handle, limited=lambda _: False)
        # Blob storage checks the right of access in the URL itself; it lies on the host of Finance to save a port.
        blobs = open_to_all("finance", BLOB_ROOT, self.packages.blobs.handle)
        return {
            "identity": Starlette(routes=[open_to_all("identity", "", self.identity.handle).route()]),
            "dataverse": Starlette(routes=[dataverse.route()]),
            "finance": Starlette(
                routes=[
                    blobs.route(BLOB_ROOT),
                    queues.route(QUEUE_ROOT),
                    definitions.route(METADATA_ROOT),
                    definitions.route(METADATA_OTHER_ROOT),
                    finance.route(),
                ]
            ),
            "control": plane.application(self),
        }

    def _cut(self, address: Address) -> None:
        """Reset the connection from an address."""
        if self._servers is not None:
            self._servers.cut(address)

    def _sign_in_facts(self, addresses: dict[str, str], certificates: Certificates) -> dict[str, object]:
        secret_file = self.state_dir / "client-secret"
        if not secret_file.exists():
            write_private(secret_file, secrets.token_urlsafe(32).encode())
        certificate_file = self.state_dir / "client-certificate.pem"
        certificate = client_certificate(certificate_file)
        self.identity.clients[CLIENT] = Client([secret_file.read_text(encoding="utf-8")], [certificate])
        return {
            "identity": self.identity.authority(addresses["identity"]),
            "dataverse": addresses["dataverse"],
            "finance": addresses["finance"],
            "control": addresses["control"],
            "ca_file": str(certificates.ca_file.resolve()),
            "tenant": self.identity.tenant,
            "client_id": CLIENT,
            "client_secret_file": str(secret_file.resolve()),
            "client_certificate_file": str(certificate_file.resolve()),
            "pid": os.getpid(),
        }
