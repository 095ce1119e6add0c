"""Which regime a study decides for, and with what bound: against records, and against a truth."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from transfer_lab.reporting.decision import decide, rule_standings
from transfer_lab.reporting.hypotheses import spots
from transfer_lab.reporting.ranking import told_apart
from transfer_lab.reporting.regrets import Regret, regret
from transfer_lab.reporting.study import Place, StoredResults, Study

from .invented import CORNERS, REGIMES, Grid, experiment

SMALL = CORNERS[:1]
NETWORKS = {
    "cnn": {"kind": "cnn"},
    "mlp": {"kind": "mlp", "options": {"width": 64}},
    "vgg": {"kind": "vgg16", "options": {"width": 0.125}},
}


def study(scores: dict[str, list[float]], *, images: int = 10**7, **more: object) -> Study:
    """One scenario and network in which the regimes score what they are told, seed by seed."""
    seeds = max(len(values) for values in scores.values())
    grid = Grid(experiment(corners=SMALL, regimes=scores, seeds=seeds, **more))
    for cell in grid.cells:
        if cell.seed < len(scores[cell.regime]):
            value = scores[cell.regime][cell.seed]
            grid.finish(lambda o, own=cell: o == own, test_accuracy=value, n_test=images)
    return Study.of(grid.experiment, StoredResults(grid.frame, grid.curves))


def found(scores: dict[str, list[float]]):
    return decide(study(scores), "small_similar", "cnn")


def test_the_leader_has_the_highest_mean_and_the_others_follow_in_order():
    told = found({"linear_probe": [0.3, 0.34], "lp_ft": [0.5, 0.52], "full_finetune": [0.4, 0.4]})
    assert [one.place.regime for one in told.standings] == [
        "lp_ft",
        "full_finetune",
        "linear_probe",
    ]
    assert told.leader.behind is None
    assert [one.behind.mean for one in told.standings[1:]] == pytest.approx([0.11, 0.19])
    assert told.bound == told.leader.at_most


def test_regimes_are_compared_seed_by_seed():
    """Apart in every seed alike, though the intervals of the two means overlap."""
    told = found({"linear_probe": [0.30, 0.40, 0.50], "lp_ft": [0.35, 0.45, 0.551]})
    assert told.standings[1].ruled_out
    assert told.bound == 0.0
    assert told.as_good == ()


def test_what_is_within_its_interval_is_not_ruled_out():
    told = found({"linear_probe": [0.30, 0.34, 0.32], "lp_ft": [0.31, 0.33, 0.35]})
    assert [one.place.regime for one in told.as_good] == ["linear_probe"]
    gap = np.array([0.01, -0.01, 0.03])
    reach = stats.t.isf(0.05, 2) * stats.sem(gap)
    assert told.bound == pytest.approx(reach - 0.01, abs=3e-4)  # the test set adds a little
    assert told.standings[1].at_most == pytest.approx(reach + 0.01, abs=3e-4)


def test_controls_are_not_compared():
    told = found({"majority": [0.9, 0.9], "random_features": [0.8, 0.8], "lp_ft": [0.2, 0.3]})
    assert [one.place.regime for one in told.standings] == ["lp_ft"]
    assert told.bound == 0.0


def test_equal_means_go_to_the_first_regime_of_the_experiment():
    told = found({"lp_ft": [0.4, 0.5], "linear_probe": [0.4, 0.5]})
    assert told.leader.place.regime == "lp_ft"


def test_one_seed_bounds_nothing():
    told = found({"lp_ft": [0.9], "linear_probe": [0.1]})
    assert (told.bound, told.one_training, told.expected) == (None, None, None)
    assert not any(one.ruled_out for one in told.standings)


def test_an_arm_with_one_seed_leaves_the_others_bound_open():
    told = found({"lp_ft": [0.9, 0.91, 0.9], "linear_probe": [0.1]})
    assert told.bound is None
    assert told.one_training is not None


def test_nothing_measured_decides_nothing():
    told = decide(Grid(experiment(corners=SMALL)).study(), "small_similar")
    assert (told.leader, told.bound, told.as_good, told.standings) == (None, None, (), ())


def test_pairs_use_the_seeds_that_both_have():
    told = found({"lp_ft": [0.5, 0.5, 0.52, 0.9, 0.9], "linear_probe": [0.45, 0.46, 0.47]})
    assert told.standings[1].behind.mean == pytest.approx(np.mean([0.05, 0.04, 0.05]))
    assert told.standings[1].behind.seeds == 3
    assert told.leader.accuracy.n == 5


def test_what_to_expect_is_read_on_seeds_that_the_leader_has():
    """One that is clearly ahead is spared further seeds, and others are not."""
    told = found({"lp_ft": [0.9, 0.91, 0.89], "linear_probe": [0.5, 0.5, 0.51, 0.52, 0.49]})
    assert told.leader.place.regime == "lp_ft"
    assert told.expected.mean == pytest.approx(0.9)


def test_only_some_of_the_seeds_are_looked_at():
    made = study({"lp_ft": [0.5, 0.52, 0.9], "linear_probe": [0.6, 0.62, 0.1]})
    assert decide(made, "small_similar").leader.place.regime == "lp_ft"
    few = decide(made, "small_similar", seeds=frozenset({0, 1}))
    assert few.leader.place.regime == "linear_probe"
    assert few.leader.accuracy.mean == pytest.approx(0.61)
    assert {one.accuracy.n for one in few.standings} == {2}


def test_a_higher_level_says_less():
    made = study({"linear_probe": [0.30, 0.34, 0.32], "lp_ft": [0.31, 0.33, 0.35]})
    bounds = [decide(made, "small_similar", level=level).bound for level in (0.9, 0.95, 0.99)]
    assert bounds == sorted(bounds)


def test_two_networks_of_one_seed_are_compared_by_mcnemar(tmp_path):
    asked = experiment(corners=SMALL, regimes=["lp_ft", "from_scratch"], seeds=1)
    made = Grid(asked).finish().predict(tmp_path).study()
    one, other = (Place("small_similar", "cnn", name) for name in ("lp_ft", "from_scratch"))
    assert told_apart(made, one, other) == (
        "interval unknown; these two networks: McNemar's p < 0.001"
    )


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """Two networks; one has not finished all of its seeds, and one run's predictions are lost."""
    made = Grid(experiment(backbones={n: NETWORKS[n] for n in ("cnn", "vgg")}, seeds=4))
    made.finish(lambda c: c.backbone.startswith("cnn") or c.seed < 3 or c.regime == "lp_ft")
    made.predict(tmp_path_factory.mktemp("runs"))
    (lost,) = (
        cell
        for cell in made.cells
        if (cell.scenario, cell.backbone, cell.regime, cell.seed)
        == ("large_similar", "cnn", "lp_ft", 2)
    )
    made.locate(lost.run.id).unlink()
    return made


def trigamma_inverse(value: float) -> float:
    low, high = 1e-6, 1e9
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if special.polygamma(1, middle) > value else (low, middle)
    return low


def prior(variances: np.ndarray, freedoms: np.ndarray, independent: int) -> tuple[float, float]:
    """Smyth's moments, spelt out, with the scatter and the worth of few variances."""
    e = np.log(variances) - special.digamma(freedoms / 2) + np.log(freedoms / 2)
    scatter = e.var() * (independent + 1) / (independent - 1)
    excess = scatter - special.polygamma(1, freedoms / 2).mean()
    most = freedoms.mean() * (independent - 1) / 2
    if excess <= 0:
        return most, (variances * freedoms).sum() / freedoms.sum()
    worth = 2 * trigamma_inverse(excess)
    return min(worth, most), math.exp(e.mean() + special.digamma(worth / 2) - math.log(worth / 2))


def pair(
    grid: Grid, rows: pd.DataFrame, one: Place, over: Place
) -> tuple[float, float, float, int, int]:
    """Mean, squared errors over seeds and images, seeds and images of a paired difference, read
    anew from records and predictions."""
    first, second = rows.loc[one], rows.loc[over]
    seeds = sorted(set(first.index) & set(second.index))
    scores = [part.loc[seeds, "test_accuracy"].to_numpy() for part in (first, second)]
    gap = scores[0] - scores[1]
    over_seeds, k = gap.var(ddof=1) / len(seeds), len(seeds)
    files = [[grid.locate(part.loc[s, "run_id"]) for s in seeds] for part in (first, second)]
    m = 370
    if not all(file.exists() for part in files for file in part):
        images = sum(score.mean() * (1 - score.mean()) / m for score in scores)
        return gap.mean(), over_seeds, images, k, m
    read = [[np.load(file) for file in part] for part in files]
    right = np.array([[f["label"] == f["predicted"] for f in part] for part in read], float)
    labels, y = read[0][0]["label"], right[0] - right[1]
    between = rest = 0.0
    for label in np.unique(labels):
        part = y[:, labels == label]
        effect = part.mean(0) - part.mean()
        between += k * (effect**2).sum()
        rest += ((part - part.mean(1, keepdims=True) - effect) ** 2).sum()
    free = m - len(np.unique(labels))
    images = (between / free - rest / (free * (k - 1))) / (k * m)
    return gap.mean(), over_seeds, max(0.0, images), k, m


def test_every_number_of_a_decision_can_be_recomputed(grid):
    """The whole grid again: the prior over all pairs, and the comparisons with the best."""
    made = grid.study()
    rows = made.done.set_index(["scenario", "backbone", "regime", "seed"]).sort_index()
    places = {s: [Place(s, b, r) for b in ("cnn", "vgg") for r in REGIMES] for s in made.scenarios}
    pairs = {
        both: pair(grid, rows, *both) for here in places.values() for both in combinations(here, 2)
    }
    k = np.array([found[3] for found in pairs.values()])
    variances = np.array([found[1] for found in pairs.values()]) * k
    worth, variance = prior(variances, k - 1, sum(len(here) - 1 for here in places.values()))

    def end(one: Place, over: Place, tail: float) -> tuple[float, float]:
        sign = 1 if (one, over) in pairs else -1
        mean, seeds, images, k, m = pairs.get((one, over)) or pairs[over, one]
        seeds = (worth * variance / k + (k - 1) * seeds) / (worth + k - 1)
        t, z = stats.t.isf(tail, worth + k - 1), stats.t.isf(tail, m - 1)
        return sign * mean, math.sqrt(t * t * seeds + z * z * images)

    for scenario, backbone in [(s, b) for s in made.scenarios for b in (None, "cnn", "vgg")]:
        here = [place for place in places[scenario] if backbone in (None, place.backbone)]
        told = decide(made, scenario, backbone)
        assert {one.place for one in told.standings} == set(here)
        tail = 0.05 / (len(here) - 1)
        ends = {(i, j): end(i, j, tail) for i in here for j in here if i != j}
        out = {j for j in here if any(ends[i, j][0] > ends[i, j][1] for i in here if i != j)}
        for one in told.standings:
            rivals = [ends[i, one.place] for i in here if i != one.place and i not in out]
            assert one.ruled_out == (one.place in out)
            assert one.at_most == pytest.approx(
                max([0.0, *(mean + reach for mean, reach in rivals)]), abs=1e-7
            )
            if one != told.leader:
                assert one.behind.mean == pytest.approx(ends[told.leader.place, one.place][0])


def test_what_to_expect_can_be_recomputed(grid):
    made = grid.study()
    done = made.done[~made.done["regime"].isin(made.controls) & (made.done["backbone"] == "cnn")]
    arms = done.groupby(["scenario", "regime"])["test_accuracy"]
    worth, variance = prior(arms.var(ddof=1).to_numpy(), arms.count().to_numpy() - 1, len(arms))
    for scenario in made.scenarios:
        told = decide(made, scenario, "cnn")
        here = done[done["scenario"] == scenario]
        scores = here.pivot(index="regime", columns="seed", values="test_accuracy").loc[[*REGIMES]]
        fitted = np.mean(
            [scores.loc[scores.drop(columns=s).mean(axis=1).idxmax(), s] for s in scores]
        )
        own = scores.loc[told.leader.place.regime]
        spread = (worth * variance + 3 * own.var(ddof=1)) / (worth + 3)
        t, z = stats.t.isf(0.025, worth + 3), stats.t.isf(0.025, 369)
        images = z * z * made.measured.estimate(told.leader.place).over_images
        optimism = abs(own.mean() - fitted)
        half = math.sqrt(t * t * spread / 4 + images) + optimism
        assert told.expected == pytest.approx((fitted, half, 4))
        reach = math.sqrt(t * t * spread * (1 + 1 / 4) + images) + optimism
        assert told.one_training == pytest.approx((fitted - reach, fitted + reach))


def test_predictions_that_are_missing_for_one_arm_blur_its_own_pairs_alone(grid):
    made = grid.study()
    lost = Place("large_similar", "cnn", "lp_ft")
    others = [Place("large_similar", "cnn", name) for name in REGIMES[:3]]
    for one, over in combinations(others, 2):
        assert made.leads().lead(one, over).over_images == pytest.approx(
            made.measured.lead(one, over).over_images
        )
    assert made.leads().lead(lost, others[0]).over_images > (
        2 * made.leads().lead(others[1], others[0]).over_images
    )


# What is promised, through records of which the truth is known.

TRUE = {
    "equal": dict.fromkeys(REGIMES, 0.0),
    "spread": dict(zip(REGIMES, (0.0, 0.01, 0.02, 0.03, 0.04), strict=True)),
    "one": dict(zip(REGIMES, (0.05, 0.0, 0.0, 0.0, 0.0), strict=True)),
}
SPREADS = {"cnn": 0.02, "mlp": 0.008, "vgg": 0.03}
RULED = {
    "small_similar": "linear_probe",
    "small_dissimilar": "partial_finetune",
    "large_dissimilar": "from_scratch",
    "large_similar": "full_finetune",
}


def draws(truth: dict[str, float], runs: int, heavy: bool):
    """Studies of four scenarios, three networks, five regimes and three seeds, whose accuracies
    scatter around the truth, networks each in their own way; and the next training of each arm."""
    asked = experiment(backbones=NETWORKS, regimes=REGIMES, seeds=3)
    base = Grid(asked).finish(n_test=10**8).study()
    chance = np.random.default_rng(0)
    offset = {"cnn": 0.0, "mlp": -0.2, "vgg": 0.01}
    arms = list(base.done[["scenario", "backbone", "regime"]].itertuples(index=False, name=None))
    true = np.array([0.5 + offset[b] + truth[r] for _, b, r in arms])
    spread = np.array([SPREADS[b] for _, b, _ in arms])
    for _ in range(runs):
        unit = chance.normal(size=len(arms))
        if heavy:
            unit = chance.standard_t(4, size=len(arms)) / math.sqrt(2)
        frame = base.frame.assign(test_accuracy=true + spread * unit)
        yield replace(base, frame=frame, cells=frame), dict(zip(arms, true, strict=True)), chance


@pytest.mark.parametrize(
    ("name", "heavy"), [("equal", False), ("spread", False), ("one", False), ("equal", True)]
)
def test_what_is_promised_holds_in_nineteen_studies_of_twenty(name, heavy):
    """Bound wrong, true best dropped; the rules' losses and verdicts; regret; one more training."""
    truth, runs = TRUE[name], 25
    wrong = dropped = places = refuted = lost_more = rules = outside = missed = 0
    for made, true, chance in draws(truth, runs, heavy):
        for scenario in made.scenarios:
            for backbone in (None, *NETWORKS):
                told = decide(made, scenario, backbone)
                values = {one.place: true[one.place] for one in told.standings}
                top = max(values.values())
                best = {place for place, value in values.items() if top - value < 1e-12}
                behind = top - values[told.leader.place]
                wrong += behind > told.bound + 1e-9
                dropped += all(one.ruled_out for one in told.standings if one.place in best)
                places += 1
            leader = decide(made, scenario).leader.place
            shape = chance.standard_t(4) / math.sqrt(2) if heavy else chance.normal()
            again = true[leader] + SPREADS[leader.backbone] * shape
            low, high = decide(made, scenario).one_training
            missed += not low <= again <= high
        standings = rule_standings(made)
        for one in standings.values():
            if one.followed:
                loss = max(truth.values()) - truth[one.followed["cnn"]]
                lost_more += loss > one.at_most + 1e-9
                refuted += one.verdict == "refuted" and loss <= 0.01
                rules += 1
        served = [(spot, RULED[spot.scenario]) for spot in spots(made)]
        found: Regret = regret(made, served)
        mean = max(truth.values()) - np.mean([truth[regime] for _, regime in served])
        outside += not found.low <= mean + 1e-9 and mean <= found.high + 1e-9
        assert found.low <= found.mean <= found.high

    def most(count: int) -> float:
        return 0.05 + 3 * math.sqrt(0.05 * 0.95 / count)

    assert wrong / places <= 0.05
    assert dropped / places <= 0.05
    assert lost_more / rules <= most(rules)
    assert refuted / runs <= most(runs)
    assert outside / runs <= most(runs)
    assert missed / (4 * runs) <= most(4 * runs)
