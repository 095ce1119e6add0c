"""torchvision's datasets by name: every layout read as it is, and what is absent said so."""

from __future__ import annotations

import inspect
from importlib import metadata

import numpy as np
import pytest
from packaging.version import Version
from torchvision import datasets
from torchvision.datasets import utils

from tests.photos import picture
from tests.published_sets import WRITERS, grey, handwriting, mnist, solid_parts
from transfer_lab.data import torchvision
from transfer_lab.data.torchvision import RECIPES, TorchvisionDataset
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.preflight import preflight
from transfer_lab.system.image_folder import DataUnavailable

OWN_TEST = sorted(name for name in RECIPES if RECIPES[name].test is not None)
NO_TEST = sorted(set(RECIPES) - set(OWN_TEST))
BINARY = "SEMEION"

EXPERIMENT = """
name: mine
image_size: 16
domains:
  latin: {{letters: ABCD, train_per_class: 8, test_per_class: 4}}
  {domain}
scenarios:
  small_similar: {{source: latin, target: {target}, per_class: 5}}
backbones: [cnn]
regimes: [from_scratch, linear_probe]
seeds: [1]
"""


@pytest.fixture(autouse=True)
def _unpublished(monkeypatch):
    """Files that a test wrote are not those whose checksums torchvision knows."""
    monkeypatch.setattr(utils, "check_md5", lambda *_, **__: True)


def written(name: str, root, **options) -> TorchvisionDataset:
    write, size = WRITERS[name]
    write(root, solid_parts(size))
    return TorchvisionDataset(12, name=name, root=str(root), **options)


def experiment(folder, root, domain="mnist: {{kind: torchvision:MNIST, root: {}}}", target="mnist"):
    path = folder / "mine.yaml"
    path.write_text(EXPERIMENT.format(domain=domain.format(root), target=target))
    return load_experiment(path)


def test_every_recipe_has_a_layout_to_test_it_with():
    assert set(WRITERS) == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_the_installed_torchvision_takes_what_the_recipe_asks(name):
    recipe = RECIPES[name]
    for ask in (*recipe.train, recipe.test or {}):
        inspect.signature(getattr(datasets, name)).bind("data", download=False, **ask)


@pytest.mark.parametrize("name", RECIPES)
def test_the_host_that_is_asked_first_is_the_one_torchvision_downloads_from(name):
    url = RECIPES[name].url
    if name == "EuroSAT" and Version(metadata.version("torchvision")) < Version("0.20"):
        pytest.skip("torchvision moved EuroSAT in 0.20")
    assert url in inspect.getsource(inspect.getmodule(getattr(datasets, name)))
    assert bool(url) == (name != "StanfordCars")


@pytest.mark.parametrize("name", OWN_TEST)
def test_images_have_their_own_labels_and_fall_into_the_published_parts(name, tmp_path):
    domain = written(name, tmp_path)
    joined = len(RECIPES[name].train) > 1
    greys = {"train": ("train", "val") if joined else ("train",), "test": ("test",)}
    classes = 2 if name == "RenderedSST2" else 3
    for part, count in (("train", 6 if joined else 4), ("test", 3)):
        images, labels = domain.make_images(part), domain.labels(part)
        assert np.bincount(labels).tolist() == [count] * classes
        for image, label in zip(images, labels, strict=True):
            expected = [grey(label, published) for published in greys[part]]
            assert min(abs(image.mean() - value) for value in expected) < 3
    assert domain.num_classes >= classes
    assert all(isinstance(name, str) for name in domain.classes)


@pytest.mark.parametrize("name", NO_TEST)
def test_a_dataset_without_a_test_set_gets_a_stratified_one(name, tmp_path):
    domain = written(name, tmp_path, test_fraction=0.5)
    for part in ("train", "test"):
        images, labels = domain.make_images(part), domain.labels(part)
        assert np.bincount(labels).tolist() == [2, 2, 2]
        for image, label in zip(images, labels, strict=True):
            assert name == BINARY or abs(image.mean() - grey(label, "train")) < 3
    default = TorchvisionDataset(12, name=name, root=str(tmp_path))
    assert np.bincount(default.labels("test")).tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", RECIPES)
def test_absent_data_are_named_with_what_torchvision_says_and_what_to_do(name, tmp_path):
    domain = TorchvisionDataset(12, name=name, root=str(tmp_path))
    with pytest.raises(DataUnavailable) as refused:
        domain.labels("train")
    told = str(refused.value)
    assert told.startswith(f"{tmp_path}: torchvision does not find its {name} there (")
    assert told.endswith("; fetch it with --download, or put its files there")
    assert "Unknown value" not in told
    assert "download=True" not in told


def test_download_is_asked_of_torchvision_only_for_what_is_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision, "reachable", lambda _: True)
    domain = TorchvisionDataset(12, name="MNIST", root=str(tmp_path / "new"))
    write, size = WRITERS["MNIST"]
    calls = []

    def download(dataset):
        calls.append(dataset.root)
        write(tmp_path / "new", solid_parts(size))

    monkeypatch.setattr(datasets.MNIST, "download", download)
    domain.fetch()
    assert calls == [str(tmp_path / "new")] * 2
    assert len(domain.labels("test")) == 9
    TorchvisionDataset(12, name="MNIST", root=str(tmp_path / "new")).fetch()
    assert len(calls) == 2


def test_a_download_without_a_network_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision, "reachable", lambda _: False)
    with pytest.raises(DataUnavailable) as refused:
        TorchvisionDataset(12, name="CIFAR10", root=str(tmp_path)).fetch()
    assert str(refused.value) == (
        f"{tmp_path}: torchvision's CIFAR10 cannot be downloaded (https://www.cs.toronto.edu "
        "cannot be reached); put its files there by hand"
    )


def test_a_download_that_torchvision_refuses_says_what_it_said(tmp_path):
    with pytest.raises(DataUnavailable, match=r"downloaded \(The original URL is broken"):
        TorchvisionDataset(12, name="StanfordCars", root=str(tmp_path)).fetch()


def test_preflight_fetches_domains_when_asked_and_names_each_failure_once(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision, "reachable", lambda _: False)
    asked = experiment(tmp_path, tmp_path / "no").experiment
    assert [text for _, text in preflight(asked)] != []
    ((place, message),) = preflight(asked, tmp_path / "images", download=True)
    assert place == ("domains", "mnist")
    assert "cannot be reached" in message


def test_a_folder_that_is_not_there_is_not_created(tmp_path):
    with pytest.raises(DataUnavailable, match="no such folder"):
        TorchvisionDataset(12, name="Caltech101", root=str(tmp_path / "no")).labels("train")
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    domain = written("EuroSAT", tmp_path)
    for path in (tmp_path / "eurosat").rglob("*.jpg"):
        path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(DataUnavailable, match=r"image \d+ of EuroSAT cannot be read .*--download"):
        domain.make_images("train")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="no dataset 'CIFAR1O' of torchvision; did you mean 'CIF"):
        TorchvisionDataset(12, name="CIFAR1O")


@pytest.mark.parametrize(
    ("name", "fraction", "message"),
    [("MNIST", 0.3, "MNIST has a test set of its own"), ("EuroSAT", 1.0, "between 0 and 1")],
)
def test_a_test_fraction_that_makes_no_sense_is_refused(name, fraction, message):
    with pytest.raises(ValueError, match=message):
        TorchvisionDataset(12, name=name, test_fraction=fraction)


def test_a_class_of_one_image_cannot_be_split(tmp_path):
    written("EuroSAT", tmp_path)
    lone = tmp_path / "eurosat" / "2750" / "Lone"
    lone.mkdir()
    (tmp_path / "eurosat" / "2750" / "Land0" / "0.jpg").rename(lone / "0.jpg")
    with pytest.raises(ValueError, match="fewer than two images"):
        TorchvisionDataset(13, name="EuroSAT", root=str(tmp_path)).labels("train")


def test_stored_images_of_a_half_unpacked_dataset_are_not_taken_for_the_whole(tmp_path):
    whole = written("EuroSAT", tmp_path / "a")
    part = written("EuroSAT", tmp_path / "b")
    (tmp_path / "b" / "eurosat" / "2750" / "Land0" / "0.jpg").unlink()
    assert whole.identity != part.identity


def test_declared_or_named_in_the_scenario_it_is_the_same_run_wherever_the_files_lie(
    tmp_path, monkeypatch
):
    declared = experiment(tmp_path, handwriting()).experiment
    named = experiment(tmp_path, "", "{}", "torchvision:MNIST").experiment
    options = {"mnist": declared.domains["mnist"], "named": named.domains["torchvision:MNIST"]}
    assert {choice.kind for choice in options.values()} == {"torchvision"}
    assert [choice.options for choice in options.values()] == [{"name": "MNIST"}] * 2
    assert [c.run.id for c in plan(declared)] == [c.run.id for c in plan(named)]
    assert options["mnist"].root == handwriting()
    assert preflight(declared, tmp_path / "images") == []


def test_preflight_refuses_absent_data_and_unknown_names_in_one_line(tmp_path):
    absent = experiment(tmp_path, tmp_path / "no").experiment
    ((place, message),) = preflight(absent)
    assert place == ("domains", "mnist")
    assert str(tmp_path / "no") in message
    typo = experiment(tmp_path, "", "{}", "torchvision:NMIST").experiment
    ((place, message),) = preflight(typo)
    assert place == ("domains", "torchvision:NMIST")
    assert "did you mean 'MNIST'" in message


def test_a_root_that_is_no_path_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"domains\.mnist\.root: .*string"):
        experiment(tmp_path, 3)


def test_copies_between_the_parts_are_counted_once_and_stored(tmp_path):
    images = [(np.asarray(picture(n, (28, 28))), n % 10) for n in range(30)]
    mnist(tmp_path / "data", {"train": images[:20], "test": [*images[20:], images[3], images[3]]})
    for _ in range(2):
        domain = TorchvisionDataset(16, name="MNIST", root=str(tmp_path / "data"))
        domain.cache = tmp_path / "cache"
        assert domain.copies == 2
    domain._counted_copies = None  # not asked again
    assert domain.copies == 2
