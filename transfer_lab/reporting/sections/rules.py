"""The rules of thumb, scored: a verdict in every scenario, and what following each one costs."""

from __future__ import annotations

from transfer_lab.reporting.blocks import Cell, Line, Paragraph, Section, Table, cell
from transfer_lab.reporting.hypotheses import (
    JUDGED,
    Spot,
    chance_of_best,
    followed,
    spots,
    verdicts,
)
from transfer_lab.reporting.sections.regret import LEGEND as REGRETS
from transfer_lab.reporting.sections.regret import regrets
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import needs, percent, share
from transfer_lab.stats.hypotheses import LEVEL, MARGIN, Judgement
from transfer_lab.stats.rules_of_thumb import RULES, Rule

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


def rules(study: Study) -> Section | None:
    """Verdicts of the two published rules and the regret of all; none where nothing transfers."""
    places = list(spots(study))
    if not places:
        return None
    told = verdicts(study)
    blocks = [_verdicts(study, name, places, told) for name in JUDGED]
    costs = (regrets(study, places), Paragraph(REGRETS))
    return Section("The rules, scored", (*blocks, Paragraph(LEGEND), *costs))


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
        cell(told.verdict, needs(told), strong=told.verdict in ("supported", "refuted")),
    )
