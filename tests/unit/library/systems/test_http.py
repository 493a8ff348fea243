"""Retries, sign-in and paging where a sandbox cannot play the service: time, cut-off answers, foreign hosts."""

import base64
import gc
import json
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from structlog.testing import capture_logs

from dualsync import errors
from dualsync.settings import EndpointSettings, Retries, Settings
from dualsync.systems.http import Service, open_client
from dualsync.systems.odata import or_filters, pages, with_query
from dualsync.systems.waiting import retry_after

ROOT = "https://org.example/api"
AUTHORITY = "https://login.example/tenant"

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Wire:
    """Plays identity service and system: gives scripted answers, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[httpx.Request] = []
        self.signatures: list[str] = []
        self.sign_in: Callable[[], httpx.Response] | None = None
        self.tokens = 0
        self.lifetime = 3600
        self.slept: list[float] = []
        self.now = 1000.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "login.example":
            return self._identity(request)
        self.requests.append(request)
        self.signatures.append(request.headers["Authorization"])  # the same request is signed again after a 401
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    def _identity(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            endpoint = {"issuer": AUTHORITY, "token_endpoint": f"{AUTHORITY}/token"}
            return httpx.Response(200, json=endpoint | {"authorization_endpoint": f"{AUTHORITY}/authorize"})
        if self.sign_in:
            return self.sign_in()
        self.tokens += 1
        return httpx.Response(200, json={"access_token": f"token-{self.tokens}", "expires_in": self.lifetime})

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    secret = SecretStr("s3cret")
    endpoint = EndpointSettings(url="https://org.example", authority=AUTHORITY, client_id="me", client_secret=secret)
    return Settings(home=tmp_path, dataverse=endpoint, retries=Retries(attempts=4, waiting=100))


@pytest.fixture
def service(wire: Wire, settings: Settings) -> Iterator[Service]:
    client = open_client(
        settings.endpoint("dataverse"),
        settings,
        "dataverse",
        transport=httpx.MockTransport(wire),
        clock=lambda: wire.now,
    )
    with Service(
        "System", ROOT, client, classify=lambda *_: None, retries=settings.retries, sleep=wire.sleep
    ) as service:
        yield service


def ok(**body: Any) -> httpx.Response:
    return httpx.Response(200, json=body)


def test_money_is_decimal_both_ways(wire: Wire, service: Service) -> None:
    wire.answers = [httpx.Response(200, content=b'{"amount": 20000.0000, "count": 3}')]
    reply = service.send("POST", "rows", body={"amount": Decimal("0.10"), "n": 7}, repeatable=False)
    assert reply.data == {"amount": Decimal("20000.0000"), "count": 3}
    assert wire.requests[0].content == b'{"amount":0.10,"n":7}'


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_repeats_a_read_after_a_failure_of_the_service(wire: Wire, service: Service, status: int) -> None:
    wire.answers = [httpx.Response(status), httpx.Response(status, html="<h1>Bad gateway</h1>"), ok(value=1)]
    assert service.get("rows") == {"value": 1}
    assert len(wire.slept) == 2
    assert 0 < wire.slept[0] <= 0.5
    assert 0.5 <= wire.slept[1] <= 1.0


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadTimeout("slow"),
        httpx.ReadError("gone"),
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
        httpx.Response(200, content=b'{"value": [{"a": 1}, {"a"'),
        httpx.Response(200, html="<h1>Sign in</h1>"),
        httpx.Response(400, headers={"Content-Type": "application/json"}, content=b'{"error": {"code": "0x8004'),
    ],
)
def test_repeats_a_read_but_never_a_creation_that_may_have_been_done(
    wire: Wire, service: Service, failure: Answer
) -> None:
    wire.answers = [failure, ok(value=1)]
    assert service.get("rows") == {"value": 1}
    wire.answers = [failure]
    with pytest.raises(errors.Transient) as caught:
        service.send("POST", "rows", body={}, repeatable=False)
    assert caught.value.maybe_applied
    assert len(wire.requests) == 3


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.PoolTimeout("busy"),
        httpx.Response(429, headers={"Retry-After": "2"}),
    ],
)
def test_repeats_a_creation_that_certainly_was_not_done(wire: Wire, service: Service, failure: Answer) -> None:
    wire.answers = [failure, httpx.Response(201, json={"id": 1})]
    assert service.send("POST", "rows", body={}, repeatable=False).data == {"id": 1}


def test_obeys_retry_after(wire: Wire, service: Service) -> None:
    """The service is not asked before the time it names [DV9]."""
    wire.answers = [httpx.Response(429, headers={"Retry-After": "17"}), ok()]
    service.get("rows")
    assert 17 <= wire.slept[0] < 18


def test_a_wait_beyond_the_limit_is_left_to_the_caller(wire: Wire, service: Service) -> None:
    wire.answers = [httpx.Response(429, headers={"Retry-After": "101"})]
    with pytest.raises(errors.Throttled) as caught:
        service.get("rows")
    assert caught.value.retry_after == 101
    assert wire.slept == []


def test_attempts_are_bounded(wire: Wire, service: Service) -> None:
    wire.answers = [httpx.Response(503, headers={"Retry-After": "1"}) for _ in range(4)]
    with pytest.raises(errors.Unavailable) as caught:
        service.get("rows")
    assert len(wire.requests) == 4
    assert caught.value.retry_after == 1


def test_retry_after_reads_seconds_and_dates() -> None:
    def now() -> datetime:
        return datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)

    def read(text: str) -> float | None:
        return retry_after(httpx.Headers({"Retry-After": text}), now)

    assert read("12") == 12
    assert read("Thu, 01 Jan 2026 12:01:30 GMT") == 90
    assert read("Thu, 01 Jan 2026 11:00:00 GMT") == 0
    assert read("soon") is None
    assert retry_after(httpx.Headers(), now) is None


def test_a_refused_token_is_replaced_once(wire: Wire, service: Service) -> None:
    wire.answers = [httpx.Response(401), ok(value=1)]
    assert service.get("rows") == {"value": 1}
    assert wire.signatures == ["Bearer token-1", "Bearer token-2"]
    wire.answers = [httpx.Response(401), httpx.Response(401)]
    with pytest.raises(errors.SignInFailed):
        service.get("rows")


def test_a_token_serves_until_shortly_before_it_ends(wire: Wire, service: Service) -> None:
    wire.answers = [ok() for _ in range(3)]
    service.get("rows")
    wire.now += 3299
    service.get("rows")
    assert wire.tokens == 1
    wire.now += 2
    service.get("rows")
    assert wire.tokens == 2


def test_a_refused_sign_in_is_final_and_says_why(wire: Wire, service: Service) -> None:
    wire.sign_in = lambda: httpx.Response(
        401, json={"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
    )
    with pytest.raises(errors.SignInFailed, match="AADSTS7000215") as caught:
        service.get("rows")
    assert "s3cret" not in str(caught.value)
    assert wire.requests == []


@pytest.mark.parametrize("password", [None, "pass phrase"])
def test_signs_in_with_a_certificate(wire: Wire, settings: Settings, tmp_path: Path, password: str | None) -> None:
    file = tmp_path / "app.pem"
    file.write_bytes(certificate(password))
    endpoint = EndpointSettings(
        url="https://org.example",
        authority=AUTHORITY,
        client_id="me",
        certificate_path=file,
        certificate_password=SecretStr(password) if password else None,
    )
    forms: list[dict[str, list[str]]] = []

    def sign_in(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            forms.append(parse_qs(request.content.decode()))
        return wire(request)

    client = open_client(endpoint, settings, "dataverse", transport=httpx.MockTransport(sign_in))
    wire.answers = [ok()]
    with Service("System", ROOT, client, classify=lambda *_: None, retries=settings.retries) as service:
        service.get("rows")
    assert forms[0]["scope"] == ["https://org.example/.default"]
    header = forms[0]["client_assertion"][0].partition(".")[0]
    assert "x5t#S256" in json.loads(base64.urlsafe_b64decode(header + "=="))


def certificate(password: str | None) -> bytes:
    """A private key and its certificate, as one PEM text."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dualsync")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    lock = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, lock) + signed.public_bytes(pem)


@pytest.mark.parametrize("text", [None, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"])
def test_a_certificate_without_its_key_is_a_wrong_setting(
    wire: Wire, settings: Settings, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "app.pem"
    if text:
        file.write_text(text)
    endpoint = EndpointSettings(url="https://org.example", authority=AUTHORITY, client_id="me", certificate_path=file)
    client = open_client(endpoint, settings, "dataverse", transport=httpx.MockTransport(wire))
    with (
        Service("System", ROOT, client, classify=lambda *_: None, retries=settings.retries) as service,
        pytest.raises(errors.SettingsError, match="certificate_path"),
    ):
        service.get("rows")


def test_a_busy_identity_service_is_waited_for(wire: Wire, service: Service) -> None:
    busy = [httpx.Response(503), httpx.Response(429, headers={"Retry-After": "3"})]
    good = httpx.Response(200, json={"access_token": "late", "expires_in": 3600})
    wire.sign_in = lambda: busy.pop(0) if busy else good
    wire.answers = [httpx.Response(201, json={})]
    service.send("POST", "rows", body={}, repeatable=False)
    assert len(wire.slept) == 2
    assert wire.signatures == ["Bearer late"]


def test_follows_links_as_they_are_with_the_same_headers(wire: Wire, service: Service) -> None:
    """The page size goes with every page [DV2]."""
    link = (
        f"{ROOT}/rows?$select=a&$skiptoken=%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253ccookie%2520page%22/%3E"
    )
    wire.answers = [ok(value=[{"a": 1}], **{"@odata.nextLink": link}), ok(value=[{"a": 2}])]
    read = [page["value"] for page in pages(service, "rows?$select=a", {"Prefer": "odata.maxpagesize=1"})]
    assert read == [[{"a": 1}], [{"a": 2}]]
    assert str(wire.requests[1].url) == link
    assert {one.headers["Prefer"] for one in wire.requests} == {"odata.maxpagesize=1"}


def test_a_link_that_comes_again_is_an_error(wire: Wire, service: Service) -> None:
    link = {"@odata.nextLink": f"{ROOT}/rows?$skip=1"}
    wire.answers = [ok(value=[], **link), ok(value=[], **link)]
    with pytest.raises(errors.BrokenProtocol, match="read before"):
        list(pages(service, "rows", {}))


@pytest.mark.parametrize(
    "link", ["https://evil.example/rows", "http://org.example/api/rows", "https://org.example:8443/api/rows"]
)
def test_the_token_is_never_sent_to_another_host(wire: Wire, service: Service, link: str) -> None:
    wire.answers = [ok(value=[], **{"@odata.nextLink": link})]
    with pytest.raises(errors.BrokenProtocol, match="another host"):
        list(pages(service, "rows", {}))
    assert len(wire.requests) == 1


def test_redirects_are_not_followed(wire: Wire, service: Service) -> None:
    wire.answers = [httpx.Response(302, headers={"Location": "https://login.example/"})]
    with pytest.raises(errors.BrokenProtocol, match=r"redirects .* to login\.example"):
        service.get("rows")


def test_cookies_that_tie_to_one_server_are_dropped(wire: Wire, service: Service) -> None:
    wire.answers = [httpx.Response(200, json={}, headers={"Set-Cookie": "ARRAffinity=1; Path=/"}), ok()]
    service.get("rows")
    service.get("rows")
    assert "Cookie" not in wire.requests[1].headers


@pytest.fixture
def every_log_line() -> Iterator[None]:
    """Logs as they are by default, whatever other tests of the session have made quiet."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("every_log_line")
def test_logs_tell_requests_without_keys_values_or_tokens(wire: Wire, service: Service) -> None:
    wire.answers = [ok(), httpx.Response(429), ok()]
    with capture_logs() as logs:
        service.get("rows(name='secret name')?$filter=name eq 'secret name'")
        service.get("rows")
    assert [entry["event"] for entry in logs] == ["request", "request", "waiting", "request"]
    assert logs[0]["path"] == "/api/rows(…)"
    assert logs[0]["status"] == 200
    text = repr(logs)
    assert "secret name" not in text
    assert "token-1" not in text


def test_filters_are_split_below_the_limit() -> None:
    """The address of a request stays below its limit [DV1]."""
    terms = [f"name eq 'Müller {number}'" for number in range(50)]
    parts = list(or_filters(terms, 400))
    assert " or ".join(parts) == " or ".join(f"({term})" for term in terms)
    assert all(len(with_query("", {"q": part})) <= 400 for part in parts)
    assert list(or_filters([], 400)) == []


def test_a_page_is_gone_as_soon_as_it_is_read(wire: Wire, service: Service) -> None:
    """Without waiting for the garbage collector: bodies of many megabytes would pile up."""
    answered: list[weakref.ref[httpx.Response]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        response = httpx.Response(200, json={"value": []}, request=request)
        answered.append(weakref.ref(response))
        return response

    wire.answers = [answer] * 3
    gc.disable()
    try:
        for _ in range(3):
            service.get("rows")
        assert [one() for one in answered] == [None] * 3
    finally:
        gc.enable()
