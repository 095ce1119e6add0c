"""What the parts choose and count; how long anything takes is no test's business."""

from __future__ import annotations

import mmap
import re
from collections import Counter

import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import gpu, grid
from benchmarks.figures import Figure, Result, Timing
from benchmarks.grid import GRID
from benchmarks.kinds import Trained, by_kind, projected_grid, sample
from benchmarks.loop import CNN, RESNET, by_hand
from benchmarks.loop import run_of as loop_run
from benchmarks.memory import Peak
from benchmarks.parts import PARTS, Part
from benchmarks.scale import write_predictions, write_records
from benchmarks.setting import Setting
from tests.builders import experiment
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.grid.scheduler import todo
from transfer_lab.reporting.predictions import Predictions
from transfer_lab.store.records import RecordStore
from transfer_lab.store.results import frame
from transfer_lab.training.fit import quiet

CELLS = plan(load_experiment(GRID).experiment)
KINDS = by_kind(CELLS)


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path, lambda _: None, quick=True, repeats=1)


def test_the_kinds_hold_every_run_of_the_grid_that_learns_once():
    found = [cell.run.id for cells in KINDS.values() for cell in cells]
    learning = {cell.run.id for cell in CELLS if cell.run.regime.kind != "majority"}
    assert Counter(found) == Counter(learning)
    assert len(KINDS) == 7 * 3 * 2


@pytest.mark.parametrize("count", [None, len(KINDS), 50, 10_000])
def test_a_sample_has_every_kind_and_no_run_twice(count):
    chosen = sample(KINDS, count)
    total = sum(map(len, KINDS.values()))
    assert len(chosen) == min(total, count or len(KINDS))
    assert len({cell.run.id for cell in chosen}) == len(chosen)
    assert set(by_kind(chosen)) == set(KINDS)
    assert [c.run.id for c in chosen] == [c.run.id for c in sample(KINDS, count)]


def test_a_sample_that_leaves_a_kind_out_is_refused():
    with pytest.raises(ValueError, match="41"):
        sample(KINDS, 41)


def test_a_projected_grid_takes_every_run_at_the_mean_of_its_kind():
    kinds = by_kind(plan(experiment()))
    trained = {cell.run.id: Trained(2.0, 0.5, 0.5) for cell in sample(kinds, None)}
    count = sum(map(len, kinds.values()))
    timing = projected_grid(kinds, trained, sources=10.0)
    assert timing.seconds == (2.0 * count + 10,)
    assert f"{len(kinds)} of {count} distinct runs" in timing.projected
    whole = {cell.run.id: Trained(2.0, 0.5, 0.5) for cells in kinds.values() for cell in cells}
    assert projected_grid(kinds, whole, sources=10.0).projected == "an epoch of each source run"


def test_the_plain_side_gets_the_faster_of_both_ways_to_load(monkeypatch, setting):
    """In turns of the clock, and not of this machine: small cells want workers, large ones none."""

    class Cell:
        def __init__(self, seconds):
            self.seconds = seconds

        @classmethod
        def of(cls, run, store, workers):
            wanted = grid.WORKERS if run.per_class == 2 else 0
            return cls(1.0 if workers == wanted else 2.0)

        def run(self):
            return self

    monkeypatch.setattr(grid, "PlainCell", Cell)
    found = grid._workers(plan(experiment()), RecordStore(setting.scratch), setting)
    assert found == {"small": grid.WORKERS, "large": 0}


def test_the_grid_is_timed_by_the_median_and_profiled_on_the_run_that_took_it():
    runs = [(Timing((seconds,)), name) for seconds, name in ((3.0, "a"), (1.0, "b"), (2.0, "c"))]
    assert grid._middle(runs) == (Timing((3.0, 1.0, 2.0)), "c")


def test_invented_records_leave_nothing_to_do(tmp_path):
    store, cells = RecordStore(tmp_path), plan(experiment())
    runs = runs_of(cells)
    with_curve = next(id_ for id_, run in runs.items() if run.regime.kind == "from_scratch")
    assert write_records(runs.values(), store, frozenset({with_curve})) == len(runs)
    assert todo(cells, store).runs == {}
    assert set(frame(cells, store)["status"]) == {"done"}
    assert [path.parent.name for path in tmp_path.glob("*/metrics.csv")] == [with_curve]


def test_invented_answers_are_as_often_right_as_the_records_say(tmp_path):
    store, runs = RecordStore(tmp_path), runs_of(plan(experiment()))
    write_records(runs.values(), store, frozenset())
    write_predictions(runs.values(), store)
    known = Predictions(lambda run_id: store.file(run_id, "predictions.npz"))
    for run_id in runs:
        assert known.of(run_id, store.get(run_id).test_accuracy) is not None
    assert not known.problems


@pytest.mark.parametrize("backbone", [CNN, RESNET], ids=lambda backbone: backbone.kind)
def test_the_loop_by_hand_takes_the_steps_of_ours(tmp_path, backbone):
    run = loop_run(backbone, epochs=1, per_class=2)
    assert by_hand(run, RecordStore(tmp_path), "fp32") > 0
    assert by_hand(run, RecordStore(tmp_path), "bf16") > 0


def test_the_peak_is_that_of_the_call():
    size = 64 * 2**20

    def call():
        # Fresh from the system: the allocator may still hold as much from an earlier test.
        with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as taken:
            taken.write(b"x" * size)
            peak._ended.wait(0.2)

    peak = Peak(interval=0.001)
    peak.of(call)
    assert 60 < peak.own < 200


@pytest.mark.slow
def test_the_gpu_script_measures_with_the_functions_of_the_others(setting):
    quiet()
    table = gpu.rates(setting, "cpu")
    names = [row[0] for row in table.rows]
    assert names == [
        "matrix product",
        "frozen extraction, from files",
        "frozen extraction",
        "linear_probe, fit",
        "full_finetune, fit",
    ]
    assert all(len(row) == len(table.head) for row in table.rows)


def test_without_a_gpu_that_script_says_so_in_one_line(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert re.fullmatch("no NVIDIA GPU here: .+", ended.value.code)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_every_part_is_there(name):
    assert callable(PARTS[name].load())


def fine(setting):
    return Result((Figure(cell="a cell", value=2.0),))


def broken(setting):
    raise OSError("no disk")


def called(monkeypatch, *words):
    for name, part in (("fine", fine), ("broken", broken)):
        monkeypatch.setattr(command, name, part, raising=False)
    parts = {"fine": Part("__main__:fine", "a"), "broken": Part("__main__:broken", "b")}
    monkeypatch.setattr(command, "PARTS", parts)
    return CliRunner().invoke(command.app, [*words])


def test_a_part_that_fails_takes_no_other_with_it(monkeypatch, tmp_path):
    done = called(monkeypatch, "--out", str(tmp_path))
    assert done.exit_code == 1
    assert "a cell" in done.output
    assert "broken failed: OSError: no disk" in done.output
    assert "a cell" in (tmp_path / "report.md").read_text()


def stopped(setting):
    raise KeyboardInterrupt


def test_what_was_measured_is_written_before_the_next_part_begins(monkeypatch, tmp_path):
    for name, part in (("fine", fine), ("stopped", stopped)):
        monkeypatch.setattr(command, name, part, raising=False)
    parts = {"fine": Part("__main__:fine", "a"), "stopped": Part("__main__:stopped", "b")}
    monkeypatch.setattr(command, "PARTS", parts)
    assert CliRunner().invoke(command.app, ["--out", str(tmp_path)]).exit_code != 0
    assert "a cell" in (tmp_path / "report.md").read_text()


def test_parts_are_chosen_by_name(monkeypatch, tmp_path):
    done = called(monkeypatch, "fine", "--out", str(tmp_path))
    assert done.exit_code == 0
    assert "broken" not in done.output


def test_a_part_that_is_too_long_runs_only_if_it_is_named(monkeypatch, tmp_path):
    named = Part("__main__:fine", "a", only_named=True)
    monkeypatch.setattr(command, "fine", fine, raising=False)
    monkeypatch.setattr(command, "PARTS", {"fine": named, "other": Part("__main__:fine", "b")})
    monkeypatch.chdir(tmp_path)
    for words, parts, folder in (([], ["other"], "bench"), (["fine"], ["fine"], "bench_trial")):
        done = CliRunner().invoke(command.app, words)
        assert re.findall(r"(\w+): done in", done.output) == parts
        assert f"reports/{folder}/report.md" in done.output


def test_an_unknown_part_is_refused_with_the_names_there_are(monkeypatch):
    done = called(monkeypatch, "fin")
    assert done.exit_code == 2
    assert "fine, broken" in done.output


def test_what_is_not_the_whole_benchmark_does_not_replace_its_report(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    called(monkeypatch, "fine")
    assert [path.parent.name for path in tmp_path.rglob("report.md")] == ["bench_trial"]
