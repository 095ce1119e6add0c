"""The page that a photograph is dropped on: what it answers, whom it answers, and how it looks."""

from __future__ import annotations

import io
import json
import threading
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from tests.advice.trained import fitted
from tests.photos import CLASSES, every_kind, picture
from tests.reporting.test_page import BROWSER
from transfer_lab.advice.album.album import RefusedError
from transfer_lab.advice.model.loading import load_model
from transfer_lab.advice.model.saving import save
from transfer_lab.advice.trying.server import MAX_BYTES, opened

pytest.importorskip("timm")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("models") / "flowers"
    save(fitted(), made, formats=["onnx"])
    return made


@contextmanager
def served(folder):
    with opened(load_model(folder), port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def port(folder):
    with served(folder) as number:
        yield number


def ask(port, method, path, body=None, **headers):
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply, content


def jpeg(number=0):
    into = io.BytesIO()
    picture(number).save(into, "jpeg")
    return into.getvalue()


def test_the_page_and_its_parts_are_for_this_machine_and_ask_nobody_else(port):
    for path in ("/", "/try.css", "/try.js", "/page.css"):
        reply, content = ask(port, "GET", path)
        assert reply.status == 200 and content
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert b"http://" not in content and b"https://" not in content
    assert ask(port, "GET", "/../../etc/passwd")[0].status == 404


def test_what_is_answered_is_what_predict_answers(port, folder, tmp_path):
    for path in every_kind(tmp_path):
        reply, content = ask(port, "POST", "/api/look", path.read_bytes())
        (known,) = load_model(folder).answers([path], top=5)
        found = json.loads(content)
        ranked = [(one["class"], one["probability"]) for one in found["ranked"]]
        assert reply.status == 200 and ranked[0] == (known.label, known.probability)
        assert tuple(ranked[1:]) == known.alternatives
        assert found["unfamiliar"] is known.unfamiliar


@pytest.mark.parametrize("content", [b"", b"no photograph", jpeg()[:300]])
def test_what_cannot_be_read_is_said_in_words(port, content):
    reply, told = ask(port, "POST", "/api/look", content)
    assert reply.status == 200 and json.loads(told)["error"]
    assert "/" not in json.loads(told)["error"], "no place on this machine's disk"


def test_only_this_machines_own_page_is_answered(port):
    assert ask(port, "GET", "/api/model", Host="evil.example")[0].status == 403
    assert ask(port, "POST", "/api/look", jpeg(), Host="evil.example")[0].status == 403
    assert ask(port, "POST", "/api/look", jpeg(), Sec_Fetch_Site="cross-site")[0].status == 403
    assert ask(port, "POST", "/api/look", jpeg(), Sec_Fetch_Site="same-origin")[0].status == 200


def test_too_large_a_file_is_refused_unread(port):
    reply, told = ask(port, "POST", "/api/look", b"x", Content_Length=str(MAX_BYTES + 1))
    assert reply.status == 413 and "larger than" in json.loads(told)["error"]
    assert ask(port, "POST", "/api/look", b"x", Content_Length="-1")[0].status == 413


def test_a_port_that_is_taken_is_refused(port, folder):
    with pytest.raises(RefusedError, match=f"--port {port}"):
        opened(load_model(folder), port=port)


@pytest.fixture
def page(port):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    said, asked = [], []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        made = browser.new_page(viewport={"width": 390, "height": 844})
        made.on("console", lambda line: said.append(line.text))
        made.on("pageerror", lambda error: said.append(str(error)))
        made.on("request", lambda request: asked.append(request.url))
        made.goto(f"http://127.0.0.1:{port}/")
        made.wait_for_selector("html[data-ready=true]")
        yield made
        browser.close()
    own = (f"http://127.0.0.1:{port}/", "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []
    assert said == []


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH")
def test_a_photograph_is_chosen_and_its_classes_appear_on_a_phone(page):
    assert "flowers tells apart bay, city, wood." in page.inner_text("#about")
    photo = {"name": "mine.jpg", "mimeType": "image/jpeg", "buffer": jpeg()}
    page.set_input_files("#file", photo)
    page.wait_for_selector("#ranked li")
    assert page.inner_text("#word") in CLASSES
    assert page.locator("#ranked li").count() == 3
    assert page.get_attribute("#photo", "alt") == "The photograph mine.jpg"
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "nothing is cut off or has to be scrolled to"


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH")
def test_what_is_unfamiliar_or_unreadable_is_said(page):
    broken = {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": b"no photograph"}
    page.set_input_files("#file", broken)
    page.get_by_text("Cannot be read: it is no image").wait_for()
    assert page.locator("#ranked li").count() == 0 and page.is_hidden("#photo")
    page.route(
        "**/api/look",
        lambda route: route.fulfill(
            json={"ranked": [{"class": "<b>bay</b>", "probability": 0.9}], "unfamiliar": True}
        ),
    )
    good = {"name": "y.jpg", "mimeType": "image/jpeg", "buffer": jpeg()}
    page.set_input_files("#file", good)
    page.wait_for_selector("#unfamiliar:visible")
    assert page.inner_text("#word") == "<b>bay</b>"
