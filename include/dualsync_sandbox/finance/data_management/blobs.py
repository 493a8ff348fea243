"""Blob storage as data management uses it: files behind links that carry their own right of access and expire.

Follows "Put Blob" and "Get Blob" of Azure Storage. Files live in memory: a sandbox that is started again has none.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs, quote, urlsplit

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.protocol.http import Call, Reply, unescape

ROOT = "/blobs"
BLOB_LIFE = timedelta(days=7)
URL_LIFE = timedelta(hours=1)  # observed: one to two hours


@dataclass
class _Blob:
    content: bytes | None
    token: str
    written: datetime
    expires: datetime


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
            if call.headers.get("x-ms-blob-type", "").lower() != "blockblob":
                return _refusal(400, "MissingRequiredHeader")
            if "comp" in call.options:
                return _refusal(501, "SandboxNotImplemented")
            blob.content, blob.written = call.body, self._clock.now()
            return Reply(201)
        if call.method not in ("GET", "HEAD"):
            return _refusal(501, "SandboxNotImplemented")
        if blob.content is None:
            return _refusal(404, "BlobNotFound")
        return Reply(200, blob.content, {"content-type": "application/octet-stream", "x-ms-blob-type": "BlockBlob"})


def _refusal(status: int, code: str) -> Reply:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return Reply(status, body.encode(), {"content-type": "application/xml", "x-ms-error-code": code})
