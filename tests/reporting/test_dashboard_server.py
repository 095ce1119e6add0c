"""The dashboard's server: who is answered, with what, and what no address leads to."""

import io
import json
import re
import sys
import time

import pytest

from tests.reporting.dashboards import Bench, fetched
from transfer_lab.reporting.dashboard import comparison
from transfer_lab.reporting.dashboard import server as module
from transfer_lab.reporting.dashboard.server import Server

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def port(bench):
    with bench.served() as found:
        yield found


def test_the_page_and_all_that_it_asks_for_is_there(port):
    status, headers, page = fetched(port, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    wanted = re.findall(r'(?:src|href)="(/[^"]*)"', page.decode())
    left, seen = [path for path in wanted if path != "/"], set()
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.add(path)
        status, _, content = fetched(port, path)
        assert status == 200, path
        left += re.findall(r'from "(/[^"]+\.js)"', content[:5000].decode(errors="replace"))
    assert seen == set(module._ASSETS) - {"/"}


def test_nothing_is_fetched_from_elsewhere_and_no_other_script_may_run(port):
    _, headers, page = fetched(port, "/")
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Access-Control-Allow-Origin"] is None
    assert b"//" not in re.sub(rb"<!doctype html>", b"", page)
    assert not re.search(rb"<script(?![^>]*src=)", page)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:9", "localhost", "LOCALHOST:8501", "[::1]:8501", "10.0.0.7"]
)
def test_it_answers_to_its_own_names_and_to_addresses(port, host):
    assert fetched(port, "/api/experiments", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8501", "127.0.0.1.evil.example", "localhost.evil.org",
             "localhost@evil.example", "", "[::1", "a b"],
)  # fmt: skip
def test_a_name_of_somebody_elses_that_leads_here_is_refused(port, host):
    status, _, content = fetched(port, "/api/experiments", Host=host)
    assert status == 403
    assert b"tiny" not in content


def test_what_has_not_changed_is_not_sent_again(bench, port):
    status, headers, content = fetched(port, "/api/live")
    assert status == 200
    assert content
    again = fetched(port, "/api/live", **{"If-None-Match": headers["ETag"]})
    assert (again[0], again[2]) == (304, b"")
    bench.announce()
    assert fetched(port, "/api/live", **{"If-None-Match": headers["ETag"]})[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/../pyproject.toml", "/..%2f..%2fetc/passwd", "//etc/passwd", "/api", "/api/",
     "/page/dashboard.js", "/dashboard.js/", "/runs/x/record.json", "/download/../api/live"],
)  # fmt: skip
def test_no_address_leads_to_a_file(port, path):
    status, headers, content = fetched(port, path)
    assert status == 404
    assert json.loads(content) == {"error": "there is nothing here"}
    assert headers["Content-Type"] == "application/json"


def test_only_reading_is_answered(port):
    assert fetched(port, "/api/live", method="POST")[0] == 501
    status, headers, content = fetched(port, "/api/live", method="HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["Content-Length"]) > 0


def test_what_goes_wrong_is_told_to_the_page_and_the_next_is_answered(port, monkeypatch):
    def broken(*_):
        raise RuntimeError(HOSTILE)

    told = io.StringIO()
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setattr(comparison, "comparison", broken)
    status, headers, content = fetched(port, "/api/comparison")
    assert status == 500
    assert json.loads(content) == {"error": f"RuntimeError: {HOSTILE}"}
    assert headers["Content-Type"] == "application/json"
    until = time.monotonic() + 10
    while "RuntimeError" not in told.getvalue() and time.monotonic() < until:  # after the answer
        time.sleep(0.01)
    assert "RuntimeError" in told.getvalue()
    assert fetched(port, "/api/live")[0] == 200


@pytest.mark.parametrize("asked", [{"experiment": ["x" * 5000]}, {"seed": ["²", "-1", "x", "1e9"]},
                                   {"regime": [HOSTILE]}, {"first": [HOSTILE]}])  # fmt: skip
@pytest.mark.parametrize("path", ["matrix", "comparison", "differences", "runs", "facets", "live"])
def test_whatever_stands_in_an_address_is_answered(bench, path, asked):
    answer = bench.server.answer(f"/api/{path}", asked)
    assert HOSTILE.encode() not in answer.content


def test_an_address_of_ipv6_is_served(bench):
    try:
        with Server(bench.lab, "::1", 0) as server:
            assert server.server_address[0] == "::1"
    except OSError:
        pytest.skip("no IPv6 on this machine")
