"""Weights from a hub's cache are known by what they hold: another file is another run."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision

from tests.builders import ENVIRONMENT
from transfer_lab.backbones import vgg16
from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.hub import HubFile, HuggingFaceFile
from transfer_lab.backbones.torchvision import Torchvision
from transfer_lab.experiment import published
from transfer_lab.experiment.loading import ExperimentFile, load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.preflight import preflight
from transfer_lab.grid.train import with_weights
from transfer_lab.system.files import WeightsError
from transfer_lab.training.building import load_published

NETWORK = {"timm": "timm:test_resnet.r160_in1k", "torchvision": "torchvision:mobilenet_v3_small"}


@pytest.fixture
def caches(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    return tmp_path


def loaded(folder: Path, backbone: str, start: str = "imagenet") -> ExperimentFile:
    path = folder / "own.yaml"
    path.write_text(
        "name: own\nimage_size: 32\nscenarios:\n  only: {target: digits, per_class: 2, "
        "size: small, similarity: similar}\n"
        f"backbones:\n  {backbone}: {{pretrained: {start}}}\nregimes: [linear_probe]\nseeds: [1]\n"
    )
    return load_experiment(path)


def ids(file: ExperimentFile) -> list[str]:
    return [cell.run.id for cell in plan(file.experiment)]


def put(library: str, content: bytes, *, linked: bool = False) -> Path:
    """Into the cache, as the hub's library lays it out."""
    name = NETWORK[library].partition(":")[2]
    if library == "torchvision":
        hub = Torchvision.publishes(name=name)
        place = hub.place
    else:
        import timm

        folder = HuggingFaceFile(timm.get_pretrained_cfg(name).hf_hub_id).place
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs" / "main").write_text("abc")
        place = folder / "snapshots" / "abc" / "model.safetensors"
    place.parent.mkdir(parents=True, exist_ok=True)
    if linked:
        blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(content)
        place.unlink(missing_ok=True)
        place.symlink_to(blob)
        return blob
    place.write_bytes(content)
    return place


def weights_of(library: str, seed: int) -> bytes:
    """A file of the network's own tensors, drawn anew."""
    import io

    import timm
    from safetensors.torch import save

    torch.manual_seed(seed)
    name = NETWORK[library].partition(":")[2]
    if library == "timm":
        return save(timm.create_model(name, pretrained=False).state_dict())
    file = io.BytesIO()
    torch.save(torchvision.models.get_model(name, weights=None).state_dict(), file)
    return file.getvalue()


def test_another_file_in_the_cache_is_another_run_and_the_record_names_it(caches):
    first, second = (weights_of("timm", seed) for seed in (0, 1))
    put("timm", first)
    one = loaded(caches, NETWORK["timm"])
    put("timm", second)
    other = loaded(caches, NETWORK["timm"])
    assert not set(ids(one)) & set(ids(other))
    (cell,) = plan(one.experiment)
    assert cell.run.init_id == hashlib.sha256(first).hexdigest()[:16]
    put("timm", first)
    assert ids(loaded(caches, NETWORK["timm"])) == ids(one)
    assert preflight(one.experiment) == []


def test_a_file_that_is_exchanged_after_the_plan_is_refused(caches):
    put("timm", weights_of("timm", 0))
    file = loaded(caches, NETWORK["timm"])
    put("timm", weights_of("timm", 1))
    ((place, told),) = preflight(file.experiment)
    assert place[-1] == "pretrained" and "the weights' SHA-256 is not" in told
    (choice,) = file.experiment.backbones.values()
    backbone = build_backbone(choice, 32)
    with pytest.raises(WeightsError, match="SHA-256 is not"):
        load_published(backbone, range(len(backbone.stages)), choice.pretrained)


@pytest.mark.parametrize("library", NETWORK)
def test_a_file_that_is_not_what_the_hub_calls_it_is_refused_and_pinned_by_nobody(caches, library):
    content = weights_of(library, 0)
    path = put(library, content, linked=library == "timm")
    damaged = bytearray(content)
    damaged[-10] ^= 1
    path.write_bytes(damaged)
    file = loaded(caches, NETWORK[library])
    assert [c.pretrained.sha256 for c in file.experiment.backbones.values()] == [None]
    ((_, told),) = preflight(file.experiment)
    assert "the weights' SHA-256 is not" in told


def test_a_run_does_not_depend_on_how_the_weights_were_found(caches):
    content = weights_of("timm", 0)
    put("timm", content)
    found = loaded(caches, NETWORK["timm"])
    shutil.rmtree(caches / "hf")
    unknown = loaded(caches, NETWORK["timm"])
    assert len(published.unknown_weights(unknown.experiment)) == 1
    sha256 = hashlib.sha256(content).hexdigest()
    named = loaded(caches, NETWORK["timm"], f"{{imagenet: {sha256}}}")
    assert ids(named) == ids(found) != ids(unknown)
    assert published.unknown_weights(named.experiment) == []


def test_a_hash_that_is_none_is_refused_at_its_place(caches):
    with pytest.raises(ConfigError, match=r"own\.yaml:6.*pretrained"):
        loaded(caches, "vgg16", "{imagenet: 12}")


def test_weights_that_are_fetched_are_known_by_content_from_then_on(caches, monkeypatch):
    monkeypatch.setattr("transfer_lab.grid.train.start", lambda *_: Inline())
    content = weights_of("timm", 0)
    monkeypatch.setattr("transfer_lab.backbones.weights.reachable", lambda _: True)
    monkeypatch.setattr(HuggingFaceFile, "fetch", lambda _: put("timm", content))
    file = with_weights(loaded(caches, NETWORK["timm"]))
    (choice,) = file.experiment.backbones.values()
    assert choice.pretrained.sha256 == hashlib.sha256(content).hexdigest()
    assert with_weights(file) is file


class Inline:
    """Executes a call at once."""

    def submit(self, call, *args):
        from concurrent.futures import Future

        future = Future()
        future.set_result(call(*args))
        return future

    def kill(self):
        pass


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_files_of_vgg16_are_those_that_torchvision_names(batch_norm):
    with torch.device("meta"):
        own = vgg16.VGG16(32, batch_norm=batch_norm).published
    assert isinstance(own, HubFile)
    assert own.place.name == published.VGG16[batch_norm]


def test_the_hub_is_found_where_torch_has_it_and_without_torch():
    script = (
        "import sys\nfrom transfer_lab.experiment.published import hub_folder\n"
        "found = hub_folder()\nassert 'torch' not in sys.modules\nimport torch\n"
        "assert str(found) == torch.hub.get_dir() == str(hub_folder()), found\n"
    )
    for more in ({}, {"TORCH_HOME": "/somewhere/torch"}, {"XDG_CACHE_HOME": "/cache"}):
        subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT | more, check=True)
