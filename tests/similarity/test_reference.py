"""Shipped statistics of photographs, and places by them: on features whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_lab.experiment.packaged import PACKAGED
from transfer_lab.similarity import reference as module
from transfer_lab.similarity.reference import (
    Reference,
    mean_of,
    place_between,
    placed,
    reference_of,
    stored,
    unlikeness,
    views_of,
)
from transfer_lab.similarity.samples import DegenerateError
from transfer_lab.similarity.take_reference import _spread, write

FEATURES = 200


def photographs(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, FEATURES)) @ np.diag(np.linspace(0.2, 2, FEATURES)) + 1


def far(count: int, seed: int) -> np.ndarray:
    return photographs(count, seed) + 3


@pytest.fixture(scope="module")
def known() -> Reference:
    views = views_of(photographs(600, 1))
    return Reference(
        *(224, FEATURES, views),
        known=mean_of(unlikeness(views, photographs(300, 2))),
        far=mean_of(unlikeness(views, far(100, 3))),
    )


def place(known: Reference, features: np.ndarray):
    return placed(known, mean_of(unlikeness(known.views, features)))


def test_photographs_lie_at_0_and_the_far_domain_at_1(known):
    assert place(known, photographs(400, 5)).value == pytest.approx(0, abs=0.03)
    assert place(known, far(400, 6)).value == pytest.approx(1, abs=0.03)


def test_what_is_further_off_lies_further_off(known):
    places = [place(known, photographs(200, 7) + shift).value for shift in (0, 1, 2, 3, 4)]
    assert places == sorted(places) and places[-1] > 1 > places[-3] > 0


def test_the_interval_holds_the_place_of_many_images_about_as_often_as_it_says(known):
    truth = place(known, photographs(20_000, 8) + 1.5).value
    found = [place(known, photographs(40, 100 + n) + 1.5) for n in range(200)]
    covered = np.mean([p.low <= truth <= p.high for p in found])
    assert 0.9 <= covered <= 0.995


def test_near_copies_count_once(known):
    one = unlikeness(known.views, photographs(40, 9))
    copies, groups = np.repeat(one, 3), np.repeat(np.arange(40), 3)
    assert mean_of(copies, groups) == pytest.approx(mean_of(one))
    assert mean_of(copies).error < 0.7 * mean_of(one).error


def test_another_far_domain_moves_the_unit(known):
    target = photographs(300, 10) + 1.5
    near, away = (place_between(known, target, photographs(100, 11) + by) for by in (3, 6))
    assert near.value == pytest.approx(place(known, target).value, abs=0.05)
    assert away.value < near.value


def test_a_far_domain_like_photographs_is_no_axis(known):
    with pytest.raises(DegenerateError, match="no axis"):
        place_between(known, photographs(50, 12), photographs(50, 13))


def test_one_image_has_no_place():
    with pytest.raises(DegenerateError):
        mean_of(np.ones(1))


def test_what_is_written_is_read_again_and_gives_the_same_places(known, tmp_path, monkeypatch):
    file = tmp_path / "reference.npz"
    write({"a" * 64: known}, file)
    once = file.read_bytes()
    write({"a" * 64: known}, file)
    assert file.read_bytes() == once
    monkeypatch.setattr(module, "FILE", file)
    found = reference_of.__wrapped__("a" * 64)
    assert found.known == known.known and found.image_size == 224
    features = photographs(50, 14)
    assert np.allclose(unlikeness(found.views, features), unlikeness(known.views, features), 1e-4)
    assert reference_of.__wrapped__("b" * 64) is None
    assert {*stored(known)} == {"means", "covariances", "told"}


@pytest.mark.parametrize("network", [name for name in PACKAGED if name.startswith("timm:")])
def test_every_network_that_comes_by_pip_has_its_statistics(network):
    found = reference_of(PACKAGED[network].sha256)
    assert found is not None
    assert found.image_size in (224, 240, 260) and found.features == 1280
    for view in found.views:
        assert np.linalg.eigvalsh(view.covariance).min() > -1e-3
        assert np.array_equal(view.covariance, view.covariance.T)
    assert found.far.value - found.known.value > 10 * max(found.known.error, found.far.error)


def test_other_weights_have_none():
    assert reference_of("0" * 64) is None and reference_of(None) is None


def test_what_is_shipped_is_small():
    assert module.FILE.stat().st_size < 60_000


def test_photographs_are_taken_of_every_class_alike(tmp_path):
    for name, count in (("a", 5), ("b", 9), ("c", 9)):
        (tmp_path / name).mkdir()
        for n in range(count):
            (tmp_path / name / f"{n}.jpg").touch()
        (tmp_path / name / "notes.txt").touch()
    chosen = _spread(tmp_path, 12)
    assert [sum(path.parent.name == name for path in chosen) for name in "abc"] == [4, 4, 4]
    assert len({*chosen}) == 12 and _spread(tmp_path, 12) == chosen
