"""With patience a fit ends by itself, and its result is the model of the best validation."""

from __future__ import annotations

import csv
import math

import pytest
import torch
from torch.nn import functional as F

from tests.builders import tiny_run
from tests.contracts.test_regimes import LEARNERS, build
from tests.toys import Blocks, Leaky, drawn
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.spec import Fit, Run
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.regimes.lp_ft import LPFT
from transfer_lab.store.records import RecordStore
from transfer_lab.training import building
from transfer_lab.training import run as training
from transfer_lab.training.contracts.cases import state
from transfer_lab.training.curve import FitClock, NonFiniteLossError
from transfer_lab.training.early_stopping import EarlyStopping
from transfer_lab.training.fit import FitResult, fit_and_test, fit_and_validate
from transfer_lab.training.run import Setting, train

CAP, PATIENCE = 400, 3
PATIENT = Fit(epochs=CAP, batch_size=8, val_fraction=0.25, patience=PATIENCE)
BETWEEN = 2
"""Epochs between validations: 6 batches of 8 make an epoch here, and 10 steps lie between."""


ALONE = [n for n in LEARNERS if REGIMES[n].is_comparable and not REGIMES[n].pretext]
"""Those that a drawn toy is enough for."""


def hopeless() -> Blocks:
    """Labels that images say nothing of: whoever learns them does worse on others soon."""
    return drawn(Blocks(shuffled=True), per_class=16)


def losses(rows: list[dict], phase: int | None = None) -> list[float]:
    wanted = [row for row in rows if phase in (None, row["phase"])]
    return [row["val_loss"] for row in wanted if row["val_loss"] is not None]


def scores(rows: list[dict], phase: int | None = None) -> list[tuple[float, float]]:
    """What is the better the higher: accuracy, and at the same accuracy the loss's negative."""
    wanted = [row for row in rows if phase in (None, row["phase"])]
    seen = [row for row in wanted if row["val_loss"] is not None]
    return [(row["val_accuracy"], -row["val_loss"]) for row in seen]


def score(row: dict) -> tuple[float, float]:
    return row["val_accuracy"], -row["val_loss"]


def loss_now(regime, domain) -> float:
    """The validation loss of the model as it is, all of it run on the images."""
    regime.entry = 0
    regime.eval()
    with torch.no_grad():
        batches = [(regime(images), labels) for images, labels in domain.loader("val")]
    logits, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return F.cross_entropy(logits, labels).item()


@pytest.mark.parametrize("reuse_prefix", [True, False], ids=["prefix computed once", "live"])
@pytest.mark.parametrize("name", ALONE)
def test_a_fit_ends_on_a_plateau_and_keeps_its_best_model(name, reuse_prefix):
    regime, domain = build(name, lr=0.02), hopeless()
    initial = state(regime.backbone.stages)
    result = fit_and_test(regime, domain, PATIENT, reuse_prefix=reuse_prefix)
    rows, last_phase = result.curve.rows, result.curve.last["phase"]
    assert result.stopped == "converged"
    assert len(rows) < CAP
    for phase in range(1, last_phase + 1):
        found = scores(rows, phase)
        assert found.index(max(found)) == len(found) - 1 - PATIENCE
    best = max(scores(rows, last_phase))
    assert score(result.kept) == best > scores(rows)[-1]
    assert loss_now(regime, domain) == pytest.approx(-best[1], rel=1e-4)
    always_frozen = set.intersection(*(set(phase.frozen) for phase in regime.phases()))
    for key, value in regime.backbone.stages.state_dict().items():
        if int(key.partition(".")[0]) in always_frozen:
            assert torch.equal(value, initial[key]), key


@pytest.mark.parametrize("name", ALONE)
def test_what_is_tested_is_what_was_kept(name):
    regime, domain = build(name, lr=0.02), hopeless()
    fit_and_test(regime, domain, PATIENT)
    regime.entry = 0
    regime.eval()
    with torch.no_grad():
        anew = torch.cat([regime(images) for images, _ in domain.loader("test")])
    torch.testing.assert_close(anew, torch.cat(regime.test_outputs), rtol=1e-3, atol=1e-4)


def test_the_cap_ends_what_would_go_on_and_the_record_can_tell():
    domain = drawn(Blocks(), per_class=24)
    fit = PATIENT.model_copy(update={"epochs": 5, "patience": 50})
    result = fit_and_test(FromScratch(Leaky(), 4, lr=1e-4), domain, fit)
    assert result.curve.last["epoch"] == 5
    assert result.stopped == "cap"
    assert score(result.kept) == max(scores(result.curve.rows))


def test_without_patience_nothing_is_said_of_the_end_and_the_last_epoch_is_kept():
    fit = Fit(epochs=3, batch_size=8, val_fraction=0.25)
    result = fit_and_test(FromScratch(Leaky(), 4), drawn(), fit)
    assert result.stopped is None
    assert result.kept is result.curve.last


def test_the_cap_decides_nothing_but_the_end():
    """Neither when validation comes, nor how fast anything learns, nor so what is kept."""
    found = []
    for cap in (CAP, 2 * CAP):
        regime = build("full_finetune", lr=0.02)
        result = fit_and_test(regime, hopeless(), PATIENT.model_copy(update={"epochs": cap}))
        found.append((state(regime), losses(result.curve.rows)))
    assert found[0][1] == found[1][1]
    assert all(torch.equal(value, found[1][0][key]) for key, value in found[0][0].items())


@pytest.mark.parametrize(("per_class", "batch_size", "between"), [(16, 8, 2), (16, 64, 10)])
def test_validations_are_an_epoch_or_ten_steps_apart(per_class, batch_size, between):
    fit = Fit(epochs=40, batch_size=batch_size, val_fraction=0.25, patience=99)
    domain = drawn(per_class=per_class, batch_size=batch_size)
    result = fit_and_test(FromScratch(Leaky(), 4), domain, fit)
    validated = [row["epoch"] for row in result.curve.rows if row["val_loss"] is not None]
    assert validated == list(range(between, 41, between))


def test_the_rate_warms_up_and_stays():
    rates = []

    class Watched(FromScratch):
        def training_step(self, batch, index):
            rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
            return super().training_step(batch, index)

    fit = PATIENT.model_copy(update={"epochs": 8, "patience": 99})
    fit_and_test(Watched(Leaky(), 4, lr=0.01), drawn(), fit)
    assert len(rates) == 8 * 6
    assert rates == sorted(rates)
    assert 0 < rates[0] < 0.002
    assert rates[10:] == [pytest.approx(0.01)] * 38


class Followed(LPFT):
    """Keeps the state with which each phase begins."""

    def begin(self, phase, **more):
        super().begin(phase, **more)
        self.begun = [*getattr(self, "begun", []), state(self)]


def test_fine_tuning_begins_at_the_best_probe():
    torch.manual_seed(0)
    regime, domain = Followed(Leaky(), 4, probe_lr=0.02), hopeless()
    result = fit_and_test(regime, domain, PATIENT)
    rows = result.curve.rows
    assert {row["phase"] for row in rows} == {1, 2}
    probe = build("lp_ft")
    probe.load_state_dict(regime.begun[1])
    assert loss_now(probe, domain) == pytest.approx(-max(scores(rows, 1))[1], rel=1e-4)
    before, after = regime.begun
    assert not any(torch.equal(before[k], after[k]) for k in before if k.startswith("head."))
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith("backbone."))


@pytest.mark.parametrize(("share", "at_cap"), [(0.02, 1), (0.98, 2)])
def test_each_phase_has_its_share_of_the_cap_and_one_that_fills_it_is_told(share, at_cap):
    """Also where the other phase ended early, so that fewer epochs were taken than the cap has."""
    torch.manual_seed(0)
    regime = LPFT(Leaky(), 4, probe_lr=0.02, lr=0.02, probe_share=share)
    result = fit_and_test(regime, hopeless(), PATIENT)
    epochs = {n: sum(row["phase"] == n for row in result.curve.rows) for n in (1, 2)}
    assert epochs[at_cap] == 8
    assert epochs[3 - at_cap] < CAP - 8
    assert result.stopped == "cap"


def test_the_result_is_of_the_last_phase_even_if_an_earlier_one_was_better():
    """The last phase ends at a model of its own best validation, and what is said must fit."""

    class Worse(LPFT):
        def validation_step(self, batch, index):
            super().validation_step(batch, index)
            if not self.phase.frozen:
                self.val_sums[1] -= 1000

    torch.manual_seed(0)
    result = fit_and_test(Worse(Leaky(), 4), hopeless(), PATIENT)
    assert result.kept["phase"] == 2
    assert score(result.kept) == max(scores(result.curve.rows, 2))
    assert result.kept["val_accuracy"] < -10


def test_fit_seconds_are_of_all_epochs_and_of_no_copying(monkeypatch):
    """On a clock that steps advance, and that copies would."""
    elapsed = [0]
    monkeypatch.setattr(FitClock, "_now", lambda clock: elapsed[0])

    class Timed(FromScratch):
        def state_dict(self, *given, **more):
            elapsed[0] += 1_000_000
            return super().state_dict(*given, **more)

        def validation_step(self, batch, index):
            elapsed[0] += 10_000
            super().validation_step(batch, index)

        def training_step(self, batch, index):
            elapsed[0] += 1
            return super().training_step(batch, index)

    result = fit_and_test(Timed(Leaky(), 4, lr=0.02), hopeless(), PATIENT)
    assert elapsed[0] > 1_000_000
    assert result.clock.seconds == result.curve.last["steps"] > result.kept["steps"]


class Blinded(LPFT):
    """From one validation of a phase on, its losses are no numbers."""

    blind_phase, sees, value = 1, 0, math.nan

    def begin(self, phase, **more):
        super().begin(phase, **more)
        self.number, self.left = getattr(self, "number", 0) + 1, self.sees

    def validation_step(self, batch, index):
        super().validation_step(batch, index)
        if self.number == self.blind_phase and not self.left:
            self.val_sums *= torch.tensor([self.value, 1, 1])

    def on_validation_epoch_end(self):
        self.left = max(0, self.left - 1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("phase", [1, 2])
def test_a_phase_in_which_no_validation_loss_was_ever_a_number_has_diverged(phase, value):
    torch.manual_seed(0)
    regime, result = Blinded(Leaky(), 4, probe_lr=0.02), FitResult()
    regime.blind_phase, regime.value = phase, value
    with pytest.raises(NonFiniteLossError, match=f"no validation loss was finite, {PATIENCE} time"):
        fit_and_validate(regime, hopeless(), PATIENT, result)
    assert result.curve.last["phase"] == phase
    assert len([row for row in result.curve.rows if row["phase"] == phase]) == PATIENCE * BETWEEN


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_never_the_best(value):
    torch.manual_seed(0)
    regime = Blinded(Leaky(), 4, probe_lr=0.02)
    regime.blind_phase, regime.sees, regime.value = 2, 2, value
    result = fit_and_test(regime, hopeless(), PATIENT)
    first, second, *others = losses(result.curve.rows, 2)
    assert math.isfinite(first) and math.isfinite(second)
    assert others and not any(map(math.isfinite, others))
    assert result.kept["val_loss"] in (first, second)
    assert result.stopped == "converged"


def test_what_was_kept_is_let_go_once_it_is_given_back(monkeypatch):
    watches, restore = [], EarlyStopping.restore
    monkeypatch.setattr(
        EarlyStopping, "restore", lambda watch, to: (restore(watch, to), watches.append(watch))[0]
    )
    fit_and_test(LPFT(Leaky(), 4), drawn(), PATIENT)
    assert [watch._state for watch in watches] == [{}, {}]


@pytest.mark.parametrize(
    ("right", "loss", "best"),
    [
        ([5, 5, 5, 5], [3.0, 2.0, 2.0, 2.0], 1),  # of equals the first
        ([5, 6, 6, 5], [2.0, 3.0, 3.0, 1.0], 1),  # accuracy before loss
        ([5, 6, 5, 5], [2.0, 9.0, 1.0, 1.0], 1),
        ([5, 5, 4, 4], [2.0, 1.0, 0.5, 0.1], 1),
    ],
)
def test_better_is_a_higher_accuracy_or_the_same_and_a_lower_loss(right, loss, best):
    watch, regime = EarlyStopping(2), build("full_finetune")
    regime.begin(regime.phases()[0])
    trainer = type("Trainer", (), {"should_stop": False})()
    for hits, value in zip(right, loss, strict=True):
        regime.val_sums = torch.tensor([10 * value, hits, 10.0])
        assert not trainer.should_stop
        watch.on_validation_end(trainer, regime)
    assert trainer.should_stop
    assert watch.best == best


def test_nothing_to_watch_is_an_error_and_no_endless_fit():
    with pytest.raises(ValueError, match="patience watches validation images"):
        fit_and_test(FromScratch(Leaky(), 4), drawn(val_fraction=0), PATIENT)


def patient(regime: str = "from_scratch", **changes: object) -> Run:
    run = tiny_run(regime, lr=0.02)
    content = {name: getattr(run, name) for name in Run.model_fields}
    return Run(**content | {"fit": PATIENT} | changes)


def rows_of(store: RecordStore, run: Run) -> list[dict[str, str]]:
    with store.file(run.id, "metrics.csv").open() as handle:
        return list(csv.DictReader(handle))


@pytest.fixture
def on_blocks(monkeypatch):
    def build_domain(run, cache):
        domain = Blocks(shuffled=True)
        building.draw(domain, run)
        return domain

    monkeypatch.setattr(training, "build_domain", build_domain)
    monkeypatch.setattr(building, "build_backbone", lambda choice, size: Leaky())


def test_a_record_is_of_the_kept_model_and_of_all_the_time_it_took(on_blocks, tmp_path):
    store, run = RecordStore(tmp_path), patient()
    record = train(run, store, Setting())
    rows = rows_of(store, run)
    validated = [row for row in rows if row["val_loss"]]
    kept = max(validated, key=lambda row: (float(row["val_accuracy"]), -float(row["val_loss"])))
    assert record.stopped == "converged"
    assert record.val_accuracy == float(kept["val_accuracy"])
    assert record.train_accuracy == float(kept["train_accuracy"])
    assert record.epochs == len(rows) > int(kept["epoch"])
    assert record.steps == int(rows[-1]["steps"])
    assert record.fit_seconds >= float(rows[-1]["fit_seconds"]) > float(kept["fit_seconds"])


def test_what_starts_from_a_source_run_with_patience_starts_from_its_kept_model(
    on_blocks, tmp_path, monkeypatch
):
    store, source = RecordStore(tmp_path), patient()
    built = []
    build_regime = training.build_regime
    monkeypatch.setattr(
        training, "build_regime", lambda *given: built.append(build_regime(*given)) or built[-1]
    )
    fp32 = Setting(precision="fp32")
    record = train(source, store, fp32, keep_weights=True)
    assert record.stopped == "converged"
    train(patient("linear_probe", init=source), store, fp32)
    kept, started = (state(regime.backbone.stages) for regime in built)
    assert all(torch.equal(value, started[key]) for key, value in kept.items())
    rows = rows_of(store, source)
    validated = [row for row in rows if row["val_loss"]]
    _, loss = max((float(row["val_accuracy"]), -float(row["val_loss"])) for row in validated)
    domain = Blocks(shuffled=True)
    building.draw(domain, source)
    assert loss_now(built[0], domain) == pytest.approx(-loss, rel=1e-4)


def test_patience_with_a_validation_that_adds_nothing_up_names_the_regime_and_the_way_out():
    class Unwatched(FromScratch):
        def validation_step(self, batch, index):
            self.log("val", F.cross_entropy(self(batch[0]), batch[1]))

    with pytest.raises(ValueError, match=r"Unwatched\.validation_step .*super\(\).*leave patience"):
        fit_and_test(Unwatched(Leaky(), 4), drawn(), PATIENT)
    fit = PATIENT.model_copy(update={"epochs": 2, "patience": None})
    assert fit_and_test(Unwatched(Leaky(), 4), drawn(), fit).curve.last["val_accuracy"] is None
