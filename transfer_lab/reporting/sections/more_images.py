"""Whether the choice of a scenario would be another with more images of the same kind."""

from __future__ import annotations

import math

from transfer_lab.experiment.spec import Scenario
from transfer_lab.reporting.decision import Decision, decide
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import gap, points


def with_more_images(study: Study, told: Decision) -> str:
    """The next larger scenario of the same source and target in which this arm is ruled out, or in
    which another one leads it by more than is shown to be equal; empty without a larger one."""
    own = study.experiment.scenarios[told.scenario]
    larger = _larger(study, told.scenario)
    measured = False
    for name in larger:
        there = decide(study, name, told.backbone)
        here = there.of(told.leader.place._replace(scenario=name))
        measured |= here is not None
        if here is None or here == there.leader:
            continue
        if here.at_most is not None and here.at_most <= study.margin:
            continue
        word, how = ("would", "ruled out") if here.ruled_out else ("might", "not ruled out")
        leader = there.leader.place
        by = f" by {gap(here.behind)}" if here.behind else ""
        return (
            f"{word} change with more than {own.per_class} per class: at "
            f"{study.experiment.scenarios[name].per_class} {leader.regime} on {leader.backbone} "
            f"leads it{by} ({how})"
        )
    if not measured:
        return ""
    most = study.experiment.scenarios[larger[-1]].per_class
    margin = points(study.experiment.margin)
    return f"up to {most} images per class nothing is seen to lead it by more than {margin}"


def _larger(study: Study, scenario: str) -> list[str]:
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


def _ends(place: Scenario) -> tuple[tuple[str, ...], str, str]:
    return place.learnt, place.target, place.labels
