"""Six labelled points in the plane place a line badly; a source line that is aligned repairs it.

It shares no code with the grid (`transfer_lab`): one idea, to be read in five minutes.

Shows: an SVM whose penalty pulls its weights towards those of a source, 1/2 |w - PULL w_source|^2
instead of 1/2 |w|^2. The closer the source's direction, the more it helps; at a right angle it
harms. A stronger pull makes both larger, and leaves less of an angle at which a source still helps.
Paper: Yang, Yan & Hauptmann 2007, Cross-domain video concept detection using adaptive SVMs.
Run:   python examples/aligned_source_2d.py --out FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

NONE = "no source"
TURNS = {"aligned": 0, "30 degrees": 30, "60 degrees": 60, "90 degrees": 90}
PER_CLASS, SOURCE_PER_CLASS, COST, SWEEPS = 3, 30, 1.0, 300
PULL, APART, SPREAD = 0.5, 1.5, (1.0, 2.0)


def points(seeds: int, per_class: int, stream: int) -> tuple[np.ndarray, np.ndarray]:
    """Two normal clouds left and right of the second axis, anew for every seed and stream.

    Returns coordinates (seeds, 2 per_class, 3), the last of them 1, and classes -1 and 1.
    """
    y = np.tile(np.repeat([-1.0, 1.0], per_class), (seeds, 1))
    drawn = [
        np.random.default_rng((s, stream)).normal(size=(2 * per_class, 2)) for s in range(seeds)
    ]
    x = np.dstack([np.stack(drawn) * SPREAD, np.ones(y.shape)])
    x[:, :, 0] += APART * y
    return x, y


def adaptive_svm(x: np.ndarray, y: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Weights (seeds, 3) of least 1/2 |w - centre|^2 + COST * hinge losses, for each seed.

    By coordinate ascent in the dual (Hsieh et al. 2008); a centre of zeros is the plain SVM.
    """
    w, alpha, norms = centre.copy(), np.zeros(y.shape), (x**2).sum(2)
    for _ in range(SWEEPS):
        for i in range(y.shape[1]):
            margin = y[:, i] * (x[:, i] * w).sum(1)
            new = np.clip(alpha[:, i] + (1 - margin) / norms[:, i], 0.0, COST)
            w += ((new - alpha[:, i]) * y[:, i])[:, None] * x[:, i]
            alpha[:, i] = new
    return w


def turned(w: np.ndarray, degrees: float) -> np.ndarray:
    """The weights that the same source, turned about the origin, would have given."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return w @ [[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]


def angle(w: np.ndarray) -> np.ndarray:
    """Degrees between the line of w (seeds, 3) and the true one, whose normal is the first axis."""
    return np.degrees(np.arccos(w[:, 0] / np.hypot(w[:, 0], w[:, 1])))


def lines(seeds: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """The labelled points of every seed, and the weights (seeds, 3) of every arm."""
    x, y = points(seeds, PER_CLASS, stream=0)
    nothing = np.zeros((seeds, 3))
    source = adaptive_svm(*points(seeds, SOURCE_PER_CLASS, stream=1), nothing)
    centres = {NONE: nothing} | {k: PULL * turned(source, turn) for k, turn in TURNS.items()}
    return x, y, {name: adaptive_svm(x, y, centre) for name, centre in centres.items()}


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and half-width of Student's 95 % interval over seeds."""
    return float(values.mean()), float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def check(errors: dict[str, np.ndarray]) -> None:
    """The nearer the source the better; aligned helps and a right angle harms beyond chance."""
    means = [errors[name].mean() for name in TURNS]
    assert means == sorted(means), f"errors do not grow with the source's angle: {means}"
    gain, within = interval(errors[NONE] - errors["aligned"])
    assert gain > within, f"the aligned source does not help: {gain:.1f} ± {within:.1f}"
    harm, within = interval(errors["90 degrees"] - errors[NONE])
    assert harm > within, f"the source at 90 degrees does not harm: {harm:.1f} ± {within:.1f}"


def draw(folder: Path, seeds: int, errors: dict[str, np.ndarray]) -> None:
    """The lines of a seed at the third quartile of errors without a source; errors of all arms."""
    from matplotlib.figure import Figure

    x, y, found = lines(seeds)
    seed = np.argsort(errors[NONE])[3 * seeds // 4]
    figure = Figure(figsize=(10, 5), layout="tight")
    plane, bars = figure.subplots(1, 2)
    plane.axvline(0, color="0.8", lw=6)
    for sign, style in ((1, "ro"), (-1, "b^")):
        plane.plot(*x[seed][y[seed] == sign, :2].T, style)
    for name in (NONE, "aligned", "90 degrees"):
        normal, offset = found[name][seed, :2], found[name][seed, 2]
        along = np.outer([-9, 9], [-normal[1], normal[0]]) / np.hypot(*normal)
        plane.plot(*(along - offset * normal / (normal @ normal)).T, label=name)
    plane.set(xlim=(-5, 5), ylim=(-5, 5), title=f"Seed {seed}; the true line is grey")
    plane.legend()
    means, halves = zip(*map(interval, errors.values()), strict=True)
    bars.errorbar(list(errors), means, halves, fmt="o", capsize=4)
    bars.set(ylim=(0, None), ylabel="angle error (degrees)", title=f"{seeds} seeds, 95 % intervals")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "aligned_source_2d.png", dpi=120)


def main(argv: list[str] | None = None) -> dict[str, np.ndarray]:
    """Print and return the angle errors (degrees) of every arm, one a seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--out", type=Path, help="folder for the figure; without it, print only")
    options = parser.parse_args(argv)
    errors = {name: angle(w) for name, w in lines(options.seeds)[2].items()}
    print("Angle error in degrees, and its paired difference from no source (95 % intervals)")
    for name, values in errors.items():
        told = "{:10}  {:4.1f} ± {:.1f}".format(name, *interval(values))
        against = "  {:+5.1f} ± {:.1f}".format(*interval(values - errors[NONE]))
        print(told + (against if name != NONE else ""))
    check(errors)
    if options.out:
        draw(options.out, options.seeds, errors)
    return errors


if __name__ == "__main__":
    main()
