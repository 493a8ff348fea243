"""Names of response headers as the services write them.

Names do not depend on case (RFC 9110), but a client that keeps them in a plain dictionary finds only what it asks for:
Microsoft's asynchronous Dataverse client asks for ``OData-EntityId``. The spelling is that of the samples in "Compose
HTTP requests and handle errors" and "Execute batch operations using the Web API" (webapi); Azure Storage and the
service protection limits write names that begin with ``x-ms-`` in lower case. ``REQ_ID`` is observed; the rest follows
the custom of HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping

_SPELLED = {
    "etag": "ETag",
    "odata-entityid": "OData-EntityId",
    "odata-version": "OData-Version",
    "req_id": "REQ_ID",
    "www-authenticate": "WWW-Authenticate",
}


def spelled(name: str) -> str:
    """The name of a header as it is sent."""
    lower = name.lower()
    if lower.startswith("x-"):
        return lower
    return _SPELLED.get(lower) or "-".join(part.capitalize() for part in lower.split("-"))


class HeaderName(bytes):
    """A name that keeps its case.

    The server (uvicorn) puts every name in lower case before it compares and sends it. This one stays as it is, and is
    equal to its own lower case.
    """

    def lower(self) -> HeaderName:
        """The name itself."""
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bytes) and bytes.lower(self) == bytes.lower(other)

    def __hash__(self) -> int:
        return hash(bytes.lower(self))


def raw(headers: Mapping[str, str], body: bytes, status: int) -> list[tuple[bytes, bytes]]:
    """Headers as the server takes them, with the length of the body unless the answer can have none."""
    named = {spelled(name): value for name, value in headers.items()}
    if status not in (204, 304):
        named.setdefault("Content-Length", str(len(body)))
    return [(HeaderName(name.encode("latin-1")), value.encode("latin-1")) for name, value in named.items()]
