"""Figures: legends and titles that fit whatever names are in them, and colours that stay."""

import io
import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from transfer_lab.reporting.figures.mpl import WIDTH, legend_above, rendered, wrapped_title
from transfer_lab.reporting.figures.pens import GREYS, PALETTE

LONG = "vgg16(width=0.75, batch_norm=true, top=pooled, pretrained=vgg16_cifar10_three_quarters)"


def handles(names: list[str]) -> list[Line2D]:
    return [Line2D([], [], marker="o", linestyle="", label=name) for name in names]


@pytest.mark.parametrize(
    "names",
    [
        ["mlp"],
        [LONG],
        ["mlp", "cnn", LONG],
        [f"regime_{n}" for n in range(12)],
        ["x" * 64] * 5,
        [LONG] * 9,
    ],
)
def test_a_legend_lies_within_the_figure_and_above_panels_of_the_size_asked_for(names):
    made = []

    def draw() -> Figure:
        figure = Figure(figsize=(WIDTH, 2.5))
        figure.subplots(1, 2)
        legend_above(figure, handles(names))
        made.append(figure)
        return figure

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rendered(draw)
    (figure,) = made
    box, page = figure.legends[0].get_window_extent(), figure.bbox
    assert box.x0 >= page.x0 and box.x1 <= page.x1 and box.y1 <= page.y1
    for panel in figure.axes:
        area = panel.get_window_extent()
        assert area.y1 <= box.y0
        assert area.height / figure.dpi > 1.6
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted("".join(t.split()) for t in told) == sorted("".join(n.split()) for n in names)


@pytest.mark.parametrize("columns", [1, 2])
def test_a_long_title_ends_where_its_panel_does(columns):
    made = []

    def draw() -> Figure:
        figure = Figure(figsize=(WIDTH, 3))
        for panel in figure.subplots(1, columns, squeeze=False).ravel():
            panel.set_title(wrapped_title(f"cifar10 → photographs (similar), {LONG}", columns))
        made.append(figure)
        return figure

    rendered(draw)
    boxes = [panel._left_title.get_window_extent() for panel in made[0].axes]
    ends = [box.x0 for box in boxes[1:]] + [made[0].bbox.x1]
    assert all(box.x1 <= end for box, end in zip(boxes, ends, strict=True))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 2), (2, 2), (3, 2)])
@pytest.mark.parametrize("names", [["0.1", "10"], ["regime", "vgg16(width=0.75)\nbatch_norm=true"]])
def test_what_stands_around_a_panel_covers_no_other_and_lies_within_the_figure(
    rows, columns, shared, names
):
    made = []

    def draw() -> Figure:
        figure = Figure(figsize=(WIDTH, 2.5 * rows))
        for panel in figure.subplots(rows, columns, squeeze=False, sharey=shared).ravel():
            panel.set_yticks([0, 1], names)
            panel.set_xticks([0, 100], ["0", "100"])
            panel.set_title("large_similar\n(80 per class)")
            if not shared:
                panel.set_xlabel("epochs")
                panel.set_ylabel("accuracy")
        figure.supxlabel("seconds", fontsize=9)
        figure.supylabel("test accuracy (%)", fontsize=9)
        legend_above(figure, handles(["mlp", LONG]))
        made.append(figure)
        return figure

    rendered(draw)
    (figure,) = made
    taken = [panel.get_tightbbox() for panel in figure.axes]
    taken += [text.get_window_extent() for text in (figure._supxlabel, figure._supylabel)]
    taken.append(figure.legends[0].get_window_extent())
    for box in taken:
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    for number, box in enumerate(taken):
        assert not any(box.overlaps(other) for other in taken[:number])


def test_names_that_are_too_long_for_the_figure_are_cut_off():
    def draw() -> Figure:
        figure = Figure(figsize=(WIDTH, 2.5))
        figure.subplots(1, 2, sharey=True)[0].set_yticks([0, 1], ["x" * 300, "y"])
        return figure

    with Image.open(io.BytesIO(rendered(draw))) as image:
        assert image.width == round(150 * WIDTH)


def test_a_single_small_dot_keeps_its_colour():
    colours = (*PALETTE, *GREYS)

    def draw() -> Figure:
        figure = Figure(figsize=(WIDTH, 4))
        panel = figure.subplots()
        for row in range(40):  # much of one colour, as of the regime that is drawn most
            panel.plot([0, 9], [row, row + 3], color=colours[1])
        for place, colour in enumerate(colours):
            panel.plot([place], [45], "o", color=colour, markersize=4.5)
        return figure

    with Image.open(io.BytesIO(rendered(draw))) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    for colour in colours:
        wanted = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
        assert np.abs(pixels - wanted).max(axis=1).min() <= 3, colour
