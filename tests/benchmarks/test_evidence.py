"""The evidence base: draws, records, constants and verdicts, on invented numbers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.evidence import constants, judged, measures, policies, report
from benchmarks.evidence.policies import DEFAULT, EARLY, advised
from benchmarks.evidence.records import Records, rounded
from benchmarks.evidence.tasks import TASKS, Task, further, images, named
from transfer_lab.advice.measured import Gains, evidence
from transfer_lab.data.letters import Latin


def a_draw(task="flowers", *, n=50, seed=0, cv=0.8, exponent=0.5, off=0.0):
    """A draw of a task whose error falls with that exponent; its truth is `off` what is promised by
    the shipped constants."""
    truth = 1 - (1 - cv) * 0.8 ** evidence().exponent().mean + off
    grown = [1 - (1 - truth) * g**-exponent for g in (2, 5)]
    return {
        "task": task,
        "n": n,
        "seed": seed,
        "classes": 5,
        "groups": n,
        "tested": 400,
        "cv": cv,
        "learnt": 0.8,
        "worth": float(n),
        "majority": 0.2,
        "truth": truth,
        "grown": grown,
        "true_accuracy": truth,
        "temperature": 1.0,
        "ece": 0.03,
        "ece_plain": 0.1,
        "open": [],
    }


@given(st.lists(st.integers(10, 60), min_size=2, max_size=6), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_draws_are_nested_in_proportion_and_leave_no_class_out(counts, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    sizes = [len(labels) // 3, 2 * len(labels) // 3]
    small, large = measures.nested_draws(labels, sizes, 5, seed)
    assert set(small) <= set(large) and len(set(large)) == len(large)
    for n, chosen in zip(sizes, (small, large), strict=True):
        held = np.bincount(labels[chosen], minlength=len(counts))
        assert (held >= 5).all() and len(chosen) >= n
        exact = np.array(counts) * n / len(labels)
        assert (np.abs(held - exact)[exact >= 6] <= 6).all()


def test_mean_recall_counts_classes_alike_and_leaves_out_those_without_images():
    labels = np.array([0, 0, 0, 2])
    assert measures.mean_recall(np.array([0, 0, 1, 2]), labels) == pytest.approx((2 / 3 + 1) / 2)


def test_probabilities_that_come_true_are_calibrated_and_a_temperature_can_undo_that():
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 2, (20000, 4))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (shares.cumsum(1) < draw.random((20000, 1))).sum(1)
    assert measures.calibration_error(logits, labels) < 0.015
    assert measures.calibration_error(logits, labels, 0.25) > 0.1
    assert measures.calibration_error(logits * 3, labels, 3.0) < 0.015


def test_what_is_recorded_is_not_measured_again(tmp_path):
    records, asked = Records(tmp_path / "new" / "draws.jsonl"), []

    def jobs(count):
        for seed in range(count):
            yield (
                {"task": "a", "n": 3, "seed": seed},
                lambda seed=seed: asked.append(seed) or {"value": np.float64(seed) / 3},
            )

    assert records.fill(jobs(2), seconds=60) == 2
    assert records.fill(jobs(3), seconds=60) == 1
    assert asked == [0, 1, 2]
    assert [record["value"] for record in records] == [0, 0.33333, 0.66667]
    assert records.fill(jobs(9), seconds=-1) == 0


def test_numbers_of_numpy_are_written_as_numbers():
    assert rounded({"a": [np.int64(3), 0.123456789]}) == {"a": [3, 0.12346]}


@pytest.mark.parametrize("true", [0.2, 0.6])
def test_the_exponent_of_a_task_is_found(true):
    found = [a_draw(n=n, cv=cv, exponent=true) for n, cv in ((40, 0.6), (80, 0.7))]
    assert constants.exponent_of(found) == pytest.approx(true)


@pytest.mark.parametrize("true", [1.0, 1.5])
def test_how_much_more_leads_vary_than_their_errors_say_is_found(true):
    draw = np.random.default_rng(0)
    found = {
        task: [
            a_draw(task, n=n, seed=seed) | {"lead": 5 + true * 2 * draw.normal(), "lead_se": 2.0}
            for n in (40, 80)
            for seed in range(200)
        ]
        for task in ("flowers", "pacs_art")
    }
    assert constants.lead_dependence(found) == pytest.approx(true, rel=0.07)


def test_leads_that_vary_less_than_their_errors_say_are_taken_as_they_are():
    same = [a_draw(seed=seed) | {"lead": 5.0, "lead_se": 2.0} for seed in range(3)]
    assert constants.lead_dependence({"flowers": same}) == 1
    assert constants.lead_dependence({"flowers": same[:1]}) is None
    assert constants.lead_dependence({"flowers": [a_draw(), a_draw(seed=1)]}) is None


def test_without_larger_draws_there_is_no_exponent():
    assert constants.exponent_of([a_draw() | {"grown": []}]) is None


def test_a_law_is_the_mean_over_data_sets_and_their_spread():
    law = constants.law([0.2, 1.0])
    assert law.mean == pytest.approx(0.6) and law.spread == pytest.approx(math.sqrt(0.32))
    assert constants.law([0.3, 0.32]).spread == pytest.approx(0.31 / 2)


def test_intervals_are_made_as_wide_as_the_tuning_sets_need():
    near = [a_draw(seed=seed) for seed in range(90)]
    far = [a_draw(seed=seed, off=0.12) for seed in range(90, 100)]
    further = [a_draw(seed=seed, off=-0.12) for seed in range(100, 110)]
    calm = constants.as_wide_as_needed(evidence(), near)
    assert calm.dependence == 1
    wide = constants.as_wide_as_needed(evidence(), near + far + further)
    assert 1 < wide.dependence < 3
    ratio = evidence().dependence_after_switch / evidence().dependence
    assert wide.dependence_after_switch == pytest.approx(ratio * wide.dependence, abs=0.05)


def test_a_draw_is_judged_by_the_formulas_of_the_advice():
    one = judged.judged(a_draw(off=0.02, exponent=evidence().exponent().mean), evidence())
    assert one.value - one.truth == pytest.approx(-2)
    assert one.covered and not one.disappoints
    assert one.gains[0][0] == pytest.approx(one.gains[0][1], abs=0.6)
    far = judged.judged(a_draw(off=-0.2), evidence())
    assert far.disappoints and not far.covered
    table = judged.row("both", [one, far])
    assert (table.coverage, table.below, table.bias) == (50, 50, pytest.approx(9))


def test_what_other_ways_gain_is_told_of_draws_by_regime_and_by_the_lead_of_an_earlier_stage():
    truths = [
        {DEFAULT: 0.7, "full_finetune lite0 160": full, "linear_probe lite1 240": 0.72, EARLY: 0.9}
        for full in (0.68, 0.70, 0.76, 0.74)
    ]
    records = [
        {"task": task, "truths": one, "earlier": [lead, 3.0]}
        for task, one, lead in zip("abcd", truths, (-20.0, -10.0, 0.0, 0.0), strict=True)
    ]
    found = constants.gains(records)
    assert found.keys() == {"full_finetune", "linear_probe"}
    full = found["full_finetune"]
    assert full.mean == pytest.approx(2)
    assert full.spread == pytest.approx(math.sqrt(40 / 3 * 5 / 4), abs=0.01)
    # y = -2, 0, 6, 4 at x = -20, -10, 0, 0: slope 80 / 275 = 0.364 around (-7.5, 2).
    assert (full.slope, full.level) == pytest.approx((0.364, 4.727), abs=1e-3)
    assert full.rest == pytest.approx(math.sqrt((40 - 100**2 / 275) / 2 * 1.5), abs=0.01)
    assert (full.least, full.most) == (-20, 0)
    assert found["linear_probe"].mean == pytest.approx(2)
    assert constants.gains(records[:2]) == {}


def test_the_choice_of_a_draw_is_what_the_race_would_choose_of_those_that_ended():
    leads = {
        "full_finetune lite0 160": ["dropped", 30.0, 9.0],
        "partial_finetune lite0 160": ["not clearly better", 9.0, 0.5],
        "linear_probe lite1 240": ["not clearly better", 5.0, 0.5],
    }
    known = {"task": "letters", "earlier": [-10.0, 4.0]}
    assert advised(known | {"leads": leads}) == "partial_finetune lite0 160"
    for state, points, se in (("no time", None, None), ("worse", -5.0, 1.0)):
        alone = {"full_finetune lite0 160": [state, points, se]}
        assert advised(known | {"leads": alone}) == DEFAULT


def test_where_an_earlier_stage_tells_as_much_the_same_lead_is_believed_sooner(monkeypatch):
    line = Gains(mean=0, spread=5, level=4, slope=0.25, rest=3, least=-40, most=10)
    shown = evidence().model_copy(update={"gains": {"full_finetune": line}})
    monkeypatch.setattr(policies, "evidence", lambda: shown)
    known = {"task": "letters", "leads": {"full_finetune lite0 160": ["likely better", 2.0, 5.0]}}
    assert advised(known | {"earlier": [5.0, 4.0]}) == "full_finetune lite0 160"
    assert advised(known | {"earlier": [-25.0, 4.0]}) == DEFAULT
    # A task of which there are constants that it had no part in is chosen for by these.
    lower = line.model_copy(update={"level": -9})
    sober = shown.model_copy(update={"gains": {"full_finetune": lower}})
    ours = {"letters": sober, "digits": shown}
    assert advised(known | {"earlier": [5.0, 4.0]}, ours) == DEFAULT


def test_a_tuning_task_is_judged_by_the_constants_of_the_others():
    steep = {"flowers": 0.2, "pacs_art": 0.4, "pacs_photo": 0.6}
    assert report._without("flowers", steep).exponent().mean == pytest.approx(0.5)
    assert report._without("letters", steep) == evidence()


def test_regret_is_what_a_choice_is_behind_the_best_one():
    truths = {
        "linear_probe lite0 224": 0.7,
        "partial_finetune lite0 160": 0.8,
        "full_finetune lite0 160": 0.75,
        "linear_probe, a stage earlier": 0.5,
    }
    leads = {"partial_finetune lite0 160": ["clearly better", 20.0, 1.0]}
    record = {"task": "letters", "leads": leads, "truths": truths, "earlier": [0.0, 4.0]}
    found = {one.name: one.mean for one in policies.regrets([record])}
    assert found == pytest.approx(
        {
            "the advice": 0,
            "always the probe": 10,
            "always partial fine-tuning": 0,
            "always full fine-tuning": 5,
            "rule of Analytics Vidhya": 0,
            "rule of CS231n": 30,
        }
    )
    assert policies.regrets([]) == []


def a_race(task="letters", *, said=10.0, took=10.0):
    """A draw on which the probe was kept and partial fine-tuning is 10 points better."""
    truths = {
        "linear_probe lite0 224": 0.7,
        "partial_finetune lite0 160": 0.8,
        "full_finetune lite0 160": 0.75,
        "linear_probe, a stage earlier": 0.5,
    }
    seconds = {"ready": [1.0, 2.0], "fit": [4.0, took - 2.0], "said": said}
    return {
        "task": task,
        "n": 100,
        "seed": 0,
        "earlier": [-20.0, 4.0],
        "leads": {"partial_finetune lite0 160": ["not clearly better", -1.0, 4.0]},
        "truths": truths,
        "seconds": {"partial_finetune lite0 160": seconds},
    }


def test_a_training_is_foretold_if_what_is_said_is_near_what_it_takes():
    (partial, every) = policies.speeds([a_race(said=12), a_race(said=20), a_race(took=5)])
    assert (partial.name, every.name) == ("partial_finetune lite0 160", "all")
    assert every.trainings == 3 and every.within == pytest.approx(1 / 3)
    assert every.said == 2 and every.before == pytest.approx(0.5)


def test_the_report_says_of_each_task_what_the_decision_loses(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "SHIPPED", tmp_path / "evidence.json")
    races = Records(tmp_path / "regimes.jsonl")
    for task, said in (("letters", 11.0), ("textures", 20.0)):
        races.add(a_race(task, said=said))
    report.write(tmp_path)
    text = (tmp_path / "report.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    times = next(line for line in lines if "predicted time of a training" in line)
    assert "50 % of 2 trainings" in times and "not met" in times
    (letters,) = (line for line in lines if line.startswith("| letters | 1 |"))
    assert letters.split("|")[3:7] == [" 10.0 ", " 10.0 ", " 10.0 ", " 0.0 "]


def test_the_report_says_what_was_met(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "SHIPPED", tmp_path / "evidence.json")
    probes = Records(tmp_path / "probes.jsonl")
    for seed in range(20):
        for task in TASKS[:8]:
            probes.add(a_draw(task.name, seed=seed, off=0.06 if task.name == "dtd" else 0.0))
    probes.add(a_draw("dtd", seed=99) | {"open": ["promise"]})
    shuffled = Records(tmp_path / "shuffled.jsonl")
    for seed in range(40):
        shuffled.add({"task": "dtd", "n": 120, "seed": seed, "abstained": seed > 5})
    report.write(tmp_path)
    text = (tmp_path / "report.md").read_text()
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    assert "not met" in lines["bias of a task"] and "dtd: -6" in lines["bias of a task"]
    assert "| met" in lines["truth below its lower end"]
    assert "34 of 40" in lines["shuffled labels: nothing is recommended"]
    assert "not met" in lines["shuffled labels: nothing is recommended"]
    assert "1 more draws" in text
    page = (tmp_path / "index.html").read_text()
    assert (
        "Does the advice keep what it promises?" in page and "https:" not in page.split("<body")[0]
    )
    assert (tmp_path / "evidence.json").exists()


def test_the_report_tells_few_images_from_many(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "SHIPPED", tmp_path / "evidence.json")
    probes = Records(tmp_path / "probes.jsonl")
    for seed in range(3):
        probes.add(a_draw("dtd", n=43, seed=seed, off=0.06))
        probes.add(a_draw("dtd", n=320, seed=seed, off=-0.02))
    report.write(tmp_path)
    _, by_size = (tmp_path / "report.md").read_text().split("by how many images a draw has")
    assert "| dtd | -6.0 |  |  | +2.0 |" in by_size


def test_rendered_tasks_are_files_in_class_folders_and_written_once(tmp_path):
    (digits,) = named(["digits"])
    found = images(digits, tmp_path, tmp_path)
    assert len(found.paths) == len(found.labels) == 1200
    assert found.classes == tuple("0123456789")
    assert all(path.parent.name == found.classes[n] for path, n in zip(*found[:2], strict=True))
    before = found.paths[0].stat().st_mtime_ns
    assert images(digits, tmp_path, tmp_path).paths == found.paths
    assert found.paths[0].stat().st_mtime_ns == before


def test_further_images_are_none_of_those_that_are_drawn_from(tmp_path):
    (digits,) = named(["digits"])
    drawn, more = images(digits, tmp_path, tmp_path), further(digits, tmp_path, tmp_path)
    assert more.classes == drawn.classes and len(more.paths) == len(more.labels) == 597
    assert not set(more.paths) & set(drawn.paths)
    assert all(path.parent.name == more.classes[n] for path, n in zip(*more[:2], strict=True))


def test_a_rendered_task_goes_on_with_images_that_are_rendered_anew(tmp_path):
    def some(seed: int) -> Latin:
        return Latin(12, letters="AB", train_per_class=3, test_per_class=1, render_seed=seed)

    task = Task("few", render=lambda: some(0), again=lambda: some(1), most=6)
    drawn, more = images(task, tmp_path, tmp_path), further(task, tmp_path, tmp_path)
    assert (len(drawn.paths), len(more.paths)) == (6, 10)
    contents = {path.read_bytes() for path in (*drawn.paths, *more.paths)}
    assert len(contents) == 16


def test_a_set_that_is_not_there_is_named(tmp_path):
    (flowers,) = named(["flowers"])
    with pytest.raises(FileNotFoundError, match="flowers160"):
        images(flowers, tmp_path, tmp_path)


def test_constants_are_tuned_on_no_set_that_judges():
    assert {task.name for task in TASKS if task.tuning} == report.TUNING
    assert not report.TUNING & report.JUDGING
    assert set(evidence().tuned_on) <= report.TUNING
