"""HTTP to one system: connections, time-outs, retries, and the sorting of failures into Transient and Terminal.

A request is sent again by itself only where that cannot do anything twice: after a failure before it reached the
service (no connection, no token), after 429, and otherwise only if the caller says it may be repeated.
"""

from __future__ import annotations

import http.cookiejar
import logging
import re
import ssl
import time
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import msgspec
import structlog
import tenacity

from dualsync.closing import Closing
from dualsync.errors import (
    BrokenProtocol,
    BrokenReply,
    DualsyncError,
    Refused,
    SettingsError,
    SignInFailed,
    Throttled,
    TimedOut,
    Transient,
    Unavailable,
)
from dualsync.systems.auth import BearerAuth
from dualsync.systems.failures import transport_failure
from dualsync.systems.waiting import Waits, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualsync.settings import EndpointSettings, Retries, Settings
    from dualsync.sides import Side

# httpx writes every URL to its log, and the filters in them hold values of rows.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_log = structlog.get_logger("dualsync.systems")

_json = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_AGAIN = (Throttled, Unavailable, TimedOut, BrokenReply)
_CONVENTION = {"Accept": "application/json", "OData-MaxVersion": "4.0", "OData-Version": "4.0"}
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of success: status, headers, and the parsed body (None where it is empty)."""

    status: int
    headers: httpx.Headers
    data: Any


def parse_json(body: bytes) -> Any:
    """Decode JSON; numbers with a fraction become Decimal, never float."""
    return _json.decode(body)


def to_json(value: object) -> bytes:
    """Encode JSON; Decimal becomes a number, dates ISO text."""
    return _encoder.encode(value)


class Service(Closing):
    """One system over HTTP. Thread-safe.

    Args:
        name: How the system is called in messages and logs.
        root: Address that relative paths are below, without a closing slash.
        client: The HTTP client, already with sign-in.
        classify: Makes an error of a refusal: status, parsed body (None if it is no JSON) and its text; None where
            there is nothing to say beyond the status.
        retries: Limits of trying again.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        name: str,
        root: str,
        client: httpx.Client,
        *,
        classify: Callable[[int, Any, str], DualsyncError | None],
        retries: Retries,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.root = root
        self._origin = _origin(root)
        self._client = client
        self._classify = classify
        self._waits = Waits(retries)
        self._sleep = sleep

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def url(self, target: str) -> str:
        """The full address of a path below the root, or of a link that the service gave.

        Raises:
            BrokenProtocol: The link leads to another host, which must never see the token.
        """
        if not urlsplit(target).scheme:
            return f"{self.root}/{target}"
        if _origin(target) != self._origin:
            raise BrokenProtocol(f"{self.name} gave a link to another host: {urlsplit(target).hostname}")
        return target

    def get(
        self, target: str, *, headers: Mapping[str, str] | None = None, parse: Callable[[bytes], Any] = parse_json
    ) -> Any:
        """Read; returns the parsed body."""
        return self.send("GET", target, headers=headers, parse=parse, repeatable=True).data

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        content: bytes | None = None,
        parse: Callable[[bytes], Any] = parse_json,
        repeatable: bool,
    ) -> Reply:
        """Send one request, again where that is safe and helps.

        Args:
            method: HTTP method.
            target: Path and query below the root, or a link of the service, which is used as it is.
            headers: Further headers.
            body: Is sent as JSON unless None.
            content: Is sent as it is, instead of a body.
            parse: Makes the result of the body.
            repeatable: True if doing it twice is the same as doing it once.

        Raises:
            Transient: Still failing after the last attempt; ``maybe_applied`` tells whether it may have been done.
            Terminal: Refused, or not to be had.
        """
        url = self.url(target)
        fields = _CONVENTION | {"x-ms-client-request-id": str(uuid.uuid4()), **(headers or {})}
        if body is not None:
            content = to_json(body)
            fields["Content-Type"] = "application/json; charset=utf-8"
        shown = _shown(url)

        def worth_it(error: BaseException) -> bool:
            return isinstance(error, _AGAIN) and (repeatable or not error.maybe_applied)

        def tell(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            _log.warning(
                "waiting",
                system=self.name,
                method=method,
                path=shown,
                attempt=state.attempt_number,
                seconds=round(state.upcoming_sleep, 1),
                reason=type(error).__name__,
            )

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(worth_it),
            wait=self._waits.wait,
            stop=self._waits.stop,
            sleep=self._sleep,
            before_sleep=tell,
            reraise=True,
        )
        return retrying(self._once, method, url, fields, content, parse, shown)

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        parse: Callable[[bytes], Any],
        shown: str,
    ) -> Reply:
        what = f"{method} {shown}"
        started = time.perf_counter()
        status: int | None = None
        try:
            response = self._client.request(method, url, headers=headers, content=content)
            status = response.status_code
            # httpx ties a response and its stream to each other, and pages would lie there for the garbage collector
            response.stream = httpx.ByteStream(b"")
        except httpx.TransportError as error:
            raise transport_failure(error, self.name, what) from error
        finally:
            elapsed = round((time.perf_counter() - started) * 1000)
            _log.debug("request", system=self.name, method=method, path=shown, status=status, ms=elapsed)
        if not response.is_success:
            raise self._failure(response, what)
        if not response.content:
            return Reply(response.status_code, response.headers, None)
        try:
            return Reply(response.status_code, response.headers, parse(response.content))
        except ValueError as error:  # msgspec's errors and those of XML parsers are ValueErrors
            raise BrokenReply(f"{self.name}: the answer to {what} is cut off or broken", maybe_applied=True) from error

    def _failure(self, response: httpx.Response, what: str) -> DualsyncError:
        status = response.status_code
        wait = retry_after(response.headers)
        if status == httpx.codes.UNAUTHORIZED:
            return SignInFailed(f"{self.name} does not accept a fresh token for {what}")
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return Throttled(f"{self.name} asks to slow down at {what}", retry_after=wait)
        if response.is_redirect:
            return BrokenProtocol(f"{self.name} redirects {what} to {urlsplit(response.headers['Location']).hostname}")
        try:
            data = parse_json(response.content)
        except msgspec.DecodeError:
            data = None
            if response.content and "json" in response.headers.get("Content-Type", ""):
                # The reason is lost, and with it whether this is a refusal at all.
                return BrokenReply(f"{self.name}: the refusal of {what} is cut off or broken", maybe_applied=True)
        error = self._classify(status, data, response.text)
        if error is None and status in (httpx.codes.REQUEST_TIMEOUT, httpx.codes.GATEWAY_TIMEOUT):
            error = TimedOut(f"{self.name} ran out of time at {what} (status {status})", maybe_applied=True)
        if error is None and response.is_server_error and status != httpx.codes.NOT_IMPLEMENTED:
            error = Unavailable(f"{self.name} failed at {what} (status {status})", maybe_applied=True)
        if isinstance(error, Transient) and error.retry_after is None:
            error.retry_after = wait
        return error or Refused(status, "", f"{self.name} refuses {what} without a reason", raw=response.text)


def open_client(
    endpoint: EndpointSettings,
    settings: Settings,
    side: Side,
    *,
    transport: httpx.BaseTransport | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> httpx.Client:
    """An HTTP client that signs in to one system, with the limits of the settings.

    Args:
        endpoint: The system.
        settings: Time-outs and number of connections.
        side: Which system it is.
        transport: What carries the requests instead of the network, for tests.
        clock: Seconds of a clock that never goes back, for the life of tokens.
    """
    connections = settings.concurrency.dataverse if side == "dataverse" else settings.concurrency.finance
    options = _options(endpoint, settings, transport)
    identity = httpx.Client(**options)
    return _SignedIn(
        identity,
        auth=BearerAuth(endpoint, identity, clock=clock),
        # An idle connection is dropped before servers do it (often after 5 s), or a POST could meet a closed one.
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=4.0),
        # Affinity cookies would tie all requests to one server and its share of the limits.
        cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
        **options,
    )


def open_storage_client(
    endpoint: EndpointSettings, settings: Settings, *, transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """An HTTP client without sign-in, for the storage of a system whose links carry their own right of access."""
    return httpx.Client(**_options(endpoint, settings, transport))


def _options(endpoint: EndpointSettings, settings: Settings, transport: httpx.BaseTransport | None) -> dict[str, Any]:
    timeouts = settings.timeouts
    return {
        "verify": _trust(endpoint),
        "timeout": httpx.Timeout(
            connect=timeouts.connect, read=timeouts.read, write=timeouts.write, pool=timeouts.pool
        ),
        "transport": transport,
        "follow_redirects": False,
        # A proxy named in the environment has no way to this machine's own loopback addresses.
        "trust_env": urlsplit(endpoint.url).hostname not in LOOPBACK,
    }


class _SignedIn(httpx.Client):
    """A client that also closes the client of its identity service."""

    def __init__(self, identity: httpx.Client, **options: Any) -> None:
        super().__init__(**options)
        self._identity = identity

    def close(self) -> None:
        self._identity.close()
        super().close()


def _trust(endpoint: EndpointSettings) -> ssl.SSLContext | bool:
    if not endpoint.verify or endpoint.ca_file is None:
        return endpoint.verify
    try:
        return ssl.create_default_context(cafile=str(endpoint.ca_file))
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(f"ca_file cannot be used: {endpoint.ca_file}: {error}") from error


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or 443


def _shown(url: str) -> str:
    """The path without keys and query: what may be logged."""
    return re.sub(r"\([^)]*\)", "(…)", urlsplit(url).path)
