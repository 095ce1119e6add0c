"""The head of the report and its answer: which regime, in which scenario."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from transfer_lab.reporting.blocks import (
    Answers,
    Block,
    Cell,
    Line,
    Paragraph,
    Picture,
    Section,
    Table,
)
from transfer_lab.reporting.figures import accuracy as dots
from transfer_lab.reporting.hypotheses import Spot, verdicts
from transfer_lab.reporting.ranking import ranking
from transfer_lab.reporting.sections.advice import advice
from transfer_lab.reporting.sections.beyond import beyond
from transfer_lab.reporting.sections.protocol import cross_validation
from transfer_lab.reporting.sections.tuning import untuned
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import count, needs, percent
from transfer_lab.stats.hypotheses import MARGIN, Judgement
from transfer_lab.stats.power import detectable

SIZES, SIMILARITIES = ("small", "large"), ("similar", "dissimilar")
Verdicts = Mapping[tuple[str, Spot], Judgement]

LEGEND = (
    "Best by mean test accuracy in percent, ± the half-width of its 95 % interval over n seeds "
    "and the test images. Differences are paired by seed and, where predictions are stored, by "
    "test image, with their own 95 % intervals. Separated: that interval lies on one side of zero. "
    f"Equal within {100 * MARGIN:g} point: shown by two one-sided tests at 5 %. Not separated: "
    "neither. These comparisons are exploratory: best and runner-up were picked by the same test "
    "accuracies, and nothing is corrected for the number of comparisons, so that a margin is a "
    "little too large. The verdict is that on rule_av, the articles' rule of thumb, from the "
    "family of tests that the experiment file fixes (The rules, scored); where several regimes are "
    "of the kind it prescribes, the one with the best validation accuracy stands for it. Seconds "
    "are those of this machine for one target: decoding, frozen features, fit and evaluation. What "
    "to expect is an interval for the mean of many trainings; what these few single trainings gave "
    "is in brackets, and one more may lie outside of both."
)


def head(study: Study) -> Section:
    """Name, question, and how much of the grid is done."""
    experiment = study.experiment
    states = study.cells["status"].value_counts()
    total, done = len(study.cells), int(states.get("done", 0))
    rest = ", ".join(
        f"{states[state]} {state}" for state in ("failed", "blocked", "missing") if state in states
    )
    progress = f"{done} of {total} cells done" + (f" ({rest})" if rest else "") + "."
    question = (
        "I have N labelled images that look this much like the data my network was pretrained on: "
        "which transfer regime should I use, what accuracy will I get, and what will it cost?"
    )
    lead = f"Experiment {experiment.name}: {progress}"
    lead += f" {cross_validation(study)}." if experiment.folds else ""
    warnings = (*_copies(study), *_set_aside(study), *untuned(study))
    blocks = (Paragraph(question), Paragraph(lead, warning=done < total), *warnings)
    return Section(experiment.title or experiment.name, blocks)


def _copies(study: Study) -> tuple[Paragraph, ...]:
    """A warning for each target whose test set repeats images of its training pool."""
    found = study.done[study.done["test_copies"] > 0].groupby("target", sort=False)
    return tuple(
        Paragraph(
            f"{copies:,.0f} of the {tested:,.0f} test images of {target} are copies of images in "
            "its training pool: accuracies on it may be too high, by that share at most.",
            warning=True,
        )
        for target, copies, tested in found[["test_copies", "n_test"]].max().itertuples()
    )


def _set_aside(study: Study) -> tuple[Paragraph, ...]:
    """A warning for each target of which files were left out because they cannot be read."""
    found = study.done[study.done["set_aside"] > 0].groupby("target", sort=False)
    return tuple(
        Paragraph(
            f"Files of {target} that cannot be read, left out of its training pool and test set: "
            f"{count:,.0f}.",
            warning=True,
        )
        for target, count in found["set_aside"].max().items()
    )


def answer(study: Study) -> Section:
    """The best trained regime of every scenario, what the rule of thumb said, and what is gained
    by seeing more."""
    if study.done.empty:
        return Section("The answer", (Paragraph("Nothing has been measured yet."),))
    told = verdicts(study)
    blocks: list[Block] = [_by_backbone(study, told)]
    if _is_matrix(study):
        blocks = [_matrix(study, backbone, told) for backbone in study.backbones]
    answers = Answers(tuple(advice(study, scenario) for scenario in study.corners))
    texts = (*beyond(study), Paragraph(LEGEND), *_power(study))
    return Section("The answer", (answers, *blocks, *texts, _picture(study)))


def _power(study: Study) -> tuple[Paragraph, ...]:
    """What a single comparison could have seen."""
    places = [(s, b) for s in study.scenarios for b in study.backbones]
    margins = [ranking(study, *place).margin for place in places]
    found = sorted(d for m in margins if m and (d := detectable(m, tail=0.025)) is not None)
    if not found:
        return ()
    low, middle, high = (100 * d for d in (found[0], median(found), found[-1]))
    text = (
        "Minimum detectable difference: with these seeds and test images a single comparison of "
        f"the two best regimes (two-sided, 5 %, 80 % power) sees a true difference of {middle:.1f} "
        f"points (median over scenarios and backbones; from {low:.1f} to {high:.1f}). Smaller ones "
        'mostly go unseen, so "not separated" is not "equal".'
    )
    return (Paragraph(text),)


def _is_matrix(study: Study) -> bool:
    """Whether there are both sizes and both similarities to lay out two by two."""
    places = [p for p in study.experiment.scenarios.values() if p.labels == "given"]
    return {p.size for p in places} >= set(SIZES) and len({p.similarity for p in places}) == 2


def _by_backbone(study: Study, told: Verdicts) -> Table:
    rows = tuple(
        (
            (Line(backbone),),
            *(tuple(_lead(study, Spot(s, backbone), told)) for s in study.scenarios),
        )
        for backbone in study.backbones
    )
    head = ("backbone", *study.scenarios)
    return Table("Best trained regime by backbone and scenario", head, rows, texts=len(head))


def _matrix(study: Study, backbone: str, told: Verdicts) -> Table:
    rows = tuple(
        ((Line(size),), *(_corner(study, backbone, (size, s), told) for s in SIMILARITIES))
        for size in SIZES
    )
    return Table(
        caption=f"Best trained regime by scenario, {backbone}",
        head=("labelled images", *(f"{similarity} source" for similarity in SIMILARITIES)),
        rows=rows,
        texts=3,
        look="matrix",
        about=(("backbone", backbone),),
    )


def _corner(study: Study, backbone: str, corner: tuple[str, str], told: Verdicts) -> Cell:
    names = [
        name
        for name, place in study.experiment.scenarios.items()
        if (place.size, place.similarity) == corner
    ]
    if not names:
        return (Line("–", "(not in this experiment)"),)
    lines: list[Line] = []
    for name in names:
        if study.is_unlabelled(name):
            lines.append(Line(f"{name}:", "(target without labels)"))
        elif len(names) > 1:
            lines.append(Line(f"{name}:"))
        lines += _lead(study, Spot(name, backbone), told)
    return tuple(lines)


def _lead(study: Study, spot: Spot, told: Verdicts) -> list[Line]:
    found = ranking(study, *spot)
    if found.best is None:
        return [Line("–", "(no trained regime measured)"), Line("", f"rule: {found.prescribed}")]
    summary = study.summary(*spot, found.best)
    accuracy = summary.accuracy
    so_far = ", so far" if found.provisional else ""
    return [
        Line(found.best, weight="strong"),
        Line(f"{percent(accuracy)} %", count(accuracy.n, summary.planned) + so_far),
        Line("", found.contest),
        Line("", f"rule: {found.rule}"),
        *_verdict(told.get(("rule_av", spot)), study.experiment.folds),
    ]


def _verdict(judged: Judgement | None, folds: int | None) -> tuple[Line, ...]:
    if judged is None:
        return ()
    return (Line("", " ".join(filter(None, (f"verdict: {judged.verdict}", needs(judged, folds))))),)


def _picture(study: Study) -> Picture:
    caption = (
        "Test accuracy of every regime with its 95 % interval (seeds and test set). "
        "The shaded row is what the rule prescribes; controls are grey."
    )
    alt = "Dot plot of test accuracy per regime, one panel for each scenario; values as in Accuracy"
    return Picture("accuracy.png", caption, alt, dots.figure(study))
