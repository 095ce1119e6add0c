"""From photographs to an advice: end to end, on photographs that the lab renders."""

import shutil
import time

import numpy as np
import pytest

from tests.advice.scenes import FIVE, draw_scenes, has_weights
from transfer_lab.advice import advise as module
from transfer_lab.advice.advice import Advice
from transfer_lab.advice.advise import advise
from transfer_lab.advice.album.album import RefusedError
from transfer_lab.advice.clock import Clock
from transfer_lab.advice.listening import Silent

pytestmark = has_weights
NAMES = FIVE[:3]


class Heard(Silent):
    """What it was told."""

    def __init__(self):
        self.said, self.steps = [], []

    def step(self, name, expected_seconds):
        self.steps.append(name)

    def say(self, text):
        self.said.append(text)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw_scenes(tmp_path_factory.mktemp("photos"), per_class=20, names=NAMES)


@pytest.fixture(scope="module")
def session(photos, cache):
    return advise(photos, budget=0, cache=cache)


def same_advice(first: Advice, second: Advice) -> bool:
    """But for where the photographs lie and how they are called, and what it took."""

    def known(advice: Advice) -> dict:
        flags = [(flag.kind, flag.text, len(flag.paths)) for flag in advice.flags]
        left_out = {"cost": True, "flags": True, "data": {"root", "unreadable"}}
        return advice.model_dump(exclude=left_out) | {"flags": flags}

    return known(first) == known(second)


def test_an_advice_says_what_to_do_and_what_to_expect(session):
    advice = session.advice
    assert advice.recommendation.regime == "linear_probe" and not advice.recommendation.left_default
    promise = advice.promise
    assert 0.4 < promise.low < promise.value < promise.high <= 1 and promise.level == 0.9
    assert [more.factor for more in advice.more_images] == [2, 5]
    assert all(more.value >= promise.value for more in advice.more_images)
    assert np.array(advice.confusion).sum() == 60
    assert [one.name for one in advice.per_class] == list(NAMES)
    assert advice.cost.bytes > 10e6 and advice.cost.predict_s_per_image > 0
    assert advice.data.images == 60 and advice.data.classes == NAMES
    assert session.oof.logits.shape == (2, 60, 3) and session.features.shape == (60, 1280)


def test_it_is_written_and_read_as_it_was(session):
    text = session.advice.model_dump_json(by_alias=True)
    assert Advice.model_validate_json(text) == session.advice and '"schema":1' in text


def test_names_and_places_of_files_change_nothing(session, photos, cache, tmp_path):
    draw = np.random.default_rng(4)
    for path in photos.rglob("*.jpg"):
        below = tmp_path / path.parent.name / draw.choice(["", "a", "b/c"])
        below.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, below / f"{draw.integers(10**9)}.jpeg")
    assert same_advice(advise(tmp_path, budget=0, cache=cache).advice, session.advice)


def test_a_cache_changes_nothing(session, photos):
    assert same_advice(advise(photos, budget=0, cache=None).advice, session.advice)


def test_a_table_of_labels_gives_the_same_advice(session, photos, cache, tmp_path):
    lines = [f"{path},{path.parent.name}" for path in sorted(photos.rglob("*.jpg"))]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *lines]))
    found = advise(tmp_path / "labels.csv", budget=0, cache=cache)
    assert same_advice(found.advice, session.advice)


def test_a_broken_file_is_set_aside_and_nothing_else_changes(session, photos, cache, tmp_path):
    shutil.copytree(photos, tmp_path, dirs_exist_ok=True)
    (tmp_path / NAMES[1] / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    found = advise(tmp_path, budget=0, cache=cache).advice
    assert found.data.unreadable == (f"{NAMES[1]}/torn.jpg",)
    assert found.promise == session.advice.promise and found.per_class == session.advice.per_class
    assert "1 unreadable" in {flag.text for flag in found.flags}


def test_a_first_answer_comes_before_anything_is_compared(photos, session, cache):
    heard = Heard()
    found = advise(photos, budget=8, cache=cache, listen=heard)  # too short for a comparison
    assert len(heard.said) == 1 and "of 100 new photos right" in heard.said[0]
    assert found.advice.alternatives == () and found.advice.recommendation is not None
    assert heard.steps == ["reading", "checking", "comparing"]


def test_a_test_part_that_is_unlike_is_told_and_one_that_is_learnt_from(
    photos, cache, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "_race", lambda *_: None)
    shutil.copytree(photos, tmp_path / "train")
    # Of photographs that are learnt from under a wrong name, none is right.
    for name, shown in zip(NAMES, (*NAMES[1:], NAMES[0]), strict=True):
        (tmp_path / "test" / name).mkdir(parents=True)
        for path in sorted((photos / shown).iterdir())[:6]:
            shutil.copy(path, tmp_path / "test" / name)
    flags = [f for f in advise(tmp_path, cache=cache).advice.flags if f.kind == "own_test"]
    copies, unlike = sorted(flags, key=lambda flag: "unlike" in flag.text)
    assert "18 of 18 photos of your test part are near-copies" in copies.text
    assert "is unlike the rest: 0 of 100 right there" in unlike.text and len(unlike.paths) == 18


def test_a_test_part_like_the_rest_is_no_matter(photos, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_race", lambda *_: None)
    shutil.copytree(photos, tmp_path / "train")
    draw_scenes(tmp_path / "test", per_class=5, first=700, names=NAMES)
    found = advise(tmp_path, cache=cache).advice
    assert found.data.images == 60
    assert "own_test" not in {flag.kind for flag in found.flags}


class Slow:
    """A clock that runs ahead so many seconds whenever it is asked."""

    def __init__(self, step: float):
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_photographs_that_there_was_no_time_for_are_said_to_be_left_out_and_trained_on(
    photos, monkeypatch
):
    monkeypatch.setattr("transfer_lab.backbones.frozen.FrozenPrefix.batch_size", lambda *_: 8)
    real = module.extract
    monkeypatch.setattr(module, "_race", lambda *_: None)
    monkeypatch.setattr(
        module, "extract", lambda *a, seconds, **k: real(*a, **k, seconds=min(seconds, 1e-6))
    )
    found = advise(photos, cache=None)
    assert found.advice.data.images == 8
    flags = {flag.kind: flag.text for flag in found.advice.flags}
    assert flags["not_reached"].startswith("52 of 60 photos were not looked at")
    assert found.advice.promise is None
    monkeypatch.setattr(module, "extract", real)
    whole = found.complete()
    assert len(whole.album.photos) == len(whole.features) == 60
    assert whole.advice is found.advice and whole.complete() is whole
    assert found.advice.data.content_hash == whole.album.content_hash


def test_a_budget_that_is_too_short_for_every_class_says_how_long_it_takes(photos, monkeypatch):
    monkeypatch.setattr("transfer_lab.backbones.frozen.FrozenPrefix.batch_size", lambda *_: 2)
    real = module.extract
    monkeypatch.setattr(module, "extract", lambda *a, seconds, **k: real(*a, **k, seconds=0))
    with pytest.raises(RefusedError, match=r"there was time for 2 of 60 .* --budget"):
        advise(photos, cache=None)


def test_the_time_of_what_must_come_is_kept():
    now = Slow(0)
    clock = Clock(100, now)
    assert clock.left == 100 and clock.elapsed == 0
    clock.reserve(30, "writing")
    clock.reserve(20, "writing")
    now.now = 50
    assert clock.elapsed == 50 and clock.left == 30
    clock.release("writing")
    assert clock.left == 50
    now.now = 300
    assert clock.left == 0


def test_a_busy_machine_is_known_by_the_work_that_it_lets_through():
    now = Slow(0)
    work = Slow(0)
    clock = Clock(100, now, work)
    assert clock.slowness == 1
    now.now, work.now = 12, 4
    assert clock.slowness == 3
    work.now = 24  # of two processors
    assert clock.slowness == 1


@pytest.mark.slow
def test_a_budget_is_kept_to_a_tenth(photos, cache):
    budget, start = 40.0, time.monotonic()
    found = advise(photos, budget=budget, cache=cache)
    assert time.monotonic() - start <= 1.1 * budget
    assert found.advice.recommendation is not None


def test_groups_of_the_owner_are_tested_together(photos, cache, tmp_path):
    for path in photos.rglob("*.jpg"):
        place = tmp_path / path.parent.name / f"site{int(path.stem) % 4}"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    with pytest.raises(RefusedError, match="--group-by folder"):
        advise(tmp_path, budget=0, cache=cache)
    found = advise(tmp_path, budget=0, cache=cache, group_by="folder")
    assert found.advice.data.groups == 4 and found.advice.promise is None
    assert found.advice.abstentions[0].question == "promise"
