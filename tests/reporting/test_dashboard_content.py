"""What the dashboard shows is what is stored, and the numbers are the report's."""

import csv
import io
import json

import pytest

from tests.builders import TINY_YAML, write_tiny
from tests.reporting.dashboards import OTHER_YAML, Bench, table
from tests.reporting.test_imports import loaded
from transfer_lab.reporting.dashboard import comparison
from transfer_lab.reporting.dashboard.loading import ExperimentCache, WatchedStore
from transfer_lab.reporting.decision import decide
from transfer_lab.reporting.study import Place, StoredResults, Study
from transfer_lab.reporting.wording import bounded, gap, percent
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.store.results import frame
from transfer_lab.store.running import AtWork, withdraw
from transfer_lab.system import pulse
from transfer_lab.system.pulse import beating

BOTH = ["tiny", "other"]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def full(bench):
    bench.finish(bench.cells(0))
    bench.finish(bench.cells(1))
    return bench


def accuracies(bench, **query) -> dict[str, dict[str, list[str]]]:
    """By study, the table of accuracies."""
    told = bench.ask("/api/comparison", **query)
    return {one["title"]: table(one["blocks"], "Test accuracy") for one in told["columns"]}


def test_experiments_stand_beside_each_other_with_the_numbers_of_the_report(full):
    shown = accuracies(full, experiment=BOTH)
    assert list(shown) == BOTH
    for number, name in enumerate(BOTH):
        study = full.reported(number)
        assert list(shown[name]) == list(study.regimes)
        for regime in study.regimes:
            for text, scenario in zip(shown[name][regime], study.scenarios, strict=True):
                known = study.accuracy(scenario, study.backbones[0], regime)
                assert f"{percent(known)} (n={known.n})" in text


def test_the_intervals_are_those_of_the_report(full):
    full.answer(full.cells(), 0.4)
    reported = full.reported()
    from_records_alone = Study.of(
        reported.experiment, StoredResults(frame(full.cells(), full.store))
    )
    shown = accuracies(full, experiment="tiny")["tiny"]
    moved = 0
    for number, scenario in enumerate(reported.scenarios):
        for regime in reported.regimes:
            place = (scenario, reported.backbones[0], regime)
            known = reported.accuracy(*place)
            assert f"{percent(known)} (n={known.n})" in shown[regime][number]
            moved += percent(known) != percent(from_records_alone.accuracy(*place))
    assert moved  # what is stored beside the records tells more than they do


def test_the_answers_are_those_of_the_report(full):
    full.answer(full.cells(), 0.4)
    study = full.reported()
    cards = full.ask("/api/cards", experiment="tiny")["tiny"]
    assert [card["scenario"] for card in cards] == list(study.scenarios)
    for card in cards:
        found = decide(study, card["scenario"])
        assert card["name"] == found.leader.place.regime
        assert bounded(found.bound) in card["bound"] or found.bound <= 0
        assert card["expect"][0] == pytest.approx(100 * found.expected.mean)


def test_the_charts_hold_the_numbers_of_the_report(full):
    study = full.reported()
    (column,) = full.ask("/api/comparison", experiment="tiny")["columns"]
    drawn, *_ = column["blocks"]
    traces = [t for panel in drawn["panels"] for t in panel["traces"] if "seed" not in t["meta"]]
    means = {
        float(f"{100 * study.accuracy(s, b, r).mean:.4g}")
        for s in study.scenarios
        for b in study.backbones
        for r in study.regimes
    }
    assert {x for trace in traces for x in trace["x"]} == means


def test_a_difference_is_the_reports_paired_one_with_its_interval_and_bound(full):
    full.answer(full.cells(), 0.4)
    study = full.reported()
    asked = {"first": "from_scratch on mlp", "second": "linear_probe on mlp"}
    told = full.ask("/api/differences", experiment="tiny", **asked)
    rows = table(told["blocks"], "from_scratch on mlp, against")
    for scenario in study.scenarios:
        one, two = (Place(scenario, "mlp", r) for r in ("from_scratch", "linear_probe"))
        lead = study.leads().lead(one, two)
        says, first, second, difference = rows[scenario]
        assert difference == f"{gap(lead)} (n={lead.seeds:g})"
        apart = abs(lead.mean) > lead.half()
        assert says == ("not told apart" if not apart else says)
        assert percent(study.accuracy(*one)) in first
        standing = decide(study, scenario).of(two)
        assert (bounded(standing.at_most) in second) is not standing.ruled_out
    (chart,) = (block for block in told["blocks"] if block["kind"] == "chart")
    assert len(chart["panels"]) == len(study.scenarios)


def test_arms_of_two_experiments_are_compared_where_they_saw_the_same_test_images(full):
    full.paths[1].write_text(OTHER_YAML.replace("seeds: [7]", "seeds: [0, 1]"))
    full.finish(full.cells(1))
    arms = {"first": "linear_probe on mlp, other", "second": "from_scratch on mlp, tiny"}
    told = full.ask("/api/differences", experiment=BOTH, **arms)
    (says, *_, difference) = table(told["blocks"], "linear_probe on mlp, other")["small_similar"]
    assert "points (n=2)" in difference
    elsewhere = full.paths[1].read_text().replace("БГДЖ", "БГДЯ")
    full.paths[1].write_text(elsewhere)
    full.finish(full.cells(1))
    told = full.ask("/api/differences", experiment=BOTH, **arms)
    (says, *_, difference) = table(told["blocks"], "linear_probe on mlp, other")["small_similar"]
    assert (says, difference) == ("no data", "– (these were tested on other images)")


def test_without_a_choice_every_arm_is_compared_with_the_best(full):
    told = full.ask("/api/differences", experiment="tiny")
    assert told["first"] == ""
    rows = table(told["blocks"], f"Ahead of {told['second']}")
    assert set(rows) == set(told["arms"]) - {told["second"]}


def test_filters_change_what_is_shown_and_seeds_what_is_averaged(full):
    query = {"regime": "linear_probe", "scenario": "small_similar", "seed": "1"}
    shown = accuracies(full, experiment=BOTH, **query)
    assert list(shown) == ["tiny"]  # the other experiment has no seed 1
    study = full.reported()
    score = study.by_seed("small_similar", "mlp", "linear_probe")[1]
    assert list(shown["tiny"]) == ["linear_probe"]
    (text,) = shown["tiny"]["linear_probe"]
    assert f"{100 * score:.1f} (n=1)" in text
    runs = full.ask("/api/runs", experiment="tiny", **query)
    assert len(runs["rows"]) == 1


def test_a_filter_that_leaves_seeds_as_they_are_changes_no_interval(full):
    full.answer(full.cells(), 0.4)
    whole, part = (
        accuracies(full, experiment="tiny", **q)["tiny"] for q in ({}, {"regime": "majority"})
    )
    assert part["majority"] == whole["majority"]


def test_what_never_ran_takes_no_place_and_is_named(bench):
    bench.finish(bench.cells(1))
    told = bench.ask("/api/comparison", experiment=BOTH)
    assert [one["title"] for one in told["columns"]] == ["other"]
    assert told["unrun"] == ["tiny"]
    nothing = bench.ask("/api/differences", experiment="tiny")
    assert (nothing["arms"], nothing["blocks"]) == ([], [])


def test_no_panel_is_empty(bench):
    bench.finish([cell for cell in bench.cells() if cell.scenario == "small_similar"])
    (column,) = bench.ask("/api/comparison", experiment="tiny")["columns"]
    for block in column["blocks"]:
        for panel in block.get("panels", ()):
            assert any(trace["x"] for trace in panel["traces"])


def test_an_empty_store_is_a_matrix_of_missing_places_and_stays_empty(bench):
    (study,) = bench.ask("/api/matrix", experiment="tiny")["studies"]
    assert study["counts"] == {"missing": 12}
    assert len(study["places"]) == 6
    assert not bench.store.root.exists()


def test_a_store_that_grows_is_read_again(bench):
    def counts():
        return bench.ask("/api/matrix", experiment="tiny")["studies"][0]["counts"]

    token = bench.ask("/api/live", experiment="tiny")["tokens"]["tiny"]
    bench.finish(bench.cells()[:1])
    assert counts() == {"done": 2, "missing": 10}
    assert bench.ask("/api/live", experiment="tiny")["tokens"]["tiny"] != token
    bench.finish(bench.cells())
    assert counts() == {"done": 12}
    assert "(n=2)" in accuracies(bench, experiment="tiny")["tiny"]["from_scratch"][0]


def test_what_was_worked_on_last_is_shown_first_and_what_runs_before_it(bench):
    assert bench.ask("/api/experiments")["default"] == "tiny"
    bench.finish(bench.cells(1))
    assert bench.ask("/api/experiments")["default"] == "other"
    grid = bench.announce()
    assert bench.ask("/api/experiments")["default"] == "tiny"
    withdraw(bench.store.root, grid)
    assert bench.ask("/api/experiments")["default"] == "other"


def test_an_experiment_that_is_refused_is_left_out_with_its_reason(full):
    full.paths[1].write_text(OTHER_YAML.replace("seeds: [7]", "seeds: []"))
    told = full.ask("/api/experiments")
    assert [one["name"] for one in told["known"]] == ["tiny"]
    assert "other.yaml:21:1: seeds: " in told["refused"][0]["why"]


def test_what_is_set_on_the_command_line_holds_for_every_experiment(tmp_path):
    bench = Bench(tmp_path, ("seeds=[3]",))
    assert [one["set"] for one in bench.ask("/api/experiments")["known"]] == [["seeds=[3]"]] * 2
    assert bench.ask("/api/facets", experiment="tiny")["seed"] == ["3"]


# ---- Live.


def test_a_running_grid_is_shown_with_what_was_set_and_its_matrix_fills(bench):
    cells = [cell for cell in bench.cells() if cell.seed == 0 and cell.regime == "linear_probe"]
    busy = AtWork(runs=(cells[0].run.id,), name="mlp linear_probe", doing="epoch 1 of 2", share=0.3)
    bench.announce("seeds=[0]", total=6, ended=2, left=75.0, working=(busy,))
    bench.finish(cells[1:])
    told = bench.ask("/api/live")
    (grid,) = told["running"]
    assert grid["name"] == "tiny --set seeds=[0]"
    assert (grid["total"], grid["ended"], grid["left"]) == (6, 2, 75.0)
    assert grid["working"][0]["doing"] == "epoch 1 of 2"
    assert list(told["tokens"]) == [grid["name"]]  # nothing else was asked for
    (study,) = bench.ask("/api/matrix")["studies"]
    assert study["counts"] == {"done": 1, "working": 1, "missing": 4}
    assert bench.ask("/api/facets")["seed"] == ["0"]


def test_a_grid_without_overrides_is_the_experiment_of_the_file(bench):
    bench.announce()
    assert [one["name"] for one in bench.ask("/api/experiments")["known"]] == BOTH
    assert bench.ask("/api/live")["running"][0]["name"] == "tiny"


def test_what_was_set_stays_on_offer_when_the_grid_has_ended(bench):
    grid = bench.announce("seeds=[0]")
    assert bench.ask("/api/live")["running"]
    withdraw(bench.store.root, grid)
    assert bench.ask("/api/live")["running"] == []
    names = [one["name"] for one in bench.ask("/api/experiments")["known"]]
    assert names == [*BOTH, "tiny --set seeds=[0]"]


def test_the_curve_of_a_run_grows_while_it_trains(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(pulse, "_SECONDS_BETWEEN_CURVES", 0.0)
    run_id = bench.cells()[0].run.id
    busy = AtWork(runs=(run_id,), name="mlp", doing="epoch 2 of 9", share=0.1)
    bench.announce(pulses=tmp_path, working=(busy,))

    def shown():
        return bench.ask("/api/live")["running"][0]["working"][0]["curves"]

    assert shown() is None
    with beating(tmp_path / run_id):
        for epochs in (1, 2):
            line = {"epoch": [*range(1, epochs + 1)], "train_loss": [0.5] * epochs}
            pulse.draw(lambda line=line: [line])
            assert shown()["lines"] == [line]
        told = bench.ask("/api/run", run=run_id)
    (chart,) = (block for block in told["blocks"] if block["kind"] == "chart")
    assert chart["panels"][0]["traces"][0]["y"] == [0.5, 0.5]


def test_heads_in_one_pass_have_a_line_each_with_what_it_is_of(bench, tmp_path):
    first, second = (cell.run.id for cell in bench.cells()[2:4])
    busy = AtWork(runs=(first, second), name="probes", doing="", share=None)
    bench.announce(pulses=tmp_path, working=(busy,))
    lines = [{"epoch": [1], "train_loss": [float(n)]} for n in range(4)]
    with beating(tmp_path / first):
        pulse.draw(lambda: lines)
    curves = bench.ask("/api/live")["running"][0]["working"][0]["curves"]
    assert curves["titles"] == [f"run {run}, trial {trial}" for run in (1, 2) for trial in (1, 2)]
    told = bench.ask("/api/run", run=second)
    assert told["blocks"][0]["panels"][0]["traces"][0]["y"] == [2.0]


def test_a_grid_that_has_died_or_fallen_silent_is_not_shown(bench):
    grid = bench.announce(host="elsewhere", pid=1)
    assert len(bench.ask("/api/live")["running"]) == 1
    path = bench.store.root / "running" / "elsewhere-1.json"
    import os

    os.utime(path, (1, 1))
    assert bench.ask("/api/live")["running"] == []
    bench.announce(pid=2**22 + 12345)
    assert bench.ask("/api/live")["running"] == []
    assert grid


def test_an_experiment_that_cannot_be_read_from_here_is_followed_all_the_same(bench):
    grid = bench.announce(total=5, ended=1)
    path = bench.store.root / "running" / f"{grid.name}.json"
    content = json.loads(path.read_text())
    content["content"]["seeds"] = []
    path.write_text(json.dumps(content))
    bench.look_again()
    (shown,) = bench.ask("/api/live")["running"]
    assert shown["name"] is None
    assert "seeds" in shown["refused"]
    assert shown["total"] == 5


# ---- Failures, and runs one by one.


def test_a_failure_is_listed_with_its_error_its_cells_and_its_log(full):
    cell = full.cells()[2]
    full.store.file(cell.run.id, "record.json").unlink()
    full.store.put(Record.failure(cell.run, "diverged", "the <b>loss</b> is NaN"))
    full.store.file(cell.run.id, "traceback.txt").write_text("Traceback: <i>x</i>")
    told = full.ask("/api/matrix", experiment="tiny")
    (broken,) = told["failures"]
    ((status,), (error,), places) = broken["rows"][0]
    assert (status[0], status[1], error[0]) == ("failed", "(diverged)", "the <b>loss</b> is NaN")
    assert cell.scenario in places[0][0]
    assert places[0][1] == cell.run.id
    assert full.ask("/api/log", run=cell.run.id)["log"] == "Traceback: <i>x</i>"
    assert full.ask("/api/run", run=cell.run.id)["log"] == "Traceback: <i>x</i>"


@pytest.mark.parametrize("asked", ["../tiny.yaml", "/etc/passwd", "..", "", "0123456789abcdef"])
def test_of_what_is_no_run_nothing_is_read(full, asked):
    (full.store.root / "0123456789abcdef").mkdir()
    (full.store.root / "0123456789abcdef" / "traceback.txt").write_text("of another experiment")
    assert full.ask("/api/log", run=asked)["log"] == ""
    assert full.ask("/api/run", run=asked)["runs"] == []
    assert full.server.answer("/download/curve.csv", {"run": [asked]}) is None


def test_runs_are_rows_with_their_results_and_the_options_in_which_they_differ(full):
    full.paths[0].write_text(
        TINY_YAML.replace(
            "  linear_probe: {}",
            "  linear_probe: {lr: 0.01}\n  probe: {kind: linear_probe, lr: 0.1}",
        )
    )
    full.finish(full.cells())
    told = full.ask("/api/runs", experiment="tiny")
    columns = told["columns"]
    names = [*columns["places"], *columns["results"], *columns["options"]]
    rows = [dict(zip(names, row, strict=True)) for row in told["rows"]]
    assert columns["options"] == ["regime.lr"]
    assert {row["regime.lr"] for row in rows if row["regime"] == "probe"} == {0.1}
    assert "experiment" not in columns["places"]  # there is one
    for row, run_id in zip(rows, told["ids"], strict=True):
        record = full.store.get(run_id)
        assert row["test_accuracy"] == pytest.approx(100 * record.test_accuracy)
        assert row["seed"] == next(c.seed for c in full.cells() if c.run.id == run_id)
    started = [row["started_at"] for row in rows]
    assert started == sorted(started, reverse=True)


def test_chosen_runs_stand_beside_each_other(full):
    ids = full.ask("/api/runs", experiment="tiny")["ids"]
    wanted = [ids[0], next(i for i in ids if i != ids[0])]
    told = full.ask("/api/run", run=wanted)
    assert [run["id"] for run in told["runs"]] == wanted
    rows = table(told["blocks"], "Options and records")
    assert rows["run_id"] == wanted
    shown = [float(text) for text in rows["test_accuracy"]]
    assert shown == pytest.approx([full.store.get(i).test_accuracy for i in wanted], rel=1e-4)
    order = list(rows)
    assert order.index("run_id") < order.index("num_classes")  # what differs comes first
    assert "confusion" not in told


def test_one_run_shows_what_it_takes_for_what(full):
    cell = full.cells()[2]
    full.answer([cell], 0.5)
    found = full.ask("/api/run", run=cell.run.id)["confusion"]
    assert sum(map(sum, found["matrix"])) == found["images"] == 74
    right = sum(row[at] for at, row in enumerate(found["matrix"]))
    assert found["wrong"] == 74 - right == len(found["missed"])
    assert all(one["true"] != one["answer"] and one["file"] is None for one in found["missed"])
    truth, answer, count, total = found["pairs"][0]
    row, column = (found["classes"].index(name) for name in (truth, answer))
    assert found["matrix"][row][column] == count
    assert sum(found["matrix"][row]) == total


def test_records_come_as_csv_and_no_cell_is_a_formula(full):
    cell = full.cells()[2]
    full.store.file(cell.run.id, "record.json").unlink()
    full.store.put(Record.failure(cell.run, "error", "=1+1"))
    asked = {"experiment": ["tiny"], "regime": ["linear_probe"]}
    answer = full.server.answer("/download/records.csv", asked)
    assert answer.saved_as == "records.csv"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert {row["regime"] for row in rows} == {"linear_probe"}
    assert len(rows) == 4
    assert [row["error"] for row in rows if row["error"]] == ["'=1+1"]
    done = next(row for row in rows if row["status"] == "done")
    assert float(done["test_accuracy"]) == full.store.get(done["run_id"]).test_accuracy
    assert full.server.answer("/download/curve.csv", {"run": [done["run_id"]]}).kind == "csv"


def test_each_budget_stands_beside_the_main_one(full):
    write_tiny(full.paths[0].parent, TINY_YAML + "budgets: {longer: {epochs: 5}}\n")
    full.finish(full.cells())
    shown = accuracies(full, experiment=BOTH)
    assert list(shown) == ["tiny", "tiny, budget longer", "other"]
    study = full.reported().further["longer"]
    known = study.accuracy("small_similar", study.backbones[0], "linear_probe")
    assert f"{percent(known)} (n={known.n})" in shown["tiny, budget longer"]["linear_probe"][0]
    assert "majority" not in shown["tiny, budget longer"]
    assert "budget" in full.ask("/api/runs", experiment="tiny")["columns"]["places"]


# ---- What is read, and how often.


def test_a_regime_keeps_its_colour_whatever_is_filtered(full):
    look = comparison.look_of([full.reported().experiment])
    (column,) = full.ask("/api/comparison", experiment="tiny", regime="linear_probe")["columns"]
    traces = [t for b in column["blocks"] for p in b.get("panels", ()) for t in p["traces"]]
    coloured = {t["marker"]["color"] for t in traces if "regime" in t.get("meta", {})}
    assert coloured == {look["linear_probe"].colour}
    assert len(set(look.values())) == len(look)


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


def test_an_experiment_is_read_again_only_if_it_changed(tmp_path):
    path, cache = write_tiny(tmp_path), ExperimentCache()
    first = cache.get(path)
    assert cache.get(path) is first
    assert len(first.cells) == 12
    path.write_text("seeds: 3")
    assert "seeds" in cache.get(path)
    path.unlink()
    assert "cannot read" in cache.get(path)


def test_an_answer_is_computed_once_as_long_as_nothing_is_new(full, monkeypatch):
    made = []
    plain = comparison.comparison
    monkeypatch.setattr(comparison, "comparison", lambda *a: made.append(a) or plain(*a))
    first = full.ask("/api/comparison", experiment="tiny")
    assert full.ask("/api/comparison", experiment="tiny") == first
    assert len(made) == 1
    full.answer(full.cells()[:1], 0.9)
    assert full.ask("/api/comparison", experiment="tiny") != first


def test_the_server_loads_no_torch():
    code = "import transfer_lab.reporting.dashboard.server, transfer_lab.reporting.dashboard.launch"
    assert not loaded(code) & {
        "torch",
        "lightning",
        "wandb",
        "plotly",
        "streamlit",
        "matplotlib.pyplot",
    }
