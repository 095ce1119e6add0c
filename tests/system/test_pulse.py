"""How far a worker is gets through a small file, now and then, and costs nothing if it cannot."""

import copy
import time

import pytest

from transfer_lab.system import pulse
from transfer_lab.system.pulse import Beat, beating, heard


@pytest.fixture
def path(tmp_path):
    return tmp_path / "beat"


def through(batches, epochs):
    for _ in range(epochs):
        for _ in batches:
            pass


def test_what_is_told_is_heard_and_keeps_its_share(path):
    assert heard(path) is None
    with beating(path):
        pulse.tell("images", 0.25)
        assert heard(path) == Beat("images", 0.25)
        pulse.tell("testing")
        assert heard(path) == Beat("testing", 0.25)


def test_a_shorter_beat_leaves_nothing_of_a_longer_one(path):
    with beating(path):
        pulse.tell("looking at a domain of a rather long name")
        pulse.tell("x")
    assert heard(path) == Beat("x", None)


def test_epochs_are_counted_over_the_phases_of_a_fit(path, monkeypatch):
    monkeypatch.setattr(pulse, "_SECONDS_BETWEEN", 0.0)
    with beating(path):
        pulse.expect(12)
        through(pulse.followed([1, 2]), 4)
        batches = pulse.followed([1, 2])
        through(batches, 2)
        next(iter(batches))
        assert heard(path) == Beat("epoch 7 of 12", 0.5)


def test_within_a_long_epoch_the_share_moves(path, monkeypatch):
    monkeypatch.setattr(pulse, "_SECONDS_BETWEEN", 0.0)
    with beating(path):
        pulse.expect(2)
        batches = iter(pulse.followed(range(4)))
        next(batches), next(batches), next(batches)
        assert heard(path) == Beat("epoch 1 of 2", 0.25)


def test_trials_are_parts_of_the_whole_and_a_cap_promises_nothing(path, monkeypatch):
    monkeypatch.setattr(pulse, "_SECONDS_BETWEEN", 0.0)
    with beating(path):
        pulse.part(3, 4)
        pulse.expect(2)
        through(pulse.followed([1]), 1)
        next(iter(pulse.followed([1])))
        assert heard(path) == Beat("fit 3 of 4, epoch 2 of 2", 0.625)
        pulse.part(1, 1)
        pulse.expect(200, capped=True)
        next(iter(pulse.followed([1])))
        assert heard(path).doing == "epoch 1 of at most 200"


def test_beats_are_no_more_than_a_few_a_second(path):
    with beating(path):
        pulse.expect(1000)
        through(pulse.followed([1, 2, 3]), 900)
        assert heard(path).doing == "epoch 1 of 1000"


def test_without_anybody_who_follows_batches_are_what_they_were():
    batches = [1, 2]
    assert pulse.followed(batches) is batches


def test_batches_are_the_same_and_in_the_same_order(path):
    with beating(path):
        followed = pulse.followed([3, 1, 2])
        assert len(followed) == 3
        assert [list(followed), list(followed)] == [[3, 1, 2], [3, 1, 2]]


def test_followed_batches_have_what_their_loader_has(path):
    class Loader(list):
        dataset = "images"

    with beating(path):
        followed = pulse.followed(Loader([1]))
        assert followed.dataset == "images"
        with pytest.raises(AttributeError, match="sampler"):
            _ = followed.sampler
        assert list(copy.copy(followed)) == [1]


def test_a_folder_that_is_elsewhere_stops_no_work(tmp_path):
    with beating(tmp_path / "absent" / "beat"):
        pulse.expect(1)
        assert list(pulse.followed([1])) == [1]
        pulse.tell("testing")


def test_following_costs_less_than_two_microseconds_a_step(path):
    def seconds(batches):
        start = time.process_time()
        through(batches, 20)
        return time.process_time() - start

    plain = list(range(5000))
    with beating(path):
        pulse.expect(20)
        followed = pulse.followed(plain)
        extra = min(seconds(followed) - seconds(plain) for _ in range(5))
    assert extra / (20 * 5000) < 2e-6


def curve(epochs):
    rows = range(1, epochs + 1)
    validated = [0.25 if epoch % 10 == 0 else None for epoch in rows]
    return {"epoch": list(rows), "train_loss": [1 / e for e in rows], "val_loss": validated}


def test_curves_are_left_beside_the_beats_and_of_which_fit_they_are(path):
    with beating(path):
        pulse.part(2, 4)
        pulse.draw(lambda: [curve(3), curve(2)])
        found = pulse.drawn(path)
    assert (found.part, found.parts) == (2, 4)
    assert found.lines == (curve(3), curve(2))


def test_curves_are_asked_for_once_a_second_at_most(path, monkeypatch):
    now, asked = [100.0], []
    monkeypatch.setattr(pulse.time, "monotonic", lambda: now[0])
    with beating(path):
        for _ in range(1000):
            pulse.draw(lambda: asked.append(now[0]) or [])
            now[0] += 0.01
    assert len(asked) == 10


def test_a_long_curve_is_thinned_and_keeps_its_validations_and_its_end(path):
    with beating(path):
        pulse.draw(lambda: [curve(20_007)])
        (line,) = pulse.drawn(path).lines
    assert line["epoch"][-1] == 20_007
    assert 500 <= sum(value is not None for value in line["val_loss"]) < 560
    assert len(line["epoch"]) < 1100
    assert line["train_loss"] == [1 / epoch for epoch in line["epoch"]]


def test_what_is_no_number_is_a_gap_and_what_is_no_curve_is_none(path):
    assert pulse.drawn(path) is None
    with beating(path):
        pulse.draw(lambda: [{"epoch": [1, 2], "train_loss": [1.0, float("nan")]}])
    assert pulse.drawn(path).lines[0]["train_loss"] == [1.0, None]
    pulse.curves_beside(path).write_text('{"part": 1, "parts": 1, "lines": [3]}')
    assert pulse.drawn(path) is None


def test_what_is_done_meanwhile_is_told_and_afterwards_what_was_done_before(path):
    with beating(path):
        pulse.tell("looking at regimes: mine")
        with pytest.raises(ValueError), pulse.telling("importing own.py"):
            assert heard(path).doing == "importing own.py"
            raise ValueError
        assert heard(path).doing == "looking at regimes: mine"
    with pulse.telling("importing own.py"):
        pass


def test_without_a_listener_nothing_is_asked_for():
    pulse.draw(lambda: pytest.fail("nobody listens"))
