"""The page's server: a photograph comes in, an answer goes out, and nothing is kept."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from transfer_lab.advice.album.album import RefusedError
from transfer_lab.advice.model.loading import Answer as ModelAnswer
from transfer_lab.advice.model.loading import Model
from transfer_lab.system.serving import Answer, LocalHandler, LocalServer

PORT = 8723
MAX_BYTES = 100 * 2**20
TOP = 5
_ASSETS = {
    "/": ("transfer_lab.advice.trying", "try.html"),
    "/try.css": ("transfer_lab.advice.trying", "try.css"),
    "/try.js": ("transfer_lab.advice.trying", "try.js"),
    "/page.css": ("transfer_lab.reporting.render", "page.css"),
}


def serve(model: Model, *, host: str = "127.0.0.1", port: int = PORT) -> None:
    """Serve the page until Ctrl-C; raises RefusedError where the port is taken."""
    with opened(model, host=host, port=port) as server:
        print(f"try the model: {server.url} (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def opened(model: Model, *, host: str = "127.0.0.1", port: int = PORT) -> TryServer:
    """The server, its port taken; raises RefusedError where it cannot be had."""
    try:
        return TryServer(model, host, port)
    except OSError as error:
        what = os.strerror(error.errno) if error.errno else str(error)
        raise RefusedError(
            f"--port {port}: cannot be served at {host} ({what}); choose another"
        ) from error


class TryServer(LocalServer):
    """Serves one model; one photograph is looked at at a time."""

    def __init__(self, model: Model, host: str, port: int):
        self._model, self._lock = model, threading.Lock()
        super().__init__(host, port, _Handler)

    def about(self) -> dict[str, Any]:
        """What the page says of the model."""
        return {"classes": self._model.classes, "folder": self._model.folder.resolve().name}

    def look(self, content: bytes) -> dict[str, Any]:
        """The answer to a file's content."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "photo"
            path.write_bytes(content)
            with self._lock:
                (answer,) = self._model.answers([path], top=TOP)
        return _told(answer)


class _Handler(LocalHandler):
    """One request."""

    server: TryServer
    timeout = 60

    def do_GET(self) -> None:  # noqa: N802
        """The page and its parts, and what is to be said of the model."""
        if self.refused():
            return
        path = urlsplit(self.path).path
        if path in _ASSETS:
            self.send(HTTPStatus.OK, _asset(path))
        elif path == "/api/model":
            self.send(HTTPStatus.OK, _json(self.server.about()))
        else:
            self.send(HTTPStatus.NOT_FOUND, _json({"error": "there is nothing here"}))

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:  # noqa: N802
        """An answer to the photograph that is the body."""
        if self.refused():
            return
        self.close_connection = True  # what is left of a body that was not read
        if self.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            self.send(HTTPStatus.FORBIDDEN, _json({"error": "asked by another page"}))
        elif urlsplit(self.path).path != "/api/look":
            self.send(HTTPStatus.NOT_FOUND, _json({"error": "there is nothing here"}))
        elif not 0 <= (length := self._length()) <= MAX_BYTES:
            told = f"the file is larger than {MAX_BYTES // 2**20} MB"
            self.send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _json({"error": told}))
        else:
            self.send(HTTPStatus.OK, _json(self.server.look(self.rfile.read(length))))

    def _length(self) -> int:
        given = self.headers.get("Content-Length", "")
        return int(given) if given.isascii() and given.isdigit() else -1


def _told(answer: ModelAnswer) -> dict[str, Any]:
    if answer.error is not None or answer.label is None:
        return {"error": answer.error}
    ranked = [(answer.label, answer.probability), *answer.alternatives]
    return {
        "ranked": [{"class": name, "probability": share} for name, share in ranked],
        "unfamiliar": answer.unfamiliar,
    }


def _json(content: dict[str, Any]) -> Answer:
    return Answer(json.dumps(content).encode())


@cache
def _asset(path: str) -> Answer:
    package, name = _ASSETS[path]
    content = (files(package) / "page" / name).read_bytes()
    return Answer(content, name.rpartition(".")[2])
