"""The answer in a sentence or two: whether to transfer at all, and which way; what became of
claims."""

from __future__ import annotations

import math
from collections.abc import Sequence

from transfer_lab.reporting.blocks import InShort
from transfer_lab.reporting.decision import Decision
from transfer_lab.reporting.sections.cards import Answers, case
from transfer_lab.reporting.sections.claims import counted
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import bounded, listed

_SURE = (0.02, 0.05)
"""Up to which bounds an answer gets three dots, and two."""
MEANING = (
    "With 95 % certainty the choice named in each case is no further behind the best of all that "
    "were compared. Three dots: at most {}; two: at most {}; none: too few seeds to say."
)


def in_short(answers: Answers) -> InShort:
    """What a reader takes home who reads nothing else."""
    decided = [answers.over_all(s) for s in answers.study.scenarios]
    decided = [found for found in decided if found.leader]
    measure = answers.study.measure
    meaning = MEANING.format(*(measure.apart(limit) for limit in _SURE))
    bounds = [found.bound for found in decided if len(found.standings) > 1]
    worst = max(bounds) if bounds and None not in bounds else math.inf
    study = answers.study
    said = (counted(study), _transfer(study, decided), _way(study, decided, worst))
    text = " ".join(filter(None, said))
    if math.isinf(worst):
        return InShort(text, 0, "too few seeds to say how sure this is", meaning)
    dots = 1 + sum(worst <= limit for limit in _SURE)
    return InShort(text, dots, f"within {bounded(worst, measure)} {measure.steps}", meaning)


def _transfer(study: Study, decided: Sequence[Decision]) -> str:
    """Whether a pretrained network is worth it."""
    scratch = set(study.of_kind("from_scratch"))
    both = [
        found
        for found in decided
        if 0 < sum(s.place.regime in scratch for s in found.standings) < len(found.standings)
    ]
    if not both:
        return ""
    best = [f for f in both if f.leader.place.regime in scratch]
    out = [f for f in both if all(s.ruled_out for s in f.standings if s.place.regime in scratch)]
    if len(best) == len(both):
        return "Train from zero: no pretrained start did better anywhere."
    if best:
        where = listed(case(study, found.scenario) for found in best)
        but = f"but not with {where}: there training from zero did best"
        return f"Start from a pretrained network, {but}."
    if len(out) == len(both):
        return "Start from a pretrained network: training from zero is behind everywhere."
    return "Start from a pretrained network: training from zero was best nowhere."


def _way(study: Study, decided: Sequence[Decision], worst: float) -> str:
    """Which of the ways leads, or that it makes little difference."""
    if not decided:
        return ""
    leaders = {found.leader.place.regime for found in decided}
    tied = sum(bool(found.as_good) for found in decided)
    best = study.glosses[next(iter(leaders))] if len(leaders) == 1 else ""
    if best and not tied:
        return f"Best{' everywhere' if len(decided) > 1 else ''}: {best}."
    if best:
        where = "everywhere" if len(decided) > 1 else "here"
        return f"{best[0].upper()}{best[1:]} leads {where}, but others may be as good."
    if 2 * tied > len(decided) and worst <= _SURE[-1]:
        return "Which way of fine-tuning is mostly a tie: those named below are close to the best."
    if 2 * tied > len(decided):
        return "Which way of fine-tuning is not settled: in most cases several may be best."
    return "Which way is best depends on the case, as below."
