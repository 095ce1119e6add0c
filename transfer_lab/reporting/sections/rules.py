"""The rules of thumb, scored: a verdict in every scenario, and what following each one costs, in
points and in time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from transfer_lab.reporting.blocks import Cell, Fold, Line, Note, Paragraph, Section, Table, cell
from transfer_lab.reporting.decision import Decision, RuleStanding, decide, rule_standings
from transfer_lab.reporting.hypotheses import JUDGED, Spot, chance_of_best, followed, spots
from transfer_lab.reporting.measures import ACCURACY, Measure
from transfer_lab.reporting.regrets import REFERENCE, Regret, Served, against, regret, served
from transfer_lab.reporting.study import Place, Study, interval
from transfer_lab.reporting.wording import (
    amount,
    bounded,
    needs,
    points,
    share,
    verdict_words,
)
from transfer_lab.stats.hypotheses import LEVEL
from transfer_lab.stats.intervals import Interval
from transfer_lab.stats.rules_of_thumb import RULES, Rule

if TYPE_CHECKING:
    from transfer_lab.stats.pooling import Pooled

LEAD = "What the rules of thumb prescribe, whether that holds, and what following each one loses."
LEGEND = (
    "One hypothesis for each rule and scenario, on the mean over the backbones; all of them are "
    "one family (where both rules prescribe the same they make one hypothesis). Refuted: some "
    "other regime is more than {margin} ahead. Supported: the prescribed regime is within {margin} "
    "of every other, or above it. Behind: another one is better, by less than {margin}. Undecided: "
    "none of these is shown. Each has a chance of {level:g} % to be wrong anywhere in the family "
    "(Bonferroni over rivals, Holm over hypotheses). Loses at most: no other regime is further "
    "ahead in truth, with 95 % confidence, whichever is the best. Comparisons are paired by seed "
    "and, where predictions are stored, by test image; variances over seeds are moderated by those "
    "of all such comparisons. About N seeds: an even chance to decide, if lead and spread stay as "
    "they are. Source runs and options are taken as they are."
)
RIVALS = (
    " Rivals are the regimes that see labelled images of the target and source weights and nothing "
    "else; what others gain is told in Methods, each against itself switched off."
)
BY_BACKBONE = (
    "Exploratory: the family above is the one that is judged. Behind the best: paired difference "
    "to the regime that leads on that backbone. Loses at most, and ruled out: multiple comparisons "
    "with the best of the backbone, all regimes at once, at 95 %. P(best): how probably the "
    "regime has the highest true accuracy, by draws in which every difference of two regimes has "
    "the spread of its own paired test."
)


def rules(study: Study) -> Section | None:
    """Verdicts of the two published rules and the regret of all; none where nothing transfers."""
    places = list(spots(study))
    if not places:
        return None
    legend = LEGEND.format(margin=points(study.experiment.margin, study.measure), level=100 * LEVEL)
    if not all(map(study.is_comparable, study.trained)):
        legend += RIVALS
    by_backbone = Fold("By backbone", (_by_backbone(study, places), Paragraph(BY_BACKBONE)))
    blocks = (_verdicts(study, rule_standings(study).values()), by_backbone)
    notes = (Note(legend), Note(REGRETS, "How regret is told"))
    return Section("The rules, scored", (*blocks, _regrets(study, places), *notes), LEAD)


def _verdicts(study: Study, standings: Iterable[RuleStanding]) -> Table:
    rows = tuple(_verdict_row(study, one) for one in standings)
    head = (
        "rule",
        "scenario",
        "prescribes",
        "verdict",
        f"loses at most ({study.measure.steps})",
        "best rival",
    )
    return Table("Rules of thumb, over all backbones", head, rows, texts=4)


def _verdict_row(study: Study, one: RuleStanding) -> tuple[Cell, ...]:
    place = study.experiment.scenarios[one.scenario]
    kind = RULES[one.rule][place.size, place.similarity]
    start = (cell(one.rule), cell(one.scenario), cell(kind, _variants(one, kind)))
    if one.lead is None:
        return (*start, cell("no data", "(not measured here)"), cell("–"), cell("–"))
    side = "ahead" if one.lead.mean > 0 else "behind"
    distance = abs(one.lead.mean)
    lead = study.measure.difference(one.lead.interval()._replace(mean=distance))
    return (
        *start,
        cell(
            verdict_words(one.verdict, study.experiment.margin, study.measure),
            needs(one.told),
            strong=one.verdict not in ("undecided", "no data"),
        ),
        cell(bounded(one.at_most, study.measure)),
        cell(one.rival, f"{lead} {study.measure.steps} {side}"),
    )


def _variants(one: RuleStanding, kind: str) -> str:
    """The regimes that are followed, where their names are not the kind's."""
    names = list(dict.fromkeys(one.followed.values()))
    return "" if names in ([], [kind]) else f"({', '.join(names)})"


def _by_backbone(study: Study, places: list[Spot]) -> Table:
    told = {spot: decide(study, *spot) for spot in places}
    rows = tuple(
        _place_row(study, name, spot, told[spot], regime)
        for name in JUDGED
        for spot in places
        if (regime := followed(study, RULES[name], spot))
    )
    head = (
        *("rule", "scenario", "backbone", "prescribes"),
        study.measure.heading,
        f"behind the best ({study.measure.steps})",
        *(f"loses at most ({study.measure.steps})", "P(best)", "ruled out"),
    )
    return Table("Rules of thumb by scenario and backbone", head, rows, texts=4)


def _place_row(
    study: Study, rule: str, spot: Spot, told: Decision, regime: str
) -> tuple[Cell, ...]:
    one = told.of(Place(*spot, regime))
    behind = cell(study.measure.digits(0), "(leads)")
    if one is not told.leader:
        leader = told.leader.place.regime
        behind = cell(
            study.measure.difference(one.behind.interval()) if one.behind else "–", leader
        )
    return (
        *(cell(rule), cell(spot.scenario), cell(spot.backbone), cell(regime)),
        cell(study.measure.number(one.accuracy)),
        behind,
        cell(bounded(one.at_most, study.measure)),
        cell(share(chance_of_best(study, spot, regime))),
        cell("yes" if one.ruled_out else "no", strong=one.ruled_out),
    )


ORACLE = "oracle"
REGRETS = (
    "Exploratory. Points behind the best: means over scenarios and backbones of what is seen, "
    "which is a little too large, because the best of each place is picked by the same test "
    "accuracies; in brackets a 95 % interval of the true mean, of which the lower end is read on "
    f"seeds that did not pick, and the upper holds whichever is the best. Against {REFERENCE}: the "
    "mean difference of test accuracy over the targets, each the mean of its places that both "
    "rules serve, with a 95 % interval over seeds and test images, for these targets. Of "
    "three targets or more that share no source run (those that do count once, as their mean) a "
    "second one, for others like them on average, and between what the next one lies. Means of "
    "rules that serve other places are not comparable. Scenarios, backbones and source runs are "
    "taken as they are."
)


def _regrets(study: Study, places: list[Spot]) -> Table:
    """One row a rule, and the oracle's."""
    steps = study.measure.steps
    caption = "Regret of following each rule: means over all scenarios and backbones it can serve"
    head = (
        *("rule", f"{steps} behind the best", f"worst ({steps})", f"against {REFERENCE} ({steps})"),
        *("fit time (s)", "places served"),
    )
    rows = [
        (
            cell(name),
            *costs(study, name, places),
            cell(_mean_seconds(study, served(study, rule, places))),
            cell(f"{len(served(study, rule, places))} of {len(places)}"),
        )
        for name, rule in RULES.items()
    ]
    best = [(place, study.best(*place, study.contenders(*place))) for place in places]
    seconds = _mean_seconds(study, best)
    none = cell(study.measure.digits(0))
    oracle = (cell(ORACLE), none, none, cell("–"), cell(seconds))
    rows.append((*oracle, cell(f"{len(places)}")))
    return Table(caption, head, tuple(rows))


def costs(study: Study, name: str, places: list[Spot]) -> tuple[Cell, Cell, Cell]:
    """The rule's regret with its interval, its worst place, and its lead over the reference."""
    rule: Rule = RULES[name]
    here = served(study, rule, places)
    if not here:
        return (cell("–"),) * 3
    found, measure = regret(study, here), study.measure
    return (
        cell(measure.digits(measure.scale * found.mean), _between(measure, found)),
        cell(measure.digits(measure.scale * found.worst)),
        _told_against(measure, None if name == REFERENCE else against(study, rule, places)),
    )


def _between(measure: Measure, found: Regret) -> str:
    if found.low is None or found.high is None:
        return (
            "" if found.high is None else f"(at most {measure.digits(measure.scale * found.high)})"
        )
    ends = (measure.digits(measure.scale * end) for end in (found.low, found.high))
    return f"({' to '.join(ends)})"


def _told_against(measure: Measure, found: Pooled | None) -> Cell:
    """The mean lead over the reference in words, for these targets and for others like them."""
    if found is None:
        return cell("–")
    here = Line(signed(found.here, measure))
    if found.elsewhere is None:
        return (here,)
    many = found.elsewhere
    over = signed(Interval(many.mean, many.half, many.targets), measure)
    near, far = many.mean - many.predicted, many.mean + many.predicted
    ends = (signed(Interval(end, None, 1), measure) for end in (near, far))
    return (
        here,
        Line("", f"{over} over {many.targets} targets"),
        Line("", f"the next one: {' to '.join(ends)}"),
    )


def signed(found: Interval, measure: Measure = ACCURACY) -> str:
    """'+1.2 ± 0.9', in points."""
    shown = measure.difference(found._replace(mean=abs(found.mean)))
    sign = "−" if round(measure.scale * found.mean, measure.decimals) < 0 else "+"
    return sign + shown


def _mean_seconds(study: Study, served: Served) -> str:
    values = [study.summary(*spot, regime).seconds for spot, regime in served]
    found = interval([value.mean for value in values if value])
    return amount(found.mean) if found else "–"
