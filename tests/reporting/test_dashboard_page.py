"""What the dashboard shows is what is stored, and the numbers are the report's."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip(
    "plotly", reason="the dashboard is an extra: pip install 'transfer-lab[dashboard]'"
)
testing = pytest.importorskip(
    "streamlit.testing.v1",
    reason="the dashboard is an extra: pip install 'transfer-lab[dashboard]'",
)

from tests.builders import TINY_YAML, write_tiny  # noqa: E402
from tests.reporting import invented  # noqa: E402
from tests.reporting.test_imports import loaded  # noqa: E402
from transfer_lab.experiment.loading import load_experiment  # noqa: E402
from transfer_lab.experiment.plan import plan  # noqa: E402
from transfer_lab.reporting import collect  # noqa: E402
from transfer_lab.reporting.dashboard import figures, launch, page, tables  # noqa: E402
from transfer_lab.reporting.dashboard.loading import ExperimentCache, WatchedStore  # noqa: E402
from transfer_lab.reporting.dashboard.selection import Selection  # noqa: E402
from transfer_lab.reporting.study import StoredResults, Study  # noqa: E402
from transfer_lab.reporting.wording import percent  # noqa: E402
from transfer_lab.store.records import Record, RecordStore  # noqa: E402
from transfer_lab.store.results import frame  # noqa: E402

OTHER_YAML = TINY_YAML.replace("name: tiny", "name: other").replace("seeds: [0, 1]", "seeds: [7]")


class Bench:
    """Two experiments, a store, and the page over them."""

    def __init__(self, folder: Path):
        self.paths = [write_tiny(folder), folder / "other.yaml"]
        self.paths[1].write_text(OTHER_YAML)
        self.store = RecordStore(folder / "runs")

    def cells(self, number: int = 0):
        return plan(load_experiment(self.paths[number]).experiment)

    def finish(self, cells) -> None:
        for cell in cells:
            self.store.put(invented.record(cell))
            path = self.store.file(cell.run.id, "metrics.csv")
            invented.curve(cell).assign(phase=1).to_csv(path, index=False)

    def answer(self, cells, accuracy: float, images: int = 74) -> None:
        """Leave predictions of this accuracy beside finished runs, and records that agree."""
        for run_id, cell in {cell.run.id: cell for cell in cells}.items():
            arrays = invented.predictions(cell, accuracy, images, classes=37)
            np.savez_compressed(self.store.file(run_id, "predictions.npz"), **arrays)
            right = float((arrays["label"] == arrays["predicted"]).mean())
            known = {"test_accuracy": right, "n_test": images}
            self.store.put(self.store.get(run_id).model_copy(update=known))

    def reported(self, number: int = 0) -> Study:
        """The study that the report is written from."""
        file = load_experiment(self.paths[number])
        return collect.study(file.experiment, plan(file.experiment), self.store, "")

    def study(self, number: int = 0) -> Study:
        experiment = load_experiment(self.paths[number]).experiment
        return Study.of(experiment, StoredResults(frame(plan(experiment), self.store)))

    def open(self, *, chosen: bool = True) -> testing.AppTest:
        def script(paths, runs, chosen):
            from transfer_lab.reporting.dashboard.views import show

            show(paths, runs, chosen=chosen)

        values = (self.paths, self.store.root, chosen)
        return rendered(testing.AppTest.from_function(script, args=values, default_timeout=60))


def rendered(app: testing.AppTest) -> testing.AppTest:
    app.run()
    assert not app.exception, [error.message for error in app.exception]
    return app


def matrices(app) -> list:
    """The accuracy matrices, one an experiment (there is one backbone)."""
    return [table.value for table in app.tabs[0].dataframe]


def progress(app) -> str:
    return "\n".join(element.proto.text for element in app.get("progress"))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def full(bench):
    bench.finish(bench.cells(0))
    bench.finish(bench.cells(1))
    return bench


def test_experiments_stand_beside_each_other_with_the_numbers_of_the_report(full):
    app = full.open()
    for number, matrix in enumerate(matrices(app)):
        study = full.study(number)
        assert list(matrix.columns) == list(study.scenarios)
        assert list(matrix.index) == list(study.regimes)
        for scenario in study.scenarios:
            for regime in study.regimes:
                known = study.accuracy(scenario, study.backbones[0], regime)
                assert f"{percent(known)} (n={known.n})" in matrix.loc[regime, scenario]
    assert len(matrices(app)) == 2
    assert "tiny: 12 of 12 cells done" in progress(app)


def test_the_intervals_are_those_of_the_report(full):
    full.answer(full.cells(), 0.4)
    reported, from_records_alone = full.reported(), full.study()
    (matrix, _) = matrices(full.open())
    moved = 0
    for scenario in reported.scenarios:
        for regime in reported.regimes:
            place = (scenario, reported.backbones[0], regime)
            known = reported.accuracy(*place)
            assert f"{percent(known)} (n={known.n})" in matrix.loc[regime, scenario]
            moved += percent(known) != percent(from_records_alone.accuracy(*place))
    assert moved  # what is stored beside the records tells more than they do


def test_predictions_are_read_again_only_if_they_or_the_accuracy_changed(full):
    (cell, *_) = full.cells()
    full.answer([cell], 0.4)
    watched = WatchedStore(full.store.root).predictions
    accuracy = full.store.get(cell.run.id).test_accuracy
    first = watched.of(cell.run.id, accuracy)
    assert first.right.mean() == pytest.approx(accuracy)
    assert watched.of(cell.run.id, accuracy) is first
    full.answer([cell], 0.6)
    assert watched.of(cell.run.id, accuracy) is None
    accuracy = full.store.get(cell.run.id).test_accuracy
    assert watched.of(cell.run.id, accuracy).right.mean() == pytest.approx(accuracy)


def test_filters_change_what_is_shown(full):
    app = full.open()
    app.multiselect("regime").set_value(["linear_probe"])
    app.multiselect("scenario").set_value(["small_similar"])
    app.multiselect("seed").set_value([1])
    (matrix,) = matrices(rendered(app))  # the other experiment has no seed 1
    assert matrix.index.tolist() == ["linear_probe"]
    assert matrix.columns.tolist() == ["small_similar"]
    study = full.study()
    score = study.by_seed("small_similar", study.backbones[0], "linear_probe")[1]
    assert f"{100 * score:.1f} (n=1)" in matrix.iloc[0, 0]
    app.multiselect("seed").set_value([])
    assert len(matrices(rendered(app))) == 2


def test_filters_that_leave_nothing_say_so(full):
    app = full.open()
    app.multiselect("experiments").set_value(["tiny"])
    rendered(app)
    app.multiselect("seed").set_value([0])
    rendered(app)
    app.multiselect("experiments").set_value([])
    assert "Choose an experiment" in rendered(app).info[0].value


def test_an_empty_store_is_a_page_of_dashes(bench):
    app = bench.open()
    assert "tiny: 0 of 12 cells done (12 missing)" in progress(app)
    assert all(text.endswith("– (missing)") for text in matrices(app)[0].to_numpy().ravel())
    assert not bench.store.root.exists()


def test_a_store_that_grows_is_read_again(bench):
    app = bench.open()
    bench.finish(bench.cells()[:1])
    assert "tiny: 2 of 12 cells done" in progress(rendered(app))
    bench.finish(bench.cells())
    assert "tiny: 12 of 12 cells done" in progress(rendered(app))
    assert "(n=2)" in matrices(app)[0].loc["from_scratch", "small_similar"]


def test_experiments_that_were_only_found_are_shown_if_there_is_something_of_them(bench):
    assert bench.open(chosen=False).multiselect("experiments").value == ["tiny"]
    bench.finish(bench.cells(1))
    app = bench.open(chosen=False)
    assert app.multiselect("experiments").value == ["other"]
    assert app.multiselect("experiments").options == ["tiny", "other"]


def test_an_experiment_that_is_refused_is_left_out_with_its_reason(full):
    full.paths[1].write_text(OTHER_YAML.replace("seeds: [7]", "seeds: []"))
    app = full.open()
    assert app.multiselect("experiments").options == ["tiny"]
    assert "other.yaml:21:1: seeds: " in app.sidebar.code[0].value


def test_a_failure_is_listed_with_its_error_and_its_cells(full):
    cell = full.cells()[2]
    path = full.store.file(cell.run.id, "record.json")
    path.unlink()
    full.store.put(Record.failure(cell.run, "diverged", "the <b>loss</b> is NaN"))
    app = full.open()
    (broken,) = (table.value for table in app.tabs[3].dataframe)
    assert broken.iloc[0][["status", "kind", "error", "number"]].tolist() == [
        "failed", "diverged", "the <b>loss</b> is NaN", 1,
    ]  # fmt: skip
    assert cell.scenario in broken.iloc[0]["cells"]
    assert "1 failed" in progress(app)


def test_chosen_runs_stand_beside_each_other(full):
    app = full.open()
    labels = app.multiselect("runs").options[:2]
    app.multiselect("runs").set_value(labels)
    (table,) = (table.value for table in rendered(app).tabs[2].dataframe)
    assert table.columns.tolist() == labels
    accuracies = [full.store.get(run_id).test_accuracy for run_id in table.loc["run_id"]]
    assert table.loc["test_accuracy"].astype(float).tolist() == accuracies
    assert table.index.get_loc("run_id") < table.index.get_loc("scenario")
    app.radio("curve").set_value("val_accuracy")
    rendered(app)


def test_the_newest_runs_come_first(full):
    study = full.study()
    newest = tables.newest(study.frame, limit=3)
    assert newest["started_at"].is_monotonic_decreasing
    assert newest["started_at"].iloc[0] == study.frame["started_at"].max()
    assert len(newest) == 3


def test_the_script_takes_the_store_and_the_experiments(full, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["page.py", str(full.store.root), str(full.paths[1])])
    app = rendered(testing.AppTest.from_file(page.__file__, default_timeout=60))
    assert "other: 6 of 6 cells done" in progress(app)
    words = launch.command(full.paths, full.store.root, 8501)
    assert words[words.index("run") + 1] == page.__file__


def test_the_charts_hold_the_numbers_of_the_report(full):
    study = full.study()
    look = figures.look_of([study.experiment])
    drawn = [t for t in figures.accuracies(study, look).data if t.meta and "seed" not in t.meta]
    shown = {x for trace in drawn for x in trace.x}
    means = {
        float(f"{100 * study.accuracy(s, b, r).mean:.4g}")
        for s in study.scenarios
        for b in study.backbones
        for r in study.regimes
    }
    assert shown == means
    timed = figures.time_and_accuracy({"tiny": study, "again": study}, look).data
    dots, entries = ([t for t in timed if bool(t.meta) is known] for known in (True, False))
    assert {y for trace in dots for y in trace.y} == means
    assert {trace.legendgroup for trace in dots} == {trace.name for trace in entries}
    assert len(entries) == len(study.regimes)
    assert not any(trace.showlegend for trace in dots)


def test_a_regime_keeps_its_colour_whatever_is_filtered(full):
    study = full.study()
    look = figures.look_of([study.experiment])
    wanted = Selection({"regime": frozenset({"linear_probe"})})
    part = wanted.study(study.experiment, study.frame, study.predictions)
    *dots, entry = figures.time_and_accuracy({"tiny": part}, look).data
    assert {trace.marker.color for trace in (*dots, entry)} == {look["linear_probe"].colour}
    assert len(dots) == len(study.scenarios)
    assert len(set(look.values())) == len(look)


def test_names_are_text_and_no_markup(full):
    curve = invented.curve(full.cells()[0])
    figure = figures.learning_curves({"<a href='x'>y</a>": curve}, "train_loss")
    assert all(trace.name.startswith("&lt;a") for trace in figure.data)
    assert list(figure.data[0].y) == pytest.approx(curve["train_loss"].tolist(), rel=1e-3)
    assert not figures.learning_curves({"x": curve[["epoch"]]}, "train_loss").data


def test_a_record_is_read_again_only_if_it_changed(full, monkeypatch):
    reads = []
    plain = RecordStore.get
    monkeypatch.setattr(RecordStore, "get", lambda self, i: reads.append(i) or plain(self, i))
    store, run_id = WatchedStore(full.store.root), full.cells()[0].run.id
    first = store.get(run_id)
    assert store.get(run_id) is first
    assert reads == [run_id]
    full.store.put(first.model_copy(update={"test_accuracy": 0.123}))
    assert store.get(run_id).test_accuracy == 0.123
    assert store.get("absent") is None


def test_an_experiment_is_read_again_when_its_file_changes(full):
    cache, path = ExperimentCache(), full.paths[0]
    assert cache.get(path) is cache.get(path)
    assert len(cache.get(path).cells) == 12
    path.write_text("seeds: 3")
    assert "seeds" in cache.get(path)
    path.unlink()
    assert "cannot read" in cache.get(path)


def test_the_page_loads_no_torch():
    views = loaded("import transfer_lab.reporting.dashboard.views")
    assert not views & {"torch", "lightning", "wandb"}


def test_each_budget_stands_beside_the_main_one(full):
    write_tiny(full.paths[0].parent, TINY_YAML + "budgets: {longer: {epochs: 5}}\n")
    cells = full.cells()
    full.finish(cells)
    app = full.open()
    names = [header.value for header in app.tabs[0].subheader]
    assert names == ["tiny", "tiny, budget longer", "other"]
    _, longer, _ = matrices(app)
    study = full.study().further["longer"]
    known = study.accuracy("small_similar", study.backbones[0], "linear_probe")
    assert f"{percent(known)} (n={known.n})" in longer.loc["linear_probe", "small_similar"]
    assert "majority" not in longer.index
    assert any(", budget longer" in label for label in app.multiselect("runs").options)
    newest = app.expander[0].dataframe[0].value
    assert "budget" in newest.columns
    app.multiselect("regime").set_value(["majority"])
    assert [header.value for header in rendered(app).tabs[0].subheader] == ["tiny", "other"]
