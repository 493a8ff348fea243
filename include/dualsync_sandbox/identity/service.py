"""The identity service: discovery documents, and tokens for clients that sign in.

Follows "Microsoft identity platform and the OAuth 2.0 client credentials flow" and "Microsoft identity platform
application authentication certificate credentials". Unmodified msal and azure-identity sign in when instance discovery
is off. A client may also name itself and its secret in an ``Authorization`` header (``client_secret_basic``, RFC 6749,
section 2.3.1), as the methods in Entra's discovery document say (a copy: orpheus.data.kit.edu/metadata/Microsoft). The
texts of the AADSTS errors are shortened. Grants and endpoints that Entra knows and the sandbox does not play are
refused with 501 and the error ``SandboxNotImplemented``.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.gateway.dialect import ErrorDialect
from dualsync_sandbox.protocol.http import ApiError, Call, NotSignedIn, Reply
from dualsync_sandbox.schema import APPLICATION_USER

TENANT = "0a0b0c0d-0000-4000-8000-00000000007e"
CLIENT = "0a0b0c0d-0000-4000-8000-0000000000c1"
TOKEN_LIFETIME = timedelta(seconds=3599)
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_ASSERTION = timedelta(hours=25)
#: The sandbox's own error: Entra does this, the sandbox does not.
NOT_IMPLEMENTED = "SandboxNotImplemented"
#: Other grants of the identity platform ("OAuth 2.0 and OpenID Connect protocols", and the pages of each flow).
UNPLAYED_GRANTS = (
    "authorization_code",
    "device_code",
    "password",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:saml1_1-bearer",
    "urn:ietf:params:oauth:grant-type:saml2-bearer",
)
#: Other endpoints of a tenant, below ``oauth2/`` or ``oauth2/v2.0/``.
UNPLAYED_ENDPOINTS = ("authorize", "devicecode", "logout")


class SignInError(Exception):
    """A sign-in the service refuses.

    Args:
        status: HTTP status.
        error: OAuth error word.
        code: The number after ``AADSTS``.
        text: What went wrong.
    """

    def __init__(self, status: int, error: str, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.code = code


@dataclass
class Client:
    """An application that may sign in.

    Attributes:
        secrets: Its client secrets.
        certificates: Its certificates; an assertion signed by one of them signs in.
    """

    secrets: list[str] = field(default_factory=list)
    certificates: list[x509.Certificate] = field(default_factory=list)


class Identity:
    """Signs clients in and checks the tokens they bring.

    Args:
        clock: The sandbox's clock: tokens expire by it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = secrets.token_hex(10)
        self.tenant = TENANT
        self.clients: dict[str, Client] = {}
        #: Base URLs a token may be for (the two systems).
        self.audiences: set[str] = set()

    # -- the service

    def handle(self, call: Call) -> Reply:
        """Discovery, keys and tokens."""
        tenant, _, rest = call.path.partition("/")
        if tenant != self.tenant:
            error = SignInError(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found.")
            return self._refuse(error)
        if call.method == "GET" and rest == ".well-known/openid-configuration":
            return Reply.json(200, self._discovery(call.base, ""))
        if call.method == "GET" and rest == "v2.0/.well-known/openid-configuration":
            return Reply.json(200, self._discovery(call.base, "/v2.0"))
        if call.method == "GET" and rest == "discovery/v2.0/keys":
            return Reply.json(200, {"keys": [self._public_key()]})
        if call.method == "POST" and rest in ("oauth2/v2.0/token", "oauth2/token"):
            try:
                return self._token(call, _with_basic(call, dict(parse_qsl(call.body.decode()))))
            except SignInError as refused:
                return self._refuse(refused)
        if rest.removeprefix("oauth2/").removeprefix("v2.0/") in UNPLAYED_ENDPOINTS:
            return _unplayed(f"{rest}: it signs in applications by the client-credentials grant only")
        return Reply.json(404, {"error": "not_found", "error_description": f"The sandbox does not implement {rest!r}."})

    def authority(self, base: str) -> str:
        """The tenant's authority URL."""
        return f"{base}/{self.tenant}"

    def _discovery(self, base: str, version: str) -> dict[str, object]:
        authority = self.authority(base)
        token = f"{authority}/oauth2{version}/token"
        return {
            "issuer": f"{authority}{version}",
            "authorization_endpoint": f"{authority}/oauth2{version}/authorize",
            "token_endpoint": token,
            "device_authorization_endpoint": f"{authority}/oauth2{version}/devicecode",
            "jwks_uri": f"{authority}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def _public_key(self) -> dict[str, object]:
        public: dict[str, object] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {**public, "use": "sig", "kid": self._key_id}

    def _refuse(self, error: SignInError) -> Reply:
        now = self._clock.now()
        trace_id, correlation_id = str(uuid.uuid4()), str(uuid.uuid4())
        description = f"AADSTS{error.code}: {error} Trace ID: {trace_id} Correlation ID: {correlation_id}"
        body = {
            "error": error.error,
            "error_description": description,
            "error_codes": [error.code],
            "timestamp": now.strftime("%Y-%m-%d %H:%M:%SZ"),
            "trace_id": trace_id,
            "correlation_id": correlation_id,
        }
        return Reply.json(error.status, body)

    def _token(self, call: Call, form: dict[str, str]) -> Reply:
        grant = form.get("grant_type")
        if grant in UNPLAYED_GRANTS:
            return _unplayed(f"grant_type '{grant}': use client_credentials")
        if not grant:
            text = "The request body must contain the following parameter: 'grant_type'."
            raise SignInError(400, "invalid_request", 900144, text)
        if grant != "client_credentials":
            raise SignInError(
                400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{grant}'."
            )
        client_id = form.get("client_id", "")
        client = self.clients.get(client_id)
        if client is None:
            raise SignInError(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory.",
            )
        self._check_credential(call, client_id, client, form)
        audience = self._audience(form)
        now = self._clock.now()
        claims = {
            "aud": audience,
            "iss": self.authority(call.base) + "/v2.0",
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((now + TOKEN_LIFETIME).timestamp()),
            "appid": client_id,
            "oid": APPLICATION_USER,
            "tid": self.tenant,
        }
        token = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id})
        lifetime = int(TOKEN_LIFETIME.total_seconds())
        answer = {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}
        if call.path.endswith("/oauth2/token"):
            # The first version of the endpoint tells more, and writes numbers as text.
            more = {"expires_on": claims["exp"], "not_before": claims["nbf"], "resource": audience}
            answer = {name: str(value) for name, value in (answer | more).items()}
        return Reply.json(200, answer, **{"cache-control": "no-store"})

    def _audience(self, form: dict[str, str]) -> str:
        """Scope ``<url>/.default`` (v2) or resource ``<url>`` (v1).

        The URL may end with a slash, as it does where the systems name themselves to those who are refused; the scope
        has two then ("Trailing slash and .default", scopes-oidc).
        """
        scope = form.get("scope", "")
        resource = form.get("resource") or scope.removesuffix("/.default")
        if not form.get("resource") and not scope.endswith("/.default"):
            raise SignInError(400, "invalid_scope", 1002012, f"The provided value for scope {scope} is not valid.")
        if resource.removesuffix("/") not in self.audiences:
            raise SignInError(
                400, "invalid_resource", 500011, f"The resource principal named {resource} was not found in the tenant."
            )
        return resource

    def _check_credential(self, call: Call, client_id: str, client: Client, form: dict[str, str]) -> None:
        if form.get("client_assertion_type") == _ASSERTION_TYPE:
            self._check_assertion(call, client_id, client, form.get("client_assertion", ""))
            return
        given = form.get("client_secret", "")
        if not given:
            raise SignInError(
                401,
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )
        if not any(hmac.compare_digest(given.encode(), secret.encode()) for secret in client.secrets):
            raise SignInError(401, "invalid_client", 7000215, "Invalid client secret provided.")

    def _check_assertion(self, call: Call, client_id: str, client: Client, assertion: str) -> None:
        """A JWT signed by a registered certificate, named by its thumbprint, for this token endpoint and client."""
        try:
            header: dict[str, Any] = jwt.get_unverified_header(assertion)
        except jwt.PyJWTError as error:
            raise SignInError(401, "invalid_client", 50027, "JWT token is invalid or malformed.") from error
        certificate = next(
            (registered for registered in client.certificates if _thumbprint_matches(registered, header)), None
        )
        if certificate is None:
            raise SignInError(
                401, "invalid_client", 700027, "Client assertion failed signature validation: no such key."
            )
        authority = self.authority(call.base)
        audiences = [f"{authority}/oauth2/v2.0/token", f"{authority}/oauth2/token", f"{authority}/v2.0"]
        public = certificate.public_key()
        assert isinstance(public, rsa.RSAPublicKey)
        try:
            # The assertion's times are the client's own, hence checked by real time, not by the sandbox's clock.
            claims = jwt.decode(
                assertion,
                public,
                algorithms=["RS256", "PS256"],
                audience=audiences,
                issuer=client_id,
                options={"require": ["aud", "exp", "iss", "jti", "sub"]},
            )
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            raise _outside_its_time() from error
        except jwt.InvalidAudienceError as error:
            text = "Client assertion audience claim does not match Realm issuer."
            raise SignInError(401, "invalid_client", 700023, text) from error
        except jwt.InvalidIssuerError as error:
            raise _of_another_application() from error
        except jwt.PyJWTError as error:
            raise SignInError(
                401, "invalid_client", 700027, f"Client assertion failed signature validation: {error}."
            ) from error
        if claims["sub"] != client_id:
            raise _of_another_application()
        begins = claims.get("nbf", claims.get("iat", 0))
        if claims["exp"] - begins > _LONGEST_ASSERTION.total_seconds():
            raise _outside_its_time()

    # -- the check at the systems' endpoints

    def check(self, authorization: str, audiences: list[str]) -> str:
        """Who makes a request: the application's id.

        Args:
            authorization: The ``Authorization`` header.
            audiences: The base URLs of the system asked, without a slash at the end.

        Raises:
            NotSignedIn: The request may not pass.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotSignedIn("no bearer token")
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                audience=[*audiences, *(f"{audience}/" for audience in audiences)],
                options={
                    "require": ["aud", "exp", "oid", "tid"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise NotSignedIn(type(error).__name__) from error
        if claims["tid"] != self.tenant:
            raise NotSignedIn("another tenant")
        now = self._clock.now().timestamp()
        if not claims["nbf"] - 300 <= now < claims["exp"]:
            raise NotSignedIn("the token has expired")
        return str(claims["appid"])


def _with_basic(call: Call, form: dict[str, str]) -> dict[str, str]:
    """The form with the name and secret of an ``Authorization: Basic`` header, each form-encoded in it.

    Raises:
        SignInError: The header cannot be read.
    """
    scheme, _, given = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form
    try:
        name, colon, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        colon = ""
    if not colon:
        raise SignInError(401, "invalid_client", 7000215, "The Authorization header cannot be read.")
    return {**form, "client_id": unquote_plus(name), "client_secret": unquote_plus(secret)}


def _unplayed(what: str) -> Reply:
    text = f"The sandbox does not implement {what}."
    return Reply.json(501, {"error": NOT_IMPLEMENTED, "error_description": text})


def _outside_its_time() -> SignInError:
    return SignInError(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")


def _of_another_application() -> SignInError:
    text = "Client assertion application identifier doesn't match 'client_id' parameter."
    return SignInError(401, "invalid_client", 700021, text)


def _thumbprint_matches(certificate: x509.Certificate, header: dict[str, Any]) -> bool:
    thumbprints = {
        "x5t": hashes.SHA1(),  # noqa: S303  the header names the certificate; it protects nothing
        "x5t#S256": hashes.SHA256(),
    }
    for name, algorithm in thumbprints.items():
        if name in header:
            expected = base64.urlsafe_b64encode(certificate.fingerprint(algorithm)).rstrip(b"=").decode()
            return hmac.compare_digest(expected, str(header[name]).rstrip("="))
    return False


def _refusal(error: ApiError) -> Reply:
    reply = Reply.json(error.status, {"error": "temporarily_unavailable", "error_description": str(error)})
    reply.headers.update(error.headers)
    return reply


_BROKEN = ApiError(500, "", "The service is temporarily unavailable.")
#: All of its words are assumed.
DIALECT = ErrorDialect(
    limit="resources",
    refuse=_refusal,
    expired_link=_BROKEN,
    expired_token=None,
    broken=_BROKEN,
)
