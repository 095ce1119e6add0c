"""The page of an advice in a browser: wide, narrow, light, dark, on paper; no request."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.advice.invented import advice, draw
from tests.advice.test_page import COMMAND, shots
from transfer_lab.advice import folder

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(NAMES)} on the PATH"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> str:
    root = draw(tmp_path_factory.mktemp("photos"))
    return folder.write(advice(), shots(), root, root / "advice", COMMAND).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def visit(browser, url):
    """Opens the page in a window; what it asks for or complains about fails the test."""
    stirred, contexts = [], []

    def opened(width: int, scheme: str = "light") -> sync_api.Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("console", lambda message: stirred.append(message.text))
        page.on("pageerror", lambda error: stirred.append(str(error)))
        page.on("request", lambda request: _own(request.url) or stirred.append(request.url))
        page.goto(url)
        return page

    def _own(asked: str) -> bool:
        return asked.partition("#")[0] == url or asked.startswith("data:")

    yield opened
    for context in contexts:
        context.close()
    assert stirred == []


@pytest.mark.parametrize("width", [1440, 768, 390])
def test_nothing_is_wider_than_the_window_and_the_answer_is_on_the_first_screen(visit, width):
    page = visit(width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    number = page.locator(".promise strong").bounding_box()
    assert number["y"] + number["height"] < 300 and number["height"] > 60
    assert page.locator("#answer .warning").bounding_box()["y"] < 900


def test_a_cell_opens_its_photographs_and_closes_again(visit):
    page = visit(1440)
    assert page.locator(".opened:visible").count() == 0
    page.locator("a[href='#cell-6-1']").click()
    shown = page.locator(".opened:visible")
    assert shown.count() == 1 and shown.locator("img").count() == 17
    assert page.evaluate(
        "[...document.querySelectorAll('#cell-6-1 img')].every(i => i.complete && i.naturalWidth)"
    )
    assert "taken" not in shown.inner_text() and "“oak” were named “beech”" in shown.inner_text()
    shown.get_by_text("close").click()
    assert page.locator(".opened:visible").count() == 0


def test_a_photograph_leads_to_its_file(visit):
    page = visit(1440)
    address = page.locator("#cell-6-1 .photos a").first.evaluate("a => a.href")
    assert address.startswith("file://") and re.search(r"/oak/\d+\.jpg$", address)
    assert "/advice/" not in address


def test_the_keyboard_reaches_cells_and_folds(visit):
    page = visit(1440)
    page.locator("a[href='#cell-6-1']").focus()
    page.keyboard.press("Enter")
    assert page.locator("#cell-6-1").is_visible()
    page.locator("summary", has_text="How we know").focus()
    page.keyboard.press("Enter")
    assert page.get_by_text("2 x 5-fold, near-copies kept together").is_visible()


def test_dark_is_dark(visit):
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = visit(768).evaluate(paper), visit(768, "dark").evaluate(paper)
    assert light == "rgb(255, 255, 255)"
    assert max(map(int, re.findall(r"\d+", dark)[:3])) < 64


def test_on_paper_the_answer_stands_and_what_is_clicked_does_not(visit):
    page = visit(768, "dark")
    page.locator("a[href='#cell-6-1']").click()
    page.emulate_media(media="print")
    assert page.locator(".promise").is_visible()
    assert not page.locator("#cell-6-1").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf().startswith(b"%PDF")
