"""Signing in: tokens of the identity service by msal, carried to every request of one system.

msal speaks through the same HTTP library as everything else. Instance discovery is asked of Microsoft only for
authorities that are Microsoft's; any other host (a private cloud, the sandbox) is taken as it is configured, since
msal would ask the public login service about it [SI1].
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from dualsync.errors import SettingsError, SignInFailed, Throttled, Transient, Unavailable
from dualsync.systems.failures import transport_failure
from dualsync.systems.waiting import retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from dualsync.settings import EndpointSettings

# A token is replaced this many seconds before it ends, or after nine tenths of a short life.
_MARGIN = 300.0


class BearerAuth(httpx.Auth):
    """Puts the token of one system on its requests; a refused token is replaced once for each request.

    Thread-safe. Tokens are kept in memory only.

    Args:
        endpoint: The system and the application that signs in to it.
        client: HTTP client for the identity service.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(
        self, endpoint: EndpointSettings, client: httpx.Client, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = endpoint
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign one request; on 401 sign it again with a new token. A second 401 is left to the caller."""
        token = self.token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            request.headers["Authorization"] = f"Bearer {self.token(refused=token)}"
            yield request

    def token(self, *, refused: str = "") -> str:
        """A token that is good for some minutes.

        Args:
            refused: A token the system did not accept; a new one is fetched if it is still the current one.

        Raises:
            SignInFailed: The identity service refuses the application.
            Transient: The identity service is not available.
        """
        with self._lock:
            if not self._token or self._token == refused or self._clock() >= self._until:
                self._token = ""
                answer = self._acquire()
                lifetime = float(answer.get("expires_in", 0))
                self._until = self._clock() + lifetime - min(_MARGIN, lifetime / 10)
                self._token = str(answer["access_token"])
            return self._token

    def _acquire(self) -> dict[str, Any]:
        import msal  # slow to import, and not needed before the first request
        from msal.authority import WELL_KNOWN_AUTHORITY_HOSTS

        # A new application object each time: its cache would serve the refused token again.
        endpoint = self._endpoint
        host = urlsplit(endpoint.authority).hostname
        try:
            application = msal.ConfidentialClientApplication(
                endpoint.client_id,
                client_credential=_credential(endpoint),
                authority=endpoint.authority,
                instance_discovery=None if host in WELL_KNOWN_AUTHORITY_HOSTS else False,
                http_client=_MsalHttp(self._client),
            )
            answer: dict[str, Any] = application.acquire_token_for_client([f"{endpoint.url}/.default"])
        except httpx.TransportError as error:
            failure = transport_failure(error, str(host), "the sign-in")
            if isinstance(failure, Transient):
                failure.maybe_applied = False  # the request that needs the token has not been sent yet
            raise failure from error
        except (ValueError, msal.exceptions.MsalError) as error:
            # The text may hold the whole answer of the service, but no secret: none was sent at this point.
            raise SignInFailed(f"The authority {endpoint.authority} cannot be used: {error}") from error
        if "access_token" not in answer:
            reason = f"{answer.get('error', 'unknown error')}: {answer.get('error_description', 'no reason given')}"
            raise SignInFailed(f"{host} refuses application {endpoint.client_id} for {endpoint.url}: {reason}")
        return answer


class _MsalHttp:
    """What msal expects of an HTTP client, over httpx."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(
        self, url: str, params: dict[str, str] | None = None, headers: dict[str, str] | None = None, **_: object
    ) -> httpx.Response:
        return _usable(self._client.get(url, params=params, headers=headers))

    def post(
        self,
        url: str,
        params: dict[str, str] | None = None,
        data: dict[str, str | bytes] | None = None,
        headers: dict[str, str] | None = None,
        **_: object,
    ) -> httpx.Response:
        # The assertion of a certificate comes as bytes, which httpx would write as Python shows them.
        form = {name: value.decode() if isinstance(value, bytes) else value for name, value in (data or {}).items()}
        return _usable(self._client.post(url, params=params, data=form, headers=headers))

    def close(self) -> None:
        """Nothing to do: the client belongs to whoever made it."""


def _usable(response: httpx.Response) -> httpx.Response:
    """Stop at answers that say nothing about the application, before msal takes them for a refusal."""
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise Throttled("The identity service asks to slow down", retry_after=retry_after(response.headers))
    if response.is_server_error:
        raise Unavailable(
            f"The identity service answers with status {response.status_code}",
            retry_after=retry_after(response.headers),
        )
    return response


def _credential(endpoint: EndpointSettings) -> str | dict[str, str]:
    """The credential in msal's form: the secret, or key and certificate, whose thumbprint msal computes."""
    if endpoint.certificate_path is None:
        secret = endpoint.secret()
        assert secret is not None, "settings hold exactly one credential"
        return secret.get_secret_value()
    try:
        pem = endpoint.certificate_path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise SettingsError(f"certificate_path cannot be read: {endpoint.certificate_path}") from error
    if "PRIVATE KEY-----" not in pem or "BEGIN CERTIFICATE-----" not in pem:
        raise SettingsError(
            f"certificate_path must hold a private key and its certificate: {endpoint.certificate_path}"
        )
    credential = {"private_key": pem, "public_certificate": pem}
    if endpoint.certificate_password is not None:
        credential["passphrase"] = endpoint.certificate_password.get_secret_value()
    return credential
