"""One line a scenario: what to do, what to expect, what it costs, and what would change it."""

from __future__ import annotations

import math

from transfer_lab.reporting.blocks import Advice
from transfer_lab.reporting.costs import Arm, arms
from transfer_lab.reporting.ranking import prescribed, ranking, told_apart
from transfer_lab.reporting.sections.time import mixed_conditions
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import amount, gap
from transfer_lab.stats.hypotheses import MARGIN

CHOSEN_BY_THE_TEST = (
    "picked by test accuracy, which is optimistic: without labels nothing else tells them apart"
)


def advice(study: Study, scenario: str) -> Advice:
    """The best of all regimes and backbones, and how the rule's regime does on that backbone."""
    found, where = arms(study, scenario), situation(study, scenario)
    if not found:
        rule = prescribed(study, scenario)
        return Advice(where, "nothing measured yet", (), f"The rule says {rule}.")
    best = found[0]
    place = ranking(study, scenario, best.place.backbone)
    notes = (
        _expect(study, best),
        _time(study, best),
        _runner_up(study, found),
        _cheapest(study, found),
        CHOSEN_BY_THE_TEST if study.is_unlabelled(scenario) else "",
    )
    return Advice(where, best.name, tuple(filter(None, notes)), f"The rule: {place.rule}.")


def situation(study: Study, scenario: str) -> str:
    """'With 5 images per class (185 in all) of a similar domain (latin → cyrillic)'."""
    place = study.experiment.scenarios[scenario]
    amount = f"{place.per_class} images per class"
    if place.per_class == 1:
        amount = "1 image per class"
    if study.is_unlabelled(scenario):
        amount += ", unlabelled,"
    rows = study.done[study.done["scenario"] == scenario]
    images = (rows["n_train"] + rows["n_val"].fillna(0)).dropna()
    if not images.empty:
        amount += f" ({int(images.iloc[0]):,} in all)"
    return (
        f"With {amount} of a {place.similarity} domain ({study.source(scenario)} → {place.target})"
    )


def _expect(study: Study, arm: Arm) -> str:
    """The interval of the mean, and between what single seeds lay."""
    found = study.accuracy(*arm.place)
    if found.half is None:
        return f"expect about {100 * found.mean:.1f} % ({_seeds(found.n)}, no interval)"
    low, high = max(0.0, found.mean - found.half), min(1.0, found.mean + found.half)
    scores = study.by_seed(*arm.place).values()
    single = f"single trainings gave {100 * min(scores):.1f} to {100 * max(scores):.1f}"
    return f"expect {100 * low:.1f} to {100 * high:.1f} % on average ({single})"


def _seeds(n: int) -> str:
    return "one seed" if n == 1 else f"{n} seeds"


def _time(study: Study, arm: Arm) -> str:
    if study.done["host"].nunique() > 1 or study.done["device"].nunique() > 1:
        return "times of several machines, not compared"
    if math.isnan(arm.cost.cold):
        return "time not measured"
    pretraining = arm.cost.pretraining
    once = f" after {amount(pretraining)} s of pretraining, once" if pretraining > 0 else ""
    return f"{amount(arm.cost.cold)} s here{once}"


def _runner_up(study: Study, found: tuple[Arm, ...]) -> str:
    if len(found) == 1:
        return ""
    best, second = found[:2]
    lead = study.measured.lead(best.place, over=second.place)
    behind = f", {gap(lead)} behind" if lead else ""
    return f"runner-up {second.name}{behind} ({told_apart(study, best.place, second.place)})"


def _cheapest(study: Study, found: tuple[Arm, ...]) -> str:
    """Of the arms whose mean is within a point of the best mean, the one of least time."""
    near = [arm for arm in found if arm.accuracy >= found[0].accuracy - MARGIN]
    timed = [arm for arm in near if not math.isnan(arm.cost.cold)]
    if len(timed) < len(near) or mixed_conditions(study):
        return ""
    least = min(timed, key=lambda arm: arm.cost.cold)
    if least == found[0]:
        return f"nothing within {100 * MARGIN:g} point of it is cheaper"
    near = f"cheapest with a mean within {100 * MARGIN:g} point"
    return f"{near}: {least.name}, {amount(least.cost.cold)} s"
