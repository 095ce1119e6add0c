"""The head of the report and its answer: which regime, in which scenario."""

from __future__ import annotations

from functools import partial

from transfer_lab.report.blocks import (
    Block,
    Bullets,
    Cell,
    Line,
    Paragraph,
    Picture,
    Section,
    Table,
)
from transfer_lab.report.standing import Standing, standing
from transfer_lab.report.study import Study
from transfer_lab.report.tuning import untuned
from transfer_lab.report.wording import count, percent

SIZES, SIMILARITIES = ("small", "large"), ("similar", "dissimilar")


def head(study: Study) -> Section:
    """Name, question, and how much of the grid is done."""
    experiment = study.experiment
    states = study.frame["status"].value_counts()
    total, done = len(study.frame), int(states.get("done", 0))
    rest = ", ".join(
        f"{states[state]} {state}" for state in ("failed", "blocked", "missing") if state in states
    )
    progress = f"{done} of {total} cells done" + (f" ({rest})" if rest else "") + "."
    question = (
        "I have N labelled images that look this much like the data my network was pretrained on: "
        "which transfer regime should I use, what accuracy will I get, and what will it cost?"
    )
    lead = f"Experiment {experiment.name}: {progress}"
    warnings = (*_copies(study), *_set_aside(study), *untuned(study))
    blocks = (Paragraph(question), Paragraph(lead, warning=done < total), *warnings)
    return Section(experiment.title or experiment.name, blocks)


def _copies(study: Study) -> tuple[Paragraph, ...]:
    """A warning for each target whose test set repeats images of its training pool."""
    found = study.done[study.done["test_copies"] > 0].groupby("target", sort=False)
    return tuple(
        Paragraph(
            f"{copies:,.0f} of the {tested:,.0f} test images of {target} are copies of images in "
            "its training pool: accuracies on it are too high to that extent.",
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
    """The best trained regime of every scenario, and what the rule of thumb said."""
    if study.done.empty:
        return Section("The answer", (Paragraph("Nothing has been measured yet."),))
    legend = (
        "Best by mean test accuracy in percent, ± 95 % t-interval over n seeds. "
        "Not separated: the intervals of best and runner-up overlap. No claim of significance is "
        "made here. The rule is rule_av, the articles' rule of thumb; where several regimes are "
        "of the kind it prescribes, it is given the best of them."
    )
    blocks: list[Block] = [_by_backbone(study)]
    if _is_matrix(study):
        blocks = [_matrix(study, backbone) for backbone in study.backbones]
    sentences = Bullets(tuple(_sentence(study, scenario) for scenario in study.scenarios), "lead")
    return Section("The answer", (sentences, *blocks, Paragraph(legend), _picture(study)))


def _is_matrix(study: Study) -> bool:
    """Whether there are both sizes and both similarities to lay out two by two."""
    places = study.experiment.scenarios.values()
    return {p.size for p in places} >= set(SIZES) and len({p.similarity for p in places}) == 2


def _by_backbone(study: Study) -> Table:
    rows = tuple(
        (
            (Line(backbone),),
            *(
                tuple(_lead(study, s, backbone, standing(study, s, backbone)))
                for s in study.scenarios
            ),
        )
        for backbone in study.backbones
    )
    head = ("backbone", *study.scenarios)
    return Table("Best trained regime by backbone and scenario", head, rows, texts=len(head))


def _matrix(study: Study, backbone: str) -> Table:
    rows = tuple(
        ((Line(size),), *(_corner(study, backbone, size, s) for s in SIMILARITIES))
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


def _corner(study: Study, backbone: str, size: str, similarity: str) -> Cell:
    names = [
        name
        for name, place in study.experiment.scenarios.items()
        if (place.size, place.similarity) == (size, similarity)
    ]
    if not names:
        return (Line("–", "(not in this experiment)"),)
    lines: list[Line] = []
    for name in names:
        if len(names) > 1:
            lines.append(Line(f"{name}:"))
        lines += _lead(study, name, backbone, standing(study, name, backbone))
    return tuple(lines)


def _lead(study: Study, scenario: str, backbone: str, found: Standing) -> list[Line]:
    if found.best is None:
        return [Line("–", "(no trained regime measured)"), Line("", f"rule: {found.prescribed}")]
    summary = study.summary(scenario, backbone, found.best)
    accuracy = summary.accuracy
    so_far = ", so far" if found.provisional else ""
    return [
        Line(found.best, weight="strong"),
        Line(f"{percent(accuracy)} %", count(accuracy.n, summary.planned) + so_far),
        Line("", found.contest),
        Line("", f"rule: {found.rule}"),
    ]


def _sentence(study: Study, scenario: str) -> str:
    """The best of all regimes and backbones, and how the rule's regime does on that backbone."""
    where = situation(study, scenario)
    found = {backbone: standing(study, scenario, backbone) for backbone in study.backbones}
    means = {
        backbone: study.accuracy(scenario, backbone, place.best).mean
        for backbone, place in found.items()
        if place.best
    }
    if not means:
        prescribed = next(iter(found.values())).prescribed
        return f"{where}: nothing measured yet. The rule says {prescribed}."
    backbone = max(means, key=means.__getitem__)
    place = found[backbone]
    accuracy = percent(study.accuracy(scenario, backbone, place.best))
    doubt = f", not separated from {place.runner_up}" if place.separated is False else ""
    return f"{where}: {place.best} on {backbone}, {accuracy} %{doubt}. The rule: {place.rule}."


def situation(study: Study, scenario: str) -> str:
    """'With 5 images per class (185 in all) of a similar domain (latin → cyrillic)'."""
    place = study.experiment.scenarios[scenario]
    amount = f"{place.per_class} images per class"
    if place.per_class == 1:
        amount = "1 image per class"
    rows = study.done[study.done["scenario"] == scenario]
    images = (rows["n_train"] + rows["n_val"].fillna(0)).dropna()
    if not images.empty:
        amount += f" ({int(images.iloc[0]):,} in all)"
    return (
        f"With {amount} of a {place.similarity} domain ({study.source(scenario)} → {place.target})"
    )


def _picture(study: Study) -> Picture:
    from transfer_lab.report.dots import chart, draw

    caption = (
        "Test accuracy of every regime with its 95 % t-interval over seeds. "
        "The shaded row is what the rule prescribes; controls are grey."
    )
    alt = "Dot plot of test accuracy per regime, one panel for each scenario; values as in Accuracy"
    return Picture("accuracy.png", caption, alt, partial(draw, study), partial(chart, study))
