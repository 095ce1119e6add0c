"""Every printed number follows from records.csv, and both formats print the same."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from transfer_lab.reporting.hypotheses import JUDGED
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
NUMBER = re.compile(r"(\d+\.?\d*)(?: ± (\d+\.?\d*))? \((?:n=)?(\d+)(?: of (\d+))?\)")


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
    return markdown_tables((out / "report.md").read_text())


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
    checked = 0
    for backbone in ("cnn", "vgg"):
        caption = next(name for name in tables if name.startswith(f"{title}, {backbone}"))
        (_, *scenarios), *rows = tables[caption]
        for name, *entries in rows:
            for scenario, entry in zip(scenarios, entries, strict=True):
                regime = name.removesuffix(" (control)")
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
                assert int(n) == len(values)
                assert int(planned or n) == 5
                checked += 1
    assert checked == 2 * 7 * 4


def test_best_trained_regime_is_bold_and_no_control_ever_is(out, records):
    text = (out / "report.md").read_text().split("## Accuracy")[1].split("## Training time")[0]
    bold = re.findall(r"^\| (\S+)(?: \(control\))? \|.*\*\*(?:† )?([\d.]+) ±", text, re.MULTILINE)
    trained = records[~records["regime_kind"].isin(["majority", "random_features"])]
    means = trained.groupby(["backbone", "scenario", "regime"])["test_accuracy"].mean()
    best = {place[-1] for place in means.groupby(level=[0, 1]).idxmax()}
    assert {regime for regime, _ in bold} == best


@pytest.mark.parametrize("backbone", ["cnn", "vgg"])
def test_the_answer_follows_from_the_records(out, tables, records, backbone):
    done = records[(records["backbone"] == backbone) & (records["status"] == "done")]
    means = done.groupby(["scenario", "regime"])["test_accuracy"].mean()
    (_, *columns), *rows = tables[f"Best trained regime by scenario, {backbone}"]
    for size, *corners in rows:
        for column, corner in zip(columns, corners, strict=True):
            scenario = f"{size}_{column.removesuffix(' source')}"
            scores = means[scenario].drop(["majority", "random_features"]).sort_values()
            best, second = scores.index[-1], scores.index[-2]
            assert corner.startswith(f"{best} {100 * scores.iloc[-1]:.1f} ± ")
            own = cells_of(records, scenario, backbone, best)
            margin = re.search(
                rf"runner-up {second}, (-?[\d.]+) ± ([\d.]+) points behind \((.+?)\) rule", corner
            )
            y, labels = paired(out, own, cells_of(records, scenario, backbone, second))
            half = halfwidth(y, labels)
            assert agrees(margin[1], 100 * y.mean())
            assert agrees(margin[2], 100 * half)
            if margin[3] != "equal within 1 point":
                assert (margin[3] == "separated") == (abs(y.mean()) > half)
            told = RULE[scenario]
            if told == best:
                assert f"rule: {told}, the best " in corner
                continue
            behind = re.search(rf"rule: {told}, (-?[\d.]+) ± ([\d.]+) points behind ", corner)
            y, labels = paired(out, own, cells_of(records, scenario, backbone, told))
            assert agrees(behind[1], 100 * y.mean())
            assert agrees(behind[2], 100 * halfwidth(y, labels))


def one_sided(y: np.ndarray, labels: np.ndarray, above: float) -> float:
    """p that the mean is not above a value, found by halving."""
    seeds, images = errors(y, labels)
    k, m = y.shape
    low, high = 0.0, 1.0
    for _ in range(60):
        tail = (low + high) / 2
        t, z = stats.t.isf(tail, k - 1), stats.t.isf(tail, m - 1)
        reach = np.sign(t) * (t * t * seeds + z * z * images) ** 0.5
        low, high = (tail, high) if y.mean() - reach < above else (low, tail)
    return tail


def test_every_verdict_can_be_recomputed_from_records_and_predictions(out, tables, records):
    """The whole family again: Bonferroni over rivals, Holm over hypotheses, both directions."""
    trained = list(REGIMES)
    rows = [row for name in JUDGED for row in tables[f"{name}: verdict in every scenario"][1:]]
    family = {}
    for scenario, backbone, regime, *_ in rows:
        own = cells_of(records, scenario, backbone, regime)
        if own.empty:
            continue
        worse, good = [], []
        for rival in (r for r in trained if r != regime):
            y, labels = paired(out, cells_of(records, scenario, backbone, rival), own)
            worse.append(one_sided(y, labels, 0.0))
            good.append(one_sided(-y, labels, -0.01))
        family[scenario, backbone, regime] = (min(1, len(worse) * min(worse)), max(good))
    refuted = [p <= 0.05 for p in holm([p for p, _ in family.values()])]
    supported = [p <= 0.05 for p in holm([p for _, p in family.values()])]
    told = {
        key: "refuted" if no else "supported" if yes else "undecided"
        for key, no, yes in zip(family, refuted, supported, strict=True)
    }
    assert len({*told.values()}) > 1
    for scenario, backbone, regime, *_, verdict in rows:
        expected = told.get((scenario, backbone, regime), "no data")
        assert verdict.startswith(expected), (scenario, backbone, regime)


def test_the_probability_of_being_best_is_that_of_draws_made_another_way(out, tables, records):
    """Seeds by Student multipliers, images by resampling them class by class: not the package's
    covariance matrices."""
    chance, draws, trained = np.random.default_rng(7), 3000, list(REGIMES)
    for scenario, backbone, regime, *_, shown, _, _ in tables["rule_av: verdict in every scenario"][
        1:3
    ]:
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


def test_recalls_can_be_recomputed_from_the_predictions(out, tables, records):
    (_, _, *scenarios), *rows = tables["Recall (%) by class, cyrillic"]
    assert len(rows) == 37
    done = records[(records["status"] == "done") & ~records["regime"].isin(CONTROLS)]
    means = done.groupby(["scenario", "backbone", "regime"])["test_accuracy"].mean()
    for number, (name, images, *entries) in enumerate(rows):
        assert (name, images) == (f"letter {chr(65 + number)}", "10")
        for scenario, entry in zip(scenarios, entries, strict=True):
            best = means[scenario].idxmax()
            y, labels = correctness(out, cells_of(records, scenario, *best))
            y = y[:, labels == number]
            mean, half = entry.split(" ± ")
            assert agrees(mean, 100 * y.mean())
            assert agrees(half, 100 * halfwidth(y, np.zeros(y.shape[1])))


def test_the_decision_lines_follow_from_the_records(out, records):
    text = (out / "report.md").read_text().split("## The answer")[1]
    lines = re.findall(r"^- (With .*)$", text, re.MULTILINE)[:4]
    done = records[(records["status"] == "done") & ~records["regime"].isin(CONTROLS)]
    parts = ["decode_seconds", "feature_seconds", "fit_seconds", "eval_seconds"]
    done = done.assign(cold=done[parts].sum(axis=1))
    for scenario, line in zip(RULE, lines, strict=True):
        arms = done[done["scenario"] == scenario].groupby(["backbone", "regime"])
        means = arms["test_accuracy"].mean().sort_values(ascending=False)
        (backbone, regime), (second, runner) = means.index[:2]
        own = cells_of(records, scenario, backbone, regime)
        assert f": **{regime} on {backbone}**; expect" in line
        low, high = map(float, re.search(r"expect ([\d.]+) to ([\d.]+) %", line).groups())
        half = 100 * halfwidth(*correctness(out, own))
        assert low == pytest.approx(100 * own["test_accuracy"].mean() - half, abs=0.051)
        assert high == pytest.approx(100 * own["test_accuracy"].mean() + half, abs=0.051)
        assert agrees(re.search(r"; ([\d.]+) s here", line)[1], arms["cold"].mean()[means.index[0]])
        assert f"runner-up {runner} on {second}, " in line
        near = means[means >= means.iloc[0] - 0.01].index
        cheapest = arms["cold"].mean()[near].idxmin()
        if cheapest == means.index[0]:
            assert "nothing within 1 point of it is cheaper" in line
        else:
            assert f"cheapest with a mean within 1 point: {cheapest[1]} on {cheapest[0]}, " in line
        larger = scenario.replace("small", "large")
        leader = done[done["scenario"] == larger].groupby(["backbone", "regime"])
        leader = leader["test_accuracy"].mean().idxmax()
        if scenario.startswith("large"):
            assert "change" not in line
        elif "change with more than 5 per class" in line:
            assert f"at 200 {leader[1]} on {leader[0]} leads it by " in line


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


def test_markdown_and_html_hold_the_same_tables(out, tables):
    assert html_tables((out / "index.html").read_text()) == tables


def test_records_keep_full_precision_and_whole_counts(out, records):
    done = records[records["status"] == "done"].drop_duplicates("run_id")
    assert done["test_accuracy"].tolist() == correctness(out, done)[0].mean(axis=1).tolist()
    text = pd.read_csv(out / "records.csv", dtype=str, keep_default_na=False)
    assert set(text["epochs"]) == {"20", ""}


def test_a_report_is_written_the_same_twice(tmp_path):
    grid = Grid(experiment(corners=CORNERS[:1], seeds=2)).finish()
    first, second = grid.write(tmp_path / "a"), grid.write(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
