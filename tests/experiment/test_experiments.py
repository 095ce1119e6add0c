"""Every experiment that is shipped can be run as its header says."""

import re
from pathlib import Path

import pytest

from tests.photos import photos
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import fits, plan, runs_of, spends_budget, suits
from transfer_lab.experiment.spec import Experiment
from transfer_lab.grid.preflight import preflight

FOLDER = Path(__file__).parents[2] / "experiments"
FILES = sorted(FOLDER.rglob("*.yaml"))
MODULES = sorted(FOLDER.rglob("*.py"))
WANTING = re.compile(
    r"kind: (folder|one_against)|torchvision:\w|pretrained: (imagenet|package)|docstrings"
)
EMBEDDED = [path for path in FILES if not WANTING.search(path.read_text())]


def loaded(path: Path) -> Experiment:
    """The experiment; where it wants images that are not shipped, on a small folder instead."""
    kinds = r"(?:folder|one_against_background)\b"
    roots = re.findall(rf"^  (\w+):\s+{{?kind: {kinds}", path.read_text(), re.MULTILINE)
    folders = [f"domains.{name}.root={photos(10 + n)}" for n, name in enumerate(roots)]
    return load_experiment(path, folders).experiment


def header(path: Path) -> str:
    """The comment that the file begins with, without its marks."""
    lines = path.read_text().splitlines()
    count = next(n for n, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line.removeprefix("#").strip() for line in lines[:count])


def test_there_are_experiments_and_nothing_else():
    assert FOLDER / "four_scenarios.yaml" in FILES
    found = (path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert sorted(found) == sorted(FILES + MODULES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_loads_and_its_name_is_that_of_its_file(path):
    assert loaded(path).name == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_plans_every_place_of_its_matrix(path):
    asked = loaded(path)
    every = plan(asked)
    cells = [cell for cell in every if cell.budget is None]
    places = {(c.scenario, c.backbone, c.regime, c.seed) for c in cells}
    for budget in asked.budgets:
        own = {(c.scenario, c.backbone, c.regime, c.seed) for c in every if c.budget == budget}
        assert own <= places
        assert {regime for *_, regime, _ in own} == {
            r for r in asked.regimes if spends_budget(asked, r)
        }
    pairs = [(b, r) for b in asked.backbones for r in asked.regimes if fits(asked, b, r)]
    count = len(asked.seeds) * sum(suits(asked, s, r) for s in asked.scenarios for _, r in pairs)
    assert all(any(b == backbone for b, _ in pairs) for backbone in asked.backbones)
    assert all(any(r == regime for _, regime in pairs) for r in asked.regimes)
    assert len(cells) == len(places) == count
    assert len(runs_of(cells)) <= 2 * count


@pytest.mark.parametrize("path", EMBEDDED, ids=lambda path: path.stem)
def test_it_passes_preflight_if_it_brings_its_data(path):
    assert preflight(load_experiment(path).experiment) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_header_names_the_command(path):
    command = f"transfer-lab run {path.relative_to(FOLDER.parent)}"
    assert command in header(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_has_a_title_and_no_tracker(path):
    asked = loaded(path)
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
