"""A Q-table learnt in one room is where learning starts in the next: faster, or slower.

It shares no code with the grid (`transfer_lab`): one idea, to be read in five minutes.

Shows: tabular Q-learning in a room with pillars, from zeros, from the table of the same room with
half of the pillars (related), and from one whose goal lay beside the start (unrelated). Measured:
the jumpstart (length of the first episodes) and the episodes until the way is short enough.
Paper: Taylor & Stone 2009, Transfer learning for reinforcement learning domains: a survey.
Run:   python examples/reinforcement.py --out FOLDER
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
from scipy import stats

ARMS = ZEROS, RELATED, UNRELATED = "zeros", "related", "unrelated"
SIDE, PILLARS, LIMIT, EPISODES = 8, 12, 200, 300
START, GOAL, OTHER_GOAL = (0, 0), (SIDE - 1, SIDE - 1), (0, 1)
MOVES = (1, 0), (-1, 0), (0, 1), (0, -1)
RATE, DISCOUNT, EXPLORE = 0.5, 0.95, 0.2
FIRST, WINDOW, THRESHOLD = 10, 10, 2.0
Cell = tuple[int, int]
Table = dict[Cell, list[float]]


def zeros() -> Table:
    """Nothing is known of any move."""
    return {(i, j): [0.0] * len(MOVES) for i in range(SIDE) for j in range(SIDE)}


def step(cell: Cell, move: int, pillars: set[Cell]) -> Cell:
    """The cell that a move leads to: the same before a wall or a pillar."""
    there = cell[0] + MOVES[move][0], cell[1] + MOVES[move][1]
    inside = 0 <= there[0] < SIDE and 0 <= there[1] < SIDE
    return there if inside and there not in pillars else cell


def distance(pillars: set[Cell]) -> int | None:
    """Steps of the shortest way from start to goal; None if there is none."""
    reached, edge, steps = {START}, {START}, 0
    while edge and GOAL not in reached:
        edge = {step(cell, m, pillars) for cell in edge for m in range(len(MOVES))} - reached
        reached, steps = reached | edge, steps + 1
    return steps if GOAL in reached else None


def room(rng: random.Random) -> set[Cell]:
    """Pillars that leave a way to the goal."""
    free = [cell for cell in zeros() if cell not in (START, GOAL, OTHER_GOAL)]
    while distance(pillars := set(rng.sample(free, PILLARS))) is None:
        pass
    return pillars


def learn(
    table: Table, pillars: set[Cell], goal: Cell, starts: list[Cell], rng: random.Random
) -> list[int]:
    """Q-learning that changes the table, reward 1 at the goal; the steps of every episode."""
    lengths = []
    for _ in range(EPISODES):
        cell, steps = rng.choice(starts), 0
        while cell != goal and steps < LIMIT:
            row = table[cell]
            best = [move for move, value in enumerate(row) if value == max(row)]
            move = rng.randrange(len(row)) if rng.random() < EXPLORE else rng.choice(best)
            cell, steps = step(cell, move, pillars), steps + 1
            worth = 1.0 if cell == goal else DISCOUNT * max(table[cell])
            row[move] += RATE * (worth - row[move])
        lengths.append(steps)
    return lengths


def one_seed(seed: int) -> dict[str, np.ndarray]:
    """Steps of every episode in the target room, in shortest ways, from every start table."""
    pillars = room(random.Random(f"room {seed}"))
    tables = {arm: zeros() for arm in ARMS}
    half = set(sorted(pillars)[::2])
    starts = [cell for cell in zeros() if cell not in half]
    for arm, goal in ((RELATED, GOAL), (UNRELATED, OTHER_GOAL)):
        learn(tables[arm], half, goal, starts, random.Random(f"{arm} {seed}"))
    learning = {arm: random.Random(f"target {seed}") for arm in ARMS}
    lengths = {arm: learn(tables[arm], pillars, GOAL, [START], learning[arm]) for arm in ARMS}
    return {arm: np.array(found) / distance(pillars) for arm, found in lengths.items()}


def episodes_needed(lengths: np.ndarray) -> int:
    """Episodes until the last WINDOW take THRESHOLD shortest ways on average; all if never."""
    means = np.convolve(lengths, np.full(WINDOW, 1 / WINDOW), "valid")
    reached = np.flatnonzero(means <= THRESHOLD)
    return int(reached[0]) + WINDOW if len(reached) else len(lengths)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and half-width of Student's 95 % interval over seeds."""
    return float(values.mean()), float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def check(needed: dict[str, np.ndarray], first: dict[str, np.ndarray]) -> None:
    """The related table starts nearer and needs fewer episodes; the unrelated one needs more."""
    for told, values in (
        ("the related table gives no jumpstart", first[ZEROS] - first[RELATED]),
        ("the related table saves no episodes", needed[ZEROS] - needed[RELATED]),
        ("the unrelated table costs no episodes", needed[UNRELATED] - needed[ZEROS]),
    ):
        mean, within = interval(values)
        assert mean > within, f"{told}: {mean:.1f} ± {within:.1f}"


def draw(folder: Path, curves: dict[str, np.ndarray]) -> None:
    """Steps by episode in shortest ways, the mean over seeds and the last WINDOW episodes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="tight")
    axes = figure.subplots()
    for arm, rows in curves.items():
        mean = np.convolve(rows.mean(0), np.full(WINDOW, 1 / WINDOW), "valid")
        axes.plot(np.arange(len(mean)) + WINDOW, mean, label=f"from {arm}")
    axes.axhline(THRESHOLD, color="0.7", ls="--", label="threshold")
    axes.set(
        xlabel="episodes", ylabel=f"steps / shortest, mean of {WINDOW} episodes", xlim=(0, 150)
    )
    axes.legend()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "reinforcement.png", dpi=120)


def main(argv: list[str] | None = None) -> dict[str, dict[str, np.ndarray]]:
    """Print and return the episodes needed and the first steps of every start, one a seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, help="folder for the figure; without it, print only")
    options = parser.parse_args(argv)
    each = [one_seed(seed) for seed in range(options.seeds)]
    curves = {arm: np.array([found[arm] for found in each]) for arm in ARMS}
    needed = {arm: np.array([episodes_needed(row) for row in curves[arm]]) for arm in ARMS}
    first = {arm: rows[:, :FIRST].mean(1) for arm, rows in curves.items()}
    print("With paired differences from a table of zeros (95 % intervals)")
    for told, measured in (
        (f"Episodes until {WINDOW} of them take {THRESHOLD} shortest ways on average", needed),
        (f"Steps of the first {FIRST} episodes, in shortest ways", first),
    ):
        print(told)
        for arm, values in measured.items():
            against = "  {:+5.1f} ± {:.1f}".format(*interval(values - measured[ZEROS]))
            line = "  {:10} {:4.1f} ± {:.1f}".format(arm, *interval(values))
            print(line + (against if arm != ZEROS else ""))
    check(needed, first)
    if options.out:
        draw(options.out, curves)
    return {"episodes": needed, "first": first}


if __name__ == "__main__":
    main()
