"""How classes link in one network tells how to spread a few labels in another.

It shares no code with the grid (`transfer_lab`): one idea, to be read in five minutes.

Shows: label propagation by class compatibilities on a block-model graph with few labels. These are
assumed (like links to like), or from the target's own labelled links, or from a source graph whose
labels are all known (the relational structure is transferred), or from a source graph whose classes
link otherwise, which harms.
Papers: Gatterbauer et al. 2015, Linearized and single-pass belief propagation (the method);
Mihalkova, Huynh & Mooney 2007, Mapping and revising Markov logic networks for transfer learning.
Run:   python examples/relational.py --out FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

ASSUMED, OWN, SOURCE, UNRELATED = "like to like", "own labels", "source", "unrelated source"
ARMS = ASSUMED, OWN, SOURCE, UNRELATED
CLASSES, ROUNDS, DAMPING = 3, 20, 0.8
LABELLED = 3, 10, 30
SOURCE_SIZE, TARGET_SIZE, DEGREE = 60, 100, 10
LINKS = np.array([[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
OTHER_LINKS = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])


def block_model(
    rng: np.random.Generator, size: int, links: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Adjacency (nodes, nodes), classes one-hot (nodes, CLASSES), `size` nodes of each."""
    labels = np.repeat(np.eye(CLASSES), size, axis=0)
    chance = labels @ links @ labels.T * DEGREE / size
    upper = np.triu(rng.random(chance.shape) < chance, 1)
    return (upper | upper.T).astype(float), labels


def compatibility(adjacency: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The share of each class among the neighbours of each, (CLASSES, CLASSES), smoothed by one."""
    counts = known.T @ adjacency @ known + 1
    return counts / counts.sum(1, keepdims=True)


def propagated(adjacency: np.ndarray, known: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Beliefs (nodes, CLASSES): labels spread along links, by how classes link."""
    mean = adjacency / np.maximum(adjacency.sum(1, keepdims=True), 1)
    centred = links - 1 / CLASSES
    radius = np.abs(np.linalg.eigvals(centred)).max()
    centred = (
        DAMPING * centred / max(radius, 1e-9)
    )  # no label is linked to another: nothing spreads
    given = (known - 1 / CLASSES) * known.sum(1, keepdims=True)
    beliefs = given
    for _ in range(ROUNDS):
        beliefs = given + mean @ beliefs @ centred.T
    return beliefs


def one_seed(seed: int, labelled: int) -> dict[str, float]:
    """Accuracy (%) on the target's unlabelled nodes by where compatibilities come from."""
    rng = np.random.default_rng(seed)
    adjacency, labels = block_model(rng, TARGET_SIZE, LINKS)
    given = np.zeros(len(labels), bool)
    for c in range(CLASSES):
        given[rng.choice(np.flatnonzero(labels[:, c]), labelled, replace=False)] = True
    known = labels * given[:, None]
    links = {
        ASSUMED: np.eye(CLASSES),
        OWN: compatibility(adjacency, known),
        SOURCE: compatibility(*block_model(rng, SOURCE_SIZE, LINKS)),
        UNRELATED: compatibility(*block_model(rng, SOURCE_SIZE, OTHER_LINKS)),
    }
    right = {
        arm: propagated(adjacency, known, of).argmax(1) == labels.argmax(1)
        for arm, of in links.items()
    }
    return {arm: 100 * float(hits[~given].mean()) for arm, hits in right.items()}


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and half-width of Student's 95 % interval over seeds."""
    return float(values.mean()), float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def check(accuracy: dict[tuple[int, str], np.ndarray]) -> None:
    """A source's structure helps where labels are few, not where many; another one harms there."""
    few, _, many = LABELLED
    for rival in (OWN, ASSUMED):
        gain, within = interval(accuracy[few, SOURCE] - accuracy[few, rival])
        assert gain > within, f"the source does not beat {rival}: {gain:.1f} ± {within:.1f}"
    gains = [(accuracy[n, SOURCE] - accuracy[n, OWN]).mean() for n in (few, many)]
    assert gains[1] < gains[0], f"the source helps more with many labels than few: {gains}"
    harm, within = interval(accuracy[many, OWN] - accuracy[many, UNRELATED])
    assert harm > within, f"the unrelated source does not harm: {harm:.1f} ± {within:.1f}"


def draw(folder: Path, accuracy: dict[tuple[int, str], np.ndarray]) -> None:
    """Accuracy against the number of labels, an arm a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="tight")
    axes = figure.subplots()
    for arm in ARMS:
        means, halves = zip(*(interval(accuracy[n, arm]) for n in LABELLED), strict=True)
        axes.errorbar(LABELLED, means, halves, fmt="o-", capsize=4, label=arm)
    axes.axhline(100 / CLASSES, color="0.7", ls="--", label="chance")
    axes.set(xlabel="labelled nodes of each class", ylabel="accuracy on the others (%)")
    axes.legend()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "relational.png", dpi=120)


def main(argv: list[str] | None = None) -> dict[tuple[int, str], np.ndarray]:
    """Print and return the accuracy (%) by (labels a class, arm), one a seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--out", type=Path, help="folder for the figure; without it, print only")
    options = parser.parse_args(argv)
    each = {n: [one_seed(seed, n) for seed in range(options.seeds)] for n in LABELLED}
    accuracy = {(n, arm): np.array([of[arm] for of in each[n]]) for n in LABELLED for arm in ARMS}
    print("Accuracy (%) on unlabelled nodes, paired difference from own labels (95 % intervals)")
    for (n, arm), values in accuracy.items():
        told = "{:2} labels a class, {:16}  {:4.1f} ± {:4.1f}".format(n, arm, *interval(values))
        against = "  {:+5.1f} ± {:4.1f}".format(*interval(values - accuracy[n, OWN]))
        print(told + (against if arm != OWN else ""))
    check(accuracy)
    if options.out:
        draw(options.out, accuracy)
    return accuracy


if __name__ == "__main__":
    main()
