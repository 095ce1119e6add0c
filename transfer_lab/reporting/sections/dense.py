"""How well the object of an image is found: intersection over union with its box or its mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from transfer_lab.experiment.plan import fixed_options
from transfer_lab.reporting.accuracies import Unit, units_of
from transfer_lab.reporting.blocks import Cell, Note, Section, Table, cell
from transfer_lab.reporting.study import Place, Study, interval
from transfer_lab.reporting.wording import count, percent
from transfer_lab.stats.intervals import Interval

TITLE = "Boxes and masks"
LEAD = "How well boxes and masks of objects are found: intersection over union."
LEGEND = (
    "Mean intersection over union of what is found in the test images with their boxes or masks, "
    "in percent, over seeds with its 95 % t-interval. Blind: the same for the one box or mask that "
    "a look at the training images gives for all, their mean box or the pixels that are set most "
    "often. Ahead of blind, and of a random start: by how many points, paired by seed; the random "
    "start is the regime of the grid that differs in that alone (start: random), so that this "
    "difference is what the source's weights are worth. Exploratory: no correction for the number "
    "of rows, and intervals are those of seeds, on one test set."
)


def dense(study: Study) -> Section | None:
    """A table for each backbone; no section where no regime finds boxes or masks."""
    found = {place: scores for place in _places(study) if (scores := _scores(study, place))}
    if not found:
        return None
    tables = tuple(
        _table(study, backbone, here)
        for backbone in study.backbones
        if (here := {p: s for p, s in found.items() if p.backbone == backbone})
    )
    return Section(TITLE, (*tables, Note(LEGEND)), LEAD)


def _places(study: Study) -> Iterator[Place]:
    for backbone in study.backbones:
        for scenario in study.scenarios:
            for regime in study.planned(scenario, backbone):
                yield Place(scenario, backbone, regime)


def _scores(study: Study, place: Place) -> dict[Unit, tuple[float, float]]:
    """By seed: IoU on the test set, and that of the one answer for all images."""
    rows = study.finished(place).dropna(subset=["test_iou"])
    pairs = zip(rows["test_iou"].tolist(), rows["constant_iou"].tolist(), strict=True)
    return dict(zip(units_of(rows), pairs, strict=True))


def _table(
    study: Study, backbone: str, found: Mapping[Place, dict[int, tuple[float, float]]]
) -> Table:
    head = (
        *("scenario", "regime", "IoU (%)", "blind (%)"),
        *("ahead of blind (points)", "ahead of a random start (points)"),
    )
    rows = tuple(_row(study, place, found) for place in found)
    caption = f"Intersection over union with boxes and masks, {backbone}"
    return Table(caption, head, rows, texts=2, about=(("backbone", backbone),))


def _row(
    study: Study, place: Place, found: Mapping[Place, dict[int, tuple[float, float]]]
) -> tuple[Cell, ...]:
    own = found[place]
    ious, blind = zip(*own.values(), strict=True)
    other = _at_random(study, place.regime)
    theirs = found.get(place._replace(regime=other), {}) if other else {}
    gained = [own[seed][0] - theirs[seed][0] for seed in own if seed in theirs]
    planned = study.summary(*place).planned
    return (
        cell(place.scenario),
        cell(place.regime, count(len(own), planned)),
        cell(percent(interval(list(ious)))),
        cell(percent(interval(list(blind)))),
        _gain(interval([iou - bar for iou, bar in own.values()])),
        _gain(interval(gained)),
    )


def _gain(found: Interval | None) -> Cell:
    return cell(percent(found) if found else "–")


def _at_random(study: Study, regime: str) -> str | None:
    """The regime that differs in its random start alone; None where there is none."""
    regimes = study.experiment.regimes
    own = fixed_options(study.experiment, regime)
    if own.get("start") == "random":
        return None
    for name in study.of_kind(regimes[regime].kind):
        others = fixed_options(study.experiment, name)
        if others.get("start") == "random" and others == own | {"start": "random"}:
            return name
    return None
