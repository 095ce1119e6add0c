"""A page for this machine alone: what is sent with every answer, and who may ask. No torch."""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import NamedTuple

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "svg": "image/svg+xml",
}


class Answer(NamedTuple):
    """What is sent: content, its kind, and under which name it is saved, if it is to be."""

    content: bytes
    kind: str = "json"
    saved_as: str | None = None


class LocalServer(ThreadingTCPServer):
    """Answers requests that name this machine."""

    allow_reuse_address = daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, handler: type[LocalHandler]):
        self.names = {"localhost", host.lower(), socket.gethostname().lower()}
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = map(str, self.server_address[:2])
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def handle_error(self, request: object, address: object) -> None:
        """A page that has gone away is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, address)  # type: ignore[arg-type]

    def is_own(self, host: str | None) -> bool:
        """Whether a Host header names this machine: by an address, or by a name that is its own.
        A name of anybody else's that leads here is a trick by which a foreign page would read
        what is served."""
        found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:\d{1,5})?", host or "")
        if not found:
            return False
        name = found[1].strip("[]").lower()
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True


class LocalHandler(BaseHTTPRequestHandler):
    """One request; a subclass says what is answered."""

    server: LocalServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "transfer-lab", ""

    def refused(self) -> bool:
        """Whether the request names another machine, which it has then been told."""
        if self.server.is_own(self.headers.get("Host")):
            return False
        self.send(HTTPStatus.FORBIDDEN, Answer(b"not served under this name", "json"))
        return True

    def send(self, status: HTTPStatus, answer: Answer | None, tag: str = "") -> None:
        """Send an answer, with the tag by which a page that has it already says so."""
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if tag:
            self.send_header("ETag", tag)
        content = answer.content if answer else b""
        if answer:
            self.send_header("Content-Type", _TYPES[answer.kind])
            self.send_header("Content-Length", str(len(content)))
        if answer and answer.saved_as:
            self.send_header("Content-Disposition", f'attachment; filename="{answer.saved_as}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are no news."""
