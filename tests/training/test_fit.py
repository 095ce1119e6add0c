"""The budget, the order of things, and what counts as training time."""

from __future__ import annotations

import pytest
import torch

from tests.toys import Blocks, Leaky, drawn
from transfer_lab.backbones.counting import macs_per_image, parameter_count
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.regimes.lp_ft import LPFT
from transfer_lab.training import metrics
from transfer_lab.training.curve import FitClock, NonFiniteLossError
from transfer_lab.training.fit import epochs_for, fit_and_test
from transfer_lab.training.metrics import majority_accuracy, predictions


@pytest.mark.parametrize(
    ("fit", "n", "epochs"),
    [
        (Fit(epochs=8, batch_size=32), 1000, 8),
        (Fit(epochs=8, batch_size=32, min_steps=120), 64, 60),
        (Fit(epochs=8, batch_size=32, min_steps=120), 65, 40),
        (Fit(epochs=8, batch_size=32, min_steps=120), 1280, 8),
    ],
)
def test_the_budget_is_a_rule_of_the_number_of_images_alone(fit, n, epochs):
    assert epochs_for(fit, n) == epochs


@pytest.mark.parametrize("cls", [FromScratch, LinearProbe, LPFT])
def test_every_regime_spends_exactly_the_budget(cls):
    regime = cls(Leaky(), 4)
    result = fit_and_test(regime, drawn(batch_size=16), Fit(epochs=7, batch_size=16))
    assert [row["epoch"] for row in result.curve.rows] == list(range(1, 8))
    assert result.curve.last["steps"] == 7 * 3
    assert result.curve.last["val_accuracy"] is not None


def test_validation_runs_about_ten_times_and_after_the_last_epoch():
    result = fit_and_test(LinearProbe(Leaky(), 4), drawn(), Fit(epochs=67, batch_size=32))
    evaluated = [row["epoch"] for row in result.curve.rows if row["val_accuracy"] is not None]
    assert evaluated == [7, 14, 21, 28, 35, 42, 49, 56, 63, 67]


def test_without_validation_images_the_validation_accuracy_is_unknown():
    result = fit_and_test(
        FromScratch(Leaky(), 4), drawn(val_fraction=0), Fit(epochs=2, batch_size=8, val_fraction=0)
    )
    assert result.curve.last["val_accuracy"] is None


@pytest.mark.parametrize("cls", [FromScratch, LinearProbe, LPFT])
def test_the_test_images_are_not_touched_before_the_fit_has_ended(cls):
    order = []

    class Watched(Blocks):
        def image_blocks(self, part):
            order.append(part)
            return super().image_blocks(part)

        def loader(self, section, *args, **more):
            order.append(f"{section} loader")
            return super().loader(section, *args, **more)

    regime = cls(Leaky(), 4)
    regime.on_train_end = lambda: order.append("fit ended")
    fit_and_test(regime, drawn(Watched()), Fit(epochs=2, batch_size=8))
    last_fit = len(order) - 1 - order[::-1].index("fit ended")
    assert order.index("test") > last_fit
    assert order.index("test loader") > last_fit
    assert order.count("test loader") == 1


def test_fit_seconds_are_those_of_the_training_steps_alone(monkeypatch):
    """On a clock that only the steps advance: set-up and validation are not in fit_seconds."""
    elapsed = [0]
    monkeypatch.setattr(FitClock, "_now", lambda clock: elapsed[0])

    class Timed(FromScratch):
        def setup(self, stage):
            elapsed[0] += 1_000_000

        def validation_step(self, batch, index):
            elapsed[0] += 10_000
            super().validation_step(batch, index)

        def training_step(self, batch, index):
            elapsed[0] += 1
            return super().training_step(batch, index)

    result = fit_and_test(Timed(Leaky(), 4), drawn(batch_size=16), Fit(epochs=5, batch_size=16))
    assert result.clock.seconds == result.curve.last["steps"] == 15
    assert [row["fit_seconds"] for row in result.curve.rows] == [3, 6, 9, 12, 15]


def test_the_clock_adds_up_stretches_and_never_reads_the_wall_clock(monkeypatch):
    monkeypatch.setattr("time.time", lambda: pytest.fail("the wall clock may jump"))
    now = iter([10.0, 12.0, 20.0, 21.0, 50.0, 54.0])
    clock = FitClock(now=lambda: next(now))
    trainer = module = None
    clock.on_train_start(trainer, module)
    clock.on_validation_start(trainer, module)
    clock.on_validation_end(trainer, module)
    clock.on_train_end(trainer, module)
    assert clock.seconds == 3
    clock.on_train_start(trainer, module)
    clock.on_train_end(trainer, module)
    assert clock.seconds == 7


def test_a_loss_that_is_not_finite_stops_the_fit_in_its_epoch():
    class Broken(FromScratch):
        def training_step(self, batch, index):
            return super().training_step(batch, index) * float("nan")

        def on_train_epoch_end(self):
            self.train_sums *= float("nan")

    with pytest.raises(NonFiniteLossError, match="epoch 1"):
        fit_and_test(Broken(Leaky(), 4), drawn(), Fit(epochs=3, batch_size=8))


def test_the_rate_warms_up_and_falls_to_nothing():
    rates = []

    class Watched(FromScratch):
        def training_step(self, batch, index):
            rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
            return super().training_step(batch, index)

    fit_and_test(Watched(Leaky(), 4, lr=0.01), drawn(batch_size=8), Fit(epochs=10, batch_size=8))
    peak = rates.index(max(rates))
    assert 0 < peak < len(rates) / 5
    assert max(rates) == pytest.approx(0.01, rel=0.1)
    assert rates[-1] < 0.001
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_metrics_of_a_hand_made_case():
    logits = torch.log(torch.tensor([[0.7, 0.3], [0.6, 0.4], [0.2, 0.8], [0.9, 0.1]]))
    labels = torch.tensor([0, 0, 1, 1])
    found = metrics.test_metrics(logits, labels)
    assert found["test_accuracy"] == pytest.approx(0.75)
    assert found["test_balanced_accuracy"] == pytest.approx(0.75)
    assert found["test_macro_recall"] == pytest.approx(0.75)
    assert found["test_macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    expected = -torch.tensor([0.7, 0.6, 0.8, 0.1]).log().mean().item()
    assert found["test_log_loss"] == pytest.approx(expected, rel=1e-5)


def test_balanced_accuracy_weighs_classes_and_not_images():
    logits = torch.tensor([[1.0, 0.0]] * 10)
    labels = torch.tensor([0] * 9 + [1])
    found = metrics.test_metrics(logits, labels)
    assert found["test_accuracy"] == pytest.approx(0.9)
    assert found["test_balanced_accuracy"] == pytest.approx(0.5)


def test_majority_accuracy_takes_the_training_majority_to_the_test_labels():
    train, test = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 1, 1])
    assert majority_accuracy(train, test) == pytest.approx(0.25)


def test_predictions_keep_label_answer_and_probability_of_each_test_image():
    kept = predictions(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]))
    assert kept["label"].tolist() == [0, 0]
    assert kept["predicted"].tolist() == [0, 1]
    assert kept["label_log_probability"].tolist() == pytest.approx([-0.127, -1.313], abs=1e-2)


def test_operations_and_parameters_are_counted_for_the_whole_network():
    regime = FromScratch(Leaky(), 4)
    convolutions = 144 * 27 * 8 + 36 * 72 * 8
    assert macs_per_image(regime, 12) == convolutions + 72 * 32 + 32 * 4
    assert parameter_count(regime) == sum(p.numel() for p in regime.parameters())
    before = [p.device.type for p in regime.parameters()]
    assert set(before) == {"cpu"}


def test_trainable_parameters_are_those_that_learnt():
    probe = fit_and_test(LinearProbe(Leaky(), 4), drawn(), Fit(epochs=1, batch_size=8))
    scratch = FromScratch(Leaky(), 4)
    whole = fit_and_test(scratch, drawn(), Fit(epochs=1, batch_size=8))
    assert probe.trainable_params == 32 * 4 + 4
    assert whole.trainable_params == parameter_count(scratch)


def test_of_the_test_images_no_more_than_about_a_batch_is_kept():
    domain = drawn(Blocks(test_per_class=400))
    regime = LinearProbe(Leaky(), 4)
    fit_and_test(regime, domain, Fit(epochs=1, batch_size=32), reuse_prefix=False)
    batches = [images for images, _ in domain.test_dataloader()]
    kept = sum(images.untyped_storage().nbytes() for images in regime.tested)
    assert len(batches) > 5
    assert kept <= batches[0].nbytes + len(batches) * batches[0][:1].nbytes
