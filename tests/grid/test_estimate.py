"""What a grid should take: counted operations, at rates measured here or by stored runs."""

import json
from types import SimpleNamespace

import pytest
import torch

from tests.builders import experiment, tiny_run
from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.counting import macs_per_image, parameter_count
from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.experiment.plan import parents_of, plan, runs_of
from transfer_lab.experiment.spec import Run
from transfer_lab.grid import calibration
from transfer_lab.grid import estimate as module
from transfer_lab.grid.estimate import Work, assumed, costs, estimate, fit_seconds
from transfer_lab.grid.operations import method, network
from transfer_lab.grid.scheduler import Todo
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.system import host
from transfer_lab.system.device import precision
from transfer_lab.system.workers import Workers
from transfer_lab.training.run import Setting, train

CNN = Architecture(kind="cnn", options={"filters": 4})


def changed(run, **fields):
    return Run(**{name: getattr(run, name) for name in Run.model_fields} | fields)


def meta(choice, size=20):
    with torch.device("meta"):
        return build_backbone(choice, size)


def test_a_networks_operations_are_those_that_records_hold():
    counted, backbone = network(CNN, 20), meta(CNN)
    assert sum(counted.macs) == macs_per_image(build_backbone(CNN, 20), 20)
    assert counted.parameters == parameter_count(backbone)
    assert counted.outputs[-1] == backbone.num_features
    assert counted.activations > sum(counted.outputs)


@pytest.mark.parametrize(
    ("regime", "options", "prefixes", "depth"),
    [
        ("from_scratch", {}, [0], 3),
        ("linear_probe", {}, [3], 3),
        ("linear_probe", {"stage": 1}, [2], 1),
        ("partial_finetune", {"k": 1}, [1], 3),
        ("lp_ft", {}, [3, 0], 3),
        ("majority", {}, [], 0),
    ],
)
def test_a_method_says_what_is_frozen_and_how_much_is_used(regime, options, prefixes, depth):
    found = method(Choice(kind=regime, options=options), meta(CNN))
    assert [phase.prefix for phase in found.phases] == prefixes
    assert found.depth == depth


def work(*runs):
    return Work({run.id: run for run in runs})


def test_twice_the_epochs_cost_twice_as_much_and_a_probe_costs_less_than_a_fine_tuning():
    run = changed(tiny_run(), backbone=CNN)
    longer = changed(run, fit=run.fit.model_copy(update={"epochs": 2 * run.fit.epochs}))
    probe = changed(run, regime=Choice(kind="linear_probe"), init=run)
    does = work(run, longer, probe)
    rates = assumed(does.network(run))._replace(head_step=0.0)
    seconds = [fit_seconds(does, each, rates) for each in (run, longer, probe)]
    assert seconds[1] == pytest.approx(2 * seconds[0], rel=0.1)
    assert seconds[2] == 0.0


def test_trials_are_counted_and_those_in_one_pass_are_one():
    run = changed(tiny_run(), backbone=CNN)
    tuned = changed(run, tune=tuple({"lr": rate} for rate in (0.1, 0.2, 0.3)))
    probe = changed(tuned, regime=Choice(kind="linear_probe"), init=run)
    plain = changed(probe, tune=None)
    does = work(run, tuned, probe, plain)
    rates = assumed(does.network(run))
    alone, searched = (fit_seconds(does, each, rates) for each in (run, tuned))
    assert 3 * alone < searched < 5 * alone
    assert fit_seconds(does, probe, rates) < 3 * fit_seconds(does, plain, rates)


def test_every_run_of_a_grid_has_a_cost_and_large_ones_more():
    runs = runs_of(plan(experiment(seeds=[0])))
    found = costs(Work(runs))
    assert found.keys() == runs.keys()
    by_size = {
        size: sum(found[r.id] for r in runs.values() if r.per_class == size) for size in (2, 4)
    }
    assert by_size[4] > by_size[2]


def todo_of(runs):
    return Todo(runs, parents_of(runs.values()), len(runs))


def test_a_calibration_is_kept_where_there_is_a_store(tmp_path, monkeypatch):
    runs = {(run := tiny_run()).id: run}
    store = RecordStore(tmp_path / "absent")
    estimate(todo_of(runs), runs, store, Workers())
    assert not store.root.exists()
    store = RecordStore(tmp_path)
    first = estimate(todo_of(runs), runs, store, Workers())
    (kept,) = json.loads((tmp_path / calibration.FILE).read_text()).values()
    assert all(0 < seconds < 1 for seconds in kept)
    monkeypatch.setattr(calibration, "_measured", None)
    again = estimate(todo_of(runs), runs, store, Workers())
    assert again.low_seconds == pytest.approx(first.low_seconds, rel=0.2)
    assert first.stored_runs == 0


def test_a_large_network_that_ends_in_maps_of_one_pixel_is_calibrated(monkeypatch):
    monkeypatch.setattr(calibration, "_MOST_MACS", 1.0)
    choice = Architecture(kind="torchvision", options={"name": "resnet18"})
    counted = network(choice, 32)
    for batch_size in (1, 8):
        rates = calibration._measured(choice, counted, 32, batch_size, "fp32")
        assert all(seconds > 0 for seconds in rates)


def test_a_damaged_calibration_is_measured_anew(tmp_path):
    (tmp_path / calibration.FILE).write_text("[1, 2")
    runs = {(run := tiny_run()).id: run}
    assert estimate(todo_of(runs), runs, RecordStore(tmp_path), Workers()).low_seconds > 0
    assert len(json.loads((tmp_path / calibration.FILE).read_text())) == 1


def test_stored_runs_of_this_machine_say_how_long_such_runs_take(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "_measured", None)  # not needed
    store, runs = RecordStore(tmp_path), [tiny_run(seed=seed) for seed in range(12)]
    own = {"host": host.host(), "threads": 1, "precision": precision("auto"), "peak_rss_mb": 800.0}
    for run in runs[:2]:
        store.put(Record(run_id=run.id, status="done", fit_seconds=60.0, **own))
    left = todo_of({run.id: run for run in runs[2:]})
    found = estimate(left, {run.id: run for run in runs}, store, Workers(jobs=2))
    assert found.stored_runs == 2
    assert found.low_seconds < 10 * 60 / 2 < found.high_seconds
    assert found.memory_mb == 1600


def test_runs_of_another_machine_say_nothing(tmp_path):
    store, runs = RecordStore(tmp_path), [tiny_run(seed=seed) for seed in range(2)]
    store.put(Record(run_id=runs[0].id, status="done", fit_seconds=1e6, host="elsewhere"))
    found = estimate(
        todo_of({runs[1].id: runs[1]}), {run.id: run for run in runs}, store, Workers()
    )
    assert found.stored_runs == 0
    assert found.high_seconds < 1e3


def test_more_workers_are_faster_until_the_longest_run_is_all(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_START_SECONDS", 0.0)
    rates = SimpleNamespace(train=1.0, forward=0.3, head_step=0.1)
    monkeypatch.setattr(module, "calibrated", lambda *_: rates)
    runs = {run.id: run for run in (tiny_run(seed=seed) for seed in range(4))}
    one, two, many = (
        estimate(todo_of(runs), runs, RecordStore(tmp_path), Workers(jobs=jobs)).low_seconds
        for jobs in (1, 2, 4)
    )
    assert one == pytest.approx(2 * two, rel=0.02)
    assert one == pytest.approx(4 * many, rel=0.02)


def test_disk_is_about_what_a_grid_leaves(tmp_path):
    run = tiny_run()
    runs = {run.id: run}
    store = RecordStore(tmp_path)
    told = estimate(todo_of(runs), runs, store, Workers()).disk_mb
    train(run, store, Setting())
    left = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) / 1e6
    assert left / 5 < told < 5 * left
