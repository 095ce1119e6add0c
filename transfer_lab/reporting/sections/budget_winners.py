"""Who leads under each budget, and whether the budget decides it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from transfer_lab.reporting.blocks import Cell, Fold, Line, Table, cell
from transfer_lab.reporting.hypotheses import Spot
from transfer_lab.reporting.ranking import SEPARATED, Ranking, ranking, told_apart
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import (
    accuracy_cell,
    gap,
    percent,
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
    rows = tuple(
        _winner(name, under, Spot(scenario, backbone))
        for scenario in study.scenarios
        for name, under in studies.items()
    )
    head = (
        *("scenario", "budget", "best", "runner-up", "by validation", "rule_av"),
        *("accuracy (%)", "fit (s)"),
    )
    caption = f"Best trained regime by budget, {backbone}"
    return Table(caption, head, rows, texts=6, about=(("backbone", backbone),))


def _winner(name: str, study: Study, spot: Spot) -> tuple[Cell, ...]:
    found = ranking(study, *spot)
    start = (cell(spot.scenario), cell(name))
    if found.best is None:
        dash = cell("–")
        none = cell("–", "(no trained regime measured)")
        return (*start, none, dash, dash, cell(found.rule), dash, dash)
    summary = study.summary(*spot, found.best)
    so_far = ", so far" if found.provisional else ""
    return (
        *start,
        cell(found.best, strong=True),
        cell(found.contest.removeprefix("runner-up ")),
        cell(study.preferred(*spot, study.contenders(*spot))),
        cell(found.rule),
        accuracy_cell(summary, note=so_far),
        cell(seconds(summary.seconds) if summary.seconds else "–"),
    )


def changes(studies: Budgets) -> Iterator[str]:
    """One sentence a place: whether another regime leads under another budget."""
    main, usual = next(iter(studies.items()))
    for scenario in usual.scenarios:
        for backbone in usual.backbones:
            spot = Spot(scenario, backbone)
            told = {name: ranking(study, *spot) for name, study in studies.items()}
            known = {name: found for name, found in told.items() if found.best}
            if main in known and len(known) > 1:
                yield f"{scenario}, {backbone}: {_change(studies, spot, known)}"


def _change(studies: Budgets, spot: Spot, known: Mapping[str, Ranking]) -> str:
    main = next(iter(studies))
    usual = known[main].best
    same = [name for name, found in known.items() if found.best == usual]
    unsure = " (so far)" if any(found.provisional for found in known.values()) else ""
    where = "every budget" if len(same) == len(studies) else " and ".join(same)
    others = [
        _other(studies, spot, (main, usual), (name, found.best))
        for name, found in known.items()
        if found.best != usual
    ]
    return "; ".join([f"{usual} has the highest mean under {where}{unsure}", *others]) + "."


def _other(studies: Budgets, spot: Spot, usual: tuple[str, str], other: tuple[str, str]) -> str:
    """The regime that leads under another budget against the usual one, under both budgets."""
    (main, first), (name, second) = usual, other
    there = _lead(studies[name], Place(*spot, second), Place(*spot, first))
    here = _lead(studies[main], Place(*spot, first), Place(*spot, second))
    if there is None or here is None:
        return f"under {name} {second} has, and the two were not measured under both"
    shown = all(told == SEPARATED for _, told in (there, here))
    verdict = "the order changes" if shown else "a change of order is not shown"
    return (
        f"under {name} {second} has, {there[0]} ahead of {first} ({there[1]}), which under {main} "
        f"is {here[0]} ahead of it ({here[1]}): {verdict}{_moved(studies, spot, usual, other)}"
    )


def _moved(studies: Budgets, spot: Spot, usual: tuple[str, str], other: tuple[str, str]) -> str:
    """By how much the difference of the two regimes differs between the budgets."""
    (main, first), (name, second) = usual, other
    tested = [
        studies[budget].measured.tested(Place(*spot, regime))
        for budget in (name, main)
        for regime in (second, first)
    ]
    crossed = studies[main].measured.crossed(tested)
    if crossed is None:
        return ""
    found = crossed.contrast([1, -1, -1, 1])
    told = f" ({_apart(found)})" if found.known else ""
    return f", and between the budgets their difference moves by {gap(found)}{told}"


def _apart(found: Estimate) -> str:
    return SEPARATED if abs(found.mean) > found.half() else "not separated"


def _lead(study: Study, one: Place, over: Place) -> tuple[str, str] | None:
    found = study.measured.lead(one, over=over)
    return (gap(found), told_apart(study, one, over)) if found else None


def accuracies(studies: Budgets) -> Fold:
    """Test accuracy of every regime under every budget."""
    usual = next(iter(studies.values()))
    return Fold(
        "Test accuracy of every regime by budget",
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
    main = next(iter(studies))
    caption = (
        f"Test accuracy (%) by budget, {backbone}: mean ± 95 % interval, and in points how far "
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
    return (*line, *((Line("", _signed(crossed.contrast([1, -1]))),) if crossed else ()))


def _signed(found: Estimate) -> str:
    text = percent(found.interval())
    return text if text.startswith("-") else f"+{text}"
