"""The answer's cards: for each scenario what to do, what to expect of it, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property

from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.spec import Scenario
from transfer_lab.reporting.blocks import Board, Card, Span
from transfer_lab.reporting.costs import Arm, arms
from transfer_lab.reporting.decision import (
    Decision,
    RuleStanding,
    Standing,
    decide,
    rule_standings,
)
from transfer_lab.reporting.figures.pens import pens
from transfer_lab.reporting.hypotheses import Spot, followed
from transfer_lab.reporting.kept import kept_models
from transfer_lab.reporting.ranking import NOTHING, SILENT, prescribed
from transfer_lab.reporting.sections.more_images import with_more_images
from transfer_lab.reporting.sections.time import mixed_conditions
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import amount, bounded, distance, seeds_of, verdict_words
from transfer_lab.stats.intervals import Interval
from transfer_lab.stats.rules_of_thumb import RULES

RULE = "rule_av"
"""The rule of thumb that the cards speak of."""
_SHOWN = 2
"""Arms that are as good which a card names."""
CHOSEN_BY_THE_TEST = (
    "picked by the test set, which is optimistic: without labels nothing else tells them apart"
)


class Answers:
    """What was decided in every scenario, over all networks and on each."""

    def __init__(self, study: Study):
        self.study = study

    @cached_property
    def decisions(self) -> Mapping[tuple[str, str | None], Decision]:
        """By scenario and network; None for the best of all networks."""
        networks = (None, *(self.study.backbones if len(self.study.backbones) > 1 else ()))
        return {(s, n): decide(self.study, s, n) for s in self.study.scenarios for n in networks}

    @cached_property
    def rules(self) -> Mapping[str, RuleStanding]:
        """How the rule of thumb does in every scenario that it speaks of."""
        told = rule_standings(self.study)
        return {s: told[RULE, s] for s in self.study.scenarios if (RULE, s) in told}

    @cached_property
    def costs(self) -> Mapping[Place, Arm]:
        """What every arm takes."""
        return {arm.place: arm for s in self.study.scenarios for arm in arms(self.study, s)}

    def over_all(self, scenario: str) -> Decision:
        """What is best of all networks."""
        return self.decisions[scenario, None]


def boards(answers: Answers) -> tuple[Board, ...]:
    """A board for the best of all networks, and one for each where there are several."""
    study = answers.study
    networks = (None, *(study.backbones if len(study.backbones) > 1 else ()))
    return tuple(board_of(answers, network) for network in networks)


def board_of(answers: Answers, network: str | None) -> Board:
    """The board of one network, or (None) of the best of all."""
    rows, columns, places = layout(answers.study)
    cards = tuple(scenario and _card(answers, scenario, network) for scenario in places)
    return Board(network, cards, rows, columns)


def layout(study: Study) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str | None, ...]]:
    """Titles of rows and columns, and the scenario of each place: amounts of images by similarity
    where no two scenarios have both alike, else a list."""
    places = study.experiment.scenarios
    at = {(_row(study, s), _column(places[s])): s for s in study.scenarios}
    rows = tuple(dict.fromkeys(row for row, _ in at))
    columns = tuple(dict.fromkeys(column for _, column in at))
    if len(at) < len(places) or len(columns) != 2 or len(places) == len(rows):
        return (), (), study.scenarios
    return rows, columns, tuple(at.get((row, column)) for row in rows for column in columns)


def _row(study: Study, scenario: str) -> str:
    amount = study.experiment.scenarios[scenario].per_class
    labels = ", no labels" if study.is_unlabelled(scenario) else ""
    return f"{'All images' if amount == 'all' else f'{amount} per class'}{labels}"


def _column(place: Scenario) -> str:
    return f"{place.similarity} source"


def case(study: Study, scenario: str) -> str:
    """'5 images per class, similar source'; with the scenarios' names where some are alike."""
    told = {name: _case(place) for name, place in study.experiment.scenarios.items()}
    alike = len({*told.values()}) < len(told)
    return f"{scenario}: {told[scenario]}" if alike else told[scenario]


def _case(place: Scenario) -> str:
    amount = f"{place.per_class} image{'' if place.per_class == 1 else 's'} per class"
    if place.per_class == "all":
        amount = "all images"
    if place.labels == "none":
        amount += " without labels"
    return f"{amount}, {place.similarity} source"


def _card(answers: Answers, scenario: str, network: str | None) -> Card:
    study, found = answers.study, answers.decisions[scenario, network]
    where, leader = case(study, scenario), found.leader
    rule, verdict = rule_line(answers, scenario, network)
    if leader is None:
        return Card(where, "nothing measured yet", rule=rule, verdict=verdict)
    return Card(
        case=where,
        words=study.glosses[leader.place.regime],
        name=_name(study, leader.place, network),
        colour=pens(study)[leader.place.regime].colour,
        expect=expected(study, found),
        time=_time(answers, leader.place),
        as_good=_as_good(study, found, leader, network),
        bound=bound(study, found),
        rule=rule,
        verdict=verdict,
        more=tuple(_more(answers, found, leader)),
        model=_model(answers, leader, network),
    )


def _model(answers: Answers, leader: Standing, network: str | None) -> str:
    """The file of the trained model, on the one card that it was kept for."""
    kept = (one for one in kept_models(answers.study) if one.place == leader.place)
    found = next(kept, None) if network is None else None
    return found.archive if found else ""


def _name(study: Study, place: Place, network: str | None) -> str:
    if network or len(study.backbones) == 1:
        return place.regime
    return f"{place.regime} on {place.backbone}"


def expected(study: Study, found: Decision) -> Span:
    """The mean of the choice as those see it who had no part in picking it, where seeds allow."""
    known = found.expected or found.leader.accuracy
    return _span(study, known)


def _span(study: Study, known: Interval) -> Span:
    half, measure = known.half or 0.0, study.measure
    low, high = sorted(measure.shown(measure.within(known.mean + end)) for end in (-half, half))
    return Span(measure.shown(known.mean), low, high, measure.unit, measure.decimals)


def bound(study: Study, found: Decision) -> str:
    """How far behind the best of all compared the choice is at most."""
    if len(found.standings) == 1:
        return "nothing to compare it with"
    if found.bound is None:
        return "how far behind the best cannot be said from so few seeds"
    if not found.as_good and found.bound <= 0:
        return "the best of all compared"
    most = f"{bounded(found.bound, study.measure)} {study.measure.steps}"
    return f"at most {most} behind the best"


def _as_good(
    study: Study, found: Decision, leader: Standing, network: str | None
) -> tuple[str, ...]:
    """What is not ruled out, in words; networks are named where they differ from the choice's."""
    told = []
    for other in found.as_good:
        words = study.glosses[other.place.regime]
        elsewhere = network is None and other.place.backbone != leader.place.backbone
        told.append(f"{words} ({other.place.backbone})" if elsewhere else words)
    return tuple(told)


def _time(answers: Answers, place: Place) -> str:
    arm = answers.costs.get(place)
    if arm is None or math.isnan(arm.cost.cold) or mixed_conditions(answers.study):
        return ""
    return f"{amount(arm.cost.cold)} s"


def rule_line(answers: Answers, scenario: str, network: str | None) -> tuple[str, str]:
    """What the rule of thumb says and loses, and a word on it; nothing where the experiment has no
    such regime."""
    study = answers.study
    kind = prescribed(study, scenario)
    if kind == SILENT:
        return "no rule speaks of targets without labels", "no data"
    if kind == NOTHING:
        return "no rule speaks of a medium size", "no data"
    if not study.of_kind(kind):
        return "", "no data"
    words = f"rule “{REGIMES[kind].gloss}”"
    told = _on_one(answers, scenario, network) if network else _over_all(answers, scenario)
    return f"{words}: {told[0]}", told[1]


def _over_all(answers: Answers, scenario: str) -> tuple[str, str]:
    study, standing = answers.study, answers.rules.get(scenario)
    if standing is None or standing.lead is None:
        return "not measured here", "no data"
    match standing.verdict:
        case "refuted":
            rival = study.glosses[standing.rival]
            return f"{distance(standing.lead.mean, study.measure)} behind “{rival}”", "refuted"
        case "supported":
            return f"holds, {_loses(study, standing.at_most)}", "supported"
        case "behind":
            return verdict_words("behind", study.experiment.margin, study.measure), "undecided"
    return _loses(study, standing.at_most), "undecided"


def _on_one(answers: Answers, scenario: str, network: str) -> tuple[str, str]:
    study = answers.study
    regime = followed(study, RULES[RULE], Spot(scenario, network))
    found = answers.decisions[scenario, network]
    own = found.of(Place(scenario, network, regime)) if regime else None
    if own is None:
        return "not measured here", "no data"
    if own.ruled_out and own.behind is not None:
        return f"{distance(own.behind.mean, study.measure)} behind the choice", "refuted"
    if own == found.leader:
        return f"is the choice, {_loses(study, own.at_most)}", "undecided"
    return _loses(study, own.at_most), "undecided"


def _loses(study: Study, at_most: float | None) -> str:
    if at_most is None:
        return "its loss cannot be said yet"
    if bounded(at_most, study.measure) == bounded(0.0, study.measure):
        return "loses nothing"
    return f"loses at most {bounded(at_most, study.measure)} {study.measure.steps}"


def _more(answers: Answers, found: Decision, leader: Standing) -> Iterator[str]:
    """What those ask who have read the card."""
    study, place = answers.study, leader.place
    seeds = seeds_of(leader.accuracy.n)
    found_mean = _span(study, leader.accuracy).text
    yield f"in {place.scenario}: {place.regime} on {place.backbone}, mean of {seeds} {found_mean}"
    if found.one_training:
        measure = study.measure
        low, high = sorted(map(measure.shown, found.one_training))
        ends = (f"{end:.{measure.decimals - 1}f}" for end in (low, high))
        yield f"one more training gives {' to '.join(ends)} {measure.unit}, 95 in 100 times"
    arm = answers.costs.get(place)
    if arm and arm.cost.pretraining > 0:
        yield f"after {amount(arm.cost.pretraining)} s of pretraining, once for all targets"
    yield from _cheaper(answers, found, leader)
    if changed := with_more_images(study, found):
        yield changed
    if len(found.as_good) > _SHOWN:
        names = ", ".join(f"{s.place.regime} on {s.place.backbone}" for s in found.as_good)
        yield f"not ruled out: {names}"
    if study.is_unlabelled(place.scenario):
        yield CHOSEN_BY_THE_TEST


def _cheaper(answers: Answers, found: Decision, leader: Standing) -> Iterator[str]:
    """Of what is not ruled out the arm of least time, where that is not the choice itself."""
    near = [answers.costs[s.place] for s in (leader, *found.as_good) if s.place in answers.costs]
    if mixed_conditions(answers.study) or any(math.isnan(arm.cost.cold) for arm in near):
        return
    least = min(near, key=lambda arm: arm.cost.cold, default=None)
    if least and least.place != leader.place:
        yield f"cheapest of those as good: {least.name}, {amount(least.cost.cold)} s"
