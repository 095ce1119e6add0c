"""The sign by which fine-tuning is known to gain: a stage earlier tells as much as the last."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from transfer_lab.advice.challengers.base import OutOfTimeError
from transfer_lab.advice.challengers.earlier import earlier_lead
from transfer_lab.advice.measured import Gains

CLASSES = 3


class Invented:
    """Photographs of which the two stages tell their class, each as clearly as it is said."""

    def __init__(self, *, earlier: float, last: float, per_class: int = 40, stages: int = 5):
        draw = np.random.default_rng(0)
        self.labels = np.repeat(np.arange(CLASSES), per_class)
        self.classes, self.seed = tuple("abc"), 0
        self.network = SimpleNamespace(image_size=224)
        self._stages, self.asked = stages, np.arange(0)
        noise = draw.normal(size=(2, len(self.labels), 60))
        noise[:, np.arange(len(self.labels)), self.labels] += np.array([[earlier], [last]])
        self._earlier, self._last = noise

    def backbone(self, network):
        return SimpleNamespace(stages=[None] * self._stages)

    def features(self, network, size):
        assert network is self.network and size == 224
        return self._last

    def features_a_stage_earlier(self, rows, *, listen, seconds):
        if seconds < 1:
            raise OutOfTimeError("too slow")
        self.asked = rows
        return self._earlier[rows]


def alone(photographs: Invented) -> np.ndarray:
    return np.arange(len(photographs.labels))


@pytest.mark.parametrize(("earlier", "last", "sign"), [(6, 0, 1), (0, 6, -1)])
def test_the_stage_that_tells_more_is_ahead(earlier, last, sign):
    found = Invented(earlier=earlier, last=last)
    lead = earlier_lead(found, alone(found))
    assert sign * lead.points > 40 and sign * lead.points > 5 * lead.se


def test_stages_that_tell_the_same_are_level():
    found = Invented(earlier=2, last=2)
    found._earlier = found._last
    assert earlier_lead(found, alone(found)).points == 0


def test_no_photograph_is_named_by_a_head_that_has_seen_a_near_copy_of_it():
    """Twins of noise: whoever had learnt the one would name the other."""
    found = Invented(earlier=0, last=6, per_class=20)
    found.labels = np.repeat(found.labels, 2)
    found._earlier, found._last = (np.repeat(x, 2, axis=0) for x in (found._earlier, found._last))
    divided = earlier_lead(found, np.arange(120)).points
    together = earlier_lead(found, np.repeat(np.arange(60), 2)).points
    assert together < divided - 15


def test_of_very_many_photographs_a_part_is_asked_whole_groups_and_all_classes():
    found = Invented(earlier=2, last=2, per_class=500)
    found._earlier, groups = found._last, np.repeat(np.arange(300), 5)
    assert earlier_lead(found, groups).points == 0
    assert 300 <= len(found.asked) <= 400
    assert np.bincount(found.labels[found.asked]).min() > 100
    held = np.bincount(groups[found.asked])
    assert set(held[held > 0]) == {5}


def test_of_one_stage_or_without_time_nothing_is_known():
    one, slow = Invented(earlier=1, last=1, stages=1), Invented(earlier=1, last=1)
    assert earlier_lead(one, alone(one)) is None
    assert earlier_lead(slow, alone(slow), seconds=0.5) is None


def test_what_is_expected_follows_the_line_as_far_as_it_was_seen():
    line = Gains(mean=-1, spread=5, level=3, slope=0.2, rest=4, least=-30, most=10)
    assert line.expected(None).mean == -1 and line.expected(None).spread == 5
    assert line.expected(-20.0).mean == pytest.approx(-1) and line.expected(-20.0).spread == 4
    assert line.expected(-90.0) == line.expected(-30.0)
    assert line.expected(90.0).mean == pytest.approx(5)
