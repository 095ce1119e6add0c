"""Trials that were tried once for the whole grid: what was tried, and what each arm goes by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from transfer_lab.experiment.choices import Trials
from transfer_lab.reporting.blocks import (
    Block,
    Bullets,
    Cell,
    Fold,
    Paragraph,
    Section,
    Table,
    cell,
)
from transfer_lab.reporting.searches import Tried, searched
from transfer_lab.reporting.sections.tuning import words
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import amount, whole
from transfer_lab.store.trials import Trial

LEGEND = (
    "Trials were tried once for each regime and backbone, at seed {seed}, which no run of the grid "
    "has: each learnt from the training images of {scenarios}, and no search read a test image. "
    "The trial of the best mean validation accuracy over these is used in every scenario and at "
    "every seed; that accuracy is in brackets. It is the best of several, and so a little too high."
)
COSTS = (
    "{searches} searches took {seconds} s of fitting and of frozen features, paid once for the "
    "whole grid and in no other column of times."
)


def searches(study: Study) -> Section | None:
    """What was tried at the seed of searches, and which options won."""
    arms, how = searched(study), study.experiment.search
    if how is None or not arms:
        return None
    ended = [arm for arm in arms if arm.trials]
    if not ended:
        return Section("Tuning", (Paragraph("No search has been finished yet."),))
    named = " and ".join(dict.fromkeys(name for arm in arms for name in arm.runs))
    runs = {run.id for arm in arms for run in arm.runs.values()} & study.searches.keys()
    seconds = sum(t.seconds + t.feature_seconds for run_id in runs for t in study.searches[run_id])
    blocks: list[Block] = [
        Paragraph(LEGEND.format(seed=how.seed, scenarios=named) + _told_apart(study, ended)),
        _chosen(study, arms),
        *_edges(ended),
        Paragraph(COSTS.format(searches=whole(len(runs)), seconds=amount(seconds))),
        Fold("Everything that was tried", (_everything(ended),)),
    ]
    return Section("Tuning", tuple(blocks))


def _told_apart(study: Study, arms: Iterable[Tried]) -> str:
    """On how many validation images the choices rest, and what that means."""
    images = {
        sum(study.validated.get(run_id, 0) for run_id in {run.id for run in arm.runs.values()})
        for arm in arms
    }
    least, most = min(images), max(images)
    if not least:
        return ""
    many = whole(least) if least == most else f"{whole(least)} to {whole(most)}"
    half = 100 * 1.959964 * (0.25 / least) ** 0.5
    return f" Each choice rests on {many} validation images: ± {half:.0f} points at 50 %, at most."


def _chosen(study: Study, arms: Iterable[Tried]) -> Table:
    by_place = {(arm.name, arm.backbone): arm for arm in arms}
    rows = tuple(
        (cell(name), *(_choice(by_place.get((name, b))) for b in study.backbones))
        for name in dict.fromkeys(name for name, _ in by_place)
    )
    caption = "Options that validation chose, and their mean validation accuracy"
    return Table(caption, ("regime", *study.backbones), rows, texts=1 + len(study.backbones))


def _choice(arm: Tried | None) -> Cell:
    if arm is None:
        return cell("–")
    if not arm.trials:
        return cell("–", "(no search yet)")
    if arm.place is None:
        return cell("–", "(all diverged)")
    best = arm.trials[arm.place]
    return cell(words(best.options), f"({_percent(best.val_accuracy)} %)")


def _edges(arms: Iterable[Tried]) -> tuple[Block, ...]:
    """A warning where what was chosen is the first or the last of what was tried."""
    told = tuple(line for arm in arms for line in _at_the_edge(arm))
    if not told:
        return ()
    text = (
        "Chosen at the edge of what was tried, so that a better value may lie beyond, and the "
        "regime's accuracy be too low:"
    )
    return Paragraph(text, warning=True), Bullets(told)


def _at_the_edge(arm: Tried) -> Iterator[str]:
    trials, place = arm.trials, arm.place
    if trials is None or place is None:
        return
    for option, value in trials[place].options.items():
        edges = edges_of(tuple(trial.options for trial in trials), option)
        if value in edges:
            yield f"{arm.backbone} / {arm.name}: {option}={value:g}"


def edges_of(trials: Trials, option: str) -> set[float]:
    """The least and the greatest of an option's numbers, of which at least three were tried."""
    values = {t[option] for t in trials if _number(t.get(option))}
    return {min(values), max(values)} if len(values) > 2 else set()


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _everything(arms: Iterable[Tried]) -> Table:
    arms = list(arms)
    scenarios = tuple(dict.fromkeys(name for arm in arms for name in arm.runs))
    rows = []
    for arm in arms:
        for place, trial in enumerate(arm.trials or ()):
            chosen = place == arm.place
            each = [arm.found[s][place] if s in arm.found else None for s in scenarios]
            rows.append(
                (
                    cell(arm.backbone),
                    cell(arm.name),
                    cell(words(trial.options), "(chosen)" if chosen else "", strong=chosen),
                    cell(_score(trial)),
                    *(cell(_score(one)) for one in each),
                )
            )
    head = ("backbone", "regime", "options", "mean (%)", *(f"{name} (%)" for name in scenarios))
    return Table("Validation accuracy of every trial", head, tuple(rows), texts=3)


def _score(trial: Trial | None) -> str:
    if trial is None:
        return "–"
    return "diverged" if trial.val_accuracy is None else _percent(trial.val_accuracy)


def _percent(accuracy: float | None) -> str:
    return "–" if accuracy is None else f"{100 * accuracy:.1f}"
