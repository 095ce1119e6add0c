"""The rules of thumb, scored: a verdict in every scenario, and what following each one costs, in
points and in time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from transfer_lab.reporting.blocks import Cell, Line, Paragraph, Section, Table, cell
from transfer_lab.reporting.hypotheses import (
    JUDGED,
    Spot,
    chance_of_best,
    followed,
    measured,
    spots,
    verdicts,
)
from transfer_lab.reporting.study import Place, Study, interval
from transfer_lab.reporting.wording import amount, needs, percent, share
from transfer_lab.stats.hypotheses import LEVEL, MARGIN, Judgement
from transfer_lab.stats.intervals import Interval
from transfer_lab.stats.rules_of_thumb import RULES, Rule

if TYPE_CHECKING:
    from transfer_lab.stats.estimates import Estimate
    from transfer_lab.stats.pooling import Pooled, Target


LEGEND = (
    "One hypothesis for each scenario, backbone and published rule, all of them one family (where "
    "both rules prescribe the same regime they make one hypothesis): the prescribed regime is as "
    "good as every other trained one. Comparisons are paired by seed and, where predictions are "
    "stored, by test image; their errors are those of seeds and test set. "
    f"Refuted: some other regime is better, at {100 * LEVEL:g} % after Bonferroni's correction "
    "over the rivals of the place and Holm's over the family. Supported: the prescribed regime is "
    f"within {100 * MARGIN:g} point of every other or above it, each by a one-sided test, with "
    f"Holm's correction over the family at {100 * LEVEL:g} %. Undecided otherwise, with the number "
    "of seeds from which the closest rival would be told apart if lead and spread stayed as seen "
    "(about an even chance, and few seeds know the spread badly), or that the test set is too "
    "small for any number of them. Detectable: the smallest true lead of that rival that would "
    "have refuted with 80 % probability, at the first of Holm's steps; none possible: no lead up "
    "to 100 % accuracy would. P(best): how probably the prescribed regime has the highest true "
    "accuracy of all that were measured here, by draws in which every difference of two regimes "
    "has the spread of its own paired test (Student's t over seeds, normal over images); with "
    "fewer seeds than regimes their joint spread is known only roughly. It is no part of the "
    "verdict. Source runs and options are taken as they are."
)

RIVALS = (
    " Rivals are the regimes that see labelled images of the target and source weights and nothing "
    "else; what others gain is told in Methods, each against itself switched off."
)


def rules(study: Study) -> Section | None:
    """Verdicts of the two published rules and the regret of all; none where nothing transfers."""
    places = list(spots(study))
    if not places:
        return None
    told = verdicts(study)
    blocks = [_verdicts(study, name, places, told) for name in JUDGED]
    legend = LEGEND if all(map(study.is_comparable, study.trained)) else LEGEND + RIVALS
    costs = (regrets(study, places), Paragraph(REGRETS))
    return Section("The rules, scored", (*blocks, Paragraph(legend), *costs))


def _verdicts(
    study: Study, name: str, places: list[Spot], told: dict[tuple[str, Spot], Judgement]
) -> Table:
    rows = tuple(_verdict_row(study, RULES[name], p, told.get((name, p))) for p in places)
    head = (
        *("scenario", "backbone", "prescribes", "accuracy (%)", "best rival"),
        *("P(best)", "detectable (points)", "verdict"),
    )
    return Table(f"{name}: verdict in every scenario", head, rows, texts=3)


def _detectable(lead: float | None, accuracy: float) -> str:
    if lead is None:
        return "–"
    return f"{100 * lead:.1f}" if accuracy + lead <= 1 else "none possible"


def _verdict_row(study: Study, rule: Rule, place: Spot, told: Judgement | None) -> tuple[Cell, ...]:
    scenario = study.experiment.scenarios[place.scenario]
    start = (cell(place.scenario), cell(place.backbone))
    regime = followed(study, rule, place)
    if regime is None or told is None:
        kind = rule[scenario.size, scenario.similarity]
        gaps = (cell("–") for _ in range(4))
        return (*start, cell(kind), *gaps, (Line("no data", "not measured here"),))
    rival = told.rival or "–"
    note = f"{percent(told.lead)} points ahead" if told.lead else "not ahead"
    found = study.accuracy(*place, regime)
    return (
        *start,
        cell(regime),
        cell(percent(found)),
        cell(rival, note),
        cell(share(chance_of_best(study, place, regime))),
        cell(_detectable(told.detectable, found.mean)),
        cell(
            told.verdict,
            needs(told, study.experiment.folds),
            strong=told.verdict in ("supported", "refuted"),
        ),
    )


ORACLE, REFERENCE = "oracle", "rule_av"
REGRETS = (
    "Exploratory. The best of each place is chosen by the same test accuracies, so distances to it "
    f"are a little too large. Against {REFERENCE}: the mean difference of test accuracy over the "
    "targets, each the mean of its places that both rules serve, with a 95 % interval over seeds "
    "and test images, for these targets; with three targets or more a second one over targets, for "
    "others like them. P(least): how probably the rule loses least of those that serve every "
    "place, by a hierarchical bootstrap over targets, seeds and test images (Student multipliers "
    "for seeds); with one target it is for that target only; rules that say the same everywhere "
    "share what they have together. Means of rules that serve other places are not comparable. "
    "Scenarios, backbones and source runs are taken as they are."
)


def regrets(study: Study, places: list[Spot]) -> Table:
    """One row a rule, and the oracle's."""
    caption = "Regret of following each rule: means over all scenarios and backbones it can serve"
    head = (
        *("rule", "points behind the best", "worst (points)", f"against {REFERENCE} (points)"),
        *("P(least)", "fit time (s)", "places served"),
    )
    least = chances_of_least_regret(study, places)
    rows = [
        _regret_row(study, (name, rule), places, least.get(name)) for name, rule in RULES.items()
    ]
    best = [study.best(*place, study.contenders(*place)) for place in places]
    seconds = _mean_seconds(study, zip(places, best, strict=True))
    dashes = (cell("–"), cell("–"))
    rows.append(
        (cell(ORACLE), cell("0.0"), cell("0.0"), *dashes, cell(seconds), cell(f"{len(places)}"))
    )
    return Table(caption, head, tuple(rows))


def _regret_row(
    study: Study, rule: tuple[str, Rule], places: list[Spot], least: float | None
) -> tuple[Cell, ...]:
    name, prescribes = rule
    served = [(place, r) for place in places if (r := followed(study, prescribes, place))]
    if not served:
        return (cell(name), *(cell("–") for _ in range(5)), cell(f"0 of {len(places)}"))
    lost = points_lost(study, served)
    return (
        cell(name),
        cell(f"{100 * sum(lost) / len(lost):.1f}"),
        cell(f"{100 * max(lost):.1f}"),
        told_against(None if name == REFERENCE else against(study, prescribes, places)),
        cell(share(least)),
        cell(_mean_seconds(study, served)),
        cell(f"{len(served)} of {len(places)}"),
    )


def points_lost(study: Study, served: list[tuple[Spot, str]]) -> list[float]:
    """How far the followed regime is behind the best one of each place, as parts of 1."""
    lost = []
    for place, regime in served:
        best = study.best(*place, study.contenders(*place))
        lost.append(study.accuracy(*place, best).mean - study.accuracy(*place, regime).mean)
    return lost


def against(study: Study, rule: Rule, places: list[Spot]) -> Pooled | None:
    """How far a rule is ahead of the reference, pooled over the targets; None where no place is
    served by both."""
    from transfer_lab.stats.pooling import pooled

    reference = RULES[REFERENCE]
    pairs: dict[str, list[tuple[Place, Place]]] = defaultdict(list)
    for spot in places:
        own, other = followed(study, rule, spot), followed(study, reference, spot)
        if own and other:
            target = study.experiment.scenarios[spot.scenario].target
            pairs[target].append((Place(*spot, own), Place(*spot, other)))
    found = [_mean_lead(study, of_target) for of_target in pairs.values()]
    return pooled(found) if found and all(found) else None


def _mean_lead(study: Study, pairs: list[tuple[Place, Place]]) -> Estimate | None:
    """The mean lead over places of one target, which share its test images."""
    weights: dict[Place, float] = defaultdict(float)
    for own, other in pairs:
        weights[own] += 1 / len(pairs)
        weights[other] -= 1 / len(pairs)
    found = study.measured.together(tuple(weights))
    return found.contrast(list(weights.values())) if found else None


def chances_of_least_regret(study: Study, places: list[Spot]) -> dict[str, float]:
    """How probably each rule that serves every place loses least; empty where two seeds that all
    arms of a target have in common are not there."""
    from transfer_lab.stats.pooling import probability_of_least_regret

    choices = {
        name: [followed(study, rule, spot) for spot in places] for name, rule in RULES.items()
    }
    choices = {name: chosen for name, chosen in choices.items() if all(chosen)}
    by_target: dict[str, list[int]] = defaultdict(list)
    for number, spot in enumerate(places):
        by_target[study.experiment.scenarios[spot.scenario].target].append(number)
    targets = [_target(study, places, numbers, choices) for numbers in by_target.values()]
    if len(choices) < 2 or not all(targets):
        return {}
    found = probability_of_least_regret(targets)
    return dict(zip(choices, found.tolist(), strict=True))


def _target(
    study: Study, places: list[Spot], numbers: list[int], choices: dict[str, list[str]]
) -> Target | None:
    import numpy as np

    from transfer_lab.stats.pooling import Target

    arms: dict[Place, int] = {}
    groups = []
    for number in numbers:
        spot = places[number]
        here = [Place(*spot, regime) for regime in measured(study, spot)]
        groups.append([arms.setdefault(place, len(arms)) for place in here])
    found = study.measured.together(tuple(arms))
    if found is None or found.over_seeds is None or found.over_images is None:
        return None
    followed_arms = [
        [arms[Place(*places[n], chosen[n])] for n in numbers] for chosen in choices.values()
    ]
    return Target(found, groups, np.array(followed_arms).reshape(len(choices), len(numbers)))


def told_against(found: Pooled | None) -> Cell:
    """The mean lead over the reference in words, for these targets and for others like them."""
    if found is None:
        return cell("–")
    here = Line(signed(found.here))
    if found.elsewhere is None:
        return (here,)
    return (here, Line("", f"{signed(found.elsewhere)} over targets"))


def signed(found: Interval) -> str:
    """'+1.2 ± 0.9', in points."""
    sign = "−" if round(100 * found.mean, 1) < 0 else "+"
    mean = f"{sign}{abs(100 * found.mean):.1f}"
    return mean if found.half is None else f"{mean} ± {100 * found.half:.1f}"


def _mean_seconds(study: Study, served: Iterable[tuple[Spot, str]]) -> str:
    values = [
        study.summary(scenario, backbone, regime).seconds for (scenario, backbone), regime in served
    ]
    found = interval([value.mean for value in values if value])
    return amount(found.mean) if found else "–"
