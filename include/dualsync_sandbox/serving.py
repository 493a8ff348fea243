"""How applications are served: sockets on loopback, one event loop in a thread of its own, an end without delay."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from starlette.applications import Starlette

from dualsync_sandbox.gateway.endpoint import Address
from dualsync_sandbox.identity.certificates import Certificates

HOST = "127.0.0.1"
#: The server that speaks plain HTTP; the others serve over TLS.
PLAIN = "control"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_LONGEST_NAME = 253
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


def checked(hosts: Mapping[str, str]) -> dict[str, str]:
    """Names for the servers, in lower case.

    Raises:
        ValueError: There is no such server over TLS, or a name is none.
    """
    for server, name in hosts.items():
        if server == PLAIN or server not in Ports.__dataclass_fields__:
            raise ValueError(f"there is no server {server!r} to be named")
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no host name")
    return {server: name.lower() for server, name in hosts.items()}


def listen(ports: Ports) -> dict[str, socket.socket]:
    """A socket for each server.

    Raises:
        OSError: A port is taken; no socket stays open.
    """
    sockets: dict[str, socket.socket] = {}
    try:
        for name, port in asdict(ports).items():
            sockets[name] = _listen(port)
    except OSError:
        for bound in sockets.values():
            bound.close()
        raise
    return sockets


def urls(sockets: Mapping[str, socket.socket]) -> dict[str, str]:
    """The address of each server."""
    return {
        name: f"{'http' if name == PLAIN else 'https'}://{HOST}:{bound.getsockname()[1]}"
        for name, bound in sockets.items()
    }


class Servers:
    """All servers, from :meth:`start` to :meth:`stop`.

    Args:
        sockets: What each listens on.
        applications: What each serves.
        certificates: Of those that serve over TLS.
    """

    def __init__(
        self,
        sockets: Mapping[str, socket.socket],
        applications: Mapping[str, Starlette],
        certificates: Certificates,
    ) -> None:
        self._sockets = list(sockets.values())
        self._servers = [
            _Server(_config(applications[name], None if name == PLAIN else certificates)) for name in sockets
        ]
        self._thread = threading.Thread(target=self._run, name="dualsync-sandbox", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Start all of them, and wait until they answer.

        Raises:
            RuntimeError: One did not come up.
        """
        self._thread.start()
        deadline = datetime.now(UTC) + timedelta(seconds=_START_TIMEOUT)
        pause = threading.Event()
        while not all(server.started for server in self._servers):
            if self._failure is not None or datetime.now(UTC) > deadline:
                raise RuntimeError("the sandbox did not start") from self._failure
            pause.wait(0.01)

    def stop(self) -> None:
        """Stop all of them."""
        for server in self._servers:
            server.should_exit = True
        self._thread.join(_STOP_TIMEOUT)

    def _run(self) -> None:
        async def serve() -> None:
            pairs = zip(self._servers, self._sockets, strict=True)
            await asyncio.gather(*(server.serve(sockets=[bound]) for server, bound in pairs))

        try:
            asyncio.run(serve())
        except BaseException as error:  # handed to the thread that waits in start()
            self._failure = error

    def cut(self, address: Address) -> None:
        """Reset the connection from an address."""
        for server in self._servers:
            for connection in list(server.server_state.connections):
                if getattr(connection, "client", None) == tuple(address):
                    transport: asyncio.Transport = connection.transport
                    raw = transport.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    transport.abort()


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
