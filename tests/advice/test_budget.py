"""What an advice may take, by a clock that goes on as the test says: whatever was foretold."""

from __future__ import annotations

import pytest

from tests.advice.bands import CLASSES, draw_bands, write_network
from tests.advice.test_race import Invented, Time
from transfer_lab.advice import advise as module
from transfer_lab.advice.advise import advise
from transfer_lab.advice.challengers.base import Cost
from transfer_lab.advice.clock import Clock

LOOKING, MEASURING, WRITING = 10.0, 1.0, 3.0
FORETOLD = {96: Cost(1, 1, 1), 128: Cost(2, 8, 10), 160: Cost(5, 20, 25)}
"""Of ways at these sizes."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("place")
    draw_bands(root / "photos", per_class=15)
    return root, write_network(root)


@pytest.fixture
def advised(place, monkeypatch):
    """An advice, and the seconds that it took, where ways take `slow` times what they foretell."""
    root, network = place

    class Measured(Invented):
        def cost(self):
            self._time.now += MEASURING
            return super().cost()

        def fit_predict(self, train, test, tick):
            return super().fit_predict(train, test, tick)[:, : len(CLASSES)]

    def take(budget, slow):
        time = Time()

        def field(photographs):
            labels, found = photographs.labels, []
            for size, cost in FORETOLD.items():
                name = photographs.network.name
                one = Measured(labels, 0.95, seed=size, cost=cost, slow=slow, time=time, name=name)
                one.image_size = size
                found.append(one)
            return found

        def look(*args, seconds, work=module.extract, **options):
            time.now += min(LOOKING, seconds)
            return work(*args, **options)

        def answer(*known, work=module.answered):
            time.now += WRITING
            return work(*known)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "Clock", lambda seconds: Clock(seconds, time, time))
            patch.setattr(module, "extract", look)
            patch.setattr(module, "answered", answer)
            patch.setattr("transfer_lab.advice.challengers.field.challengers", field)
            found = advise(root / "photos", backbone=network, budget=budget)
        return found.advice, time.now

    return take


@pytest.mark.parametrize("slow", [1, 3, 40])
@pytest.mark.parametrize("budget", [20, 45, 90, 300, None])
def test_it_is_never_exceeded_by_more_than_a_tenth(advised, budget, slow):
    advice, seconds = advised(budget, slow)
    assert seconds <= 1.1 * (budget or 90)  # what a few photographs get
    assert advice.recommendation is not None or advice.abstentions


def test_the_time_is_used_where_what_was_foretold_comes_true(advised):
    advice, seconds = advised(300, 1)
    assert advice.recommendation.left_default and seconds > 80
    assert "no time" not in {one.state for one in advice.alternatives}


def test_who_is_slower_than_foretold_is_stopped(advised):
    advice, _ = advised(90, 40)
    states = {one.image_size: one.state for one in advice.alternatives}
    assert states[160] == states[128] == "no time"
