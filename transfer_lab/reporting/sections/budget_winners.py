"""Who leads under each budget, and whether the budget decides it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from transfer_lab.reporting.blocks import Cell, Fold, Line, Table, cell
from transfer_lab.reporting.decision import Decision, decide
from transfer_lab.reporting.hypotheses import Spot
from transfer_lab.reporting.ranking import SEPARATED, provisional, rule_stands
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import (
    accuracy_cell,
    bounded,
    gap,
    regime_name,
    seconds,
)

if TYPE_CHECKING:
    from transfer_lab.stats.estimates import Estimate

Budgets = Mapping[str, Study]
"""The study under each budget by its name, the main one first."""


def winners(studies: Budgets, backbone: str) -> Table:
    """The best trained regime of every scenario under every budget."""
    study = next(iter(studies.values()))
    steps = study.measure.steps
    rows = tuple(
        _winner(name, under, Spot(scenario, backbone))
        for scenario in study.scenarios
        for name, under in studies.items()
    )
    head = (
        *("scenario", "budget", "best", f"at most behind ({steps})", "may be as good"),
        *("by validation", "rule_av"),
        *(study.measure.heading, "fit (s)"),
    )
    caption = f"Best trained regime by budget, {backbone}"
    return Table(caption, head, rows, texts=7, about=(("backbone", backbone),))


def _winner(name: str, study: Study, spot: Spot) -> tuple[Cell, ...]:
    found = decide(study, *spot)
    rule = cell(rule_stands(study, found, spot.backbone))
    start = (cell(spot.scenario), cell(name))
    if found.leader is None:
        dash = cell("–")
        none = cell("–", "(no trained regime measured)")
        return (*start, none, dash, dash, dash, rule, dash, dash)
    summary = study.summary(*found.leader.place)
    so_far = ", so far" if provisional(study, *spot) else ""
    return (
        *start,
        cell(found.leader.place.regime, strong=True),
        cell(bounded(found.bound, study.measure)),
        cell(", ".join(one.place.regime for one in found.as_good) or "none"),
        cell(study.preferred(*spot, study.contenders(*spot))),
        rule,
        accuracy_cell(summary, note=so_far),
        cell(seconds(summary.seconds) if summary.seconds else "–"),
    )


def changes(studies: Budgets) -> Iterator[str]:
    """One sentence a place: whether another regime leads under another budget."""
    main, usual = next(iter(studies.items()))
    for scenario in usual.scenarios:
        for backbone in usual.backbones:
            spot = Spot(scenario, backbone)
            told = {name: decide(study, *spot) for name, study in studies.items()}
            known = {name: found for name, found in told.items() if found.leader}
            if main in known and len(known) > 1:
                yield f"{scenario}, {backbone}: {_change(studies, spot, known)}"


def _change(studies: Budgets, spot: Spot, known: Mapping[str, Decision]) -> str:
    main = next(iter(studies))
    best = {name: found.leader.place.regime for name, found in known.items()}
    same = [name for name, regime in best.items() if regime == best[main]]
    unsure = " (so far)" if any(provisional(studies[name], *spot) for name in known) else ""
    where = "every budget" if len(same) == len(studies) else " and ".join(same)
    others = [
        _other(studies, (main, known[main]), (name, found))
        for name, found in known.items()
        if best[name] != best[main]
    ]
    return "; ".join([f"{best[main]} has the highest mean under {where}{unsure}", *others]) + "."


def _other(studies: Budgets, usual: tuple[str, Decision], other: tuple[str, Decision]) -> str:
    """The regime that leads under another budget against the usual one, under both budgets."""
    (main, here), (name, there) = usual, other
    first, second = here.leader.place, there.leader.place
    beaten, beats = there.of(first), here.of(second)
    if beaten is None or beats is None or not (beaten.behind and beats.behind):
        return f"under {name} {second.regime} has, and the two were not measured under both"
    measure = studies[main].measure
    shown = beaten.ruled_out and beats.ruled_out
    verdict = "the order changes" if shown else "a change of order is not shown"
    return (
        f"under {name} {second.regime} has, {gap(beaten.behind, measure)} ahead of {first.regime} "
        f"({_out(beaten.ruled_out)}), which under {main} is {gap(beats.behind, measure)} ahead of "
        f"it ({_out(beats.ruled_out)}): {verdict}"
        f"{_moved(studies, (main, first), (name, second))}"
    )


def _out(ruled_out: bool) -> str:
    return "ruled out" if ruled_out else "not ruled out"


def _moved(studies: Budgets, usual: tuple[str, Place], other: tuple[str, Place]) -> str:
    """By how much the difference of the two regimes differs between the budgets."""
    (main, first), (name, second) = usual, other
    tested = [
        studies[budget].measured.tested(place)
        for budget in (name, main)
        for place in (second, first)
    ]
    crossed = studies[main].measured.crossed(tested)
    if crossed is None:
        return ""
    found = crossed.contrast([1, -1, -1, 1])
    told = f" ({_apart(found)})" if found.known else ""
    by = gap(found, studies[main].measure)
    return f", and between the budgets their difference moves by {by}{told}"


def _apart(found: Estimate) -> str:
    return SEPARATED if abs(found.mean) > found.half() else "not separated"


def accuracies(studies: Budgets) -> Fold:
    """Test accuracy of every regime under every budget."""
    usual = next(iter(studies.values()))
    return Fold(
        f"Test {usual.measure.title} of every regime by budget",
        tuple(_accuracies(studies, backbone) for backbone in usual.backbones),
    )


def _accuracies(studies: Budgets, backbone: str) -> Table:
    usual = next(iter(studies.values()))
    learning = next(study.regimes_on(backbone) for study in reversed(studies.values()))
    rows = tuple(
        (
            (regime_name(usual, regime),),
            cell(scenario),
            *(
                _accuracy(study, usual, Place(scenario, backbone, regime))
                for study in studies.values()
            ),
        )
        for regime in learning
        for scenario in usual.scenarios
        if regime in usual.planned(scenario, backbone)
    )
    main, measure = next(iter(studies)), usual.measure
    caption = (
        f"Test {measure.heading} by budget, {backbone}: mean ± 95 % interval, and in "
        f"{measure.steps} how far "
        f"above {main}, paired by seed and test image"
    )
    head = ("regime", "scenario", *studies)
    return Table(caption, head, rows, texts=2, about=(("backbone", backbone),))


def _accuracy(study: Study, usual: Study, place: Place) -> Cell:
    found = study.summary(*place)
    line = accuracy_cell(found)
    if found.accuracy is None or study is usual:
        return line
    pair = [one.measured.tested(place) for one in (study, usual)]
    crossed = study.measured.crossed(pair)
    return (*line, *((Line("", _signed(study, crossed.contrast([1, -1]))),) if crossed else ()))


def _signed(study: Study, found: Estimate) -> str:
    text = study.measure.difference(found.interval())
    return text if text.startswith("-") else f"+{text}"
