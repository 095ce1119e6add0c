"""Whether a host answers, in a second."""

from __future__ import annotations

import socket
import threading

import pytest

from transfer_lab.system import network as reach


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setattr(reach.urllib.request, "getproxies", dict)


def test_a_port_that_listens_is_reached_and_one_that_does_not_is_not():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/data.zip"
        assert reach.reachable(url)
    assert not reach.reachable(url)


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_each_scheme_has_its_port(monkeypatch, scheme, port):
    asked = []

    def connect(place, timeout):
        asked.append(place)
        raise OSError

    monkeypatch.setattr(reach.socket, "create_connection", connect)
    assert not reach.reachable(f"{scheme}://example.org/a")
    assert asked == [("example.org", port)]


def test_a_host_that_does_not_answer_costs_a_second(monkeypatch):
    let_go, ended = threading.Event(), threading.Event()

    def connect(*_, **__):
        let_go.wait(60)
        ended.set()
        raise OSError

    monkeypatch.setattr(reach.socket, "create_connection", connect)
    assert reach._PATIENCE_S < 1
    assert not reach.reachable("https://example.org")
    assert not ended.is_set()
    let_go.set()


def test_a_proxy_is_taken_at_its_word(monkeypatch):
    monkeypatch.setattr(reach.urllib.request, "getproxies", lambda: {"https": "proxy:3128"})
    assert reach.reachable("https://example.org")
