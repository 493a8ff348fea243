"""Batches as clients write them: a multipart body put together, and the multipart answer taken apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Part:
    """One answer of a batch: its status, headers (lower case, Content-ID among them) and body."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def part(method: str, url: str, body: object = None, *, content_id: str = "", headers: str = "") -> str:
    """One request."""
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    lines += [f"Content-ID: {content_id}"] if content_id else []
    lines += ["", f"{method} {url} HTTP/1.1"]
    lines += ["Content-Type: application/json; type=entry"] if body is not None else []
    lines += [headers] if headers else []
    return "\r\n".join([*lines, "", "" if body is None else json.dumps(body, indent=1)])


def change_set(*parts: str) -> str:
    """Requests that are carried out together or not at all."""
    inner = "".join(f"--set\r\n{text}\r\n" for text in parts)
    return f'Content-Type: multipart/mixed; boundary="set"\r\n\r\n{inner}--set--\r\n'


def send(api: httpx.Client, *parts: str, end: str = "\r\n", **headers: str) -> httpx.Response:
    """Send requests and change sets as one batch."""
    headers = {"content-type": 'multipart/mixed; boundary="batch"', **headers}
    return api.post("$batch", content=whole(*parts, end=end), headers=headers)


def whole(*parts: str, end: str = "\r\n") -> bytes:
    """The body of a batch, with the boundary ``batch``."""
    return ("".join(f"--batch\r\n{text}\r\n" for text in parts) + "--batch--" + end).encode()


def answers(response: httpx.Response) -> list[Part]:
    """The parts of the answer in order, those of change sets among them."""
    return taken_apart(response.text, response.headers)


def taken_apart(text: str, headers: Mapping[str, str]) -> list[Part]:
    """The parts of an answer, from its text and headers."""
    boundary = re.fullmatch(r"multipart/mixed; boundary=(batchresponse_[0-9a-f-]{36})", headers["content-type"])
    assert boundary is not None
    return list(_parts(text, boundary[1]))


def _parts(text: str, boundary: str) -> Iterator[Part]:
    pieces = text.split(f"--{boundary}")
    assert pieces[0] == ""
    assert pieces[-1] == "--\r\n"
    for piece in pieces[1:-1]:
        head, _, content = piece.strip("\r\n").partition("\r\n\r\n")
        inner = re.search(r"boundary=(changesetresponse_[0-9a-f-]{36})", head)
        if inner is not None:
            yield from _parts(content + "\r\n", inner[1])
            continue
        outer = dict(line.lower().split(": ", 1) for line in head.split("\r\n"))
        assert outer["content-type"] == "application/http"
        lines, _, body = content.partition("\r\n\r\n")
        status, *rest = lines.split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
        yield Part(int(status.split()[1]), outer | headers, json.loads(body) if body.strip() else {})
