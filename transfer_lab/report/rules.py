"""The rules of thumb, scored: a verdict in every scenario, and what following each one costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from transfer_lab.evidence.judging import LEVEL, MARGIN, Judgement, judge
from transfer_lab.evidence.rules import RULES, Rule
from transfer_lab.report.blocks import Cell, Line, Paragraph, Section, Table, cell
from transfer_lab.report.study import Study, interval
from transfer_lab.report.wording import amount, percent

JUDGED = ("rule_av", "rule_cs231n")
ORACLE = "oracle"
LEGEND = (
    f"Supported: the prescribed regime is within {100 * MARGIN:g} point of every other trained "
    "regime, or above it, each by a one-sided paired t-test over seeds. Refuted: some other regime "
    f"is better, at {100 * LEVEL:g} % after Holm's correction over all comparisons of the rule. "
    "Undecided otherwise, with the number of seeds from which the closest rival could be told "
    "apart at the present spread. The tests are over seeds: they take source runs, test set and "
    "options as they are."
)


class Place(NamedTuple):
    """A scenario on a backbone that has all that a transfer regime needs."""

    scenario: str
    backbone: str


def rules(study: Study) -> Section | None:
    """Verdicts of the two published rules and the regret of all; none where nothing transfers."""
    places = list(_places(study))
    if not places:
        return None
    blocks = [_verdicts(study, name, places) for name in JUDGED]
    return Section("The rules, scored", (*blocks, Paragraph(LEGEND), _regrets(study, places)))


def _places(study: Study) -> Iterator[Place]:
    """Where at least two trained regimes were measured and something is transferred."""
    for scenario, asked in study.experiment.scenarios.items():
        for backbone in study.backbones:
            if asked.size == "medium":
                continue  # of which no rule says anything
            trained = study.trained_on(backbone)
            measured = [r for r in trained if study.by_seed(scenario, backbone, r)]
            if len(measured) > 1 and any(_starts_from_source(study, r) for r in measured):
                yield Place(scenario, backbone)


def _starts_from_source(study: Study, regime: str) -> bool:
    return study.experiment.regimes[regime].kind != "from_scratch"


def _followed(study: Study, rule: Rule, place: Place) -> str | None:
    """The regime that the rule prescribes here; of several of its kind the best measured one."""
    scenario = study.experiment.scenarios[place.scenario]
    kind = rule[scenario.size, scenario.similarity]
    planned = study.trained_on(place.backbone)
    return study.best(*place, tuple(r for r in study.of_kind(kind) if r in planned))


def _verdicts(study: Study, name: str, places: list[Place]) -> Table:
    rule = RULES[name]
    followed = {place: _followed(study, rule, place) for place in places}
    known = [place for place in places if followed[place]]
    found = judge(
        [
            (
                study.by_seed(*place, followed[place]),
                {
                    regime: scores
                    for regime in study.trained_on(place.backbone)
                    if regime != followed[place] and (scores := study.by_seed(*place, regime))
                },
            )
            for place in known
        ]
    )
    told = dict(zip(known, found, strict=True))
    rows = tuple(_verdict_row(study, rule, p, followed[p], told.get(p)) for p in places)
    head = ("scenario", "backbone", "prescribes", "accuracy (%)", "best rival", "verdict")
    return Table(f"{name}: verdict in every scenario", head, rows, texts=3)


def _verdict_row(
    study: Study, rule: Rule, place: Place, regime: str | None, told: Judgement | None
) -> tuple[Cell, ...]:
    scenario = study.experiment.scenarios[place.scenario]
    start = (cell(place.scenario), cell(place.backbone))
    kind = rule[scenario.size, scenario.similarity]
    if regime is None or told is None:
        return (*start, cell(kind), cell("–"), cell("–"), (Line("no data", "not measured here"),))
    rival = told.rival or "–"
    note = f"{percent(told.behind)} points ahead" if told.behind else "not ahead"
    return (
        *start,
        cell(regime),
        cell(percent(study.accuracy(*place, regime))),
        cell(rival, note),
        cell(told.verdict, _needs(told), strong=told.verdict in ("supported", "refuted")),
    )


def _needs(told: Judgement) -> str:
    if told.verdict != "undecided":
        return ""
    if told.seeds_needed is None:
        return "(more seeds than can be foreseen)"
    return f"(about {told.seeds_needed} seeds would tell)"


def _regrets(study: Study, places: list[Place]) -> Table:
    caption = "Regret of following each rule: means over all scenarios and backbones it can serve"
    head = ("rule", "points behind the best", "worst (points)", "fit time (s)", "places served")
    rows = [_regret_row(study, name, rule, places) for name, rule in RULES.items()]
    best = [study.best(*place, study.trained_on(place.backbone)) for place in places]
    seconds = _mean_seconds(study, zip(places, best, strict=True))
    rows.append((cell(ORACLE), cell("0.0"), cell("0.0"), cell(seconds), cell(f"{len(places)}")))
    return Table(caption, head, tuple(rows))


def _regret_row(study: Study, name: str, rule: Rule, places: list[Place]) -> tuple[Cell, ...]:
    served = [(place, r) for place in places if (r := _followed(study, rule, place))]
    if not served:
        return (cell(name), *(cell("–") for _ in range(3)), cell(f"0 of {len(places)}"))
    lost = []
    for place, regime in served:
        best = study.best(*place, study.trained_on(place.backbone))
        lost.append(study.accuracy(*place, best).mean - study.accuracy(*place, regime).mean)
    return (
        cell(name),
        cell(f"{100 * sum(lost) / len(lost):.1f}"),
        cell(f"{100 * max(lost):.1f}"),
        cell(_mean_seconds(study, served)),
        cell(f"{len(served)} of {len(places)}"),
    )


def _mean_seconds(study: Study, served: object) -> str:
    values = [study.summary(*place, regime).seconds for place, regime in served]
    found = interval([value.mean for value in values if value])
    return amount(found.mean) if found else "–"
