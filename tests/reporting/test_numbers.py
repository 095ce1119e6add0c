"""Every printed number follows from records.csv, and both formats print the same."""

import html
import re
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from transfer_lab.stats.hypotheses import holm

from .invented import CONTROLS, CORNERS, REGIMES, Grid, experiment
from .reading import html_tables, markdown_tables

BACKBONES = {
    "cnn": {"kind": "cnn"},
    "vgg": {"kind": "vgg16", "options": {"width": 0.125}},
}
RULE = {
    "small_similar": "linear_probe",
    "small_dissimilar": "partial_finetune",
    "large_similar": "full_finetune",
    "large_dissimilar": "from_scratch",
}
NUMBER = re.compile(r"(\d+\.?\d*)(?: ± (\d+\.?\d*))?(?: \((?:n=)?(\d+)(?: of (\d+))?\))?$")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a grid where one backbone has not finished all of its seeds."""
    folder = tmp_path_factory.mktemp("report")
    grid = Grid(experiment(backbones=BACKBONES))
    grid.finish(lambda cell: cell.backbone == "cnn" or cell.seed < 3 or cell.regime == "lp_ft")
    grid.predict(folder / "runs").write(folder)
    return folder


@pytest.fixture(scope="module")
def tables(out: Path) -> dict[str, list[list[str]]]:
    """Those of the page, which holds all of them."""
    return html_tables((out / "index.html").read_text())


@pytest.fixture(scope="module")
def records(out: Path) -> pd.DataFrame:
    """The records, backbones by their names in the experiment."""
    found = pd.read_csv(out / "records.csv", float_precision="round_trip")
    return found.assign(backbone=found["backbone"].replace("vgg16(width=0.125)", "vgg"))


def agrees(shown: str, exact: float) -> bool:
    """Whether the printed digits are the exact value, rounded."""
    decimals = len(shown.partition(".")[2])
    return abs(float(shown) - exact) <= 0.5 * 10**-decimals + 1e-9


def correctness(out: Path, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Correctness by seed and image, read anew, and the images' classes."""
    files = [np.load(out / "runs" / run_id / "predictions.npz") for run_id in rows["run_id"]]
    return np.array([f["label"] == f["predicted"] for f in files], float), files[0]["label"]


def answers_of(out: Path, rows: pd.DataFrame) -> np.ndarray:
    """Answers by seed and image."""
    files = [out / "runs" / run_id / "predictions.npz" for run_id in rows["run_id"]]
    return np.array([np.load(file)["predicted"] for file in files])


def errors(y: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Squared errors over seeds and over images of values by seed and image, spelt out class by
    class: independent of the package's algebra."""
    k, m = y.shape
    classes = np.unique(labels)
    images = rest = 0.0
    for label in classes:
        part = y[:, labels == label]
        effect = part.mean(0) - part.mean()
        images += k * (effect**2).sum()
        rest += ((part - part.mean(1, keepdims=True) - effect) ** 2).sum()
    free = m - len(classes)
    shared = (images / free - rest / (free * (k - 1))) / (k * m)
    return stats.sem(y.mean(1)) ** 2, max(shared, 0.0)


def halfwidth(y: np.ndarray, labels: np.ndarray) -> float:
    seeds, images = errors(y, labels)
    k, m = y.shape
    return (
        (stats.t.ppf(0.975, k - 1) ** 2 * seeds) + stats.t.ppf(0.975, m - 1) ** 2 * images
    ) ** 0.5


def cells_of(records: pd.DataFrame, scenario: str, backbone: str, regime: str) -> pd.DataFrame:
    """The finished cells of one place, by seed."""
    here = records[
        (records["scenario"] == scenario)
        & (records["backbone"] == backbone)
        & (records["regime"] == regime)
        & (records["status"] == "done")
    ]
    return here.sort_values("seed")


def paired(out: Path, one: pd.DataFrame, other: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Differences by common seed and image."""
    common = sorted(set(one["seed"]) & set(other["seed"]))
    first, labels = correctness(out, one[one["seed"].isin(common)])
    second, _ = correctness(out, other[other["seed"].isin(common)])
    return first - second, labels


@pytest.mark.parametrize("title", ["Test accuracy (%)", "Fit time (s)"])
def test_every_entry_of_a_matrix_can_be_recomputed(out, tables, records, title):
    (caption,) = (name for name in tables if name.startswith(title))
    groups, (_, *backbones), *rows = tables[caption]
    assert groups == ["", *RULE]  # over as many columns as there are networks
    assert backbones == [*BACKBONES] * 4
    checked = 0
    for name, *entries in rows:
        regime = name.split()[0]
        for number, entry in enumerate(entries):
            scenario, backbone = [*RULE][number // 2], backbones[number]
            here = cells_of(records, scenario, backbone, regime)
            mean, half, n, planned = NUMBER.search(entry).groups()
            if title == "Fit time (s)":
                values = here["fit_seconds"]
                exact = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
            else:
                values = 100 * here["test_accuracy"]
                exact = 100 * halfwidth(*correctness(out, here))
            assert agrees(mean, values.mean()), (caption, name, scenario)
            assert agrees(half, exact), (caption, name, scenario)
            assert int(n or 5) == len(values)
            assert int(planned or n or 5) == 5
            checked += 1
    assert checked == 2 * 7 * 4


def test_best_trained_regime_is_bold_and_no_control_ever_is(out, records):
    text = (out / "report.md").read_text().split("## Accuracy")[1].split("\n## ")[0]
    bold = {
        (number, line.split("<br>")[0].strip("| *"))
        for line in text.splitlines()
        for number, entry in enumerate(line.split("|")[2:-1])
        if "**" in entry
    }
    trained = records[~records["regime_kind"].isin(["majority", "random_features"])]
    means = trained.groupby(["scenario", "backbone", "regime"])["test_accuracy"].mean()
    spots = [(scenario, backbone) for scenario in RULE for backbone in BACKBONES]
    assert bold == {(n, means[spot].idxmax()) for n, spot in enumerate(spots)}


def answers(out: Path) -> dict[str, list[str]]:
    """The rows of report.md's answer, by scenario."""
    _, *rows = markdown_tables((out / "report.md").read_text())["The answer"]
    return dict(zip(RULE, rows, strict=True))


def cross_fitted(scores: pd.DataFrame) -> float:
    """Of a table of seeds by arms: what is best on an arm's other seeds, read on each seed."""
    read = []
    for seed, row in scores.iterrows():
        others = scores.drop(seed)[row.dropna().index].mean().round(12)
        read.append(row[others.idxmax()])
    return np.mean(read)


def test_the_answer_follows_from_the_records(out, records):
    done = records[(records["status"] == "done") & ~records["regime"].isin(CONTROLS)]
    for scenario, row in answers(out).items():
        case, choice, expected, bound, _ = row
        size, similarity = scenario.split("_")
        per_class = {"small": 5, "large": 200}[size]
        assert case == f"{per_class} images per class, {similarity} source"
        arms = done[done["scenario"] == scenario].groupby(["backbone", "regime"])
        backbone, regime = arms["test_accuracy"].mean().idxmax()
        assert choice.endswith(f" {regime} on {backbone}")
        mean, low, high = map(float, re.findall(r"\d+\.\d", expected))
        assert low <= mean <= high
        values = done[done["scenario"] == scenario].pivot_table(
            index="seed", columns=["backbone", "regime"], values="test_accuracy"
        )[[(backbone, regime) for backbone in BACKBONES for regime in REGIMES]]
        on_its_own_seeds = values[values[backbone, regime].notna()]
        assert agrees(f"{mean}", 100 * cross_fitted(on_its_own_seeds))
        assert re.fullmatch(r"\d+\.\d points|the best of all compared", bound)


def test_the_cards_on_the_page_say_what_the_rows_say(out):
    page = (out / "index.html").read_text()
    first = page.split('data-network=""')[1].split("data-network=")[0]
    cards = first.split("<article")[1:]
    assert len(cards) == 4
    for card, row in zip(cards, answers(out).values(), strict=True):
        text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", card))).replace("\xa0", " ")
        case, choice, expected, bound, rule = row
        words, name = choice.rsplit(" ", 3)[0], " ".join(choice.rsplit(" ", 3)[1:])
        for said in (case, words, name, bound, rule):
            assert said in text
        assert f'title="{expected.replace(" %", chr(160) + "%")}"' in card


def inverse_trigamma(value: float) -> float:
    low, high = 1e-6, 1e9
    for _ in range(200):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if special.polygamma(1, middle) > value else (low, middle)
    return low


def prior(variances: list[float], freedom: list[float], independent: int) -> tuple[float, float]:
    """The freedom and variance that moderated variances have in common (Smyth 2004)."""
    v, d = np.array(variances), np.array(freedom)
    v, d = v[v > 1e-12 * v.max()], d[v > 1e-12 * v.max()]
    e = np.log(np.maximum(v, 1e-4 * np.median(v))) - special.digamma(d / 2) + np.log(d / 2)
    excess = e.var() * (independent + 1) / (independent - 1) - special.polygamma(1, d / 2).mean()
    most = d.mean() * (independent - 1) / 2
    if excess <= 0:
        return most, (v * d).sum() / d.sum()
    worth = 2 * inverse_trigamma(excess)
    variance = np.exp(e.mean() + special.digamma(worth / 2) - np.log(worth / 2))
    return min(worth, most), variance


def over_networks(out: Path, records: pd.DataFrame, scenario: str, one: str, over: str):
    """The mean lead of a regime over another one on both networks: by common seed and image."""
    arms = [cells_of(records, scenario, b, r) for b in BACKBONES for r in (one, over)]
    common = sorted(set.intersection(*(set(arm["seed"]) for arm in arms)))
    read = [correctness(out, arm[arm["seed"].isin(common)]) for arm in arms]
    y = (read[0][0] - read[1][0] + read[2][0] - read[3][0]) / 2
    return y, read[0][1]


def one_sided(
    y: np.ndarray, labels: np.ndarray, above: float, of: tuple[float, float]
) -> tuple[float, float]:
    """p that the mean is not above a value, found by halving; and where the interval ends whose
    tail is 5 %."""
    seeds, images = errors(y, labels)
    k, m = y.shape
    worth, variance = of
    seeds = (worth * variance / k + (k - 1) * seeds) / (worth + k - 1)

    def reach(tail: float) -> float:
        t, z = stats.t.isf(tail, worth + k - 1), stats.t.isf(tail, m - 1)
        return np.sign(t) * (t * t * seeds + z * z * images) ** 0.5

    low, high = 0.0, 1.0
    for _ in range(60):
        tail = (low + high) / 2
        low, high = (tail, high) if y.mean() - reach(tail) < above else (low, tail)
    return tail, y.mean() + reach(0.05)


def test_every_verdict_can_be_recomputed_from_records_and_predictions(out, tables, records):
    """The whole family again: variances moderated over all mean leads, Bonferroni over rivals,
    Holm over hypotheses, in all directions; and what each loses at most."""
    trained = list(REGIMES)
    means = {
        (scenario, one, over): over_networks(out, records, scenario, one, over)
        for scenario in RULE
        for one, over in permutations(trained, 2)
    }
    pairs = [y for (_, one, over), (y, _) in means.items() if one < over]
    variances = [y.mean(1).var(ddof=1) for y in pairs]
    common = prior(variances, [len(y) - 1 for y in pairs], 4 * (len(trained) - 1))
    rows = tables["Rules of thumb, over all backbones"][1:]
    family, at_most = {}, {}
    for _, scenario, regime, *_ in rows:
        if regime not in trained:
            continue
        rivals = [r for r in trained if r != regime]
        ahead, behind, good, ends = [], [], [], []
        for rival in rivals:
            y, labels = means[scenario, rival, regime]
            p, end = one_sided(y, labels, 0.01, common)
            ahead.append(p)
            ends.append(end)
            behind.append(one_sided(y, labels, 0.0, common)[0])
            good.append(one_sided(-y, labels, -0.01, common)[0])
        family[scenario, regime] = (
            *(min(1, len(rivals) * min(ahead)), max(good), min(1, len(rivals) * min(behind))),
        )
        at_most[scenario, regime] = max(0, *ends)
    refuted, good, behind = (
        [p <= 0.05 for p in holm(column)] for column in zip(*family.values(), strict=True)
    )
    told = {
        key: "refuted" if no else ("behind" if less else "supported") if yes else "undecided"
        for key, no, yes, less in zip(family, refuted, good, behind, strict=True)
    }
    assert len({*told.values()}) > 1
    for _, scenario, regime, verdict, bound, rival in rows:
        expected = told.get((scenario, regime), "no data")
        assert verdict.startswith(expected), (scenario, regime)
        if expected != "no data":
            lost = 100 * at_most[scenario, regime]
            assert lost - 1e-6 <= float(bound) <= lost + 0.1 + 1e-6
            name, lead, side = re.match(r"(\S+) ([\d.]+) ± .* points (\w+)", rival).groups()
            leads = {r: means[scenario, r, regime][0].mean() for r in trained if r != regime}
            assert name == max(leads, key=leads.__getitem__)
            assert agrees(lead, 100 * abs(leads[name]))
            assert side == ("ahead" if leads[name] > 0 else "behind")


def test_the_regrets_intervals_can_be_recomputed(out, tables, records):
    """The lower end: picked on the other seeds and read on one, by the seeds of all places; the
    upper: how much each place loses at most, with the variances of all pairs of arms."""
    trained, places = list(REGIMES), [(s, b) for s in RULE for b in BACKBONES]
    arms = [(s, b, r) for s, b in places for r in trained]
    read = {arm: cells_of(records, *arm).set_index("seed")["test_accuracy"] for arm in arms}
    both = [(i, j) for i, j in combinations(arms, 2) if i[0] == j[0]]
    gaps = [(read[i] - read[j]).dropna() for i, j in both]
    common = prior(
        [gap.var(ddof=1) for gap in gaps],
        [len(gap) - 1 for gap in gaps],
        sum(2 * len(trained) - 1 for _ in RULE),
    )
    shown = next(rows for caption, rows in tables.items() if "Regret" in caption)
    (text,) = (row[1] for row in shown if row[0] == "always_lp_ft")
    low, high = re.search(r"\(([\d.]+) to ([\d.]+)\)", text).groups()
    ends, values = [], []
    for scenario, backbone in places:
        own = cells_of(records, scenario, backbone, "lp_ft")
        tails = [0.0]
        for rival in (r for r in trained if r != "lp_ft"):
            y, labels = paired(out, cells_of(records, scenario, backbone, rival), own)
            seeds, images = errors(y, labels)
            (k, m), (worth, variance) = y.shape, common
            seeds = (worth * variance / k + (k - 1) * seeds) / (worth + k - 1)
            t, z = stats.t.isf(0.025, worth + k - 1), stats.t.isf(0.025, m - 1)
            tails.append(y.mean() + (t * t * seeds + z * z * images) ** 0.5)
        ends.append(max(tails))
        scores = pd.DataFrame({r: read[scenario, backbone, r] for r in trained})
        place = {}
        for seed in scores.index:
            rest = scores.drop(index=seed).mean()[scores.loc[seed].notna()]
            place[seed] = scores.loc[seed, rest.idxmax()] - scores.loc[seed, "lp_ft"]
        values.append(place)
    assert agrees(high, 100 * np.mean(ends))
    lost = pd.DataFrame(values).dropna(axis=1).mean()
    images, best = 0.0, []
    for scenario, backbone in places:
        scores = {r: read[scenario, backbone, r].mean() for r in trained}
        best.append((scenario, backbone, max(scores, key=scores.__getitem__)))
    y, labels = 0.0, None
    behind = [arm for arm in best if arm[2] != "lp_ft"]
    seeds = sorted(
        set.intersection(*(set(read[a].index) & set(read[*a[:2], "lp_ft"].index) for a in behind))
    )
    for arm in behind:
        pair = [cells_of(records, *arm[:2], name) for name in (arm[2], "lp_ft")]
        one, labels = correctness(out, pair[0][pair[0]["seed"].isin(seeds)])
        other, _ = correctness(out, pair[1][pair[1]["seed"].isin(seeds)])
        y = y + (one - other) / len(places)
    images = errors(y, labels)[1] if behind else 0.0
    t, z = stats.t.isf(0.025, len(lost) - 1), stats.t.isf(0.025, y.shape[1] - 1)
    reach = (t * t * lost.var(ddof=1) / len(lost) + z * z * images) ** 0.5
    assert agrees(low, 100 * max(0.0, lost.mean() - reach))


def test_the_probability_of_being_best_is_that_of_draws_made_another_way(out, tables, records):
    """Seeds by Student multipliers, images by resampling them class by class: not the package's
    covariance matrices."""
    chance, draws, trained = np.random.default_rng(7), 3000, list(REGIMES)
    page = html_tables((out / "index.html").read_text())
    rows = page["Rules of thumb by scenario and backbone"][1:3]
    for _, scenario, backbone, regime, *_, shown, _ in rows:
        y = []
        for rival in trained:
            right, labels = correctness(out, cells_of(records, scenario, backbone, rival))
            y.append(right[:3])
        y = np.array(y)
        k = y.shape[1]
        seeds = y.mean(2) - y.mean((1, 2))[:, None]
        spread = np.sqrt((k - 1) / chance.chisquare(k - 1, (draws, 1)))
        moved = spread * (chance.normal(size=(draws, k)) @ seeds.T) / (k * (k - 1)) ** 0.5
        drawn = y.mean((1, 2)) + moved + _image_draws(chance, y, labels, draws)
        best = (drawn.argmax(1) == trained.index(regime)).mean()
        if "<" in shown or ">" in shown:
            assert best < 0.03 or best > 0.97
        else:
            assert abs(float(shown.removesuffix(" %")) / 100 - best) < 0.06, (scenario, backbone)


def _image_draws(
    chance: np.random.Generator, y: np.ndarray, labels: np.ndarray, draws: int
) -> np.ndarray:
    """Normal multipliers of images within classes, less what the seeds' spread holds already."""
    arms, k, m = y.shape
    effect = y.mean(1)
    for label in np.unique(labels):
        effect[:, labels == label] -= effect[:, labels == label].mean(1, keepdims=True)
    by_class = np.zeros_like(y)
    for label in np.unique(labels):
        part = labels == label
        by_class[:, :, part] = y[:, :, part].mean(2, keepdims=True)
    rest = y - by_class - effect[:, None]
    free = m - len(np.unique(labels))
    covariance = k * effect @ effect.T / free
    covariance -= np.einsum("aki,bki->ab", rest, rest) / (free * (k - 1))
    values, vectors = np.linalg.eigh(covariance / (k * m))
    root = vectors * np.sqrt(np.maximum(values, 0))
    return chance.normal(size=(draws, arms)) @ root.T


def test_the_pooled_lead_over_rule_av_can_be_recomputed(out, tables, records):
    regret = {row[0]: row for row in tables[next(t for t in tables if "Regret" in t)][1:]}
    for name in ("always_full_finetune", "always_from_scratch", "always_lp_ft"):
        differences, labels = 0.0, None
        places = [(s, b) for s in RULE for b in ("cnn", "vgg")]
        kind = name.removeprefix("always_")
        seeds = range(5)
        for scenario, backbone in places:
            for regime in (kind, RULE[scenario]):
                have = set(cells_of(records, scenario, backbone, regime)["seed"])
                if kind != RULE[scenario]:
                    seeds = sorted(set(seeds) & have)
        for scenario, backbone in places:
            if kind == RULE[scenario]:
                continue
            own, ruled = (
                cells_of(records, scenario, backbone, regime) for regime in (kind, RULE[scenario])
            )
            one, other = own[own["seed"].isin(seeds)], ruled[ruled["seed"].isin(seeds)]
            y, labels = paired(out, one, other)
            differences = differences + y / len(places)
        shown = re.fullmatch(r"([+−])([\d.]+) ± ([\d.]+)", regret[name][3])
        mean = float(shown[2]) * (1 if shown[1] == "+" else -1)
        assert mean == pytest.approx(100 * differences.mean(), abs=0.051)
        assert agrees(shown[3], 100 * halfwidth(differences, labels))


def test_the_frontier_is_what_no_other_arm_beats(tables, records):
    caption = next(name for name in tables if name.startswith("On the frontier"))
    done = records[(records["status"] == "done") & ~records["regime"].isin(CONTROLS)]
    parts = ["decode_seconds", "feature_seconds", "fit_seconds", "eval_seconds"]
    done = done.assign(cold=done[parts].sum(axis=1))
    arms = done.groupby(["scenario", "backbone", "regime"])[
        ["test_accuracy", "cold", "pretrain_seconds"]
    ].mean()
    shown = {tuple(row[:3]): row[4:] for row in tables[caption][1:]}
    for number, targets in enumerate((1, 10, np.inf)):
        seconds = arms["cold"] + arms["pretrain_seconds"].fillna(0) / targets
        for place, row in arms.iterrows():
            others = arms.loc[place[0]].drop(place[1:])
            time = seconds.loc[place[0]].drop(place[1:])
            beaten = (
                (time <= seconds[place]) & (others["test_accuracy"] >= row["test_accuracy"])
            ).any()
            text = shown.get(place, ("(dominated)",) * 3)[number]
            assert text.endswith("(dominated)") == beaten, (place, targets)
            if place in shown:
                assert agrees(text.split()[0], seconds[place])


def test_recalls_can_be_recomputed_from_the_predictions(out, records):
    tables = html_tables((out / "index.html").read_text())
    (_, _, *scenarios), *rows = tables["Recall (%) by class, cyrillic"]
    *rows, every = rows
    assert len(rows) == 37
    done = records[(records["status"] == "done") & ~records["regime"].isin(CONTROLS)]
    means = done.groupby(["scenario", "backbone", "regime"])["test_accuracy"].mean()
    for number, (name, images, *entries) in enumerate(rows):
        assert (name, images) == (f"letter {chr(65 + number)}", "10")
        for scenario, entry in zip(scenarios, entries, strict=True):
            best = means[scenario].idxmax()
            y, labels = correctness(out, cells_of(records, scenario, *best))
            y = y[:, labels == number]
            pattern = r"([\d.]+) \[(\d+) to (\d+)\] F1 ([\d.]+)"
            mean, *ends, f1 = re.fullmatch(pattern, entry).groups()
            assert agrees(mean, 100 * y.mean())
            answered = answers_of(out, cells_of(records, scenario, *best)) == number
            both = answered.sum(1) + y.shape[1]
            assert agrees(f1, 100 * (2 * y.sum(1) / both).mean())
            p, m = y.mean(), y.shape[1]
            seen = halfwidth(y, np.zeros(m)) ** 2 / (p * (1 - p)) if 0 < p < 1 else 0
            # Where (p - end)^2 = end (1 - end) / effective images.
            inverse = max(seen, stats.norm.isf(0.025) ** 2 / m)
            exact = np.roots([1 + inverse, -2 * p - inverse, p**2]).real
            for shown, end in zip(ends, sorted(exact), strict=True):
                assert agrees(shown, 100 * np.clip(end, 0, 1))
    assert every[:2] == ["all", "370"]
    for scenario, entry in zip(scenarios, every[2:], strict=True):
        assert agrees(entry.split()[0], 100 * means[scenario].max())


def test_pretraining_is_counted_once_per_source_run_and_shared(tables, records):
    (_, *_), *rows = tables[
        "Pretraining (s) that each target bears, by the number of targets that share it"
    ]
    assert len(rows) == 4
    for backbone, source, one, ten, many in rows:
        here = records[(records["backbone"] == backbone) & (records["source"] == source)]
        cost = here.drop_duplicates("init_id")["pretrain_seconds"].dropna().mean()
        assert agrees(one.split()[0], cost)
        assert agrees(ten, cost / 10)
        assert many == "0"


def test_a_source_run_weighs_the_same_however_many_runs_start_from_it():
    grid = Grid(experiment(corners=CORNERS[:1], seeds=2, pretrain={"per_seed": True}))
    grid.finish(lambda cell: cell.seed == 0, pretrain_seconds=10.0)
    grid.finish(lambda cell: cell.seed == 1 and cell.regime == "lp_ft", pretrain_seconds=20.0)
    (table,) = (t for name, t in markdown_tables(grid.markdown()).items() if "Pretraining" in name)
    assert table[1][2].startswith("15.0 ± ")
    assert table[1][2].endswith("(n=2)")


def test_backbone_table_follows_from_the_records(tables, records):
    (_, *_), *rows = tables["Networks compared, in large_similar"]
    assert [row[:2] for row in rows] == [["cnn", "cnn"], ["vgg", "vgg16(width=0.125)"]]
    for backbone, _, scratch, transfer, pace, parameters, macs, majority in rows:
        here = records[(records["backbone"] == backbone) & (records["scenario"] == "large_similar")]
        means = here.groupby("regime")["test_accuracy"].mean()
        own = here[(here["regime"] == "from_scratch") & (here["status"] == "done")]
        best = means.drop(["from_scratch", "majority", "random_features"])
        assert agrees(scratch.split()[0], 100 * means["from_scratch"])
        assert agrees(transfer.split()[0], 100 * best.max())
        assert transfer.endswith(best.idxmax())
        assert agrees(pace, (own["fit_seconds"] / own["epochs"]).mean())
        assert (parameters, macs) == ("1,234,567", "4,500,000")
        assert agrees(majority, 100 / 37)


def test_ledger_holds_the_means_of_each_part(tables, records):
    (_, *_), *rows = tables["Time ledger (s), cnn: means over the finished seeds"]
    assert len(rows) == 7 * 4
    for name, scenario, *parts in rows:
        regime = name.removesuffix(" (control)")
        here = records[
            (records["backbone"] == "cnn")
            & (records["scenario"] == scenario)
            & (records["regime"] == regime)
        ]
        ledger = ("decode", "feature", "fit", "eval", "pretrain")
        for part, shown in zip(ledger, parts, strict=True):
            exact = here[f"{part}_seconds"].mean()
            assert shown == "–" if pd.isna(exact) else agrees(shown, exact)


def test_tables_of_markdown_are_those_of_the_page(out, tables):
    text = markdown_tables((out / "report.md").read_text())
    for caption in text.keys() - {"The answer", "Test accuracy (%)"}:
        assert tables[caption] == text[caption]
    groups, head, *rows = tables["Test accuracy (%)"]
    (first, *titles), *same = text["Test accuracy (%)"]
    assert same == rows
    assert first == head[0]
    assert titles == [f"{groups[1 + n // 2]}, {name}" for n, name in enumerate(head[1:])]


def test_records_keep_full_precision_and_whole_counts(out, records):
    done = records[records["status"] == "done"].drop_duplicates("run_id")
    assert done["test_accuracy"].tolist() == correctness(out, done)[0].mean(axis=1).tolist()
    text = pd.read_csv(out / "records.csv", dtype=str, keep_default_na=False)
    assert set(text["epochs"]) == {"20", ""}


def test_a_report_is_written_the_same_twice(tmp_path):
    grid = Grid(experiment(corners=CORNERS[:1], seeds=2)).finish()
    first, second = grid.write(tmp_path / "a"), grid.write(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
