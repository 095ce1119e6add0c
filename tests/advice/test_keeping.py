"""`keep: best`: which run's model stands for the answer, and that it is that model."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML

import transfer_lab
from tests.advice.test_model_folder import without
from tests.builders import TINY_YAML, SharedEngine, tiny_run
from tests.reporting.invented import Grid, experiment
from transfer_lab.advice import keeping
from transfer_lab.advice.keeping import classifier_of, keep_models
from transfer_lab.advice.model.loading import load_model
from transfer_lab.advice.model.manifest import ModelFolderError
from transfer_lab.experiment.plan import plan
from transfer_lab.grid.engines import local
from transfer_lab.reporting.kept import recommended
from transfer_lab.store.layout import IMAGES, MODEL, PREDICTIONS
from transfer_lab.store.records import RecordStore
from transfer_lab.training import again as training_again
from transfer_lab.training.again import train_again
from transfer_lab.training.building import build_domain
from transfer_lab.training.run import Setting, train

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

TINY = YAML(typ="safe").load(TINY_YAML) | {"keep": "best"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The tiny experiment with its model kept, its store as it was before that, and its report."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "LocalEngine", SharedEngine)
        file = transfer_lab.load_experiment(TINY | {"keep": None})
        transfer_lab.run(file, folder / "runs", progress=False)
        before = records_of(folder / "runs")
        kept = transfer_lab.load_experiment(TINY)
        transfer_lab.run(kept, folder / "runs", progress=False)
    page = transfer_lab.report(kept, folder / "runs", folder / "reports")
    return kept, RecordStore(folder / "runs"), before, page


def records_of(root):
    return {path.parent.name: path.read_bytes() for path in root.glob("*/record.json")}


def test_one_model_is_kept_and_no_record_or_run_is_another(ran):
    file, store, before, _ = ran
    assert records_of(store.root) == before
    assert {c.run.id for c in plan(file.experiment)} <= before.keys()
    (folder,) = store.root.glob(f"*/{MODEL}")
    assert {path.name for path in folder.iterdir()} == {
        *("model.json", "model.safetensors", "model.onnx", "model.ckpt", "reference.npz"),
        *("experiment.yaml", "README.md"),
    }


@pytest.mark.parametrize("by", ["onnxruntime", "torch"])
def test_the_kept_model_answers_as_the_run_did_on_every_test_image(ran, by, tmp_path, monkeypatch):
    file, store, _, _ = ran
    if by == "torch":
        without(monkeypatch, "onnxruntime")
    (folder,) = store.root.glob(f"*/{MODEL}")
    run_id = folder.parent.name
    run = next(c.run for c in plan(file.experiment) if c.run.id == run_id)
    images = build_domain(run, store.root / IMAGES).source_of("test")[0]
    paths = [tmp_path / f"{number:03}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(np.asarray(image).transpose(1, 2, 0)).save(path)
    model = load_model(folder)
    with np.load(store.file(run_id, PREDICTIONS)) as stored:
        expected = [str(stored["classes"][number]) for number in stored["predicted"]]
        shares = np.exp(stored["label_log_probability"].astype(float))
        labels = [str(stored["classes"][number]) for number in stored["label"]]
    table = model.predict(paths, top=len(model.classes))
    assert table["class"].to_list() == expected
    for (_, row), label, share in zip(table.iterrows(), labels, shares, strict=True):
        ranked = dict([(row["class"], row["probability"]), *row["alternatives"]])
        assert ranked[label] == pytest.approx(share, abs=2e-3)  # stored in half precision


def test_the_report_has_it_as_one_file_on_the_card_of_its_case_alone(ran, tmp_path):
    page, text = ran[3], ran[3].read_text()
    assert text.count("Get the model") == 1
    assert '<a href="models/cyrillic.zip" download>Get the model</a>' in text
    with zipfile.ZipFile(page.with_name("models") / "cyrillic.zip") as archive:
        archive.extractall(tmp_path)
    assert load_model(tmp_path / "model").classes == tuple("БГДЖ")


def test_the_card_says_where_it_comes_from_and_its_experiment_is_read_again(ran):
    file, store, _, _ = ran
    (folder,) = store.root.glob(f"*/{MODEL}")
    card = (folder / "README.md").read_text()
    for told in ("cyrillic", folder.parent.name, "it did not choose this run", "not calibrated"):
        assert told in card
    again = transfer_lab.load_experiment(folder / "experiment.yaml")
    assert again.experiment == file.experiment


def test_what_is_kept_is_not_trained_again(ran, monkeypatch):
    file, store, _, _ = ran
    monkeypatch.setattr(keeping, "train_again", None)
    keep_models(file, plan(file.experiment), store, pytest.fail, pytest.fail)


def test_a_model_that_is_no_longer_recommended_leaves_the_report(ran, tmp_path):
    file, store, _, _ = ran
    (tmp_path / "reports/tiny/models").mkdir(parents=True)
    stale = tmp_path / "reports/tiny/models/gone.zip"
    stale.write_bytes(b"")
    transfer_lab.report(file, store.root, tmp_path / "reports")
    assert [path.name for path in stale.parent.iterdir()] == ["cyrillic.zip"]


def test_without_keep_nothing_is_kept_and_nothing_is_offered(ran, tmp_path):
    _, store, _, _ = ran
    plain = transfer_lab.load_experiment(TINY | {"keep": None})
    page = transfer_lab.report(plain, store.root, tmp_path)
    assert "Get the model" not in page.read_text() and not page.with_name("models").exists()


def test_what_cannot_be_kept_is_told_and_stops_nothing(ran, tmp_path, monkeypatch):
    file, store, _, _ = ran

    def failing(*_):
        raise ModelFolderError("the disk is full")

    monkeypatch.setattr(keeping, "train_again", failing)
    monkeypatch.setattr(keeping, "MODEL", "elsewhere")
    told = []
    keep_models(file, plan(file.experiment), store, lambda _: None, told.append)
    assert told == ["the model for cyrillic is not kept: ModelFolderError: the disk is full"]


def test_the_test_set_chooses_the_arm_and_validation_the_run():
    study = Grid(experiment()).finish().study()
    (chosen,) = recommended(study)
    rows = study.done.set_index("run_id")
    assert chosen.target == "cyrillic" and chosen.place.scenario.startswith("large")
    arm = study.done
    for column, value in chosen.place._asdict().items():
        arm = arm[arm[column] == value]
    assert rows.loc[chosen.run_id, "val_accuracy"] == arm["val_accuracy"].max()
    means = study.done[study.done["scenario"] == chosen.place.scenario]
    means = means.groupby("regime")["test_accuracy"].mean()
    assert means.idxmax() == chosen.place.regime


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path / "runs")


def trained_again(run, store):
    record = train(run, store, Setting())
    assert record.status == "done"
    return record, train_again(run, record, store)


@pytest.mark.parametrize("regime", ["from_scratch", "ridge_probe", "random_features"])
def test_a_run_ends_as_it_did_and_its_record_stays(regime, store):
    run = tiny_run(regime)
    record, again = trained_again(run, store)
    assert again.metrics["test_accuracy"] == record.test_accuracy
    assert again.metrics["test_log_loss"] == record.test_log_loss
    assert store.get(run.id) == record


def test_a_tuned_run_is_trained_with_what_was_chosen(store, monkeypatch):
    content = {name: getattr(tiny_run(), name) for name in type(tiny_run()).model_fields}
    run = type(tiny_run())(**content | {"tune": ({"lr": 1e-4}, {"lr": 0.03})})
    record, again = trained_again(run, store)
    assert record.chosen_options and again.metrics["test_log_loss"] == record.test_log_loss
    assert f'"lr": {again.regime.lr}' in record.chosen_options


def test_a_network_that_was_shortened_is_read_again_without_onnxruntime(
    store, tmp_path, monkeypatch
):
    source = tiny_run()
    train(source, store, Setting(), keep_weights=True)
    run = tiny_run("linear_probe", init=source, stage=1)
    _, again = trained_again(run, store)
    trained = classifier_of(run, again)
    keeping.write_model(trained, tmp_path / "model", {}, lambda _: b"card")
    Image.new("RGB", (12, 12), "teal").save(tmp_path / "one.png")
    (by_onnx,) = load_model(tmp_path / "model").answers([tmp_path / "one.png"])
    without(monkeypatch, "onnxruntime")
    (by_torch,) = load_model(tmp_path / "model").answers([tmp_path / "one.png"])
    assert by_torch.label == by_onnx.label
    assert by_torch.probability == pytest.approx(by_onnx.probability, abs=1e-5)


def test_what_ends_in_more_than_a_linear_head_is_kept_as_tensors_that_predict_refuses(
    store, tmp_path
):
    source = tiny_run()
    train(source, store, Setting(), keep_weights=True)
    run = tiny_run("mlp_probe", init=source)
    _, again = trained_again(run, store)
    assert classifier_of(run, again) is None
    keeping.write_tensors(again.regime.state_dict(), tmp_path / "model", {"README.md": b"card"})
    assert {p.name for p in (tmp_path / "model").iterdir()} == {"model.safetensors", "README.md"}
    with pytest.raises(ModelFolderError, match="no model"):
        load_model(tmp_path / "model")


def test_threads_are_as_they_were_after_training_again(store):
    before = torch.get_num_threads()
    run = tiny_run()
    record = train(run, store, Setting(threads=1))
    train_again(run, record, store)
    assert torch.get_num_threads() == before
    with training_again._threads(1):
        assert torch.get_num_threads() == 1
