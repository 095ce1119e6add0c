"""Whether the network leads anywhere, found in a second instead of a library's many."""

from __future__ import annotations

import socket
import threading
import urllib.request
from urllib.parse import urlparse

_PATIENCE_S = 0.8


def reachable(url: str) -> bool:
    """Whether the host answers within a second, name lookup included; a proxy is taken at its
    word."""
    place = urlparse(url)
    if urllib.request.getproxies().get(place.scheme):
        return True
    port = place.port or (80 if place.scheme == "http" else 443)
    answered = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((place.hostname, port), timeout=_PATIENCE_S).close()
        except OSError:
            return
        answered.set()

    # A thread, because a name lookup cannot be given a time-out.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return answered.is_set()
