"""Where alerts arrive in tests: a mail server and a webhook, each on a port of this machine."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar


class Mailbox(socketserver.ThreadingTCPServer):
    """Takes mails by SMTP, without encryption and without asking who sends them."""

    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        super().__init__(("127.0.0.1", 0), _Smtp)

    @property
    def connection(self) -> str:
        """It as a connection of Airflow."""
        extra = {"disable_ssl": True, "disable_tls": True, "retry_limit": 0, "from_email": "dualsync@example.com"}
        return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": self.server_address[1], "extra": extra})


class _Smtp(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self._say("220 here")
        to: list[str] = []
        while line := self.rfile.readline():
            word = line.split(None, 1)[0].upper() if line.strip() else b""
            if word == b"RCPT":
                to.append(line.split(b"<")[1].split(b">")[0].decode())
            if word == b"DATA":
                self._say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                mail = message_from_bytes(b"".join(lines), policy=policy.default)
                assert isinstance(mail, EmailMessage)
                self.server.mails.append((to, mail))
                to = []
            self._say("221 bye" if word == b"QUIT" else "250 well")
            if word == b"QUIT":
                return

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Channel(ThreadingHTTPServer):
    """Takes messages as a webhook does.

    Attributes:
        messages: what came, by path.
        answers: statuses to answer with before 200.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[int] = []
        super().__init__(("127.0.0.1", 0), _Webhook)

    def connection(self, form: str, secret: str) -> str:
        """It as a connection of Airflow; the secret is part of its address."""
        url = f"http://127.0.0.1:{self.server_address[1]}/{secret}"
        return json.dumps({"conn_type": "dualsync_webhook", "password": url, "extra": {"format": form}})


class _Webhook(BaseHTTPRequestHandler):
    server: Channel

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.messages.append((self.path, body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


Server = TypeVar("Server", bound=socketserver.BaseServer)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """A server at work."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
