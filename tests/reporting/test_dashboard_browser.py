"""The dashboard in a browser: charts, filters in the address, a live grid, runs, and a phone."""

from __future__ import annotations

from urllib.parse import parse_qs, quote

import numpy as np
import pytest

from tests.builders import TINY_YAML
from tests.reporting.dashboards import Bench
from tests.reporting.test_page import BROWSER
from transfer_lab.store.records import Record
from transfer_lab.store.running import AtWork, withdraw
from transfer_lab.system import pulse
from transfer_lab.system.pulse import beating

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH"),
]

HOSTILE = "<img src=//evil.example/x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    made.finish(made.cells(0))
    made.finish(made.cells(1))
    made.answer(made.cells(0), 0.5)
    return made


@pytest.fixture
def visit(bench, browser):
    """Opens an address; at the end nothing was asked of anybody else, and nothing went wrong."""
    asked, said = [], []
    with bench.served() as port:
        own = f"http://127.0.0.1:{port}/"
        context = browser.new_context(viewport={"width": 1440, "height": 900})

        def opened(state: str = "", width: int = 1440) -> sync_api.Page:
            page = context.new_page()
            page.set_viewport_size({"width": width, "height": 900})
            page.on("console", lambda line: said.append(line.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: said.append(dialog.message))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"{own}#{state}")
            return ready(page)

        yield opened
        context.close()
    assert [url for url in asked if not url.startswith((own, "data:", "blob:"))] == []
    assert said == []


def ready(page: sync_api.Page) -> sync_api.Page:
    page.wait_for_selector("html[data-ready=true]")
    return page


def state(page: sync_api.Page) -> dict[str, list[str]]:
    return parse_qs(page.url.partition("#")[2])


def test_the_first_chart_is_drawn_and_the_answers_follow(visit):
    page = visit()
    page.wait_for_selector(".plot[data-drawn] .main-svg")
    page.wait_for_selector(".answer")
    assert page.locator("nav a[aria-current]").inner_text() == "Compare"
    assert page.locator("h2").all_inner_texts() == ["tiny"]  # what was worked on last


def test_a_filter_is_in_the_address_and_the_address_is_a_filter(visit):
    page = visit("view=compare&experiment=tiny")
    rows = page.locator("table", has_text="Test accuracy").first.locator("tbody tr")
    assert rows.count() == 3
    page.locator(".menu summary", has_text="Regime").click()
    page.get_by_label("only linear_probe").click()
    expect(rows).to_have_count(1)
    assert state(page)["regime"] == ["linear_probe"]
    again = visit(page.url.partition("#")[2])
    assert again.locator("main table").first.locator("tbody tr").count() == 1
    assert again.locator(".menu summary", has_text="Regime").inner_text() == "Regime: 1 of 3"
    again.get_by_role("button", name="Show everything").click()
    expect(again.locator("main table").first.locator("tbody tr")).to_have_count(3)
    assert "regime" not in state(again)


def test_views_are_visited_and_left_again(visit):
    page = visit("view=compare&experiment=tiny")
    page.get_by_role("link", name="Differences").click()
    page.wait_for_selector("#arm-second")
    page.select_option("#arm-first", "from_scratch on mlp")
    page.wait_for_selector("table:has-text('from_scratch on mlp, against')")
    assert state(page)["first"] == ["from_scratch on mlp"]
    page.go_back()
    ready(page)
    page.wait_for_selector("main .column")
    assert state(page)["view"] == ["compare"]


def test_a_running_grid_moves_by_itself(visit, bench, tmp_path, monkeypatch):
    monkeypatch.setattr(pulse, "_SECONDS_BETWEEN_CURVES", 0.0)
    page = visit("experiment=tiny")
    run_id = bench.cells()[2].run.id
    busy = AtWork(runs=(run_id,), name=f"mlp {HOSTILE}", doing="epoch 2 of 9", share=0.2)
    grid = bench.announce("seeds=[0]", pulses=tmp_path, working=(busy,), total=9, left=75.0)
    page.get_by_role("link", name="Live").click()
    page.wait_for_selector(".grid")
    assert "0 of 9 runs" in page.locator(".grid .count").inner_text()
    assert "about 75 s left" in page.locator(".grid .count").inner_text()
    assert HOSTILE in page.locator(".work .name").inner_text()
    with beating(tmp_path / run_id):
        for epochs in (2, 5):
            line = {
                "epoch": [*range(1, epochs + 1)],
                "train_loss": [1 / e for e in range(1, epochs + 1)],
            }
            pulse.draw(lambda line=line: [line])
            page.wait_for_selector(f"svg[aria-label$='at epoch {epochs}']")
    withdraw(bench.store.root, grid)
    page.wait_for_selector("text=No grid is running")


def test_what_finishes_appears_without_a_click(visit, bench):
    cell = bench.cells()[2]
    record = bench.store.file(cell.run.id, "record.json")
    kept = record.read_bytes()
    record.unlink()
    page = visit("view=live&experiment=tiny")
    assert "1 missing" in page.locator(".filling caption").inner_text()
    record.write_bytes(kept)
    expect(page.locator(".filling caption")).to_have_text("tiny: 12 done")


def test_a_failure_shows_its_error_and_its_log_as_text(visit, bench):
    cell = bench.cells()[2]
    bench.store.file(cell.run.id, "record.json").unlink()
    bench.store.put(Record.failure(cell.run, "error", HOSTILE))
    bench.store.file(cell.run.id, "traceback.txt").write_text(f"Traceback {HOSTILE}")
    page = visit("view=live&experiment=tiny")
    assert HOSTILE in page.locator("table.words").inner_text()
    page.locator("summary", has_text=cell.scenario).first.click()
    page.wait_for_selector("pre:has-text('Traceback')")
    assert page.locator("main img").count() == 0


def test_runs_are_searched_sorted_and_put_beside_each_other(visit):
    page = visit("view=runs&experiment=tiny")
    rows = page.locator(".runs tbody tr")
    assert rows.count() == 12
    page.fill("#search", "linear_probe small_similar")
    expect(page.locator(".runs tbody tr")).to_have_count(2)
    assert state(page)["search"] == ["linear_probe small_similar"]
    page.fill("#search", "")
    expect(page.locator(".runs tbody tr")).to_have_count(12)
    page.get_by_role("button", name="val accuracy (%)", exact=True).click()
    page.wait_for_selector("th[aria-sort=descending]")
    column = page.locator(".runs thead th").all_inner_texts().index("val accuracy (%)")
    shown = [float(row.locator("td").nth(column).inner_text()) for row in rows.all()]
    assert shown == sorted(shown, reverse=True)
    assert state(page)["sort"] == ["val_accuracy~down"]
    page.locator(".runs tbody button", has_text="details").first.click()
    page.wait_for_selector("svg.heat")
    page.wait_for_selector("#beside .plot")
    (one,) = state(page)["run"]
    other = page.locator(".runs input:not(:checked)").first
    other.check()
    expect(page.locator("svg.heat")).to_have_count(0)
    assert state(page)["run"][0] == one


def test_drawing_along_an_axis_keeps_the_runs_between(visit):
    page = visit("view=runs&experiment=tiny")
    axis = page.locator(".parallel .axis", has_text="val accuracy").locator(".touch")
    box = axis.bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    expect(page.locator(".runs tbody tr")).not_to_have_count(12)
    (kept,) = state(page)["range"]
    assert kept.startswith("val_accuracy~")
    page.locator(".parallel .title", has_text="val accuracy").click()
    expect(page.locator(".runs tbody tr")).to_have_count(12)


@pytest.mark.parametrize("view", ["live", "compare", "differences", "runs"])
@pytest.mark.parametrize("width", [1440, 390])
def test_no_view_is_wider_than_the_window(visit, view, width):
    page = visit(f"view={view}&experiment=tiny&experiment=other", width)
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("view", ["live", "compare", "differences", "runs"])
def test_everything_has_a_name_and_can_be_reached_by_keys(visit, view):
    page = visit(f"view={view}&experiment=tiny")
    assert page.evaluate("document.documentElement.lang") == "en"
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, a[href], input, select, summary, progress, '
             + 'svg[role=img], .plot, [role=region]')]
           .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim()
                            || e.labels?.length)).map((e) => e.outerHTML.slice(0, 99))"""
    )
    assert nameless == []
    named = "(table) => table.caption || table.closest('[aria-label]')"
    assert page.evaluate(f"[...document.querySelectorAll('table')].every({named})")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_hostile_texts_are_text_in_every_view(visit, bench):
    hostile = TINY_YAML.replace("linear_probe: {}", f"linear_probe: {{note: '{HOSTILE}'}}")
    bench.paths[0].write_text(hostile.replace("name: tiny", f"name: tiny\ntitle: '{HOSTILE}'"))
    bench.finish(bench.cells())
    cell = next(cell for cell in bench.cells() if cell.regime == "linear_probe")
    path = bench.store.file(cell.run.id, "predictions.npz")
    classes = np.array([HOSTILE, "b"])
    np.savez(path, label=np.array([0, 1]), predicted=np.array([1, 1]), classes=classes)
    record = bench.store.get(cell.run.id)
    bench.store.put(record.model_copy(update={"test_accuracy": 0.5, "host": HOSTILE}))
    page = visit(f"view=runs&experiment=tiny&run={cell.run.id}&search={quote(HOSTILE)}")
    expect(page.locator(".runs tbody tr")).to_have_count(4)
    page.wait_for_selector("svg.heat")
    assert HOSTILE in page.locator(".taken li").first.inner_text()
    page.locator("summary", has_text="Options and records").click()
    assert page.locator("#beside table td", has_text=HOSTILE).count() == 2
    for view in ("live", "compare", "differences"):
        ready(visit(f"view={view}&experiment=tiny&regime={quote(HOSTILE)}&first={quote(HOSTILE)}"))
    for seen in page.context.pages:
        assert seen.locator("img[src*=evil]").count() == 0
