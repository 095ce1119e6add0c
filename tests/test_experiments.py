"""Every experiment that is shipped can be run as its header says."""

from pathlib import Path

import pytest

from transfer_lab.config import load_experiment
from transfer_lab.plan import plan, runs_of
from transfer_lab.preflight import preflight

FOLDER = Path(__file__).parents[1] / "experiments"
FILES = sorted(FOLDER.rglob("*.yaml"))


def header(path: Path) -> str:
    """The comment that the file begins with, without its marks."""
    lines = path.read_text().splitlines()
    count = next(n for n, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line.removeprefix("#").strip() for line in lines[:count])


def test_there_are_experiments_and_nothing_else():
    assert FOLDER / "four_scenarios.yaml" in FILES
    assert sorted(path for path in FOLDER.rglob("*") if path.is_file()) == FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_loads_and_its_name_is_that_of_its_file(path):
    assert load_experiment(path).experiment.name == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_plans_every_place_of_its_matrix(path):
    asked = load_experiment(path).experiment
    cells = plan(asked)
    axes = (asked.scenarios, asked.backbones, asked.regimes, asked.seeds)
    places = {(c.scenario, c.backbone, c.regime, c.seed) for c in cells}
    count = 1
    for axis in axes:
        count *= len(axis)
    assert len(cells) == len(places) == count
    assert len(runs_of(cells)) <= 2 * count


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_passes_preflight(path):
    assert preflight(load_experiment(path).experiment) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_header_names_the_command(path):
    command = f"transfer-lab run {path.relative_to(FOLDER.parent)}"
    assert command in header(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_has_a_title_and_no_tracker(path):
    asked = load_experiment(path).experiment
    assert asked.title
    assert asked.wandb.mode == "disabled"


def test_the_default_holds_the_four_scenarios_and_the_three_architectures():
    asked = load_experiment(FOLDER / "four_scenarios.yaml").experiment
    sides = {(place.size, place.similarity) for place in asked.scenarios.values()}
    assert sides == {(s, t) for s in ("small", "large") for t in ("similar", "dissimilar")}
    assert {choice.kind for choice in asked.backbones.values()} >= {"mlp", "cnn", "vgg16"}
    kinds = {choice.kind for choice in asked.regimes.values()}
    rule = {"linear_probe", "partial_finetune", "from_scratch", "full_finetune"}
    assert kinds >= rule | {"majority", "random_features"}
    assert len({place.target for place in asked.scenarios.values()}) == 1
