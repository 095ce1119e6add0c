"""The page in a browser: network switch, filters, folds, sorting, light and dark, print, a phone,
and no request."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest

from .invented import Grid, experiment

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(NAMES)} on the PATH"),
]

NOTE = "<b>x</b></script><img src=//evil.example/x onerror=alert(1)> %{x} \u2028 a,b&c=d"
OTHER = "net:b.1"


@dataclass
class Visit:
    """A page, what it asked for, and what it complained about."""

    page: sync_api.Page
    url: str
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def see_everything(self) -> None:
        """Scroll through the page, so that every chart is drawn."""
        self.page.evaluate(
            """async () => {
              for (let y = 0; y < document.documentElement.scrollHeight; y += 500) {
                scrollTo(0, y);
                await new Promise(requestAnimationFrame);
              }
              scrollTo(0, 0);
            }"""
        )

    def unfold(self) -> None:
        """Open every fold, as readers would."""
        self.page.get_by_role("button", name="Open all").click()

    def with_address(self, state: str) -> None:
        self.page.evaluate("state => { location.hash = state }", state)
        self.page.wait_for_timeout(50)

    def rows(self, caption: str) -> list[str]:
        """The row headers of a table that are shown."""
        return (
            self.page.locator("table", has_text=caption)
            .first.locator("tbody tr:visible th")
            .all_inner_texts()
        )

    def traces(self, figure: int = 0) -> list[dict]:
        """What the first panel of a figure draws."""
        return (
            self.page.locator("figure.live")
            .nth(figure)
            .locator(".plot")
            .first.evaluate("div => div.data.map(({x, meta}) => ({x, meta}))")
        )


def watched(context: sync_api.BrowserContext, url: str) -> Visit:
    visit = Visit(context.new_page(), url)

    def route(route: sync_api.Route) -> None:
        asked = route.request.url
        if asked.partition("#")[0] == url or asked.startswith(("data:", "blob:")):
            route.continue_()
        else:
            visit.asked.append(asked)
            route.abort()

    context.route("**/*", route)
    visit.page.on("console", lambda message: visit.said.append(message.text))
    visit.page.on("pageerror", lambda error: visit.said.append(str(error)))
    visit.page.on("dialog", lambda dialog: visit.said.append(dialog.message))
    return visit


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    backbones = {"cnn": {"kind": "cnn"}, OTHER: {"kind": "mlp", "options": {"note": NOTE}}}
    corners = [("small", "similar"), ("large", "dissimilar")]
    grid = Grid(experiment(corners=corners, backbones=backbones, seeds=3))
    grid.finish(lambda cell: cell.seed < 2 or cell.regime != "lp_ft")
    for cell in grid.cells:
        if cell.regime == "partial_finetune":
            grid.fail(cell.run, "loss is NaN")
    grid.place({"latin": (0.2, 0.1, 0.32), "textures": (0.8, 0.7, 0.95)})
    folder: Path = tmp_path_factory.mktemp("page")
    return grid.write(folder).as_uri()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of four scenarios and three networks, as large as the default grid's."""
    backbones = {"mlp": {"kind": "mlp"}, "cnn": {"kind": "cnn"}, "vgg16": {"kind": "vgg16"}}
    folder: Path = tmp_path_factory.mktemp("large")
    grid = Grid(experiment(backbones=backbones, seeds=3)).finish().predict(folder / "runs")
    return grid.write(folder).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def opened(browser, url) -> Visit:
    context = browser.new_context(viewport={"width": 1300, "height": 900}, color_scheme="light")
    context.set_default_timeout(20_000)
    visit = watched(context, url)
    visit.page.goto(url)
    visit.page.wait_for_selector("html[data-ready]")
    visit.unfold()
    visit.see_everything()
    return visit


@pytest.fixture
def visit(opened: Visit) -> Iterator[Visit]:
    """The page as it was when it was opened; what a test stirs up must be no complaint."""
    yield opened
    opened.page.emulate_media(media="screen")
    opened.page.set_viewport_size({"width": 1300, "height": 900})
    opened.with_address("")
    if opened.page.locator("html[data-theme=dark]").count():
        opened.page.click("#theme")
    assert opened.said == []
    assert opened.asked == []


def choose(visit: Visit, facet: str, *unwanted: str) -> None:
    menu = visit.page.locator(f".bar details[data-facet={facet}]")
    menu.locator("summary").click()
    for value in unwanted:
        menu.get_by_label(value, exact=True).uncheck()
    visit.page.keyboard.press("Escape")


def switch(visit: Visit, network: str) -> None:
    visit.page.locator(".switch label", has_text=network).click()


GRID = "Test accuracy (%)"


def columns(visit: Visit) -> list[str]:
    """The titles of the columns of the table of accuracies that are shown."""
    table = visit.page.locator("table", has_text=GRID).first
    return table.locator("thead tr:last-child th:visible").all_inner_texts()


def test_the_network_switch_moves_cards_tables_and_charts(visit):
    before, page = visit.traces(), visit.page
    boards = page.locator(".board:visible")
    assert boards.evaluate_all("found => found.map(b => b.dataset.network)") == [""]
    best = boards.inner_text()
    assert columns(visit) == ["regime", "cnn", OTHER, "cnn", OTHER]
    switch(visit, OTHER)
    assert boards.evaluate_all("found => found.map(b => b.dataset.network)") == [OTHER]
    assert boards.inner_text() != best
    assert columns(visit) == ["regime", OTHER, OTHER]
    widths = page.locator(".grouped thead th[colspan]:visible")
    assert set(widths.evaluate_all("found => found.map(th => th.colSpan)")) == {1}
    assert page.locator("[data-backbone='cnn']:visible").count() == 0
    shown = page.locator("main [data-backbone]:visible")
    assert set(shown.evaluate_all("found => found.map(e => e.dataset.backbone)")) == {OTHER}
    assert {trace["meta"]["backbone"] for trace in visit.traces()} == {OTHER}
    assert len(visit.traces()) == len(before) / 2
    assert page.locator(".told").inner_text().endswith("rows shown")
    switch(visit, "best of all")
    assert boards.inner_text() == best
    assert columns(visit) == ["regime", "cnn", OTHER, "cnn", OTHER]


def test_the_switch_goes_by_keys(visit):
    visit.page.locator(".switch input").first.focus()
    visit.page.keyboard.press("ArrowRight")
    assert visit.page.locator(".board:visible").get_attribute("data-network") == "cnn"
    visit.page.keyboard.press("ArrowLeft")
    assert visit.page.locator(".board:visible").get_attribute("data-network") == ""


def test_a_regime_that_is_not_chosen_goes_from_rows_and_axis(visit):
    assert any(row.startswith("lp_ft") for row in visit.rows(GRID))
    choose(visit, "regime", "lp_ft", "majority")
    assert [row.split()[0] for row in visit.rows(GRID)] == [
        *("from_scratch", "linear_probe", "partial_finetune", "full_finetune", "random_features")
    ]
    axis = visit.page.locator(".plot").first.evaluate("div => div.layout.yaxis.categoryarray")
    assert axis == ["from_scratch", "linear_probe", "full_finetune", "random_features"]
    assert visit.page.locator(".keys button:visible", has_text="full_finetune").count()
    assert visit.page.locator(".keys button:visible", has_text="lp_ft").count() == 0


def test_one_click_leaves_a_single_regime(visit):
    menu = visit.page.locator(".bar details[data-facet=regime]")
    menu.locator("summary").click()
    menu.get_by_role("button", name="only lp_ft").click()
    visit.page.keyboard.press("Escape")
    assert [row.split()[0] for row in visit.rows(GRID)] == ["lp_ft"]
    assert menu.locator("summary").inner_text() == "Regime: 1 of 7"
    assert {trace["meta"]["regime"] for trace in visit.traces()} == {"lp_ft"}


def test_of_seeds_only_the_single_points_go(visit):
    choose(visit, "seed", "0", "2")
    points = [trace for trace in visit.traces() if "seed" in trace["meta"]]
    means = [trace for trace in visit.traces() if "seed" not in trace["meta"]]
    assert points
    assert len(points) == len(means)
    assert {len(trace["x"]) for trace in points} == {1}
    assert "means are over all" in visit.page.locator(".told").inner_text()


def test_what_is_shown_is_said_to_those_who_do_not_see_it(visit):
    spoken = visit.page.locator("[aria-live=polite]")
    choose(visit, "regime", "lp_ft")
    assert re.fullmatch(r"\d+ of \d+ rows shown", spoken.inner_text())
    visit.page.get_by_role("button", name="Show everything").click()
    assert spoken.inner_text() == "Everything is shown"
    assert any(row.startswith("lp_ft") for row in visit.rows(GRID))


def test_the_address_holds_the_state_and_a_link_brings_it_back(visit, browser):
    switch(visit, OTHER)
    choose(visit, "regime", "lp_ft", "majority")
    head = visit.page.locator("table.figures th[aria-sort]:visible").first
    head.get_by_role("button").click()
    visit.page.get_by_role("link", name="How it was measured").click()
    address = visit.page.url
    assert f"backbone={quote(OTHER, safe='!()*~')}" in address
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    other = watched(context, visit.url)
    other.page.goto(address)
    other.page.wait_for_selector("html[data-ready]")
    opened = "[...document.querySelectorAll('details.part[open]')].map(e => e.id)"
    assert other.page.evaluate(opened) == ["how-it-was-measured"]
    assert other.page.evaluate("scrollY") > 300
    assert other.page.evaluate("document.activeElement.id") == "how-it-was-measured"
    assert other.page.locator(".board:visible").get_attribute("data-network") == OTHER
    other.unfold()
    shown = "() => [...document.querySelectorAll('main tr')].filter(e => e.checkVisibility())"
    rows = f"({shown})().map(e => e.textContent)"
    assert other.page.evaluate(rows) == visit.page.evaluate(rows)
    assert (other.said, other.asked) == ([], [])
    context.close()


@pytest.mark.parametrize(
    "state", ["backbone=nobody", "regime=", "sort=9.9", "%E0%A4%A=1", "sort=x.y.z"]
)
def test_a_broken_link_shows_everything(visit, state):
    before = visit.page.locator("main tr:visible").count()
    visit.with_address(state)
    assert visit.page.locator("main tr:visible").count() == before


def test_tables_sort_by_click_and_key_and_dashes_come_last(visit):
    table = visit.page.locator("table", has_text=GRID).first
    head = table.locator("thead tr:last-child th").nth(1)

    def column() -> list[str]:
        return table.locator("tbody td:nth-child(2)").all_inner_texts()

    original = column()
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    numbers = [float(re.search(r"[\d.]+", text)[0]) for text in column() if "±" in text]
    assert numbers == sorted(numbers)
    assert column()[-1].startswith("–")
    visit.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column()[-1].startswith("–")
    again = [float(re.search(r"[\d.]+", text)[0]) for text in column() if "±" in text]
    assert again == numbers[::-1]
    visit.page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "none"
    assert column() == original


def test_dark_and_light_change_page_and_charts(visit):
    page = visit.page

    def colours() -> tuple[str, str]:
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        chart = page.locator(".plot").first.evaluate("div => div.layout.paper_bgcolor")
        return paper, chart

    light = colours()
    assert page.locator("#theme").inner_text() == "Dark page"
    page.click("#theme")
    dark = colours()
    assert page.locator("#theme").inner_text() == "Light page"
    assert light[0] == light[1] == "rgb(255, 255, 255)"
    assert dark[0] == dark[1]
    assert max(map(int, re.findall(r"\d+", dark[0]))) < 60


def test_the_system_decides_first(visit):
    visit.page.evaluate("localStorage.clear(); delete document.documentElement.dataset.theme")
    visit.page.emulate_media(color_scheme="dark")
    paper = visit.page.locator(".plot").first.evaluate("div => div.layout.paper_bgcolor")
    assert paper != "rgb(255, 255, 255)"
    visit.page.emulate_media(color_scheme="light")


def test_a_key_of_the_legend_hides_and_shows_again(visit):
    figure = visit.page.locator("figure.live").first
    before = visit.traces()
    key = figure.get_by_role("button", name="cnn")
    key.click()
    assert key.get_attribute("aria-pressed") == "false"
    assert {trace["meta"]["backbone"] for trace in visit.traces()} == {OTHER}
    key.click()
    assert visit.traces() == before


def test_a_point_says_its_value_and_its_n(visit):
    plot = visit.page.locator(".plot").first
    plot.scroll_into_view_if_needed()
    plot.evaluate(
        "div => Plotly.Fx.hover(div, [{curveNumber: div.data.length - 1, pointNumber: 0}])"
    )
    said = plot.locator(".hoverlayer").text_content()
    assert "random_features" in said
    assert OTHER in said
    assert re.search(r"[\d.]+ ± [\d.]+ % \(n=3\)", said)
    plot.evaluate("div => Plotly.Fx.unhover(div)")


def axis_of(visit: Visit) -> sync_api.Locator:
    return visit.page.locator("figure.live", has_text="Place of each target")


def drawn_on(figure: sync_api.Locator) -> list[dict]:
    return figure.locator(".plot").evaluate("div => div.data.map(({x, y, meta}) => ({x, y, meta}))")


def test_the_axis_of_similarity_answers_to_the_mouse_and_says_what_it_shows(visit):
    figure = axis_of(visit)
    plot = figure.locator(".plot")
    assert plot.get_attribute("aria-label") == (
        "Place on the axis: Places of the targets on the axis from 0 (the source itself) to 1 "
        "(the far domain)"
    )
    assert len(drawn_on(figure)) == 6  # two pairs in three spaces
    plot.scroll_into_view_if_needed()
    plot.evaluate("div => Plotly.Fx.hover(div, [{curveNumber: 0, pointNumber: 0}])")
    said = plot.locator(".hoverlayer").text_content()
    assert "latin → cyrillic (similar)" in said and "0.20 [0.10, 0.32]" in said
    plot.evaluate("div => Plotly.Fx.unhover(div)")
    lines = plot.evaluate("div => div.layout.shapes.map(({x0, x1, line}) => [x0, x1, line.dash])")
    assert lines == [[0, 0, "solid"], [0.5, 0.5, "dash"], [1, 1, "solid"]]


def test_a_pair_of_the_axis_goes_by_its_key_and_a_space_with_its_backbone(visit):
    figure = axis_of(visit)
    key = figure.get_by_role("button", name="textures → cyrillic (dissimilar)")
    key.click()
    assert {trace["x"][0] for trace in drawn_on(figure)} == {0.2}
    key.click()
    switch(visit, OTHER)
    spaces = [trace["meta"].get("backbone") for trace in drawn_on(figure)]
    assert spaces == [None, None, OTHER, OTHER]
    rows = figure.locator(".plot").evaluate("div => div.layout.yaxis.categoryarray")
    assert len(rows) == 2 and rows[0] == "random filters"


def test_options_of_a_network_are_text_on_the_page(visit):
    (shown,) = visit.page.locator("td", has_text="note=").all_inner_texts()
    markup = "</script><img src=//evil.example/x onerror=alert(1)> %{x}"
    assert markup in shown.replace("\xa0", " ")


def test_the_first_screen_is_the_answer_and_details_are_folded(browser, large):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    visit = watched(context, large)
    visit.page.goto(large)
    visit.page.wait_for_selector("html[data-ready]")
    bottoms = visit.page.locator(".board:visible .card").evaluate_all(
        "found => found.map(card => card.getBoundingClientRect().bottom)"
    )
    assert len(bottoms) == 4
    assert max(bottoms) < 900
    assert visit.page.locator("details.part[open]").count() == 0
    assert visit.page.locator("main table:visible, .warning:visible").count() == 0
    visit.page.locator("details.part summary", has_text="Accuracy").first.click()
    assert visit.page.url.endswith("#accuracy")
    assert visit.page.locator("main table:visible").count() == 1
    assert (visit.said, visit.asked) == ([], [])
    context.close()


def test_on_a_phone_the_answer_stands_on_the_first_screen(browser, large):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    visit = watched(context, large)
    visit.page.goto(large)
    visit.page.wait_for_selector("html[data-ready]")
    ends = visit.page.locator(".short, .board:visible .card").evaluate_all(
        "found => found.map(e => e.getBoundingClientRect().bottom)"
    )
    assert sum(end < 844 for end in ends) >= 3  # the sentence and two cards
    assert visit.page.locator(".bar").bounding_box()["y"] > 844
    context.close()


@pytest.mark.parametrize("width", [1440, 768, 390])
def test_nothing_is_wider_than_the_window(browser, large, width):
    context = browser.new_context(viewport={"width": width, "height": 900})
    visit = watched(context, large)
    visit.page.goto(large)
    visit.page.wait_for_selector("html[data-ready]")
    visit.unfold()
    visit.see_everything()
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    wider = visit.page.locator(".scroll:visible").evaluate_all(
        "found => found.filter(e => e.scrollWidth > e.clientWidth).map(e => e.ariaLabel)"
    )
    assert width < 1440 or wider == []
    assert (visit.said, visit.asked) == ([], [])
    context.close()


def test_a_regime_has_one_colour_wherever_it_stands(visit):
    dots = visit.page.evaluate(
        """() => [...document.querySelectorAll('main tr[data-regime] .dot')]
            .map(dot => [dot.closest('tr').dataset.regime, dot.style.getPropertyValue('--c')])"""
    )
    colours = dict(dots)
    assert len(colours) == 7
    assert {tuple(dot) for dot in dots} == set(colours.items())
    of_chart = visit.page.locator(".plot").first.evaluate(
        "div => Object.fromEntries(div.data.map(t => [t.meta.regime, t.marker.color]))"
    )
    assert of_chart
    assert of_chart.items() <= colours.items()


def test_the_page_is_small(large):
    assert Path(large.removeprefix("file://")).stat().st_size < 3_000_000


def test_markup_is_sound(visit):
    page = visit.page
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    for selector in (
        "img:not([alt]), img[alt='']",
        "main th:not([scope])",
        "main table:not(:has(caption))",
        "button:empty, a:empty, summary:empty",
        "input:not(label input)",
        "[role=img]:not([aria-label]), [role=region]:not([aria-label])",
        "[onerror], [onclick], iframe, object, form",
    ):
        assert page.locator(selector).count() == 0, selector
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    targets = page.evaluate("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert all(target == "records.csv" or target[1:] in ids for target in targets)


def test_the_first_stop_of_the_keyboard_leads_past_the_controls(visit):
    page = visit.page
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.keyboard.press("Tab")
    link = page.locator(".skip")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert link.bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "the-answer"
    visit.unfold()
    visit.see_everything()


CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const parse = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = (c) => [0, 1, 2].map((i) => c[i] / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = (e) => {
    for (; e; e = e.parentElement) {
      const found = parse(getComputedStyle(e).backgroundColor);
      if (found[3] === 255) return found;
    }
    return parse('white');
  };
  const weak = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest('svg, .unseen, script')) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(paper(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) weak.push(`${e.tagName}.${e.className} ${ratio.toFixed(2)} ${e.textContent}`);
  }
  return weak;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(visit, theme):
    if theme == "dark":
        visit.page.click("#theme")
    visit.page.locator(".keys button").first.click()
    weak = visit.page.evaluate(CONTRAST)
    visit.page.locator(".keys button").first.click()
    assert weak == []


def test_a_phone_scrolls_in_one_direction(visit):
    visit.page.set_viewport_size({"width": 375, "height": 800})
    visit.see_everything()
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 375
    choose(visit, "regime", "lp_ft")
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 375
    small = visit.page.evaluate(
        """[...document.querySelectorAll('main *')].filter(e => e.checkVisibility() &&
            [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) &&
            parseFloat(getComputedStyle(e).fontSize) < 11).map(e => e.outerHTML)"""
    )
    assert small == []


def test_print_has_everything_and_no_control(visit):
    switch(visit, OTHER)
    page = visit.page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for gone in (".bar", ".keys", ".panels", ".choices", ".skip", "#theme", ".all"):
        assert page.locator(f"{gone}:visible").count() == 0, gone
    for shown in (
        "main tr",
        "main figure > img",
        ".board",
        ".card ul",
        "details > .scroll",
        ".legend p",
    ):
        found = page.locator(shown)
        assert found.count() > 0
        assert page.locator(f"{shown}:visible").count() == found.count(), shown


def test_without_scripts_pictures_and_tables_are_there(browser, url):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    for fold in page.locator("details.part > summary").all():
        fold.click()
    for shown in ("main tr", "main figure > img", ".board", ".card"):
        folded = page.locator(f"details:not([open]) :is({shown})").count()
        found = page.locator(shown).count()
        assert page.locator(f"{shown}:visible").count() == found - folded > 0
    assert page.locator("button:visible, #bar:visible").count() == 0
    context.close()
