"""The command line: what it says, what it leaves on disk, and how it survives being stopped."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from tests.builders import (
    ENVIRONMENT,
    TINY_YAML,
    SharedEngine,
    alive,
    descendants_of,
    until,
    write_tiny,
)
from transfer_lab import __version__
from transfer_lab.cli import app as cli
from transfer_lab.grid.engines import local
from transfer_lab.store.records import COLUMNS, RecordStore

CELLS, RUNS = 12, 10
COMMANDS = (
    *("experiments", "copy", "plan", "run", "report", "status", "similarity", "data"),
    *("dashboard", "doctor"),
)
METRICS = [
    name
    for name in COLUMNS
    if name.startswith(("test_", "val_", "train_", "majority_", "n_"))
    or name in ("steps", "epochs", "run_id", "status", "trainable_params", "macs_per_image")
]


class Lab:
    """An experiment file with a store and a reports folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.runs, self.reports = folder / "runs", folder / "reports"
        self.experiment = write_tiny(folder)

    def words(self, verb: str, *options: str) -> list[str]:
        folders = ["--runs", str(self.runs)]
        if verb in ("run", "report", "doctor", "similarity"):
            folders += ["--reports", str(self.reports)]
        return [verb, str(self.experiment), *folders, *options]

    def start(self, *options: str) -> subprocess.Popen:
        """`run` in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "transfer_lab", *self.words("run", *options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=ENVIRONMENT,
        )

    def records(self) -> dict[str, tuple[int, bytes]]:
        """Run id -> time and content of its record."""
        files = self.runs.glob("*/record.json")
        return {p.parent.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in files}

    def table(self) -> pd.DataFrame:
        csv = self.reports / "tiny" / "records.csv"
        return pd.read_csv(csv, keep_default_na=False, na_values=[""])

    def report(self) -> str:
        return (self.reports / "tiny" / "report.md").read_text()

    def copy(self, folder: Path) -> "Lab":
        """The same experiment and store elsewhere, times kept."""
        shutil.copytree(self.runs, folder / "runs")
        return Lab(folder)


def call(*words: str) -> int:
    """The command in this process; returns the exit code."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["transfer-lab", *words])
        cli.main()
    return ended.value.code or 0


@pytest.fixture(autouse=True)
def _own_signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module", autouse=True)
def _shared_workers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "LocalEngine", SharedEngine)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The grid, run undisturbed with two jobs; its exit code is 0."""
    lab = Lab(tmp_path_factory.mktemp("whole"))
    assert call(*lab.words("run", "--jobs", "2")) == 0
    return lab


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


def same_metrics(first: Lab, second: Lab) -> bool:
    return first.table()[METRICS].equals(second.table()[METRICS])


def test_help_lists_the_commands(capsys):
    assert call("--help") == 0
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert f"│ {command} " in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_of_its_own(capsys, command):
    assert call(command, "--help") == 0
    assert f"transfer-lab {command}" in capsys.readouterr().out


def test_version_is_that_of_the_package(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out == f"transfer-lab {__version__}\n"


def test_plan_says_how_much_would_be_trained(lab, capsys):
    assert call(*lab.words("plan")) == 0
    shown = capsys.readouterr().out
    assert f"{CELLS} cells, {RUNS} distinct runs; {RUNS} to train, 0 stored" in shown
    for name in ("small_similar", "small_dissimilar", "greek", "mlp(width=8, depth=2)", "majority"):
        assert name in shown
    assert not lab.runs.exists()


def test_plan_lists_many_seeds_by_the_first_and_the_last(lab, capsys):
    assert call(*lab.words("plan", "--set", f"seeds={list(range(5, 40))}")) == 0
    assert "x seeds: 5, 6, 7, ..., 39 (35 in all)\n" in capsys.readouterr().out


def test_plan_lists_every_cell_when_asked(lab, capsys):
    assert call(*lab.words("plan", "--verbose")) == 0
    listed = [line for line in capsys.readouterr().out.splitlines() if "to train" in line]
    assert len([line for line in listed if "seed" in line]) == CELLS


def test_plan_knows_what_is_stored(whole, capsys):
    assert call(*whole.words("plan")) == 0
    assert "; 0 to train" in capsys.readouterr().out


def test_plan_with_nothing_to_train_checks_nothing_as_a_run_would_not(whole, monkeypatch):
    def needless(*_, **__):
        raise AssertionError("nothing will be trained")

    monkeypatch.setattr("transfer_lab.grid.preflight.preflight", needless)
    assert call(*whole.words("plan")) == 0
    with pytest.raises(AssertionError, match="nothing will be trained"):
        call(*whole.words("plan", "--set", "seeds=[7]"))


@pytest.mark.parametrize("verb", ["plan", "run", "report", "status"])
@pytest.mark.parametrize("option", ["fit.epoch=2", "seeds=[]", "nonsense"])
def test_a_refused_experiment_is_exit_code_2_and_leaves_nothing(lab, capsys, verb, option):
    assert call(*lab.words(verb, "--set", option)) == 2
    told = capsys.readouterr()
    assert f"--set {option}: " in told.err
    assert told.out == ""
    assert [p.name for p in lab.folder.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_what_preflight_refuses_is_exit_code_2_and_trains_nothing(lab, capsys, verb):
    text = TINY_YAML.replace("linear_probe: {}", "linear_probe: {lrr: 1}")
    write_tiny(lab.folder, text)
    assert call(*lab.words(verb)) == 2
    line = text[: text.index("lrr")].count("\n") + 1
    assert f"{lab.experiment}:{line}:18: regimes.linear_probe.lrr: " in capsys.readouterr().err
    assert lab.records() == {}
    assert not (lab.reports / "tiny").exists()


@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.parametrize(
    ("options", "reason"),
    [((), "fetch it with --download"), (("--download",), "The original URL is broken")],
)
def test_data_are_fetched_only_when_asked(lab, capsys, verb, options, reason):
    domain = f"torchvision: {{name: StanfordCars, root: {lab.folder}}}"
    text = TINY_YAML.replace(
        "latin: {letters: ABCD, train_per_class: 8, test_per_class: 6}", domain
    )
    write_tiny(lab.folder, text.replace("source: latin", "source: torchvision"))
    assert call(*lab.words(verb, *options)) == 2
    told = capsys.readouterr().err
    assert reason in told
    assert f"{lab.experiment}:5:" in told
    assert told.count("domains.torchvision: ") == 1


def test_a_missing_file_is_exit_code_2(lab, capsys):
    lab.experiment.unlink()
    assert call(*lab.words("run")) == 2
    assert str(lab.experiment) in capsys.readouterr().err


def test_folders_that_cannot_be_written_are_exit_code_2_and_all_named(lab, capsys):
    (lab.folder / "file").write_text("in the way")
    lab.runs, lab.reports = lab.folder / "file" / "runs", lab.folder / "file" / "reports"
    assert call(*lab.words("run")) == 2
    told = capsys.readouterr().err
    assert f"{lab.runs}: cannot write there" in told
    assert f"{lab.reports}: cannot write there" in told
    assert call(*lab.words("report")) == 2
    assert f"{lab.reports}: cannot write there" in capsys.readouterr().err


def test_doctor_is_content_with_a_valid_experiment(whole, capsys):
    assert call(*whole.words("doctor")) == 0
    shown = capsys.readouterr().out
    assert "PROBLEM" not in shown
    assert f"{RUNS} finished runs, 0 failed" in shown
    assert f"{whole.experiment}: valid" in shown


def test_doctor_names_every_problem_and_exits_with_1(whole, tmp_path, capsys):
    sick = whole.copy(tmp_path)
    write_tiny(sick.folder, TINY_YAML.replace("epochs: 2,", "epochs: 0,"))
    damaged = sorted(sick.runs.glob("*/record.json"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert call(*sick.words("doctor")) == 1
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("PROBLEM")]
    assert len(told) == 3
    assert any(str(damaged) in line for line in told)
    assert any("fit.epochs" in line for line in told)
    assert any("pretrain.epochs" in line for line in told)


def test_doctor_clears_old_temporary_files_and_no_others(lab, capsys):
    run = lab.runs / "0123456789abcdef"
    run.mkdir(parents=True)
    old, new, other = run / ".tmp-old.json", run / ".tmp-new.json", run / "notes.txt"
    for path in (old, new, other):
        path.write_text("x")
        os.utime(path, (0, 0))
    os.utime(new)
    assert call(*lab.words("doctor")) == 0
    assert {p.name for p in run.iterdir()} == {".tmp-new.json", "notes.txt"}
    assert "removed 1 temporary" in capsys.readouterr().out
    assert call(*lab.words("doctor")) == 0
    assert "removed" not in capsys.readouterr().out


def test_doctor_says_that_a_folder_cannot_be_written(lab, capsys):
    (lab.folder / "file").write_text("in the way")
    lab.runs = lab.folder / "file" / "runs"
    assert call(*lab.words("doctor")) == 1
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("PROBLEM")]
    assert any(str(lab.runs) in line for line in told)


def test_the_whole_grid_is_one_finished_row_a_cell(whole):
    table = whole.table()
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == CELLS
    assert set(table["status"]) == {"done"}
    assert not table["test_accuracy"].isna().any()
    assert table.groupby(["scenario", "regime"])["seed"].apply(set).tolist() == [{0, 1}] * 6
    assert len(whole.records()) == RUNS
    assert (whole.reports / "tiny" / "index.html").stat().st_size > 0
    assert "tiny" in whole.report()


def test_a_second_call_trains_nothing_and_touches_no_record(whole, capsys):
    before = whole.records()
    assert call(*whole.words("run")) == 0
    assert "nothing to train" in capsys.readouterr().out
    assert whole.records() == before


def test_status_counts_what_is_there(whole, lab, capsys):
    assert call(*whole.words("status")) == 0
    shown = capsys.readouterr().out
    assert f"{CELLS} of {CELLS} cells done" in shown
    assert "2/2" in shown
    lab.runs.mkdir()
    assert call(*lab.words("status")) == 0
    shown = capsys.readouterr().out
    assert f"0 of {CELLS} cells done ({CELLS} missing)" in shown


def test_status_of_a_folder_that_is_not_there_says_so(lab, capsys):
    assert call(*lab.words("status")) == 2
    assert f"{lab.runs}: there is no such folder" in capsys.readouterr().err
    assert not lab.runs.exists()


def test_a_grid_measures_its_similarities_and_reports_them(whole, capsys):
    assert len(list((whole.runs / "similarity").glob("*.json"))) == 4
    assert len(list((whole.runs / "similarity" / "shared").glob("*.json"))) == 2
    page = (whole.reports / "tiny" / "index.html").read_text()
    looked = page.partition("Looked for and not found: ")[2].partition("\n")[0]
    assert "source and target share images" in looked
    assert "latin → cyrillic" in whole.report().partition("Similarity, measured")[2]
    assert (whole.reports / "tiny" / "similarity.csv").exists()
    assert call(*whole.words("similarity")) == 0
    shown = capsys.readouterr().out
    assert "greek → cyrillic" in shown and "not measured" not in shown


def test_similarity_needs_no_finished_run_and_names_those_that_it_waits_for(lab, capsys):
    assert call(*lab.words("similarity")) == 0
    told = capsys.readouterr()
    assert told.out.count("not measured") == 2
    assert told.err.count("has left no weights yet") == 2


def test_a_similarity_that_cannot_be_measured_costs_no_report(whole, tmp_path, capsys):
    lab = whole.copy(tmp_path)
    shutil.rmtree(lab.runs / "similarity")
    (lab.runs / "similarity").write_text("in the way")
    assert call(*lab.words("run")) == 0
    assert "similarity of latin → cyrillic" in capsys.readouterr().err
    assert "transfer-lab similarity" in lab.report()
    assert call(*lab.words("similarity")) == 1


def test_report_needs_no_finished_run(lab, capsys):
    assert call(*lab.words("report")) == 0
    assert str(lab.reports / "tiny" / "index.html") in capsys.readouterr().out
    assert set(lab.table()["status"]) == {"missing"}


def test_a_failing_regime_is_exit_code_1_and_costs_no_other_cell(whole, tmp_path, capsys):
    lab = whole.copy(tmp_path)
    before = lab.records()
    assert call(*lab.words("run", "--set", "regimes.linear_probe.lr=1e30")) == 1
    told = capsys.readouterr()
    assert "4 runs failed" in told.err
    table = lab.table()
    bad = table["regime"] == "linear_probe"
    assert set(table[bad]["status"]) == {"failed"}
    assert set(table[bad]["error_kind"]) == {"diverged"}
    assert table[bad]["test_accuracy"].isna().all()
    assert set(table[~bad]["status"]) == {"done"}
    assert {i: r for i, r in lab.records().items() if i in before} == before
    for run_id in table[bad]["run_id"]:
        assert run_id in told.out
    assert "NonFiniteLossError" in lab.report()

    assert call(*lab.words("status", "--set", "regimes.linear_probe.lr=1e30")) == 0
    shown = capsys.readouterr().out
    assert "8 of 12 cells done (4 failed)" in shown
    assert shown.count("NonFiniteLossError") == 4


def test_a_damaged_record_is_named_set_aside_and_computed_again(whole, tmp_path, capsys):
    lab = whole.copy(tmp_path)
    table = whole.table()
    before = lab.records()
    first, second = (lab.runs / run_id / "record.json" for run_id in table["run_id"][:2])
    first.write_bytes(first.read_bytes()[:-9])
    assert call(*lab.words("status")) == 0
    told = capsys.readouterr()
    assert f"{first}: damaged record" in told.err
    assert f"{CELLS - 2} of {CELLS} cells done (2 missing)" in told.out

    second.write_bytes(second.read_bytes().replace(b"done", b"d0ne"))
    assert call(*lab.words("run")) == 0
    told = capsys.readouterr()
    assert f"{second}: damaged record" in told.err
    assert "2 runs to train" in told.out
    assert same_metrics(lab, whole)
    assert len(list(lab.runs.glob("*/record.json.damaged-*"))) == 2
    for run_id, record in lab.records().items():
        assert (record == before[run_id]) == (run_id not in (first.parent.name, second.parent.name))


def stop(lab: Lab, jobs: int, send: Callable[[int], None]) -> SimpleNamespace:
    """Start the grid, stop it once a run is stored, and note how it ended: the others take a second
    or so, which on a busy machine is soon over."""
    process = lab.start("--jobs", str(jobs))
    try:
        assert until(lambda: lab.records(), 120)
        children, at = descendants_of(process.pid), time.monotonic()
        send(process.pid)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return SimpleNamespace(
        lab=lab,
        children=children,
        code=process.returncode,
        err=err,
        seconds=time.monotonic() - at,
        records=lab.records(),
    )


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A grid of one job stopped by Ctrl-C and a grid of two jobs killed, side by side: most of
    their time is the start."""
    labs = [Lab(tmp_path_factory.mktemp(name)) for name in ("interrupted", "killed")]
    with ThreadPoolExecutor(2) as pool:
        interrupted = pool.submit(stop, labs[0], 1, lambda pid: os.killpg(pid, signal.SIGINT))
        killed = pool.submit(stop, labs[1], 2, lambda pid: os.kill(pid, signal.SIGKILL))
        return interrupted.result(), killed.result()


@pytest.fixture
def interrupted(stopped):
    return stopped[0]


@pytest.fixture
def killed(stopped):
    return stopped[1]


def test_an_interrupt_is_exit_code_130_and_no_traceback(interrupted):
    assert interrupted.code == 130
    assert "Traceback" not in interrupted.err
    assert 1 <= len(interrupted.records) < RUNS


def test_an_interrupt_stops_at_once_and_leaves_no_worker(interrupted):
    assert interrupted.seconds < 5
    assert not any(map(alive, interrupted.children))


def test_a_stopped_grid_says_nothing_of_things_left_behind(interrupted, killed):
    assert "leaked" not in interrupted.err + killed.err
    assert killed.err == ""


def test_an_interrupt_says_how_to_go_on_with_the_same_folders(interrupted):
    lab = interrupted.lab
    command = next(line for line in interrupted.err.splitlines() if "To go on: " in line)
    words = shlex.split(command.partition("To go on: ")[2])
    assert words[:3] == ["transfer-lab", "run", str(lab.experiment)]
    for option, folder in (("--runs", lab.runs), ("--reports", lab.reports)):
        assert words[words.index(option) + 1] == str(folder)
    assert words[words.index("--jobs") + 1] == "1"


def test_one_job_interrupted_and_resumed_ends_as_two_jobs_undisturbed(interrupted, whole):
    lab = interrupted.lab
    assert call(*lab.words("run", "--jobs", "1")) == 0
    assert same_metrics(lab, whole)
    after = lab.records()
    assert {run_id: after[run_id] for run_id in interrupted.records} == interrupted.records
    assert len(after) == RUNS


def test_a_killed_grid_leaves_no_worker_and_no_half_record(killed):
    assert len(killed.children) >= 3  # two workers and what they were forked from
    assert until(lambda: not any(map(alive, killed.children)), 10)
    assert 1 <= len(killed.records) < RUNS
    store = RecordStore(killed.lab.runs)
    assert all(store.get(run_id).status == "done" for run_id in killed.records)


def test_a_killed_grid_is_resumed_where_it_was_and_ends_as_one_undisturbed(killed, whole):
    lab = killed.lab
    assert call(*lab.words("run")) == 0
    assert same_metrics(lab, whole)
    after = lab.records()
    assert {run_id: after[run_id] for run_id in killed.records} == killed.records
    assert len(after) == RUNS
