"""The page: the answer first, one row a listing, then each with its arms and what refuses it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.listings.result import PUBLISHED, REPAIRED, Listing, Replay
from examples.listings.task import Task
from transfer_lab.reporting.blocks import Bullets, Code, Paragraph, Picture, Section, Table, cell
from transfer_lab.reporting.figures.mpl import png
from transfer_lab.reporting.figures.pens import numbered
from transfer_lab.reporting.figures.spec import Axis, Figure, Panel, Series
from transfer_lab.reporting.render.markdown import to_markdown
from transfer_lab.stats.intervals import Interval, t_interval
from transfer_lab.system.files import write_atomically

PICTURE = "accuracy.png"


@dataclass(frozen=True)
class Played:
    """A listing with a replay for each seed, and what was said to each of its regimes."""

    listing: Listing
    replays: tuple[Replay, ...]
    refusals: dict[str, str]

    def of(self, arm: str) -> Interval:
        """An arm's accuracy (%) over seeds."""
        return t_interval([replay.accuracy[arm] for replay in self.replays])

    def ahead(self, arm: str, other: str = PUBLISHED) -> Interval:
        """What an arm is ahead of another by, in points, paired by seed."""
        return t_interval([r.accuracy[arm] - r.accuracy[other] for r in self.replays])

    @property
    def found(self) -> tuple[str, ...]:
        """What it does, with what was counted, on average over seeds."""
        counted = [replay.counted for replay in self.replays]
        means = {key: t_interval([of[key] for of in counted]).mean for key in counted[0]}
        return tuple(text.format(**means) for text in self.listing.does)

    @property
    def checks(self) -> tuple[str, ...]:
        """The checks that must refuse its mistake, each once."""
        return tuple(dict.fromkeys(c for named in self.listing.regimes.values() for c in named))


def write(played: Sequence[Played], task: Task, out: Path, command: str) -> Path:
    """Write report.md, results.csv and the figure into `out`; returns the page's path."""
    page = to_markdown(tuple(sections(played, task, command)))
    written = {
        "report.md": page.encode(),
        "results.csv": _csv(played).encode(),
        f"figures/{PICTURE}": png(figure(played)),
    }
    for name, content in written.items():
        write_atomically(out / name, lambda handle, content=content: handle.write(content))
    return out / "report.md"


def sections(played: Sequence[Played], task: Task, command: str) -> Iterator[Section]:
    """The answer, the task, and one section a listing."""
    summary = Table(
        "As published against repaired, test accuracy in %",
        ("listing", PUBLISHED, REPAIRED, "ahead (points)", "a check that refuses it"),
        tuple(
            (
                cell(one.listing.name, strong=True),
                cell(_told(one.of(PUBLISHED))),
                cell(_told(one.of(REPAIRED))),
                cell(_told(one.ahead(REPAIRED), sign=True)),
                cell(one.checks[0]),
            )
            for one in played
        ),
    )
    caption = "Mean accuracy of each arm, with its 95 % interval over seeds."
    picture = Picture(PICTURE, caption, "accuracies of the listings' arms", figure(played))
    yield Section(
        "Listings that transfer nothing",
        (Paragraph(_answer(played)), summary, picture, Paragraph(_task(played, task))),
    )
    for one in played:
        yield _section(one)
    yield Section("How to make this page", (Code(command), Paragraph(_HOW)))


_HOW = (
    "The listings are re-told in our own words, at a size that takes minutes on two cores; texts "
    "and code of the articles are not repeated here. The loss of outputs without a softmax is that "
    "of keras.backend.categorical_crossentropy, which divides them by their sum and clips them at "
    "1e-7. That PyTorch's optimisers leave out a parameter without a gradient, and take a step for "
    "one whose gradient is zero, stands in the documentation of torch.optim.Optimizer.zero_grad."
)


def _answer(played: Sequence[Played]) -> str:
    costs = [one.listing.name for one in played if _sure(one) > 0]
    harms = [one.listing.name for one in played if _sure(one) < 0]
    open_ = [one.listing.name for one in played if not _sure(one)]
    told = [
        "Published listings of transfer learning run without an error and yet do not do what their "
        "text says: weights that are never copied, frozen parameters that the optimiser holds, "
        "dropout that is built and never added."
    ]
    for names, verdict in (
        (costs, "The repair is clearly ahead for"),
        (harms, "It is clearly behind for"),
        (open_, "It makes no clear difference for"),
    ):
        if names:
            told.append(f"{verdict}: {', '.join(names)}.")
    told.append(
        "What a repair gains need not be what the mistake cost: where a frozen encoder was in the "
        "optimiser, most of it is the learning rate's. Nothing in an accuracy alone tells such a "
        "mistake from a hard task; each of them, written as a regime of one's own, is refused by "
        "transfer_lab.testing.check_regime, which looks at the network and not at its score: the "
        "last column names the check."
    )
    return " ".join(told)


def _sure(one: Played) -> int:
    """1 where the repair is ahead, -1 where it is behind, 0 where the interval holds both."""
    mean, half, _ = one.ahead(REPAIRED)
    return 0 if half is None or abs(mean) <= half else (1 if mean > 0 else -1)


def _task(played: Sequence[Played], task: Task) -> str:
    seeds = len(played[0].replays)
    return (
        f"Task: {task.per_class} images of each of {task.classes} Cyrillic letters, 28 pixels, "
        f"after {len(task.source):,} Latin letters of {task.source_classes} classes; accuracies "
        f"are of the same {len(task.test):,} test images. {seeds} seeds draw the images, the first "
        "weights and the order of batches; the source network is one for all of them. Intervals "
        "are 95 % ones (Student's t over seeds), differences are paired by seed. Chance is "
        f"{100 / task.classes:.1f} %."
    )


def _section(one: Played) -> Section:
    arms = one.listing.arms
    table = Table(
        "Test accuracy in %, one repair after another",
        ("arm", "accuracy", "ahead of as published (points)"),
        tuple(
            (
                cell(arm),
                cell(_told(one.of(arm))),
                cell("" if arm == PUBLISHED else _told(one.ahead(arm), sign=True)),
            )
            for arm in arms
        ),
    )
    said = tuple(f"{name}: {message}" for name, message in one.refusals.items())
    return Section(
        one.listing.name[0].upper() + one.listing.name[1:],
        (
            Paragraph(f"It says: {one.listing.says}. It does, on average over the seeds:"),
            Bullets(one.found),
            table,
            Paragraph(one.listing.aside),
            Paragraph("The same mistake as a regime of one's own is refused:"),
            Bullets(said),
        ),
    )


def _told(found: Interval, *, sign: bool = False) -> str:
    rounded = round(found.mean, 1) + 0.0  # no -0.0
    mean = f"{rounded:{'+' if sign else ''}.1f}"
    return mean if found.half is None else f"{mean} ± {found.half:.1f}"


def figure(played: Sequence[Played]) -> Figure:
    """A row for each arm of each listing."""
    rows = {
        (one.listing.name, arm): f"{one.listing.name}: {arm}"
        for one in played
        for arm in one.listing.arms
    }
    return Figure(
        panels=(Panel("", tuple(_dots(played, rows))),),
        x=Axis("test accuracy (%)", low=0, percent=True),
        y=Axis(names=tuple(rows.values())),
        height=0.8 + 0.4 * len(rows),
        margin=0.2,
    )


def _dots(played: Sequence[Played], rows: Mapping[tuple[str, str], str]) -> Iterator[Series]:
    for number, one in enumerate(played):
        for arm in one.listing.arms:
            found = one.of(arm)
            yield Series(
                kind="row",
                x=[found.mean],
                y=[rows[one.listing.name, arm]],
                error=[found.half or 0.0],
                pen=numbered(number),
                marker="o",
                text=[(one.listing.name, arm, f"{_told(found)} %")],
            )


def _csv(played: Sequence[Played]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("listing", "seed", "of", "name", "value"))
    for one in played:
        for seed, replay in enumerate(one.replays):
            for of, values in (("accuracy", replay.accuracy), ("counted", replay.counted)):
                for name, value in values.items():
                    writer.writerow((one.listing.name, seed, of, name, f"{value:.6g}"))
    return text.getvalue()
