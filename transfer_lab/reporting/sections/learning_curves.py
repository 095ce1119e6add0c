"""Learning curves: accuracy against the number of images, and where regimes change places."""

from __future__ import annotations

import math
from collections import defaultdict

from transfer_lab.reporting.blocks import Cell, Note, Picture, Section, Table, cell
from transfer_lab.reporting.decision import decide
from transfer_lab.reporting.figures.learning_curves import SizeSweep, figure
from transfer_lab.reporting.study import Study
from transfer_lab.stats.crossover import Crossover, Curve, crossover

LEAD = "Test scores by the number of labelled images, and where regimes change places."
LEGEND = (
    "Crossover: the number of images per class from which the regime that leads at the largest "
    "size stays ahead of the one that leads at the smallest, with scores linear in the "
    "logarithm of that number between measured sizes. In brackets a 95 % confidence set, all "
    "numbers at which a paired t-interval over seeds cannot tell the two apart; 'below' and "
    "'above' where it runs out of the measured range. The two regimes were chosen by the same "
    "scores, so this explores and tests nothing. The last column does: the regime to use at "
    "the smallest size, and the first larger one at which another is better, by multiple "
    "comparisons with the best at 95 % over all regimes and larger sizes of the curve at once. Not "
    "ruled out is not shown to stay the best."
)


def learning_curves(study: Study) -> Section | None:
    """Curves of every source and target that were measured at three sizes or more."""
    found = panels(study)
    if not found:
        return None
    caption = (
        f"Test {study.measure.title} against labelled images per class, with 95 % intervals "
        "(seeds and test set); one panel for each source, target and backbone."
    )
    alt = f"Lines of test {study.measure.title} by images per class, one for each regime"
    picture = Picture("learning-curves.png", caption, alt, figure(study, found))
    head = (
        *("source and target", "backbone", "leads at the smallest", "leads at the largest"),
        *("crossover (images per class)", "seeds", "to use at the smallest"),
    )
    rows = tuple((*_row(study, panel), _outlived(study, panel)) for panel in found)
    table = Table("Where the leading regimes change places", head, rows, texts=5)
    return Section("Learning curves", (picture, table, Note(LEGEND)), LEAD)


def curve(study: Study, panel: SizeSweep, regime: str) -> Curve:
    """Accuracies by images per class and seed, where there are any."""
    found = {
        n: study.by_seed(scenario, panel.backbone, regime)
        for n, scenario in sorted(panel.scenarios.items())
    }
    return {n: scores for n, scores in found.items() if scores}


def leaders(study: Study, panel: SizeSweep) -> tuple[str, str] | None:
    """The best trained regimes at the smallest and at the largest size, of those measured at all
    sizes."""
    whole = tuple(
        regime
        for regime in study.contenders(panel.scenarios[min(panel.scenarios)], panel.backbone)
        if len(curve(study, panel, regime)) == len(panel.scenarios)
    )
    if not whole:
        return None
    sizes = panel.scenarios
    first, last = (study.best(sizes[n], panel.backbone, whole) for n in (min(sizes), max(sizes)))
    return first, last


def _row(study: Study, panel: SizeSweep) -> tuple[Cell, ...]:
    start = (cell(f"{panel.source} → {panel.target}"), cell(panel.backbone))
    found = leaders(study, panel)
    if found is None:
        return (*start, cell("–"), cell("–"), cell("not measured at every size"), cell("–"))
    first, last = found
    if first == last:
        seeds = len(study.by_seed(panel.scenarios[max(panel.scenarios)], panel.backbone, last))
        text = "no crossover within the measured range"
        return (*start, cell(first), cell(last), cell(text), cell(seeds))
    try:
        place = crossover(curve(study, panel, first), curve(study, panel, last))
    except ValueError:
        return (*start, cell(first), cell(last), cell("–", "no common seed"), cell(0))
    ends = min(panel.scenarios), max(panel.scenarios)
    return (*start, cell(first), cell(last), _place(place, *ends), cell(place.seeds))


def _outlived(study: Study, panel: SizeSweep) -> Cell:
    """The regime to use at the smallest size, and from which larger one it is ruled out."""
    smallest, *larger = sorted(panel.scenarios)
    level = 1 - study.error / len(larger)
    chosen = decide(study, panel.scenarios[smallest], panel.backbone).leader
    if chosen is None:
        return cell("–")
    regime, told = chosen.place.regime, False
    for n in larger:
        decision = decide(study, panel.scenarios[n], panel.backbone, level=level)
        found = decision.of(chosen.place._replace(scenario=panel.scenarios[n]))
        if found and found.ruled_out:
            return cell(regime, f"(ruled out at {n:g})")
        told = told or (found is not None and found.at_most is not None)
    return cell(regime, f"(not ruled out up to {larger[-1]:g})" if told else "(cannot be said)")


def _place(found: Crossover, least: float, most: float) -> Cell:
    if found.low is None or found.high is None:
        return cell(_images(found.size, least, most), "(no interval: one seed)")
    low, high = (_images(n, least, most) for n in (found.low, found.high))
    return cell(_images(found.size, least, most), f"[{low} to {high}]")


def _images(n: float, least: float, most: float) -> str:
    if n == 0:
        return f"below {least:g}"
    return f"above {most:g}" if math.isinf(n) else f"{n:.3g}"


FEWEST = 3
"""Sizes from which a curve is drawn."""


def panels(study: Study) -> list[SizeSweep]:
    """Every source, target and backbone with enough sizes."""
    groups: dict[tuple[tuple[str, ...], str, str], dict[float, str]] = defaultdict(dict)
    for name, place in study.experiment.scenarios.items():
        n = None if study.is_unlabelled(name) else images_per_class(study, name)
        if n is not None:
            groups[place.learnt, place.target, place.similarity].setdefault(n, name)
    return [
        SizeSweep(study.source(sizes[min(sizes)], backbone), target, similarity, backbone, sizes)
        for (_, target, similarity), sizes in groups.items()
        for backbone in study.backbones
        if len(sizes) >= FEWEST and _measured(study, backbone, sizes)
    ]


def images_per_class(study: Study, scenario: str) -> float | None:
    """What the experiment says; for 'all' what the records counted, None before there are any."""
    per_class = study.experiment.scenarios[scenario].per_class
    if per_class != "all":
        return float(per_class)
    rows = study.done[study.done["scenario"] == scenario]
    counts = ((rows["n_train"] + rows["n_val"].fillna(0)) / rows["num_classes"]).dropna()
    return None if counts.empty else float(counts.iloc[0])


def _measured(study: Study, backbone: str, sizes: dict[float, str]) -> bool:
    return any(
        study.accuracy(scenario, backbone, regime)
        for scenario in sizes.values()
        for regime in study.contenders(scenario, backbone)
    )
