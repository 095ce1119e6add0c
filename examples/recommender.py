"""Ratings of films tell what a reader wants: two domains that share users are factorised together.

It shares no code with the grid (`transfer_lab`): one idea, to be read in five minutes.

Shows: alternating least squares on a sparse domain (books) alone, and together with a dense one
(films) whose users are the same, so that user factors are shared. If tastes in films have nothing
to do with those in books (users permuted), sharing harms: negative transfer.
Paper: Singh & Gordon 2008, Relational learning via collective matrix factorization.
Run:   python examples/recommender.py --out FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

ARMS = ALONE, SHARED, PERMUTED = "books alone", "films, same users", "films, users permuted"
USERS, ITEMS, FACTORS, ITERATIONS = 150, 80, 3, 10
BOOKS_PER_USER = 4, 10, 30
FILMS_PER_USER, TEST_PER_USER, VALID_PER_USER = 30, 10, 2
STRENGTHS = (1.0, 3.0, 10.0, 30.0)


def ratings(rng: np.random.Generator, tastes: np.ndarray) -> np.ndarray:
    """Whole stars from 1 to 5, (users, ITEMS), of new items by users of these tastes."""
    items = rng.normal(size=(ITEMS, FACTORS))
    score = 3 + tastes @ items.T / np.sqrt(FACTORS) + rng.normal(0, 0.5, (len(tastes), ITEMS))
    return np.clip(np.rint(score), 1, 5)


def splits(rng: np.random.Generator, *sizes: int) -> list[np.ndarray]:
    """Disjoint masks (USERS, ITEMS), each with so many items of every user."""
    order = rng.random((USERS, ITEMS)).argsort(1).argsort(1)
    ends = np.cumsum(sizes)
    return [(order >= end - size) & (order < end) for end, size in zip(ends, sizes, strict=True)]


def solved(seen: np.ndarray, values: np.ndarray, other: np.ndarray, strength: float) -> np.ndarray:
    """Ridge regression of every row's seen values on the other side's factors."""
    outer = (other[:, :, None] * other[:, None, :]).reshape(len(other), -1)
    gram = (seen @ outer).reshape(len(seen), FACTORS, FACTORS) + strength * np.eye(FACTORS)
    return np.linalg.solve(gram, ((seen * values) @ other)[:, :, None])[:, :, 0]


def factorised(seen: np.ndarray, stars: np.ndarray, strength: float) -> np.ndarray:
    """All ratings as alternating least squares predicts them from those seen."""
    seen = seen.astype(float)
    mean = (seen * stars).sum() / seen.sum()
    items = np.random.default_rng(0).normal(size=(stars.shape[1], FACTORS))
    for _ in range(ITERATIONS):
        users = solved(seen, stars - mean, items, strength)
        items = solved(seen.T, (stars - mean).T, users, strength)
    return mean + users @ items.T


def rmse(predicted: np.ndarray, stars: np.ndarray, where: np.ndarray) -> float:
    """Root mean squared error, in stars."""
    return float(np.sqrt(np.mean((predicted - stars)[where] ** 2)))


def book_error(seed: int, books_per_user: int, arm: str) -> float:
    """RMSE on held-out books, at the strength that validation ratings chose."""
    rng = np.random.default_rng(seed)
    tastes = rng.normal(size=(USERS, FACTORS))
    books, films = ratings(rng, tastes), ratings(rng, tastes)
    valid, test, train = splits(rng, VALID_PER_USER, TEST_PER_USER, books_per_user - VALID_PER_USER)
    (films_seen,) = splits(rng, FILMS_PER_USER)
    films = films[:, : 0 if arm == ALONE else ITEMS]
    films_seen = films_seen[:, : films.shape[1]]
    if arm == PERMUTED:
        order = rng.permutation(USERS)
        films, films_seen = films[order], films_seen[order]
    stars = np.hstack([books, films])

    def predicted(seen: np.ndarray, strength: float) -> np.ndarray:
        return factorised(np.hstack([seen, films_seen]), stars, strength)[:, :ITEMS]

    best = min(STRENGTHS, key=lambda strength: rmse(predicted(train, strength), books, valid))
    return rmse(predicted(train | valid, best), books, test)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and half-width of Student's 95 % interval over seeds."""
    return float(values.mean()), float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def check(errors: dict[tuple[int, str], np.ndarray]) -> None:
    """Shared users help where books are few, less where they are many; permuted ones harm."""
    few, middle, many = BOOKS_PER_USER
    gains = {n: errors[n, ALONE] - errors[n, SHARED] for n in BOOKS_PER_USER}
    for n in (few, middle):
        gain, within = interval(gains[n])
        assert gain > within, f"sharing does not help at {n} books: {gain:.3f} ± {within:.3f}"
    assert gains[many].mean() < gains[few].mean(), "sharing helps more with many books than few"
    harm, within = interval(errors[middle, PERMUTED] - errors[middle, ALONE])
    assert harm > within, f"permuted users do not harm: {harm:.3f} ± {within:.3f}"


def draw(folder: Path, errors: dict[tuple[int, str], np.ndarray]) -> None:
    """RMSE against the number of books that a user has rated, an arm a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="tight")
    axes = figure.subplots()
    for arm in ARMS:
        means, halves = zip(*(interval(errors[n, arm]) for n in BOOKS_PER_USER), strict=True)
        axes.errorbar(BOOKS_PER_USER, means, halves, fmt="o-", capsize=4, label=arm)
    axes.set(xlabel="books rated by each user", ylabel="RMSE on held-out books (stars)")
    axes.legend()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "recommender.png", dpi=120)


def main(argv: list[str] | None = None) -> dict[tuple[int, str], np.ndarray]:
    """Print and return the RMSE by (books rated, arm), one a seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, help="folder for the figure; without it, print only")
    options = parser.parse_args(argv)
    errors = {
        (n, arm): np.array([book_error(seed, n, arm) for seed in range(options.seeds)])
        for n in BOOKS_PER_USER
        for arm in ARMS
    }
    print("RMSE on held-out books in stars, paired difference from books alone (95 % intervals)")
    for (n, arm), values in errors.items():
        told = "{:2} books a user, {:21} {:.3f} ± {:.3f}".format(n, arm, *interval(values))
        against = "  {:+.3f} ± {:.3f}".format(*interval(values - errors[n, ALONE]))
        print(told + (against if arm != ALONE else ""))
    check(errors)
    if options.out:
        draw(options.out, errors)
    return errors


if __name__ == "__main__":
    main()
