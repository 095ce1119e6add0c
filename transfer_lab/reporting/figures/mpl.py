"""The one drawer of figures for matplotlib: their look, their margins, and how they become PNG."""

from __future__ import annotations

import io
import textwrap
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from transfer_lab.reporting.figures import spec
from transfer_lab.reporting.figures.spec import Axis, Key, Panel, Series

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

LOOK = {
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    # No tick stands above a panel; unless told so, matplotlib looks for one.
    "axes.titley": 1.0,
    "axes.labelsize": 9,
    "axes.edgecolor": "#4B5563",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E5E7EB",
    "grid.linewidth": 0.7,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 9,
    "xtick.color": "#374151",
    "ytick.color": "#374151",
    # Hinting hardly shows at this resolution, and takes an eighth of the time of a figure.
    "text.hinting": "none",
    "legend.frameon": False,
    "legend.fontsize": 9,
    # Labels come from experiment files; a dollar sign in one must not start a formula.
    "text.parse_math": False,
}

WIDTH, DPI, COLOURS = 6.6, 150, 256
_BESIDE, _ROW, _KEY = 0.45, 2.0, 0.5
"""Inches: beside a title, of what names a row, and of a key in a legend."""
LINE = 0.17
"""Inches: the height of a line of text."""
_PAD, _TICK, _OVERHANG = 0.06, 0.05, 0.14
"""Inches: between neighbours, of a tick, and of half a number that stands under the end of an
axis."""
_MOST = 0.6
"""The share of the width that names beside the panels may take; longer ones are cut off."""

_DOT = 4.5
"""Points that a dot is across."""
_BAR = {"row": 1.4, "point": 1}
"""Points that the interval of a dot is wide."""
_TICKS = 5
"""At most so many steps on an axis: ticks are what takes longest to lay out and draw."""
_ASIDE, _FACTOR = 0.7, 1.025
"""What stands side by side shares this much of a row, or stands so far apart on an axis of
powers."""
_NEUTRAL, _INK, _SHADE = "#374151", "#111827", "#EEF1F4"
_UPRIGHT = {"-": "#374151", "--": "#6B7280"}


def png(figure: spec.Figure) -> bytes:
    """The figure as a PNG file."""
    return rendered(partial(draw, figure))


def draw(figure: spec.Figure) -> Figure:
    """The panels, at most two in a row, under their legend."""
    from matplotlib.figure import Figure

    columns = min(2, len(figure.panels))
    rows = -(-len(figure.panels) // columns)
    made = Figure(figsize=(WIDTH, rows * figure.height + figure.margin))
    shared = {"sharex": figure.x.shared, "sharey": figure.y.shared}
    grid = made.subplots(rows, columns, squeeze=False, **shared).ravel()
    for unused in grid[len(figure.panels) :]:
        unused.remove()
    drawn = list(zip(grid, figure.panels, strict=False))
    for axes, panel in drawn:
        axes.set_title(wrapped_title(panel.title, columns))
        axes.locator_params(nbins=_TICKS)
        _panel(axes, figure, panel)
    for axes, panel in drawn:
        _scale(axes, "x", panel.x or figure.x)
        _scale(axes, "y", panel.y or figure.y)
        axes.set_ylabel(panel.y.title if panel.y else "")
    (made.supxlabel if len(drawn) > 1 else grid[0].set_xlabel)(figure.x.title, fontsize=9)
    made.supylabel(figure.y.title, fontsize=9)
    if figure.keys:
        legend_above(made, [_handle(key) for key in figure.keys], figure.key_columns)
    return made


def _panel(axes: Axes, figure: spec.Figure, panel: Panel) -> None:
    axes.tick_params(axis="x", labelbottom=True)
    if figure.y.names:
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    for row in map(figure.y.names.index, panel.shaded):
        axes.axhspan(row - 0.48, row + 0.48, color=_SHADE, linewidth=0)
    for x, dash in panel.uprights:
        axes.axvline(x, color=_UPRIGHT[dash], linestyle=dash, linewidth=1)
    dots = defaultdict(list)
    for series in panel.series:
        match series.kind:
            case "step":
                axes.step(series.x, series.y, where="post", color=series.pen.colour, linewidth=1)
            case "line":
                _line(axes, figure, series, panel.x or figure.x)
            case "row" | "point":
                dots[series.marker].append(series)
    for marker, of_marker in dots.items():
        _dots(axes, figure, marker, of_marker)


def _line(axes: Axes, figure: spec.Figure, series: Series, along: Axis) -> None:
    x = [along.names.index(at) if along.names else at for at in series.x]
    if along.log:
        x = [at * _FACTOR ** _aside(figure, series) for at in x]
    axes.errorbar(
        x, series.y, yerr=series.error or None, fmt=series.pen.dash, color=series.pen.colour,
        linewidth=1.4 if series.error else 1.5, elinewidth=0.9,
        marker=series.marker, markersize=4,
    )  # fmt: skip


def _aside(figure: spec.Figure, series: Series) -> float:
    """How many places it stands from the middle of those side by side."""
    return series.beside - (figure.abreast - 1) / 2


def _dots(axes: Axes, figure: spec.Figure, marker: str, dots: Sequence[Series]) -> None:
    """Dots with their intervals, all of one marker: two artists, whatever their number, where an
    error bar would be several for each."""
    from matplotlib.collections import LineCollection

    places, bars, colours = [], [], []
    for series in dots:
        for n, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
            above = series.error[n] if series.error else 0
            below = series.below[n] if series.below else above
            if series.kind == "row":
                y = figure.y.names.index(y) + _ASIDE / figure.abreast * _aside(figure, series)
                bars.append([(x - below, y), (x + above, y)])
            else:
                bars.append([(x, y - below), (x, y + above)])
            places.append((x, y))
            colours.append(series.pen.colour)
            if series.label:
                _label(axes, series, (x, y))
    width = _BAR[dots[0].kind]
    axes.add_collection(LineCollection(bars, linewidths=width, colors=colours))
    look = {"marker": marker, "s": _DOT**2, "c": colours, "linewidths": 0}
    axes.scatter(*zip(*places, strict=True), zorder=2.5, **look)


def _label(axes: Axes, series: Series, at: tuple[float, float]) -> None:
    above, right = series.label_at.startswith("top"), series.label_at.endswith("right")
    beside = {
        "xytext": (3.5 if right else -3.5, 2.5 if above else -2.5),
        "textcoords": "offset points",
        "ha": "left" if right else "right",
        "va": "bottom" if above else "top",
    }
    axes.annotate(series.label, at, color=_INK, fontsize=6.5, **beside)


def _scale(axes: Axes, which: str, axis: Axis) -> None:
    """Range and ticks of one direction, after all is drawn."""
    limits, ticks = getattr(axes, f"set_{which}lim"), getattr(axes, f"set_{which}ticks")
    if axis.log:
        getattr(axes, f"set_{which}scale")("log")
        axes.minorticks_off()
    if axis.names:
        names = [wrapped_row(name) for name in axis.names] if which == "y" else axis.names
        ticks(range(len(axis.names)), names)
    if axis.ticks:
        ticks(axis.ticks, [f"{tick:g}" for tick in axis.ticks])
    if axis.integers:
        getattr(axes, f"{which}axis").get_major_locator().set_params(integer=True)
    if axis.names and which == "y":
        limits(len(axis.names) - 0.5, -0.5)
    elif axis.low is not None:
        found = getattr(axes, f"get_{which}lim")()[1] if axis.high is None else axis.high
        limits(axis.low, min(100.0, max(1.0, found)) if axis.percent else found)


def _handle(key: Key) -> Artist:
    from matplotlib.lines import Line2D

    label = key.value if key.number is None else f"{key.number} {key.value}"
    look = {"linestyle": key.dash, "marker": key.marker, "color": key.colour or _NEUTRAL}
    return Line2D([], [], label=label, **look)


def wrapped_title(text: str, columns: int) -> str:
    """The title of one of so many panels side by side, in as many lines as it takes."""
    return _wrapped(text, WIDTH / columns - _BESIDE, LOOK["axes.titlesize"], "bold")


def wrapped_row(text: str) -> str:
    """What stands beside a row, in as many lines as leave room for the panel."""
    return _wrapped(text, _ROW, LOOK["ytick.labelsize"])


def legend_above(figure: Figure, handles: Sequence[Artist], most: int = 4) -> None:
    """A legend in as many columns, `most` at most, as leave each label whole, or in two with
    labels of several lines; the figure becomes as much higher as it takes."""
    labels = [str(handle.get_label()) for handle in handles]
    longest, size = max(labels, key=len), LOOK["legend.fontsize"]
    whole = int(WIDTH / (_KEY + _inches(longest, size)))
    columns = min(max(2, whole), most, len(handles))
    labels = [_wrapped(label, WIDTH / columns - _KEY, size) for label in labels]
    rows = -(-len(handles) // columns)
    stacks = (labels[start : start + rows] for start in range(0, len(labels), rows))
    lines = max(sum(1 + label.count("\n") for label in stack) for stack in stacks)
    figure.set_figheight(figure.get_figheight() + 0.1 + LINE * lines)
    figure.legend(handles, labels, loc="upper center", ncols=columns)


def _wrapped(text: str, inches: float, size: float, weight: str = "normal") -> str:
    """The text in lines of this width, or nearly: letters are taken to be of average width."""
    whole = _inches(text, size, weight)
    if whole <= inches:
        return text
    return textwrap.fill(text, max(8, int(0.94 * len(text) * inches / whole)))


def _inches(text: str, size: float, weight: str = "normal") -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(weight=weight, size=size)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def rendered(draw: Callable[[], Figure]) -> bytes:
    """Draw with the shared look, whatever the user's own matplotlib settings are."""
    import numpy as np
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    with style.context(["default", LOOK]):
        figure = draw()
        figure.set_dpi(DPI)
        # savefig would lay the figure out and draw it twice.
        canvas = FigureCanvasAgg(figure)
        arrange(figure, canvas.get_renderer())
        canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    # A palette makes the file a third as large, and these figures have few colours. The octree
    # keeps those of small dots, which the median cut gives to larger neighbours.
    small = io.BytesIO()
    few = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
    few.save(small, format="png")
    return small.getvalue()


def arrange(figure: Figure, renderer: RendererBase) -> None:
    """Give every panel of a regular grid the same size, and what is around it the room it takes.

    Texts beside a panel are measured; what stands above and below it is so many lines.
    matplotlib's constrained layout, which measures everything twice, takes a fifth of the time of
    a figure.
    """
    width, height = figure.get_size_inches()
    rows, columns = figure.axes[0].get_subplotspec().get_gridspec().get_geometry()
    beside = [_beside(panel, renderer) for panel in figure.axes]
    first = [panel.get_subplotspec().is_first_col() for panel in figure.axes]
    outer = _PAD + max(room for room, is_first in zip(beside, first, strict=True) if is_first)
    inner = _OVERHANG + max(
        (room for room, is_first in zip(beside, first, strict=True) if not is_first), default=0
    )
    above, below = (max(map(side, figure.axes)) for side in (_above, _below))
    left = min(outer + (LINE + _PAD if figure.get_supylabel() else 0), _MOST * width)
    top = max((_from_top(legend, renderer) for legend in figure.legends), default=0)
    bottom = below + (LINE + _PAD if figure.get_supxlabel() else 0)
    panel_width = (width - left - _OVERHANG - (columns - 1) * inner) / columns
    panel_height = (height - top - bottom - rows * above - (rows - 1) * below) / rows
    figure.subplots_adjust(
        left=left / width,
        right=1 - _OVERHANG / width,
        bottom=bottom / height,
        top=1 - (top + above) / height,
        wspace=inner / panel_width,
        hspace=(above + below) / panel_height,
    )


def _from_top(legend: Legend, renderer: RendererBase) -> float:
    """How far a legend at the top reaches down."""
    page = legend.figure.bbox
    return (page.y1 - legend.get_window_extent(renderer).y0) / legend.figure.dpi


def _beside(panel: Axes, renderer: RendererBase) -> float:
    """What stands left of a panel."""
    if not panel.yaxis.get_tick_params()["labelleft"]:
        return _TICK
    box = panel.yaxis.get_tightbbox(renderer)
    return (panel.bbox.x0 - box.x0) / panel.figure.dpi


def _above(panel: Axes) -> float:
    title = panel.get_title("left")
    return LINE * (1 + title.count("\n")) + 2 * _PAD if title else _PAD


def _below(panel: Axes) -> float:
    return _TICK + LINE * (1 + bool(panel.get_xlabel())) + _PAD
