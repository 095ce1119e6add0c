"""The scripts show what they claim, and examples/README.md says what they print."""

import importlib.util
import re
from functools import cache

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from docs.quoted_numbers import ROOT

FOLDER = ROOT / "examples"
FEW = {"aligned_source_2d": 100, "recommender": 5, "reinforcement": 12, "relational": 8}
"""Script -> seeds that suffice for its claims."""
MEASURED = re.compile(r"[-+]?\d+\.\d+ ± +\d+\.\d+")


@cache
def script(name):
    spec = importlib.util.spec_from_file_location(f"examples_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def few(name):
    """What a script measured with few seeds."""
    return script(name).main(["--seeds", str(FEW[name])])


def flat(results):
    """Every array of a script's results."""
    if isinstance(results, dict):
        return [array for value in results.values() for array in flat(value)]
    return [results]


def measured(text):
    """`+2.4 ± 1.6`, as numbers and in one spelling each."""
    return {re.sub(r"\s+", " ", found) for found in MEASURED.findall(text)}


def test_every_script_is_tested_and_listed():
    told = (FOLDER / "README.md").read_text()
    assert {path.stem for path in FOLDER.glob("*.py")} == set(FEW)
    assert all(path.name in told for path in FOLDER.iterdir() if path.suffix in (".py", ".ipynb"))


@pytest.mark.parametrize("name", FEW)
def test_it_says_what_it_is_and_how_it_is_run(name):
    text = script(name).__doc__
    assert "shares no code with the grid" in text
    assert re.search(r"Papers?: .*\d{4}", text)
    assert f"python examples/{name}.py" in text
    code = (FOLDER / f"{name}.py").read_text()
    assert not re.search(r"^\s*(import|from) transfer_lab", code, re.MULTILINE)


@pytest.mark.parametrize("name", FEW)
def test_the_readme_quotes_what_it_prints(name, capsys, tmp_path):
    section = next(
        s for s in (FOLDER / "README.md").read_text().split("\n## ") if f"{name}.py" in s
    )
    all_seeds = script(name).main(["--out", str(tmp_path)])
    quoted = measured(section)
    assert len(quoted) >= 3
    assert quoted <= measured(capsys.readouterr().out)
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    for ours, theirs in zip(flat(few(name)), flat(all_seeds), strict=True):
        assert len(ours) == FEW[name] < len(theirs)
        assert np.allclose(ours, theirs[: len(ours)]), (
            "a seed's result depends on how many there are"
        )


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script("relational").main(["--seeds", "8"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FEW)
def test_a_claim_that_does_not_hold_fails(name):
    """Where nothing differs between arms no script says that something does."""
    module, results = script(name), few(name)
    same = {key: np.zeros(5) for key in results}
    if name == "reinforcement":
        same = {arm: np.zeros(5) for arm in module.ARMS}
    with pytest.raises(AssertionError):
        module.check(*([same, same] if name == "reinforcement" else [same]))


def test_an_aligned_source_helps_and_one_at_a_right_angle_harms():
    errors = few("aligned_source_2d")
    means = [errors[arm].mean() for arm in ("aligned", "no source", "90 degrees")]
    assert means == sorted(means)
    assert means[0] < 0.85 * means[1]


def test_a_centre_of_zeros_is_the_plain_svm():
    module = script("aligned_source_2d")
    x, y = module.points(8, module.PER_CLASS, stream=0)
    ours = module.adaptive_svm(x, y, np.zeros((8, 3)))
    plain = LinearSVC(loss="hinge", C=module.COST, fit_intercept=False, tol=1e-8, max_iter=100_000)
    theirs = [plain.fit(points, classes).coef_[0] for points, classes in zip(x, y, strict=True)]
    assert np.allclose(ours, theirs, atol=1e-4)


def test_shared_users_help_and_permuted_ones_harm():
    module, errors = script("recommender"), few("recommender")
    means = [errors[10, arm].mean() for arm in (module.SHARED, module.ALONE, module.PERMUTED)]
    assert means[0] + 0.1 < means[1] < means[2] - 0.1


def test_held_out_ratings_are_not_seen():
    masks = script("recommender").splits(np.random.default_rng(0), 2, 10, 8)
    assert [mask.sum(1).tolist() for mask in masks] == [[n] * 150 for n in (2, 10, 8)]
    assert np.sum(masks, axis=0).max() == 1


def test_a_related_table_saves_episodes_and_an_unrelated_one_costs_some():
    episodes = few("reinforcement")["episodes"]
    assert (episodes["related"] < episodes["zeros"]).all()
    assert episodes["unrelated"].mean() > episodes["zeros"].mean() + 3


def test_the_shortest_way_is_found_or_there_is_none():
    module = script("reinforcement")
    assert module.distance(set()) == 2 * (module.SIDE - 1)
    assert module.distance({(0, 1), (1, 0)}) is None


def test_the_structure_of_a_source_graph_beats_few_labels_of_ones_own():
    module, accuracy = script("relational"), few("relational")
    assert accuracy[3, module.SOURCE].mean() > accuracy[3, module.OWN].mean() + 15
    assert accuracy[30, module.UNRELATED].mean() < accuracy[30, module.OWN].mean() - 50


def test_compatibilities_of_a_source_graph_are_those_it_was_drawn_with():
    module = script("relational")
    graph = module.block_model(np.random.default_rng(0), 200, module.LINKS)
    assert np.allclose(module.compatibility(*graph), module.LINKS, atol=0.05)
