"""The head of the report and its first screen: which regime, in which scenario, how sure."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_lab.reporting.blocks import Filters, Limits, Note, Paragraph, Picture, Section
from transfer_lab.reporting.figures import accuracy as dots
from transfer_lab.reporting.sections.cards import Answers, boards
from transfer_lab.reporting.sections.flags import raised
from transfer_lab.reporting.sections.in_short import in_short
from transfer_lab.reporting.sections.pictured import pictured
from transfer_lab.reporting.study import Study
from transfer_lab.store.results import NOT_NEEDED, WAITING

TITLE = "The answer"
QUESTION = "Which way of reusing a pretrained network?"
LEGEND = (
    "Each card names the regime of the best mean test {measure}. The large number is what to "
    "expect of it: its mean over new trainings, with the 95 % interval, corrected where seeds "
    "allow for its having been picked as the best. As good: what multiple comparisons with the "
    "best do not rule out, at 95 % for all that were compared in the case at once. At most so "
    "many points behind the best: the same comparisons, for the choice. The rule is rule_av, the "
    "articles' rule of thumb; where several regimes are of the kind it prescribes, the one with "
    "the best validation accuracy stands for it. Seconds are those of this machine for one "
    "target: decoding, frozen features, search, fit and evaluation."
)


def head(study: Study) -> Section:
    """Name, question, and what was looked at to answer it."""
    experiment = study.experiment
    blocks = (Paragraph(QUESTION), Paragraph(" · ".join(_facts(study))))
    return Section(experiment.title or experiment.name, blocks)


def _facts(study: Study) -> Iterator[str]:
    yield _count(len(study.scenarios), "scenario")
    yield _count(len(study.backbones), "network")
    yield _count(len(study.trained), "regime")
    yield from _measured(study)
    states = study.cells["status"].value_counts()
    total, done = len(study.cells) - states.get(NOT_NEEDED, 0), int(states.get("done", 0))
    absent = ("failed", "blocked", "missing", WAITING, NOT_NEEDED)
    rest = ", ".join(f"{states[state]} {state}" for state in absent if state in states)
    yield f"{done:,} of {total:,} cells done" + (f" ({rest})" if rest else "")


def _measured(study: Study) -> Iterator[str]:
    """Seeds of a place and images of a test set, from the fewest to the most."""
    done = study.done[~study.done["regime"].isin(study.controls)]
    seeds = done.groupby(["scenario", "backbone", "regime"])["seed"].nunique()
    for counts, what in ((seeds, "seed"), (done["n_test"].dropna(), "test image")):
        if not counts.empty:
            low, high = int(counts.min()), int(counts.max())
            yield _count(high, what) if low == high else f"{low:,}–{high:,} {what}s"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def answer(study: Study) -> Section:
    """The choice in every scenario with its bound, every regime beside it, and the limits."""
    if study.done.empty:
        blocks = (Paragraph("Nothing has been measured yet."),)
        return Section(TITLE, blocks, folded=False)
    answers = Answers(study)
    shown = pictured(study)
    blocks = (in_short(answers), *((shown,) if shown else ()), *boards(answers), Filters())
    return Section(
        TITLE,
        (*blocks, _picture(study), limits(study), Note(LEGEND.format(measure=study.measure.title))),
        folded=False,
    )


def limits(study: Study) -> Limits:
    """Every flag that is up, and in how many places where that says something."""
    return Limits(
        tuple(
            flag.name if len(places) == 1 else f"{flag.name} ({len(places)})"
            for flag, places in raised(study).items()
            if places
        )
    )


def _picture(study: Study) -> Picture:
    caption = (
        f"Test {study.measure.title} of every regime with its 95 % interval; shaded: what the rule "
        "of thumb says, grey: controls."
    )
    alt = f"Dot plot of test {study.measure.title} per regime, one panel for each scenario"
    return Picture("accuracy.png", caption, alt, dots.figure(study))
