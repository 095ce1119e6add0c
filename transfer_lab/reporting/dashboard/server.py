"""The dashboard's server: a page, and what its script asks for, for this machine alone."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import socket
import sys
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from socketserver import ThreadingTCPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from transfer_lab.reporting.dashboard import comparison, differences, live, one_run, runs
from transfer_lab.reporting.dashboard.lab import Lab
from transfer_lab.reporting.dashboard.loading import Planned
from transfer_lab.reporting.dashboard.selection import Query, Selection
from transfer_lab.reporting.dashboard.wire import encoded

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
_DASHBOARD, _PAGE = "transfer_lab.reporting.dashboard", "transfer_lab.reporting.render"
_ASSETS = {
    "/": (_DASHBOARD, "dashboard.html"),
    "/dashboard.css": (_DASHBOARD, "dashboard.css"),
    "/dashboard.js": (_DASHBOARD, "dashboard.js"),
    "/charts.js": (_DASHBOARD, "charts.js"),
    "/elements.js": (_DASHBOARD, "elements.js"),
    "/parallel.js": (_DASHBOARD, "parallel.js"),
    "/runs.js": (_DASHBOARD, "runs.js"),
    "/views.js": (_DASHBOARD, "views.js"),
    "/page.css": (_PAGE, "page.css"),
    "/plotly.js": (_PAGE, "plotly-basic.min.js"),
    "/plots.js": (_PAGE, "plots.js"),
}


class Answer(NamedTuple):
    """What is sent: content, its kind, and under which name it is saved, if it is to be."""

    content: bytes
    kind: str = "json"
    saved_as: str | None = None


Ask = Callable[[Lab, Selection, Query], Answer | None]


def _json(make: Callable[[Lab, Selection, Query], object]) -> Ask:
    return lambda lab, selection, query: Answer(encoded(make(lab, selection, query)))


def _matrix(lab: Lab, selection: Selection, query: Query) -> object:
    return live.matrix(lab, lab.shown(selection), selection)


def _first(query: Query, name: str) -> str:
    return next(iter(query.get(name, ())), "")


def _curve(lab: Lab, selection: Selection, query: Query) -> Answer | None:
    run_id = _first(query, "run")
    content = one_run.curve_file(lab, run_id)
    return None if content is None else Answer(content, "csv", f"{run_id}.csv")


ROUTES: Mapping[str, Ask] = {
    "/api/experiments": _json(lambda lab, *_: live.experiments(lab)),
    "/api/live": _json(lambda lab, selection, _: live.live(lab, selection)),
    "/api/facets": _json(lambda lab, selection, _: live.facets(lab, selection)),
    "/api/matrix": _json(_matrix),
    "/api/comparison": _json(lambda lab, s, _: comparison.comparison(lab.shown(s), s)),
    "/api/cards": _json(lambda lab, s, _: comparison.cards(lab, lab.shown(s), s)),
    "/api/differences": _json(lambda lab, s, q: differences.differences(lab, lab.shown(s), s, q)),
    "/api/runs": _json(lambda lab, s, _: runs.runs(lab.shown(s), s)),
    "/api/run": _json(lambda lab, _, q: one_run.side_by_side(lab, q.get("run", ()))),
    "/api/log": _json(
        lambda lab, _, q: {"log": one_run.log(lab, next(iter(q.get("run", ())), ""))}
    ),
    "/download/records.csv": lambda lab, s, _: Answer(runs.as_csv(lab, s), "csv", "records.csv"),
    "/download/curve.csv": _curve,
}
"""What can be asked for. No part of an address is ever a path on disk."""

_STORED = frozenset(
    f"/api/{name}" for name in ("facets", "comparison", "cards", "differences", "runs")
)
"""Answers that are the same until a record, or the experiment, is another."""
_ANSWERS = 40
"""That are kept at a time."""


class Server(ThreadingTCPServer):
    """Serves one lab."""

    allow_reuse_address = daemon_threads = True
    request_queue_size = 64

    def __init__(self, lab: Lab, host: str, port: int):
        self.lab = lab
        self._answers: dict[tuple[object, ...], tuple[list[Planned], Answer | None]] = {}
        self.names = {"localhost", host.lower(), socket.gethostname().lower()}
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def handle_error(self, request: object, address: object) -> None:
        """A page that has gone away is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, address)

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

    def answer(self, path: str, query: Query) -> Answer | None:
        """What is sent for an address; None where there is nothing."""
        if path in _ASSETS:
            return _asset(path)
        if path not in ROUTES:
            return None
        with self.lab.lock:
            selection = Selection.of(query, self.lab.known(), self.lab.default())
            if path not in _STORED:
                return ROUTES[path](self.lab, selection, query)
            return self._stored(path, selection, query)

    def _stored(self, path: str, selection: Selection, query: Query) -> Answer | None:
        looked_at = [self.lab.known()[name] for name in selection.experiments]
        tokens = tuple(map(self.lab.token, selection.experiments))
        asked = (path, urlencode(query, doseq=True), tokens, tuple(map(id, looked_at)))
        known = self._answers.pop(asked, None)
        if known is None:  # with the experiments, so that no other has one's id
            known = (looked_at, ROUTES[path](self.lab, selection, query))
        self._answers[asked] = known
        while len(self._answers) > _ANSWERS:
            del self._answers[next(iter(self._answers))]
        return known[1]


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "transfer-lab", ""

    def do_GET(self) -> None:
        """Send what is asked for, unless the page has it already."""
        if not self.server.is_own(self.headers.get("Host")):
            self._send(HTTPStatus.FORBIDDEN, Answer(b"not served under this name", "json"))
            return
        asked = urlsplit(self.path)
        query = parse_qs(asked.query, max_num_fields=500)
        try:
            answer = self.server.answer(asked.path, query)
        except Exception as error:  # a page that is told what is wrong goes on
            told = encoded({"error": f"{type(error).__name__}: {error}"})
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, Answer(told))
            raise
        if answer is None:
            self._send(HTTPStatus.NOT_FOUND, Answer(encoded({"error": "there is nothing here"})))
            return
        tag = f'"{hashlib.sha256(answer.content).hexdigest()[:20]}"'
        if self.headers.get("If-None-Match") == tag:
            self._send(HTTPStatus.NOT_MODIFIED, None, tag)
        else:
            self._send(HTTPStatus.OK, answer, tag)

    do_HEAD = do_GET  # noqa: N815

    def _send(self, status: HTTPStatus, answer: Answer | None, tag: str = "") -> None:
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


@cache
def _asset(path: str) -> Answer:
    package, name = _ASSETS[path]
    content = (files(package) / "page" / name).read_bytes()
    return Answer(content, name.rpartition(".")[2])
