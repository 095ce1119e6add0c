"""What the report says of the decision: what each way to choose loses, and how well times were
said."""

from __future__ import annotations

from benchmarks.evidence.judged import by_task
from benchmarks.evidence.policies import (
    ADVICE,
    NEAR,
    OTHERS,
    Constants,
    Regret,
    advised,
    regrets,
    speeds,
)
from benchmarks.evidence.records import Record
from transfer_lab.reporting.blocks import Cell, Table, cell

JUDGING = {"cifar10", "digits", "letters", "textures", "scenes", "sign_digits"}
"""What the decision is judged on."""


def tables(records: list[Record], constants: Constants) -> tuple[Table, ...]:
    """Regret of every policy, every draw, and how well times were said; none without a draw.
    `constants`: by which a task is chosen for, where these are not the shipped ones."""
    if not records:
        return ()
    groups = {
        "judging tasks": [one for one in records if one["task"] in JUDGING],
        "all tasks": records,
    }
    lost = [_regret_table(name, regrets(some, constants)) for name, some in groups.items() if some]
    draws = Table(
        "Every draw: mean recall on images that are not in it, %",
        ("task", "images", "chosen", "its truth", "the probe's", "the best", ""),
        tuple(_of_race(one, constants) for one in records),
        texts=1,
    )
    return (*lost, _regrets_by_task(records, constants), draws, _speed_table(records))


def _regrets_by_task(records: list[Record], constants: Constants) -> Table:
    lines = []
    for task, some in by_task(records).items():
        ours, *others = regrets(some, constants)
        means = (f"{one.mean:.1f}" for one in others)
        texts = (task, len(some), f"{ours.mean:.1f}", f"{ours.worst:.1f}", *means)
        lines.append(tuple(cell(text) for text in texts))
    return Table(
        "Regret by task: points of mean recall behind the truly best way, in the mean",
        ("task", "draws", ADVICE, "at worst", *OTHERS),
        tuple(lines),
    )


def _speed_table(records: list[Record]) -> Table:
    lines = []
    for one in speeds(records):
        texts = (one.name, one.trainings, f"{one.before:.2f}", f"{one.said:.2f}")
        strong = one.name == "all"
        shown = (*texts, f"{100 * one.within:.0f}")
        lines.append(tuple(cell(text, strong=strong) for text in shown))
    return Table(
        "Time of a training, as it was predicted, over what it took; medians",
        (
            *("way", "trainings", "before a fold was timed", "as the advice says it"),
            f"of these within {100 * NEAR:.0f} %, %",
        ),
        tuple(lines),
    )


def _regret_table(name: str, found: list[Regret]) -> Table:
    lines = tuple(
        (cell(one.name), cell(f"{one.mean:.1f}"), cell(f"{one.worst:.1f}"), cell(one.draws))
        for one in found
    )
    return Table(
        f"Regret on {name}: points of mean recall behind the truly best way",
        ("policy", "mean", "worst", "draws"),
        lines,
    )


def _of_race(one: Record, constants: Constants) -> tuple[Cell, ...]:
    best, choice = max(one["truths"], key=one["truths"].get), advised(one, constants)
    shares = (one["truths"][choice], one["truths"]["linear_probe lite0 224"])
    texts = (
        *(one["task"], one["n"], choice),
        *(f"{100 * share:.1f}" for share in (*shares, one["truths"][best])),
        best,
    )
    return tuple(cell(text) for text in texts)
