"""One line a scenario: what to do, what to expect, what it costs, and what would change it."""

from __future__ import annotations

import math

from transfer_lab.experiment.spec import Scenario
from transfer_lab.reporting.blocks import Advice
from transfer_lab.reporting.costs import Arm, arms
from transfer_lab.reporting.decision import Decision, decide
from transfer_lab.reporting.ranking import prescribed, rule_stands
from transfer_lab.reporting.sections.time import mixed_conditions
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import amount, bounded, gap, points

_NAMED = 3
CHOSEN_BY_THE_TEST = (
    "picked by test accuracy, which is optimistic: without labels nothing else tells them apart"
)


def advice(study: Study, scenario: str) -> Advice:
    """The best of all regimes and backbones, and how the rule's regime does on that backbone."""
    found, where = arms(study, scenario), situation(study, scenario)
    if not found:
        rule = prescribed(study, scenario)
        return Advice(where, "nothing measured yet", (), f"The rule says {rule}.")
    told = decide(study, scenario)
    best = next(arm for arm in found if arm.place == told.leader.place)
    notes = (
        _expect(told),
        _time(study, best),
        contest(told),
        _cheapest(study, found, told),
        _change(study, scenario, told),
        CHOSEN_BY_THE_TEST if study.is_unlabelled(scenario) else "",
    )
    rule = rule_stands(study, told, best.place.backbone)
    return Advice(where, best.name, tuple(filter(None, notes)), f"The rule: {rule}.")


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


def _expect(told: Decision) -> str:
    """The mean of what was picked as this was, and between what one more training lies."""
    found = told.expected
    if found is None or found.half is None:
        found = told.leader.accuracy
        seeds = "one seed" if found.n == 1 else f"{found.n} seeds"
        return f"expect about {100 * found.mean:.1f} % ({seeds}, no interval)"
    low, high = max(0.0, found.mean - found.half), min(1.0, found.mean + found.half)
    single = ""
    if told.one_training:
        single = " (one training: {:.1f} to {:.1f})".format(*(100 * v for v in told.one_training))
    return f"expect {100 * low:.1f} to {100 * high:.1f} % on average{single}"


def _time(study: Study, arm: Arm) -> str:
    if study.done["host"].nunique() > 1 or study.done["device"].nunique() > 1:
        return "times of several machines, not compared"
    if math.isnan(arm.cost.cold):
        return "time not measured"
    pretraining = arm.cost.pretraining
    once = f" after {amount(pretraining)} s of pretraining, once" if pretraining > 0 else ""
    return f"{amount(arm.cost.cold)} s here{once}"


def contest(told: Decision) -> str:
    """What the leader is at most behind, how many are ruled out, and which are not."""
    others = len(told.standings) - 1
    if not others:
        return "no other trained regime measured"
    if told.bound is None:
        return f"{_names(told)} may be as good (interval unknown)"
    out = others - len(told.as_good)
    bound = f"nothing tried is more than {bounded(told.bound)} points better"
    if not told.as_good:
        return f"{bound}; all {others} others are ruled out"
    return f"{bound}; {_names(told)} may be as good, {out} of {others} are ruled out"


def _names(told: Decision) -> str:
    """The first few that are not ruled out, with their backbones where those differ."""
    names = [
        one.place.regime + ("" if told.backbone else f" on {one.place.backbone}")
        for one in told.as_good
    ]
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _cheapest(study: Study, found: tuple[Arm, ...], told: Decision) -> str:
    """Of the arms that may be as good as the best, the one of least time."""
    left = {one.place for one in (told.leader, *told.as_good)}
    near = [arm for arm in found if arm.place in left]
    timed = [arm for arm in near if not math.isnan(arm.cost.cold)]
    if len(timed) < len(near) or mixed_conditions(study) or told.bound is None:
        return ""
    least = min(timed, key=lambda arm: arm.cost.cold)
    if least.place == told.leader.place:
        return "nothing that may be as good is cheaper"
    return f"cheapest that may be as good: {least.name}, {amount(least.cost.cold)} s"


def _change(study: Study, scenario: str, told: Decision) -> str:
    """The next larger scenario of the same source and target in which this arm is ruled out, or in
    which another one leads it by more than is shown to be equal."""
    own = study.experiment.scenarios[scenario]
    larger = [name for name in _by_size(study, scenario) if arms(study, name)]
    for name in larger:
        there = decide(study, name)
        here = there.of(told.leader.place._replace(scenario=name))
        if here is None or here == there.leader:
            continue
        if here.at_most is not None and here.at_most <= study.margin:
            continue
        word, how = ("would", " (ruled out)") if here.ruled_out else ("might", " (not ruled out)")
        leader = there.leader.place
        by = f" by {gap(here.behind)}" if here.behind else ""
        return (
            f"{word} change with more than {own.per_class} per class: "
            f"at {study.experiment.scenarios[name].per_class} {leader.regime} on {leader.backbone} "
            f"leads it{by}{how}"
        )
    if not larger:
        return ""
    size = study.experiment.scenarios[larger[-1]].per_class
    return (
        f"up to {size} images per class nothing is seen to lead it by more than "
        f"{points(study.experiment.margin)}"
    )


def _ends(place: Scenario) -> tuple[tuple[str, ...], str, str]:
    return place.learnt, place.target, place.labels


def _by_size(study: Study, scenario: str) -> list[str]:
    """Scenarios of the same source and target, both with labels or both without, with more images
    per class, the smallest first."""
    places = study.experiment.scenarios

    def images(name: str) -> float:
        per_class = places[name].per_class
        return math.inf if per_class == "all" else per_class

    same = [
        name
        for name, place in places.items()
        if _ends(place) == _ends(places[scenario]) and images(name) > images(scenario)
    ]
    return sorted(same, key=images)
