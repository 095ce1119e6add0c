"""The look that all figures share, and how they become PNG files."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.reporting.figures.margins import LINE, arrange
from transfer_lab.reporting.study import Study

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with every common form of colour blindness.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREYS = ("#6B7280", "#A3A9B2")
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P")

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
_DOT = 4.5
"""Points that a dot is across."""
_TICKS = 5
"""At most so many steps on an axis: ticks are what takes longest to lay out and draw."""


class Pen(NamedTuple):
    """How one regime is drawn, in every figure: neighbours differ in more than colour."""

    colour: str
    dash: str


class Dots:
    """Dots with their intervals, all of one marker: two artists, whatever their number, where an
    error bar would be several for each."""

    def __init__(self, shape: str):
        self._shape = shape
        self._places: list[tuple[float, float]] = []
        self._bars: list[list[tuple[float, float]]] = []
        self._colours: list[str] = []

    def add(self, x: float, y: float, colour: str, *, across: float = 0, along: float = 0) -> None:
        """One more, with the half-width of its interval in x or in y."""
        self._places.append((x, y))
        self._bars.append([(x - across, y - along), (x + across, y + along)])
        self._colours.append(colour)

    def draw(self, panel: Axes, width: float) -> None:
        """Draw them, with bars of this width in points."""
        from matplotlib.collections import LineCollection

        if self._places:
            panel.add_collection(LineCollection(self._bars, linewidths=width, colors=self._colours))
            x, y = zip(*self._places, strict=True)
            look = {"marker": self._shape, "s": _DOT**2, "c": self._colours, "linewidths": 0}
            panel.scatter(x, y, zorder=2.5, **look)


def pens(study: Study) -> dict[str, Pen]:
    """A pen for every regime: colours for the trained ones, greys for the controls."""
    found = {}
    for number, regime in enumerate(study.trained):
        found[regime] = Pen(PALETTE[number % len(PALETTE)], DASHES[number % len(DASHES)])
    controls = (regime for regime in study.regimes if study.is_control(regime))
    for number, regime in enumerate(controls):
        found[regime] = Pen(GREYS[number % len(GREYS)], DASHES[1 + number % (len(DASHES) - 1)])
    return found


def marker(study: Study, backbone: str) -> str:
    """The marker of a backbone, in every figure."""
    return MARKERS[study.backbones.index(backbone) % len(MARKERS)]


def panel_title(study: Study, scenario: str) -> str:
    """What stands over the panel of a scenario."""
    return f"{scenario} ({study.experiment.scenarios[scenario].per_class} per class)"


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


def panels(
    study: Study, row_height: float, extra: float, **options: object
) -> tuple[Figure, list[Axes]]:
    """A figure with one titled panel for each scenario, at most two in a row."""
    from matplotlib.figure import Figure

    count = len(study.corners)
    columns = min(2, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, rows * row_height + extra))
    grid = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    for panel in grid[count:]:
        panel.remove()
    for panel, scenario in zip(grid, study.corners, strict=False):
        panel.set_title(wrapped_title(panel_title(study, scenario), columns))
        panel.locator_params(nbins=_TICKS)
    return figure, list(grid[:count])


def png(draw: Callable[[], Figure]) -> bytes:
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
