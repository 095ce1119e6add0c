"""The race: what it costs, when it leaves the default, and what a promise may then be made of."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_lab.advice.challengers.base import Challenger, Cost, OutOfTimeError
from transfer_lab.advice.challengers.race import race
from transfer_lab.advice.clock import Clock
from transfer_lab.advice.listening import Silent
from transfer_lab.advice.measured import Gain, Gains, evidence
from transfer_lab.advice.promise.paired import Lead, paired_lead
from transfer_lab.advice.promise.resampling import OutOfFold, fold_masks

CLASSES = 4
COST = Cost(ready=1, fold=2, fit=3)
KNOWN = Gain(mean=0.0, spread=3.0)
"""What other data sets have shown of full fine-tuning, for these tests."""


@pytest.fixture(autouse=True)
def _shown(monkeypatch):
    always = {"level": 0.0, "slope": 0.0, "rest": 3.0, "least": 0.0, "most": 0.0}
    gains = {"full_finetune": Gains(**KNOWN.model_dump(), **always)}
    shown = evidence().model_copy(update={"gains": gains})
    monkeypatch.setattr("transfer_lab.advice.challengers.race.evidence", lambda: shown)


class Time:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Invented(Challenger):
    """Answers `share` of the photographs right, by chance; takes `slow` times what it foretells."""

    def __init__(self, labels, share, *, seed=0, cost=COST, slow=1.0, time=None, name="a"):
        super().__init__(name, "full_finetune", 160, {})
        self.labels, self._cost, self._slow, self._time = labels, cost, slow, time
        self.right = np.random.default_rng([99, seed]).random(len(labels)) < share
        self.asked: list[np.ndarray] = []

    def cost(self) -> Cost:
        return self._cost

    def image_steps(self, images):
        return images

    def make_ready(self, tick, seconds):
        self._spend(self._cost.ready, tick)

    def fit_predict(self, train, test, tick):
        self.asked.append(test)
        self._spend(self._cost.fold, tick)
        named = np.where(self.right, self.labels, (self.labels + 1) % CLASSES)[test]
        return np.eye(CLASSES)[named]

    def fit_all(self, tick):
        raise AssertionError("the race fits folds alone")

    def _spend(self, seconds, tick):
        for _ in range(100):
            tick(1)
            if self._time:
                self._time.now += self._slow * seconds / 100


def photographs(per_class=30):
    labels = np.repeat(np.arange(CLASSES), per_class)
    groups = np.arange(len(labels))
    return labels, groups, fold_masks(labels, groups, seed=3)


def default(labels, share, seed=0):
    right = np.random.default_rng([7, seed]).random((2, len(labels))) < share
    named = np.where(right, labels, (labels + 1) % CLASSES)
    return OutOfFold(np.eye(CLASSES)[named])


def run(entrants, *, share=0.7, seed=0, budget=1e9, time=None, per_class=30, listen=None):
    labels, groups, masks = photographs(per_class)
    clock = Clock(budget, time or Time())
    told = listen or Silent()
    return race(default(labels, share, seed), entrants, masks, labels, groups, clock, told)


def test_a_much_better_one_wins_and_its_answers_are_those_it_gave():
    labels = photographs()[0]
    best = Invented(labels, 0.95)
    outcome = run([best])
    assert outcome.winner is best
    assert outcome.lead.points >= 2 * outcome.lead.se > 0
    right = outcome.answers.logits[0].argmax(1) == labels
    np.testing.assert_array_equal(right, best.right)
    assert outcome.alternatives[0].state == "clearly better"


def test_the_default_is_left_for_the_largest_lead_that_is_left_without_luck():
    labels, groups, _ = photographs()
    default_right = default(labels, 0.7).logits[0].argmax(1) == labels
    entrants = [Invented(labels, share, name=str(share)) for share in (0.95, 0.85)]
    outcome = run(entrants)
    found = {}
    for entrant in entrants:
        lead = paired_lead(entrant.right, default_right, labels, groups)
        found[entrant] = lead.expected(KNOWN)
        assert 0 < found[entrant] < lead.points
    assert outcome.winner is max(found, key=found.get)
    assert outcome.winner.backbone == "0.95"


def test_choosing_by_what_is_to_be_expected_loses_less_than_waiting_for_two_standard_errors():
    """Over invented ways of which true leads are as far apart as those of other data sets: what is
    chosen is better in the mean than what a clear lead chooses, and than the default."""
    labels, known = photographs(20)[0], KNOWN
    draw, gained, waited, expected = np.random.default_rng(0), [], [], []
    for seed in range(400):
        true = draw.normal(known.mean, known.spread)
        one = Invented(labels, 0.7 + true / 100, seed=seed)
        outcome = run([one], seed=seed, per_class=20)
        (told,) = outcome.alternatives
        gained.append(true if outcome.winner else 0.0)
        waited.append(true if told.lead >= 2 * told.se else 0.0)
        if outcome.winner:
            expected.append(outcome.lead.expected(known) - true)
            clear = told.lead >= 2 * told.se
            assert told.state == ("clearly better" if clear else "likely better")
        else:
            assert told.state in ("not clearly better", "worse")
    assert np.mean(gained) > max(np.mean(waited), 0.0)
    assert abs(np.mean(expected)) < 1.0  # points: what is expected is what there is


def test_of_equals_the_default_is_seldom_left():
    labels = photographs()[0]
    switched = 0
    for seed in range(150):
        entrants = [Invented(labels, 0.7, seed=3 * seed + n, name=str(n)) for n in range(3)]
        switched += run(entrants, seed=seed).winner is not None
    assert switched <= 60


def test_a_lead_is_drawn_to_what_is_known_the_more_the_less_it_is_sure_of():
    known = Gain(mean=1.0, spread=2.0)
    assert Lead(9.0, 0.0).expected(known) == 9.0
    assert Lead(9.0, 2.0).expected(known) == pytest.approx(5.0)
    assert Lead(9.0, float("inf")).expected(known) == 1.0
    assert Lead(-3.0, 2.0).expected(known) == pytest.approx(-1.0)


@pytest.mark.parametrize("lead", [Lead(4.0, 3.0), Lead(-6.0, 2.0), Lead(0.5, 0.1), Lead(0.0, 8.0)])
def test_hope_is_what_whoever_may_still_turn_back_wins_on_average(lead):
    known = Gain(mean=-1.0, spread=3.0)
    draw = np.random.default_rng(0)
    gains = draw.normal(known.mean, known.spread, 1_000_000)
    # What is seen is one draw around the truth: truths are weighted by how well they explain it.
    likely = np.exp(-(((lead.points - gains) / lead.se) ** 2) / 2)
    mean = np.average(gains, weights=likely)
    assert lead.expected(known) == pytest.approx(mean, abs=0.03)
    assert lead.hope(known) == pytest.approx(
        np.average(np.maximum(gains, 0), weights=likely), abs=0.03
    )


def test_who_may_be_far_better_is_hoped_more_of_than_who_is_surely_as_good():
    known = Gain(mean=0.0, spread=3.0)
    unsure, surely = Lead(-1.0, 10.0), Lead(0.5, 0.5)
    assert unsure.expected(known) < surely.expected(known)
    assert unsure.hope(known) > surely.hope(known)
    assert Lead(2.0, 0.0).hope(known) == 2.0 and Lead(-2.0, 0.0).hope(known) == 0.0
    assert Lead(2.0, float("inf")).hope(known) == pytest.approx(3 / np.sqrt(2 * np.pi))


def test_answers_of_which_none_differ_are_no_certainty():
    """Of 24 photographs in a fold, as many are right as the default has, and the same ones."""
    labels, groups, masks = photographs()
    same = Invented(labels, 0.7, name="same")
    table = np.where(same.right, labels, (labels + 1) % CLASSES)
    given = OutOfFold(np.eye(CLASSES)[np.stack([table, table])])
    outcome = race(given, [same], masks, labels, groups, Clock(np.inf))
    (told,) = outcome.alternatives
    assert told.lead == 0 and told.se == pytest.approx(100 / len(labels))


def test_near_copies_are_no_evidence_of_their_own():
    labels, right = np.repeat([0, 1], 30), np.ones(60, bool)
    other = right.copy()
    other[:12] = False
    alone = paired_lead(right, other, labels, np.arange(60))
    together = paired_lead(right, other, labels, np.r_[np.zeros(12, int), np.arange(1, 49)])
    assert alone.points == together.points == pytest.approx(20)
    assert alone.is_clear and not together.is_clear


def test_classes_count_alike_however_many_photographs_they_have():
    labels = np.r_[np.zeros(90, int), np.ones(10, int)]
    right = np.r_[np.ones(90, bool), np.zeros(10, bool)]
    assert paired_lead(right, ~right, labels, np.arange(100)).points == pytest.approx(0)


def test_the_worse_half_goes_after_one_fold():
    labels = photographs()[0]
    shares = {"good": 0.9, "fair": 0.85, "poor": 0.6, "bad": 0.3}
    entrants = [Invented(labels, share, name=name) for name, share in shares.items()]
    outcome = run(entrants)
    assert {e.backbone: len(e.asked) for e in entrants} == {
        "good": 5,
        "fair": 5,
        "poor": 1,
        "bad": 1,
    }
    states = {one.backbone: one.state for one in outcome.alternatives}
    assert states["poor"] in ("dropped", "worse") and states["bad"] == "worse"
    tested_first = entrants[0].asked[0]
    assert not np.isin(tested_first, outcome.counted).any()
    assert len(outcome.counted) == len(labels) - len(tested_first)


def test_of_whom_next_to_nothing_is_to_be_hoped_goes_after_one_fold_too(monkeypatch):
    """What such ways have lost on photographs like these is worth more than one fold."""
    line = Gains(mean=0, spread=5, level=2, slope=0.4, rest=1.5, least=-40, most=10)
    shown = evidence().model_copy(update={"gains": {"full_finetune": line}})
    monkeypatch.setattr("transfer_lab.advice.challengers.race.evidence", lambda: shown)
    labels, groups, masks = photographs()
    for lead, folds in ((-30.0, 1), (5.0, 5)):
        one = Invented(labels, 0.75)
        race(
            *(default(labels, 0.75), [one], masks, labels, groups, Clock(np.inf)),
            earlier=Lead(lead, 5.0),
        )
        assert len(one.asked) == folds


def test_all_are_asked_about_the_defaults_folds():
    labels, _, masks = photographs()
    one = Invented(labels, 0.9)
    run([one])
    assert all((a == b).all() for a, (_, b) in zip(one.asked, masks[:5], strict=True))


def test_a_promise_after_a_switch_is_made_of_folds_that_did_not_choose():
    """Of equals the one that is chosen looks better than it is; what was chosen without each fold
    does not."""
    labels = photographs(12)[0]
    chosen, unused = [], []
    for seed in range(400):
        entrants = [Invented(labels, 0.7, seed=7 * seed + n, name=str(n)) for n in range(4)]
        outcome = run(entrants, seed=seed, per_class=12)
        if outcome.winner is not None:
            at = outcome.counted
            chosen.append((outcome.answers.logits[0, at].argmax(1) == labels[at]).mean())
            unused.append((outcome.unused.logits[0, at].argmax(1) == labels[at]).mean())
    assert len(chosen) >= 10
    assert np.mean(chosen) > 0.74
    assert np.mean(unused) < np.mean(chosen) - 0.01


def test_who_would_not_end_in_time_is_not_begun_and_says_what_it_would_take():
    labels, time = photographs()[0], Time()
    cheap = Invented(labels, 0.7, cost=Cost(1, 1, 1), time=time, name="cheap")
    dear = Invented(labels, 0.99, cost=Cost(10, 20, 25), time=time, name="dear")
    outcome = run([dear, cheap], budget=60, time=time)
    told = {one.backbone: one for one in outcome.alternatives}
    assert told["dear"].state == "no time" and told["dear"].lead is None
    assert told["dear"].fit_seconds == 35
    assert dear.asked == [] and len(cheap.asked) == 5


def test_time_that_is_kept_for_the_final_fit_is_not_raced_with():
    labels, time = photographs()[0], Time()
    one = Invented(labels, 0.9, cost=Cost(1, 2, 3), time=time)
    clock = Clock(20, time)
    clock.reserve(8, "final fit")
    groups, masks = photographs()[1:]
    outcome = race(default(labels, 0.7), [one], masks, labels, groups, clock)
    assert outcome.alternatives[0].state == "no time" and one.asked == []


@pytest.mark.parametrize("slow", [1.5, 3, 10])
def test_the_budget_is_kept_by_who_is_slower_than_foretold(slow):
    """Stopped within a fold if need be, with the time for the final fit left."""
    labels, time = photographs()[0], Time()
    one = Invented(labels, 0.99, cost=Cost(1, 10, 10), slow=slow, time=time)
    outcome = run([one], budget=62, time=time)
    assert outcome.winner is None and outcome.alternatives[0].state == "no time"
    assert time.now <= 62


def test_a_step_may_hear_that_time_is_up():
    labels, time = photographs()[0], Time()
    heard = []

    class Long(Invented):
        def fit_predict(self, train, test, tick):
            try:
                return super().fit_predict(train, test, tick)
            except OutOfTimeError:
                heard.append(time.now)
                raise

    run([Long(labels, 0.9, cost=Cost(0, 10, 1), slow=30, time=time)], budget=60, time=time)
    assert len(heard) == 1 and heard[0] == pytest.approx(60, abs=4)


def test_one_that_fails_is_out_and_the_others_go_on():
    labels, told = photographs()[0], []

    class Broken(Invented):
        def fit_predict(self, train, test, tick):
            raise ArithmeticError("the training loss is nan in epoch 1")

    class Listening(Silent):
        def say(self, text):
            told.append(text)

    best = Invented(labels, 0.95, name="best")
    outcome = run([Broken(labels, 0.9, name="broken"), best], listen=Listening())
    assert outcome.winner is best
    assert [one.state for one in outcome.alternatives] == ["failed", "clearly better"]
    assert "the training loss is nan" in told[0]


def test_nobody_to_race_with_leaves_the_default():
    outcome = run([])
    assert outcome.winner is None and outcome.alternatives == ()


def test_once_the_time_is_up_nobody_else_is_measured():
    labels, time = photographs()[0], Time()

    class Slow(Invented):
        def cost(self):
            time.now += 40
            return super().cost()

    first, second = (Slow(labels, 0.9, time=time, name=name) for name in "ab")
    outcome = run([first, second], budget=30, time=time)
    assert [one.backbone for one in outcome.alternatives] == ["a"]
    assert outcome.alternatives[0].state == "no time" and time.now == 40
