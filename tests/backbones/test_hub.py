"""Weights that others made: every way a file can be wrong is told before training."""

from __future__ import annotations

import hashlib
import pickle
import threading
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from tests.contracts.test_backbones import SMALL
from transfer_lab.backbones.hub import HubFile, HuggingFaceFile
from transfer_lab.backbones.timm import Timm
from transfer_lab.backbones.torchvision import Torchvision
from transfer_lab.backbones.vgg16 import VGG16
from transfer_lab.backbones.weights import check_published, find, load_published
from transfer_lab.experiment.catalog import BACKBONES
from transfer_lab.experiment.choices import Weights
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.preflight import preflight
from transfer_lab.system import network as reach
from transfer_lab.system.files import WeightsError
from transfer_lab.system.network import reachable


def network(width: float = 0.05) -> VGG16:
    return VGG16(16, width=width, top="pooled")


def weights(path: Path) -> Weights:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "0" * 64
    return Weights(origin="file", sha256=sha256, path=str(path))


def as_torchvision(backbone: VGG16) -> dict[str, torch.Tensor]:
    """Its tensors under the names that torchvision gives them, with a classifier's beside them."""
    ours = {own: theirs for theirs, own in backbone._names.items()}
    state = {}
    for key, value in backbone.stages.state_dict().items():
        module, _, kind = key.rpartition(".")
        state[f"{ours[module]}.{kind}"] = value.clone()
    return state | {"classifier.6.weight": torch.zeros(3, 2)}


@pytest.fixture
def source() -> VGG16:
    torch.manual_seed(0)
    return network()


def equal(first: VGG16, second: VGG16) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", "-nested.pth", "-parallel.pt"])
def test_a_state_dict_under_foreign_names_is_loaded_bit_for_bit(tmp_path, source, suffix):
    path, state = tmp_path / f"w{suffix}", as_torchvision(source)
    if suffix == ".safetensors":
        save_file(state, path)
    elif suffix == "-nested.pth":
        torch.save({"epoch": 3, "state_dict": state}, path)
    elif suffix == "-parallel.pt":
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    target = network()
    assert not equal(source, target)
    load_published(target, range(len(target.stages)), weights(path))
    assert equal(source, target)


def test_only_the_stages_asked_for_start_from_the_file(tmp_path, source):
    save_file(as_torchvision(source), tmp_path / "w.safetensors")
    target = network()
    untouched = target.stages[2].state_dict()["0.weight"].clone()
    load_published(target, range(2), weights(tmp_path / "w.safetensors"))
    first, second = source.stages[:2].state_dict(), target.stages[:2].state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(untouched, target.stages[2].state_dict()["0.weight"])


def test_half_precision_and_absent_batch_counters_do(tmp_path):
    source, target = VGG16(16, width=0.05, batch_norm=True), VGG16(16, width=0.05, batch_norm=True)
    state = as_torchvision(source)
    state = {k: v.half() for k, v in state.items() if "num_batches" not in k}
    save_file(state, tmp_path / "w.safetensors")
    load_published(target, range(len(target.stages)), weights(tmp_path / "w.safetensors"))
    first, second = (b.stages[0].state_dict()["0.weight"] for b in (source, target))
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3)
    assert second.dtype == torch.float32


def damaged(path: Path, kind: str, source: VGG16) -> Weights:
    """A file with one fault, and what the experiment would say of it."""
    state = as_torchvision(source)
    if kind == "missing file":
        return weights(path)
    if kind == "missing key":
        state.pop("features.0.weight")
    if kind == "other width":
        state = as_torchvision(network(0.1))
    if kind == "other network":
        state = BACKBONES.load("mlp")(16, width=4).state_dict()
    (torch.save if path.suffix == ".pth" else save_file)(state, path)
    given = weights(path)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
        given = weights(path)
    if kind == "empty":
        path.write_bytes(b"")
        given = weights(path)
    if kind == "wrong hash":
        given = given.model_copy(update={"sha256": "1" * 64})
    if kind == "git lfs pointer":
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\n")
        given = weights(path)
    return given


FAULTS = {
    "missing file": r"cannot read the weights \(No such file",
    "missing key": r"missing or of another shape: 0\.0\.weight missing instead of 3x3x3x3",
    "other width": r"another shape: 0\.0\.weight 6x3x3x3 instead of 3x3x3x3",
    "other network": r"missing or of another shape: 0\.0\.weight",
    "truncated": "truncated",
    "empty": "truncated",
    "wrong hash": "SHA-256 is not 1111",
    "git lfs pointer": "truncated",
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_is_named_with_the_file_and_nothing_is_changed(tmp_path, source, kind, suffix):
    path = tmp_path / f"w{suffix}"
    given = damaged(path, kind, source)
    target = network()
    before = {key: value.clone() for key, value in target.state_dict().items()}
    for refuse in (
        lambda: check_published(target, given),
        lambda: load_published(target, range(len(target.stages)), given),
    ):
        with pytest.raises(WeightsError, match=FAULTS[kind]) as told:
            refuse()
        assert str(path) in str(told.value)
    assert all(torch.equal(before[key], value) for key, value in target.state_dict().items())


def renamed(state: dict) -> dict:
    """The same tensors in the same order under names that nobody knows, and a classifier."""
    modules = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
    other = {
        f"encoder.layer_{modules.index(key.rpartition('.')[0])}.{key.rpartition('.')[2]}": value
        for key, value in state.items()
    }
    return other | {"head.weight": torch.zeros(2, 3), "head.bias": torch.zeros(2)}


def test_tensors_of_other_names_are_matched_by_order_and_shape_and_that_is_said(tmp_path, source):
    path, target = tmp_path / "w.pth", network()
    torch.save(renamed(source.stages.state_dict()), path)
    with pytest.warns(UserWarning, match="were matched by order, kind and shape") as told:
        load_published(target, range(len(target.stages)), weights(path))
    assert str(path) in str(told[0].message)
    loaded = target.stages.state_dict()
    for key, value in source.stages.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(loaded[key], value), key


@pytest.mark.parametrize("fault", ["order", "kind", "fewer"])
def test_tensors_of_other_names_that_do_not_match_one_by_one_are_refused(tmp_path, source, fault):
    state = renamed(source.stages.state_dict())
    keys = list(state)
    if fault == "order":
        keys[0], keys[-3] = keys[-3], keys[0]
    if fault == "kind":
        keys[0], keys[1] = keys[1], keys[0]
    if fault == "fewer":
        keys = keys[:4]
    torch.save({key: state[key] for key in keys}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"of other names \(as encoder.*Rename them"):
        check_published(network(), weights(tmp_path / "w.pth"))


def test_a_file_that_keeps_no_order_says_what_would(tmp_path, source):
    save_file(renamed(source.stages.state_dict()), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"as a \.pth file in the order of its layers"):
        check_published(network(), weights(tmp_path / "w.safetensors"))


class Trap:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("whole", [True, False])
def test_code_in_a_pickle_is_refused_and_never_run(tmp_path, whole):
    path, proof = tmp_path / "w.pth", tmp_path / "ran"
    content = Trap(proof) if whole else {"state_dict": {"0.0.weight": Trap(proof)}}
    if whole:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    with pytest.raises(WeightsError, match="never code"):
        check_published(network(), weights(path))
    assert not proof.exists()


def test_a_pickle_of_something_else_is_refused(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="holds a list and not a state dict"):
        check_published(network(), weights(tmp_path / "w.pth"))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg16_takes_every_tensor_of_torchvisions_file_but_the_classifiers(batch_norm):
    theirs = torchvision.models.vgg16_bn if batch_norm else torchvision.models.vgg16
    with torch.device("meta"):
        state, ours = theirs().state_dict(), VGG16(224, batch_norm=batch_norm, cut=8)
    taken = ours.translate(state)
    own = ours.stages.state_dict()
    assert {key: taken[key].shape for key in own} == {key: own[key].shape for key in own}
    assert set(taken) - set(own) == {"classifier.6.weight", "classifier.6.bias"}


def test_a_narrow_vgg16_has_no_imagenet_weights():
    with pytest.raises(WeightsError, match="no ImageNet weights for this backbone"):
        find(network(), Weights(origin="imagenet"))


@pytest.mark.parametrize(
    ("name", "library"), [("mobilenet_v3_small", "torchvision"), ("test_resnet", "timm")]
)
def test_a_librarys_network_takes_every_tensor_of_the_librarys_own_state(name, library):
    import timm

    backbone = BACKBONES.load(library)(32, name=name)
    if library == "timm":
        state = timm.create_model(name, pretrained=False).state_dict()
    else:
        state = torchvision.models.get_model(name, weights=None).state_dict()
    own = backbone.stages.state_dict()
    taken = backbone.translate(dict(state))
    assert {k: taken[k].shape for k in own} == {k: v.shape for k, v in own.items()}


@pytest.fixture
def empty_caches(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    return tmp_path


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_absent_weights_are_told_with_their_address_and_place(empty_caches, library):
    options = {"torchvision": {"name": "resnet18"}, "timm": {"name": "resnet18.a1_in1k"}}
    with torch.device("meta"):
        backbone = BACKBONES.load(library)(32, **options[library])
    with pytest.raises(WeightsError, match="not on this machine") as told:
        find(backbone, Weights(origin="imagenet"))
    message = str(told.value)
    assert str(empty_caches) in message
    assert "https://" in message
    assert "--download" in message
    assert "resnet18" in message


def test_offline_a_download_is_refused_within_a_second(empty_caches, monkeypatch):
    let_go, ended = threading.Event(), threading.Event()

    def hang(*_, **__):
        let_go.wait(60)
        ended.set()
        raise OSError("timed out")

    monkeypatch.setattr(reach.socket, "create_connection", hang)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with torch.device("meta"):
        backbone = VGG16(32)
    with pytest.raises(WeightsError, match=r"vgg16-397923af\.pth") as told:
        find(backbone, Weights(origin="imagenet"), download=True)
    assert not ended.is_set()  # how long it waits for a host: tests/system/test_network.py
    let_go.set()
    assert "cannot be reached from here; put the file there by hand" in str(told.value)
    assert "--download" not in str(told.value)


def test_an_unknown_host_is_not_reachable(monkeypatch):
    monkeypatch.setattr(reach.urllib.request, "getproxies", dict)
    assert not reachable("https://nowhere.invalid/file")


def test_a_download_lands_where_it_is_looked_for_and_is_checked(empty_caches, source, monkeypatch):
    content = empty_caches / "served.pth"
    torch.save(as_torchvision(source), content)
    prefix = hashlib.sha256(content.read_bytes()).hexdigest()[:8]
    for announced in (prefix, "00000000"):
        hub = HubFile(f"file://{content.parent}/net-{announced}.pth")
        (content.parent / f"net-{announced}.pth").write_bytes(content.read_bytes())
        monkeypatch.setattr(VGG16, "published", hub)
        monkeypatch.setattr("transfer_lab.backbones.weights.reachable", lambda _: True)
        if announced == prefix:
            path, sha256 = find(network(), Weights(origin="imagenet"), download=True)
            assert (path, sha256) == (hub.place, prefix)
            check_published(network(), Weights(origin="imagenet"))
        else:
            with pytest.raises(WeightsError, match="cannot be downloaded"):
                find(network(), Weights(origin="imagenet"), download=True)


def test_a_cached_file_that_is_not_what_its_name_says_is_refused(empty_caches):
    place = HubFile(torchvision.models.VGG16_Weights.IMAGENET1K_V1.url).place
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half of it")
    with torch.device("meta"):
        backbone = VGG16(32)
    with pytest.raises(WeightsError, match="SHA-256 is not 397923af"):
        check_published(backbone, Weights(origin="imagenet"))


def test_the_place_of_a_hugging_face_file_is_its_repositorys_folder(empty_caches):
    assert "models--timm--test" in str(HuggingFaceFile("timm/test").place)


def experiment(tmp_path: Path, backbone: str) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(
        "name: own\nimage_size: 16\nscenarios:\n"
        "  small_similar: {target: digits, per_class: 2}\n"
        f"backbones:\n  net: {backbone}\nregimes: [linear_probe, from_scratch]\nseeds: [1]\n"
    )
    return path


def test_a_file_that_is_not_there_is_refused_at_its_line(tmp_path):
    path = experiment(tmp_path, "{kind: mlp, pretrained: {file: gone.safetensors}}")
    with pytest.raises(ConfigError, match=r"own\.yaml:6:.*gone\.safetensors: cannot read"):
        load_experiment(path)


def test_the_way_to_what_is_stored_without_the_file_is_told(tmp_path):
    path = experiment(tmp_path, "{kind: mlp, pretrained: {file: gone.safetensors}}")
    with pytest.raises(ConfigError, match="with its sha256 given, status and report do without"):
        load_experiment(path)


def test_with_its_hash_given_a_file_may_be_absent_until_something_is_trained(tmp_path):
    start = f"{{file: gone.safetensors, sha256: {'a' * 64}}}"
    asked = load_experiment(experiment(tmp_path, f"{{kind: mlp, pretrained: {start}}}"))
    assert asked.experiment.backbones["net"].pretrained.sha256 == "a" * 64
    ((place, message),) = preflight(asked.experiment)
    assert place == ("backbones", "net", "pretrained")
    assert "gone.safetensors: cannot read the weights" in message


def test_weights_are_looked_for_beside_the_experiment(tmp_path, monkeypatch):
    save_file(
        BACKBONES.load("mlp")(16, **SMALL["mlp"]).stages.state_dict(), tmp_path / "w.safetensors"
    )
    monkeypatch.chdir("/")
    start = "{kind: mlp, width: 16, pretrained: {file: w.safetensors}}"
    asked = load_experiment(experiment(tmp_path, start)).experiment
    assert preflight(asked) == []


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            "imagnet",
            "'imagnet' is none of run, none, imagenet, package, {run: REGIME}, {imagenet: SHA256}",
        ),
        ("[a]", "is none of"),
        ("{sha256: ab}", "is none of"),
        ("{file: 3}", "a path is needed"),
        ("{file: a, hash: b}", "'file' and 'sha256'"),
    ],
)
def test_what_pretrained_cannot_mean_is_refused(tmp_path, start, message):
    with pytest.raises(ConfigError, match=message):
        load_experiment(experiment(tmp_path, f"{{kind: mlp, pretrained: {start}}}"))


def test_library_backbones_name_their_networks():
    for cls, name in ((Torchvision, "resnet81"), (Timm, "resnet81"), (Timm, "resnet18.nothing")):
        with pytest.raises(ValueError, match=r"has no classification network named .*did you mean"):
            cls(32, name=name)
