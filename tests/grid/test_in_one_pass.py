"""Runs that differ in their seeds alone: trained in one pass, with the records they have alone."""

from __future__ import annotations

import csv
import errno

import numpy as np
import pytest
import torch

from tests.builders import tiny_run
from transfer_lab.data.splits import SubsetError
from transfer_lab.experiment.budget import Augment
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.one_pass import peers
from transfer_lab.experiment.spec import Run
from transfer_lab.grid import worker as execution
from transfer_lab.grid.worker import execute, execute_all
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.training import run as training
from transfer_lab.training.run import Setting, train_together

PARENT = tiny_run(seed=3)
SEEDS = (0, 1, 5)
RATES = ({"lr": 0.001}, {"lr": 0.03}, {"lr": 1.0})
OF_THE_TIME = {
    *("started_at", "peak_rss_mb", "together", "host"),
    *("curve_sha256", "trials_sha256"),  # of files with seconds in them
}
"""Columns in which the same run differs from one time to the next, and every number of seconds."""


def changed(run: Run, **fields: object) -> Run:
    return Run(**{name: getattr(run, name) for name in Run.model_fields} | fields)


def probes(**fields: object) -> list[Run]:
    """A linear probe of each seed."""
    return [changed(tiny_run("linear_probe", init=PARENT, seed=s), **fields) for s in SEEDS]


def outcome(record: Record) -> dict[str, object]:
    columns = record.model_dump()
    return {n: v for n, v in columns.items() if n not in OF_THE_TIME and "_seconds" not in n}


def table(store: RecordStore, run: Run, name: str) -> list[dict[str, str]]:
    with store.file(run.id, name).open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    return [{n: v for n, v in row.items() if "seconds" not in n} for row in rows]


def answers(store: RecordStore, run: Run) -> dict[str, np.ndarray]:
    with np.load(store.file(run.id, "predictions.npz"), allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture
def stores(tmp_path):
    """Two stores that both hold the source run."""
    found = RecordStore(tmp_path / "alone"), RecordStore(tmp_path / "together")
    for store in found:
        assert execute(PARENT, store.root, Setting(), True).status == "done"
    return found


def poisoned(monkeypatch, seed: int) -> None:
    """The head of that seed starts as no number."""
    build = training.build_regime

    def build_regime(run, *given):
        regime = build(run, *given)
        if run.seed == seed:
            torch.nn.init.constant_(regime.head.bias, torch.nan)
        return regime

    monkeypatch.setattr(training, "build_regime", build_regime)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("tune", [None, RATES], ids=["one rate", "tuned"])
def test_the_records_and_files_are_those_of_the_runs_alone(stores, tune, precision):
    apart, one_pass = stores
    runs, setting = probes(tune=tune), Setting(precision=precision)
    alone = [execute(run, apart.root, setting, False) for run in runs]
    together = execute_all(runs, one_pass.root, setting, False)
    assert [outcome(r) for r in together] == [outcome(r) for r in alone]
    assert {r.together for r in alone} == {1} and {r.together for r in together} == {len(SEEDS)}
    assert len({r.test_log_loss for r in together}) == len(SEEDS)
    for run, record in zip(runs, together, strict=True):
        assert one_pass.get(run.id) == record
        for name in ("metrics.csv", *(["trials.csv"] if tune else [])):
            assert table(one_pass, run, name) == table(apart, run, name)
        ours, theirs = answers(one_pass, run), answers(apart, run)
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
        assert ours.keys() == theirs.keys()


def test_all_have_the_seconds_of_the_whole_pass(stores):
    records = execute_all(probes(tune=RATES), stores[1].root, Setting(), False)
    assert len({r.fit_seconds for r in records}) == 1
    assert all(r.tune_seconds > 0 and r.feature_seconds > 0 for r in records)


def test_a_run_that_diverges_is_a_failed_record_and_leaves_the_others_as_they_are(
    stores, monkeypatch
):
    runs = probes()
    expected = [outcome(execute(run, stores[0].root, Setting(), False)) for run in runs]
    poisoned(monkeypatch, SEEDS[1])
    records = execute_all(runs, stores[1].root, Setting(), False)
    assert [r.status for r in records] == ["done", "failed", "done"]
    assert records[1].error_kind == "diverged" == stores[1].get(runs[1].id).error_kind
    assert [outcome(records[i]) for i in (0, 2)] == [expected[i] for i in (0, 2)]
    assert [records[i].together for i in (0, 2)] == [3, 3]


def test_where_all_trials_diverge_every_run_is_a_failed_record(stores):
    regime = tiny_run("linear_probe", recipe="keras_sgd").regime
    runs = probes(tune=({"lr": 1e38}, {"lr": 2e38}), regime=regime)
    records = execute_all(runs, stores[1].root, Setting(), False)
    assert {(r.status, r.error_kind) for r in records} == {("failed", "diverged")}


@pytest.mark.parametrize(
    "error", [SubsetError("8 images asked for"), MemoryError(), RuntimeError("a bug")]
)
def test_what_goes_wrong_with_one_run_costs_no_other_anything(stores, monkeypatch, error):
    build = training.build_domain

    def build_domain(run, cache):
        if run.seed == SEEDS[2]:
            raise error
        return build(run, cache)

    monkeypatch.setattr(training, "build_domain", build_domain)
    records = execute_all(probes(), stores[1].root, Setting(), False)
    assert [r.status for r in records] == ["done", "done", "failed"]
    assert type(error).__name__ in records[2].error
    assert stores[1].file(records[2].run_id, "traceback.txt").exists()


def test_a_record_that_cannot_be_stored_at_once_is_not_lost(stores, monkeypatch):
    put, full = RecordStore.put, [probes()[1].id]

    def refuse_once(store, record):
        if record.run_id in full:
            full.remove(record.run_id)
            raise OSError(errno.ENOSPC, "No space left on device")
        put(store, record)

    monkeypatch.setattr(RecordStore, "put", refuse_once)
    records = execute_all(probes(), stores[1].root, Setting(), False)
    assert [r.status for r in records] == ["done"] * 3
    assert [stores[1].get(run.id).status for run in probes()] == ["done"] * 3


def test_what_was_stored_before_a_worker_died_is_not_trained_again(stores):
    runs = probes()
    first = execute(runs[0], stores[1].root, Setting(commit="before"), False)
    records = execute_all(runs, stores[1].root, Setting(commit="after"), False)
    assert records[0] == first == stores[1].get(runs[0].id)
    assert [r.commit for r in records] == ["before", "after", "after"]


def test_why_a_pass_failed_is_written_beside_its_first_run(stores, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("in one pass alone")

    monkeypatch.setattr(training, "fit_and_test_heads", broken)
    runs = probes()
    records = execute_all(runs, stores[1].root, Setting(), False)
    assert [(r.status, r.together) for r in records] == [("done", 1)] * 3
    text = stores[1].file(runs[0].id, "one_pass_traceback.txt").read_text()
    assert "in one pass alone" in text


def test_an_interrupt_is_none_of_the_failures(stores, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(execution, "train_together", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute_all(probes(), stores[1].root, Setting(), False)


def test_what_is_not_a_linear_head_is_refused_and_then_trained_alone(stores):
    runs = [tiny_run("full_finetune", init=PARENT, seed=seed) for seed in (0, 1)]
    with pytest.raises(ValueError, match="something other than linear heads"):
        list(train_together(runs, stores[1], Setting()))
    records = execute_all(runs, stores[1].root, Setting(), False)
    assert [(r.status, r.together) for r in records] == [("done", 1)] * 2


def test_seeds_with_source_runs_of_their_own_are_fitted_in_one_pass(stores):
    alone, together = stores
    runs = []
    for seed in SEEDS:
        source = tiny_run(seed=seed + 20)
        for store in stores:
            assert execute(source, store.root, Setting(), True).status == "done"
        runs.append(tiny_run("linear_probe", init=source, seed=seed))
    assert len({peers(run) for run in runs}) == 1
    records = execute_all(runs, together.root, Setting(), False)
    assert {record.together for record in records} == {3}
    for run, record in zip(runs, records, strict=True):
        assert outcome(record) == outcome(execute(run, alone.root, Setting(), False))
        assert table(together, run, "metrics.csv") == table(alone, run, "metrics.csv")
        theirs = answers(alone, run)
        for name, values in answers(together, run).items():
            assert np.array_equal(values, theirs[name])
    other = tiny_run("linear_probe", init=changed(PARENT, per_class=4))
    assert peers(other) not in (None, peers(runs[0]))


def test_peers_are_linear_probes_that_differ_in_the_seed_alone():
    first, second, third = probes()
    assert peers(first) == peers(second) == peers(third) is not None
    for field, value in {
        "per_class": 4,
        "image_size": 16,
        "init": tiny_run(seed=9, lr=0.5),
        "fit": first.fit.model_copy(update={"epochs": 3}),
        "regime": tiny_run("linear_probe", lr=0.5).regime,
        "tune": RATES,
    }.items():
        assert peers(changed(first, **{field: value})) not in (None, peers(second))


@pytest.mark.parametrize(
    "run",
    [
        PARENT,
        tiny_run("full_finetune", init=PARENT),
        tiny_run("lp_ft", init=PARENT),
        tiny_run("random_features"),
        *(
            changed(tiny_run("linear_probe", init=PARENT), fit=tiny_run().fit.model_copy(update=u))
            for u in ({"patience": 2}, {"augment": Augment(flip=True)})
        ),
        *probes(tune=({"lr": 0.1}, {"weight_decay": 0.1}))[:1],
    ],
    ids=["source", "fine-tuned", "two phases", "no source", "patience", "augmented", "tuned"],
)
def test_other_runs_have_no_peers(run):
    assert peers(run) is None


def test_trials_of_a_probe_with_hooks_of_its_own_are_fitted_one_by_one(stores, monkeypatch):
    class Hooked(LinearProbe):
        steps_taken = 0

        def on_after_backward(self):
            Hooked.steps_taken += 1

    run = probes(tune=RATES)[0]
    (expected,) = execute_all([run], stores[0].root, Setting(), False)
    monkeypatch.setattr(REGIMES, "load", lambda kind: Hooked)
    (found,) = execute_all([run], stores[1].root, Setting(), False)
    assert Hooked.steps_taken == found.steps + sum(
        int(row["steps"]) for row in table(stores[1], run, "trials.csv")
    )
    assert outcome(found) == outcome(expected)
