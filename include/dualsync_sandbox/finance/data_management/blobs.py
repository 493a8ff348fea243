"""Blob storage as data management uses it: files behind links that carry their own right of access and expire.

Follows "Put Blob", "Put Block", "Put Block List", "Get Blob", "Get Blob Properties" and "Specifying the range header
for Blob service operations" of Azure Storage. Files live in memory: a sandbox that is started again has none.
"""

from __future__ import annotations

import re
import secrets
import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from urllib.parse import parse_qs, quote, urlsplit
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.protocol.http import Call, Reply, unescape

ROOT = "/blobs"
BLOB_LIFE = timedelta(days=7)
URL_LIFE = timedelta(hours=1)  # observed: one to two hours
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class _Blob:
    content: bytes | None
    token: str
    written: datetime
    expires: datetime
    blocks: dict[str, bytes] = field(default_factory=dict)

    def write(self, content: bytes, now: datetime) -> None:
        """Put the whole content in place; blocks that were not named are gone."""
        self.content, self.written, self.blocks = content, now, {}

    @property
    def tag(self) -> str:
        """The entity tag."""
        return f'"0x{int(self.written.timestamp() * 1_000_000):X}"'


class Blobs:
    """The files.

    Args:
        clock: The sandbox's clock: links and files expire by it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._blobs: dict[str, _Blob] = {}

    def clear(self) -> None:
        """Forget all files."""
        with self._lock:
            self._blobs.clear()

    def new(self, call: Call, name: str, content: bytes | None) -> tuple[str, str]:
        """Make a file.

        Args:
            call: The request that asks for it; names the host.
            name: Its name; may be empty.
            content: What it holds; ``None`` until somebody writes it.

        Returns:
            Its id, and a link to it.
        """
        blob_id = str(uuid.uuid4())
        now = self._clock.now()
        path = f"dmf/{blob_id}/{name}" if name else f"dmf/{blob_id}"
        blob = _Blob(content, secrets.token_urlsafe(24), now, now + URL_LIFE)
        with self._lock:
            self._blobs[path] = blob
        expires = quote(blob.expires.strftime("%Y-%m-%dT%H:%M:%SZ"), safe="")
        url = f"{call.base}{ROOT}/{quote(path)}?sv=2014-02-14&sr=b&se={expires}&sp=rw&sig={blob.token}"
        return blob_id, url

    def content(self, call: Call, url: str) -> bytes | None:
        """What the file behind a link holds; ``None`` where the link is not good (any more)."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != call.base:
            return None
        token = parse_qs(parts.query).get("sig", [""])[0]
        blob = self._allowed(unescape(parts.path).removeprefix(f"{ROOT}/"), token)
        return None if blob is None else blob.content

    def _allowed(self, path: str, token: str) -> _Blob | None:
        now = self._clock.now()
        with self._lock:
            blob = self._blobs.get(path)
        if blob is None or not secrets.compare_digest(token.encode(), blob.token.encode()):
            return None
        return None if now > blob.expires or now > blob.written + BLOB_LIFE else blob

    def handle(self, call: Call) -> Reply:
        """Answer a request to storage."""
        blob = self._allowed(unescape(call.path), call.options.get("sig", ""))
        if blob is None:
            return _refusal(403, "AuthenticationFailed")
        if call.method == "PUT":
            return self._put(call, blob)
        if call.method not in ("GET", "HEAD") or "comp" in call.options:
            return _refusal(501, "SandboxNotImplemented")
        return _read(call, blob)

    def _put(self, call: Call, blob: _Blob) -> Reply:
        part = call.options.get("comp")
        if part == "block":
            return _put_block(call, blob)
        if part not in (None, "blocklist"):
            return _refusal(501, "SandboxNotImplemented")
        if blob.content is not None and call.headers.get("if-none-match") == "*":
            return _refusal(409, "BlobAlreadyExists")
        content: bytes | None = call.body
        if part == "blocklist":
            content = _committed(call.body, blob)
            if content is None:
                return _refusal(400, "InvalidBlockList")
        elif call.headers.get("x-ms-blob-type", "").lower() != "blockblob":
            return _refusal(400, "MissingRequiredHeader")
        assert content is not None
        blob.write(content, self._clock.now())
        return Reply(201, b"", _facts(blob))


def _put_block(call: Call, blob: _Blob) -> Reply:
    """A piece that a list of blocks puts in its place later ("Put Block")."""
    name = call.options.get("blockid", "")
    if not name:
        return _refusal(400, "MissingRequiredQueryParameter")
    blob.blocks[name] = call.body
    return Reply(201)


def _committed(body: bytes, blob: _Blob) -> bytes | None:
    """The blocks of a "Put Block List", one after another; ``None`` where it is no list or names another."""
    try:
        names = [element.text or "" for element in fromstring(body)]
    except (ParseError, DefusedXmlException):
        return None
    pieces = [blob.blocks.get(name) for name in names]
    return None if None in pieces else b"".join(piece for piece in pieces if piece is not None)


def _read(call: Call, blob: _Blob) -> Reply:
    """The file, or the bytes a range names: ``x-ms-range`` goes before ``Range``."""
    if blob.content is None:
        return _refusal(404, "BlobNotFound")
    if call.headers.get("if-match", "*") not in ("*", blob.tag):
        return _refusal(412, "ConditionNotMet")
    headers = {
        "content-type": "application/octet-stream",
        "x-ms-blob-type": "BlockBlob",
        "accept-ranges": "bytes",
        **_facts(blob),
    }
    wanted = _RANGE.fullmatch(call.headers.get("x-ms-range") or call.headers.get("range", ""))
    if wanted is None or call.method == "HEAD":
        return Reply(200, blob.content, headers)
    size = len(blob.content)
    first, last = int(wanted[1]), min(int(wanted[2] or size), size - 1)
    if first > last:
        refused = _refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "InvalidRange")
        refused.headers["content-range"] = f"bytes */{size}"
        return refused
    headers["content-range"] = f"bytes {first}-{last}/{size}"
    return Reply(HTTPStatus.PARTIAL_CONTENT, blob.content[first : last + 1], headers)


def _facts(blob: _Blob) -> dict[str, str]:
    return {"etag": blob.tag, "last-modified": format_datetime(blob.written, usegmt=True)}


def _refusal(status: int, code: str) -> Reply:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return Reply(status, body.encode(), {"content-type": "application/xml", "x-ms-error-code": code})
