"""The sandbox's identity service, signed in to by unmodified msal and azure-identity; the endpoints of both systems.

Follows "Microsoft identity platform and the OAuth 2.0 client credentials flow", its certificate credentials, and
data-platform/authenticate-oauth.
"""

import base64
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import msal
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CertificateCredential, ClientSecretCredential
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.types import Options

from dualsync_sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("identity")) as running:
        yield running


@pytest.fixture(scope="module")
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(sandbox.info["ca_file"]))
    with httpx.Client(verify=context) as client:
        yield client


@pytest.fixture(scope="module")
def session(sandbox: Sandbox) -> Iterator[requests.Session]:
    """What msal makes for itself, trusting the sandbox's authority whatever the environment says."""
    with requests.Session() as made:
        made.trust_env = False
        made.verify = str(sandbox.info["ca_file"])
        yield made


@pytest.fixture
def sign_in(sandbox: Sandbox, session: requests.Session) -> Callable[..., dict[str, Any]]:
    """Signs in as msal does and gives its answer."""

    def acquire(system: str = "dataverse", **changes: Any) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "client_id": sandbox.info["client_id"],
            "client_credential": secret(sandbox),
            "authority": sandbox.info["identity"],
            "instance_discovery": False,
            "http_client": session,
        }
        application = msal.ConfidentialClientApplication(**(settings | changes))
        return dict(application.acquire_token_for_client([f"{sandbox.info.get(system, system)}/.default"]))

    return acquire


def secret(sandbox: Sandbox) -> str:
    return Path(str(sandbox.info["client_secret_file"])).read_text(encoding="utf-8")


def certificate(sandbox: Sandbox) -> dict[str, str]:
    pem = Path(str(sandbox.info["client_certificate_file"])).read_text(encoding="utf-8")
    return {"private_key": pem, "public_certificate": pem[pem.index("-----BEGIN CERTIFICATE") :]}


def test_secret(sandbox: Sandbox, sign_in: Callable[..., dict[str, Any]]) -> None:
    answer = sign_in()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3599)
    claims = jwt.decode(str(answer["access_token"]), options={"verify_signature": False})
    assert claims["aud"] == sandbox.info["dataverse"]
    assert claims["tid"] == sandbox.info["tenant"]
    assert "oid" in claims


def test_oidc_authority(sandbox: Sandbox, sign_in: Callable[..., dict[str, Any]]) -> None:
    """msal with ``oidc_authority`` asks for the document without ``v2.0`` and compares the issuer."""
    assert "access_token" in sign_in(authority=None, oidc_authority=sandbox.info["identity"])


def test_certificate(sandbox: Sandbox, sign_in: Callable[..., dict[str, Any]]) -> None:
    assert "access_token" in sign_in("finance", client_credential=certificate(sandbox))


def test_assertion_of_an_unknown_key(sandbox: Sandbox, sign_in: Callable[..., dict[str, Any]]) -> None:
    credential = certificate(sandbox) | {"thumbprint": "00" * 20}
    del credential["public_certificate"]
    answer = sign_in(client_credential=credential)
    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [700027])


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"exp": -60, "nbf": -120}, 700024),
        ({"nbf": 600}, 700024),
        ({"exp": 26 * 3600}, 700024),
        ({"aud": "https://elsewhere.invalid/token"}, 700023),
        ({"iss": "somebody"}, 700021),
        ({"sub": "somebody"}, 700021),
        ({"jti": None}, 700027),
    ],
)
def test_assertions_that_are_refused(
    sandbox: Sandbox, http: httpx.Client, changes: dict[str, Any], number: int
) -> None:
    """certificate-credentials: audience, issuer, subject, times; numbers as in the AADSTS error reference."""
    pem = Path(str(sandbox.info["client_certificate_file"])).read_bytes()
    now, client = int(time.time()), str(sandbox.info["client_id"])
    token_endpoint = f"{sandbox.info['identity']}/oauth2/v2.0/token"
    claims: dict[str, Any] = {"aud": token_endpoint, "iss": client, "sub": client, "jti": "1", "nbf": 0, "exp": 600}
    claims |= changes
    claims = {name: value for name, value in claims.items() if value is not None}
    claims |= {name: now + int(str(claims[name])) for name in ("nbf", "exp")}
    certificate = x509.load_pem_x509_certificate(pem)
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, RSAPrivateKey)
    assertion = jwt.encode(claims, key, algorithm="PS256", headers={"x5t#S256": thumbprint})
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
        "scope": f"{sandbox.info['finance']}/.default",
    }
    answer = http.post(token_endpoint, data=form)
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [number])


def test_the_first_version_of_the_endpoint(sandbox: Sandbox, http: httpx.Client) -> None:
    """v1: ``resource`` instead of a scope; numbers come as text."""
    form = {
        "grant_type": "client_credentials",
        "client_id": str(sandbox.info["client_id"]),
        "client_secret": secret(sandbox),
        "resource": str(sandbox.info["finance"]),
    }
    answer = http.post(f"{sandbox.info['identity']}/oauth2/token", data=form).raise_for_status().json()
    assert (answer["resource"], answer["expires_in"]) == (sandbox.info["finance"], "3599")
    granted = {"authorization": f"Bearer {answer['access_token']}"}
    assert http.get(f"{sandbox.info['finance']}/data", headers=granted).status_code == 200


@pytest.mark.parametrize("by", ["secret", "certificate"])
def test_azure_identity(sandbox: Sandbox, http: httpx.Client, by: str) -> None:
    """Unmodified azure-identity, with instance discovery off as for any authority that is not Microsoft's own."""
    authority, _, tenant = str(sandbox.info["identity"]).rpartition("/")
    options: dict[str, Any] = {
        "authority": authority,
        "disable_instance_discovery": True,
        "connection_verify": str(sandbox.info["ca_file"]),
        "use_env_settings": False,
    }
    application = (tenant, str(sandbox.info["client_id"]))
    credential: ClientSecretCredential | CertificateCredential
    if by == "secret":
        credential = ClientSecretCredential(*application, secret(sandbox), **options)
    else:
        credential = CertificateCredential(*application, str(sandbox.info["client_certificate_file"]), **options)
    with credential:
        token = credential.get_token(f"{sandbox.info['finance']}/.default")
    assert token.expires_on > time.time()
    granted = {"authorization": f"Bearer {token.token}"}
    assert http.get(f"{sandbox.info['finance']}/data", headers=granted).status_code == 200
    assert http.get(f"{sandbox.info['dataverse']}/api/data/v9.2/WhoAmI", headers=granted).status_code == 401


def test_azure_identity_says_why_it_is_refused(sandbox: Sandbox) -> None:
    authority, _, tenant = str(sandbox.info["identity"]).rpartition("/")
    credential = ClientSecretCredential(
        tenant,
        str(sandbox.info["client_id"]),
        "wrong",
        authority=authority,
        disable_instance_discovery=True,
        connection_verify=str(sandbox.info["ca_file"]),
        use_env_settings=False,
    )
    with credential, pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        credential.get_token(f"{sandbox.info['finance']}/.default")


@pytest.mark.parametrize(
    ("changes", "error", "number"),
    [
        ({"client_credential": "wrong"}, "invalid_client", 7000215),
        ({"client_id": "00000000-0000-0000-0000-000000000001"}, "unauthorized_client", 700016),
        ({"system": "https://elsewhere.invalid"}, "invalid_resource", 500011),
    ],
)
def test_refused_sign_ins(
    sign_in: Callable[..., dict[str, Any]], changes: dict[str, str], error: str, number: int
) -> None:
    answer = sign_in(**changes)
    assert answer["error"] == error
    assert answer["error_codes"] == [number]
    assert str(answer["error_description"]).startswith(f"AADSTS{number}: ")


def test_keys_verify_the_tokens(sandbox: Sandbox, http: httpx.Client, sign_in: Callable[..., dict[str, Any]]) -> None:
    """OpenID Connect discovery: the published keys are those the tokens are signed with."""
    document = http.get(f"{sandbox.info['identity']}/v2.0/.well-known/openid-configuration").json()
    keys = jwt.PyJWKSet.from_dict(http.get(document["jwks_uri"]).json())
    token = str(sign_in()["access_token"])
    key = keys[jwt.get_unverified_header(token)["kid"]]
    options: Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    claims = jwt.decode(token, key, audience=str(sandbox.info["dataverse"]), options=options)
    assert claims["iss"] == document["issuer"]


def test_unknown_tenant(sandbox: Sandbox, http: httpx.Client) -> None:
    base = str(sandbox.info["identity"]).rpartition("/")[0]
    answer = http.get(f"{base}/nobody/v2.0/.well-known/openid-configuration")
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])


def test_doors(sandbox: Sandbox, http: httpx.Client, sign_in: Callable[..., dict[str, Any]]) -> None:
    """401 names the authority; a token is good for the system it was asked for, and as long as it lasts."""
    whoami = f"{sandbox.info['dataverse']}/api/data/v9.2/WhoAmI"
    nobody = http.get(whoami)
    assert nobody.status_code == 401
    identity, system = sandbox.info["identity"], sandbox.info["dataverse"]
    expected = f"Bearer authorization_uri={identity}/oauth2/authorize, resource_id={system}/"
    assert nobody.headers["www-authenticate"] == expected
    token = {"authorization": f"Bearer {sign_in()['access_token']}"}
    assert http.get(whoami, headers=token).status_code == 200
    assert http.get(f"{sandbox.info['finance']}/data", headers=token).status_code == 401
    sandbox.clock.advance(timedelta(hours=2))
    try:
        assert http.get(whoami, headers=token).status_code == 401
    finally:
        sandbox.clock.advance(-timedelta(hours=2))


def test_secrets_stay_out_of_sight(sandbox: Sandbox, sign_in: Callable[..., dict[str, Any]]) -> None:
    """The sandbox's own promise: neither trace nor info line holds a secret or a token."""
    token = str(sign_in()["access_token"])
    shown = repr(sandbox.trace()) + repr(sandbox.info)
    assert secret(sandbox) not in shown
    assert token not in shown
    for name in ("client_secret_file", "client_certificate_file"):
        assert Path(str(sandbox.info[name])).stat().st_mode & 0o077 == 0


def test_listens_on_loopback_only(sandbox: Sandbox) -> None:
    for name in ("identity", "dataverse", "finance", "control"):
        assert httpx.URL(str(sandbox.info[name])).host == "127.0.0.1"
