"""A regime is a LightningModule: each hook that it overrides is called as Lightning calls it."""

from __future__ import annotations

import lightning as L
import pytest
import torch
from torch.nn import functional as F

from tests.toys import Leaky, drawn
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.spec import Fit
from transfer_lab.grid.preflight import _check_options
from transfer_lab.regimes.base import TransferModule
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.regimes.hooks import (
    BEFORE_THE_FIRST_STEP,
    IN_EVERY_STEP,
    NEVER_CALLED,
    own_hooks,
)
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.regimes.lp_ft import LPFT
from transfer_lab.training.fit import FitResult, fit_and_test
from transfer_lab.training.loop import ChunkedLoop, LightningLoop, loop_of

EPOCHS, BATCHES = 3, 6
FIT = Fit(epochs=EPOCHS, batch_size=8)

CALLED_IN_BOTH = {
    *("configure_model", "configure_sharded_model", "prepare_data", "setup", "teardown"),
    *("on_fit_start", "on_fit_end", "on_train_start", "on_train_end"),
    *("on_validation_start", "on_validation_end", "validation_step"),
    *("on_validation_epoch_start", "on_validation_epoch_end"),
    *("on_validation_batch_start", "on_validation_batch_end", "on_validation_model_zero_grad"),
    *("on_validation_model_eval", "on_validation_model_train", "training_step", "test_step"),
    *("on_test_start", "on_test_end", "on_test_epoch_start", "on_test_epoch_end"),
    *("on_test_batch_start", "on_test_batch_end", "on_test_model_eval", "on_test_model_train"),
}
NOT_ASKED_FOR = {
    *("on_load_checkpoint", "on_save_checkpoint", "predict_step", "on_predict_start"),
    *("on_predict_end", "on_predict_epoch_start", "on_predict_epoch_end", "on_predict_batch_start"),
    *("on_predict_batch_end", "on_predict_model_eval"),
}
"""Without checkpoints and prediction Lightning calls them no more than the lab does."""
TOOLS = {
    *("all_gather", "freeze", "unfreeze", "load_from_checkpoint", "log", "log_dict"),
    *("lr_schedulers", "manual_backward", "optimizers", "print", "remove_ignored_hparams"),
    *("save_hyperparameters", "to_onnx", "to_tensorrt", "to_torchscript", "toggle_optimizer"),
    *("toggled_optimizer", "untoggle_optimizer"),
}
"""What a module calls, and Lightning does not."""
HOOKS = sorted(IN_EVERY_STEP - {"automatic_optimization"})
TRAINER = {
    "max_epochs": EPOCHS,
    "accelerator": "cpu",
    "num_sanity_val_steps": 0,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def fresh(cls: type[TransferModule]) -> TransferModule:
    torch.manual_seed(0)
    regime = cls(Leaky(), 4)
    torch.manual_seed(1)
    return regime


def fitted(cls: type[TransferModule], fit: Fit = FIT, **more) -> tuple[TransferModule, FitResult]:
    regime = fresh(cls)
    return regime, fit_and_test(regime, drawn(), fit, **more)


def by_lightning(cls: type[TransferModule], **more) -> TransferModule:
    """By a plain Trainer, which validates after every epoch as the lab does with so few of them."""
    regime, domain = fresh(cls), drawn()
    (phase,) = regime.phases()
    regime.begin(phase)
    L.Trainer(**TRAINER, **more).fit(regime, domain.loader("train"), domain.loader("val"))
    return regime


def same_weights(one: TransferModule, other: TransferModule) -> bool:
    """Bit for bit."""
    there = other.state_dict()
    return all(torch.equal(value, there[key]) for key, value in one.state_dict().items())


def rows_of(result: FitResult) -> list[dict]:
    return [row | {"fit_seconds": 0} for row in result.curve.rows]


def recording(*hooks: str, base: type[TransferModule] = FromScratch) -> type[TransferModule]:
    """A regime that notes when these are called, and does what it did."""

    def noted(hook):
        def method(self, *given, **more):
            calls = self.__dict__.setdefault("calls", [])
            index = [value for value in (*given, *more.values()) if isinstance(value, int)]
            sizes = [len(v[1]) for v in given if isinstance(v, list | tuple) and len(v) == 2]
            calls.append((hook, index, sizes))
            return getattr(super(cls, self), hook)(*given, **more)

        return method

    cls = type("Recording", (base,), {hook: noted(hook) for hook in hooks})
    return cls


def idle(base: type[TransferModule]) -> type[TransferModule]:
    """The same regime with hooks that do nothing, so that Lightning's own loop trains it."""
    nothing = {
        "on_train_batch_start": lambda self, batch, index: None,
        "on_after_backward": lambda self: None,
        "on_train_epoch_start": lambda self: None,
    }
    return type("Idle", (base,), nothing)


def test_every_method_of_a_lightning_module_is_known():
    """A version of Lightning with a further hook has to be thought about."""
    cls = L.LightningModule
    public = {name for name in dir(cls) if not name.startswith("_")}
    methods = {n for n in public - set(dir(torch.nn.Module)) if callable(getattr(cls, n))}
    groups = [IN_EVERY_STEP - {"automatic_optimization"}, NEVER_CALLED, CALLED_IN_BOTH]
    groups += [NOT_ASKED_FOR, TOOLS]
    assert set.union(*map(set, groups)) == methods
    assert sum(map(len, groups)) == len(methods)


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("base", [FromScratch, LPFT])
def test_idle_hooks_change_nothing_but_the_loop(base, precision, patience):
    fit = Fit(epochs=25, batch_size=8, patience=patience)
    assert (loop_of(fresh(base)), loop_of(fresh(idle(base)))) == (ChunkedLoop, LightningLoop)
    fast, expected = fitted(base, fit, precision=precision)
    slow, result = fitted(idle(base), fit, precision=precision)
    assert same_weights(fast, slow)
    assert torch.equal(torch.cat(fast.test_outputs), torch.cat(slow.test_outputs))
    assert rows_of(result) == rows_of(expected)
    assert (result.stopped, result.kept["epoch"]) == (expected.stopped, expected.kept["epoch"])
    assert result.features.keys() == expected.features.keys()


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_alone_is_called_as_often_and_with_what_lightning_gives(hook):
    cls = recording(hook)
    ours, _ = fitted(cls)
    theirs = by_lightning(cls)
    count = len(theirs.calls)
    assert ours.calls[:count] == theirs.calls
    assert same_weights(ours, theirs)
    asked_in_a_test_too = "transfer" in hook or hook == "configure_callbacks"
    assert bool(ours.calls[count:]) == asked_in_a_test_too


def test_all_hooks_are_called_in_lightnings_order():
    # Lightning refuses the two of which one replaces the other.
    cls = recording(*(set(HOOKS) | CALLED_IN_BOTH - {"configure_sharded_model"}))
    ours, theirs = fitted(cls)[0].calls, by_lightning(cls).calls
    assert ours[: len(theirs)] == theirs
    assert theirs[-1][0] == "teardown"
    assert {call[0] for call in theirs} >= set(HOOKS)


@pytest.mark.parametrize("hook", sorted(CALLED_IN_BOTH - BEFORE_THE_FIRST_STEP - {"test_step"}))
def test_hooks_outside_a_step_are_called_as_often_in_the_fast_loop(hook):
    cls = recording(hook)
    assert loop_of(fresh(cls)) is ChunkedLoop
    ours, theirs = fitted(cls)[0], by_lightning(cls)
    expected = getattr(theirs, "calls", [])
    assert getattr(ours, "calls", [])[: len(expected)] == expected


def test_hooks_on_the_object_itself_count_as_overridden():
    regime = fresh(FromScratch)
    assert own_hooks(regime) == set()
    regime.on_after_backward = lambda: None
    assert loop_of(regime) is LightningLoop


class TwoOptimizers(FromScratch):
    """The head and the stages each by an optimiser of their own, the head every other step."""

    def __init__(self, backbone, num_classes):
        super().__init__(backbone, num_classes)
        self.automatic_optimization = False

    def configure_optimizers(self):
        head = torch.optim.SGD(self.head.parameters(), lr=0.1)
        stages = torch.optim.Adam(self.backbone.parameters(), lr=0.001)
        return [head, stages], [torch.optim.lr_scheduler.ExponentialLR(head, 0.9)]

    def training_step(self, batch, index):
        head, stages = self.optimizers()
        head.zero_grad()
        stages.zero_grad()
        self.manual_backward(super().training_step(batch, index))
        stages.step()
        if index % 2:
            head.step()

    def on_train_epoch_end(self):
        self.lr_schedulers().step()


@pytest.mark.parametrize(("ours", "theirs"), [("fp32", "32-true"), ("bf16", "bf16-mixed")])
def test_two_optimisers_step_in_manual_optimisation(ours, theirs):
    regime, result = fitted(TwoOptimizers, precision=ours)
    assert same_weights(regime, by_lightning(TwoOptimizers, precision=theirs))
    assert not regime.automatic_optimization
    assert result.curve.last["steps"] == EPOCHS * BATCHES
    assert [row["epoch"] for row in result.curve.rows] == [1, 2, 3]


def test_gradients_are_clipped_where_a_regime_clips_them():
    class Clipping(FromScratch):
        def configure_gradient_clipping(self, optimizer, **_):
            self.clip_gradients(optimizer, gradient_clip_val=0.01, gradient_clip_algorithm="norm")

    regime, _ = fitted(Clipping)
    assert same_weights(regime, by_lightning(FromScratch, gradient_clip_val=0.01))
    assert not same_weights(regime, fitted(FromScratch)[0])


@pytest.mark.parametrize("patience", [None, 1])
def test_a_regime_may_end_an_epoch_and_validation_comes_all_the_same(patience):
    class Ending(FromScratch):
        def on_train_batch_start(self, batch, index):
            return -1 if index == 2 or self.current_epoch == 1 else None

    fit = FIT.model_copy(update={"patience": patience})
    _, result = fitted(Ending, fit)
    rows = result.curve.rows
    whole = range(len(rows))
    assert [row["steps"] for row in rows] == [[2, 2, 4][place] for place in whole]
    assert [row["train_loss"] is None for row in rows] == [place == 1 for place in whole]
    assert rows[-1]["val_loss"] is not None
    if not patience:
        assert [row["epoch"] for row in rows] == [1, 2, 3]
        assert all(row["val_loss"] for row in rows)


@pytest.mark.parametrize("idly", [False, True], ids=["fast loop", "Lightning's loop"])
def test_a_training_step_may_log_and_the_result_stays_the_same(idly):
    class Logging(FromScratch):
        def training_step(self, batch, index):
            loss = super().training_step(batch, index)
            self.log("step", loss)
            self.log("epoch", loss, on_step=False, on_epoch=True)
            self.log_dict({"both": loss}, on_step=True, on_epoch=True)
            return loss

        def on_train_end(self):
            self.logged = set(self.trainer.callback_metrics)

    cls = idle(Logging) if idly else Logging
    assert loop_of(fresh(cls)) is (LightningLoop if idly else ChunkedLoop)
    regime, result = fitted(cls)
    plain, expected = fitted(FromScratch)
    assert same_weights(regime, plain)
    assert rows_of(result) == rows_of(expected)
    assert {"step", "epoch", "both_step", "both_epoch"} <= regime.logged


class Counting(FromScratch):
    """Notes what it sees of the Trainer in each step."""

    def training_step(self, batch, index):
        trainer = self.trainer
        known = (trainer.max_epochs, trainer.num_training_batches)
        seen = (self.current_epoch, self.global_step, index, *known)
        self.__dict__.setdefault("seen", []).append((*seen, trainer.estimated_stepping_batches))
        return super().training_step(batch, index)

    def on_train_end(self):
        self.seen.append((self.current_epoch, self.global_step))


@pytest.mark.parametrize("epochs", [3, 25])
def test_the_trainers_counters_are_the_same_in_both_loops(epochs):
    fit = Fit(epochs=epochs, batch_size=8)
    fast, slow = (fitted(cls, fit)[0].seen for cls in (Counting, idle(Counting)))
    steps = range(epochs * BATCHES)
    assert fast == slow
    assert fast[:-1] == [
        (step // BATCHES, step, step % BATCHES, epochs, BATCHES, epochs * BATCHES) for step in steps
    ]


def test_a_training_step_may_return_a_dict_or_nothing():
    class Returning(FromScratch):
        def training_step(self, batch, index):
            loss = super().training_step(batch, index)
            return None if index == 1 else {"loss": loss, "more": 1}

    fast, result = fitted(Returning)
    slow, same = fitted(idle(Returning))
    assert same_weights(fast, slow) and same_weights(fast, by_lightning(Returning))
    assert rows_of(result) == rows_of(same)
    assert not same_weights(fast, fitted(FromScratch)[0])


@pytest.mark.parametrize("returned", [{"lost": 1}, 0.5])
def test_anything_else_from_a_training_step_is_an_error(returned):
    cls = type("Wrong", (FromScratch,), {"training_step": lambda self, batch, index: returned})
    with pytest.raises(TypeError, match="must return a loss, a dict with one under 'loss', or"):
        fitted(cls)


def test_a_training_step_may_leave_out_the_index():
    class Indexless(FromScratch):
        def training_step(self, batch):
            return super().training_step(batch, 0)

    assert loop_of(fresh(Indexless)) is LightningLoop
    assert same_weights(fitted(Indexless)[0], fitted(FromScratch)[0])


def test_a_loss_of_ones_own_need_not_be_counted():
    class Uncounted(FromScratch):
        def training_step(self, batch, index):
            return F.cross_entropy(self(batch[0]), batch[1])

    for cls in (Uncounted, idle(Uncounted)):
        regime, result = fitted(cls)
        assert same_weights(regime, fitted(FromScratch)[0])
        assert result.curve.last["train_loss"] is None
        assert result.curve.last["val_loss"] > 0


def _no_schedule(self):
    return torch.optim.SGD(self.parameters(), lr=0.1)


def _by_epoch(self):
    optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
    return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]


def _on_plateau(self):
    optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=9)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "loss"}}


@pytest.mark.parametrize("configure", [_no_schedule, _by_epoch, _on_plateau])
def test_optimisers_and_schedules_of_ones_own_work_as_lightning_says(configure):
    class Own(FromScratch):
        configure_optimizers = configure

        def training_step(self, batch, index):
            loss = super().training_step(batch, index)
            self.log("loss", loss, on_step=False, on_epoch=True)
            return loss

    assert same_weights(fitted(Own)[0], by_lightning(Own))


def test_what_a_regime_says_of_optimisation_is_its_own_after_a_fit_that_failed_too():
    class Failing(FromScratch):
        def on_validation_start(self):
            assert not self.automatic_optimization
            raise RuntimeError("on purpose")

    regime = fresh(Failing)
    with pytest.raises(RuntimeError, match="on purpose"):
        fit_and_test(regime, drawn(), FIT)
    assert regime.automatic_optimization
    assert fitted(FromScratch)[0].automatic_optimization


def refused(cls: type[TransferModule], monkeypatch) -> list[str]:
    monkeypatch.setattr(REGIMES, "load", lambda kind: cls)
    found = _check_options(Choice(kind="linear_probe"), ("regimes", "mine"), Leaky(), {})
    assert all(place == ("regimes", "mine") for place, _ in found)
    return [text for _, text in found]


@pytest.mark.parametrize("hook", sorted(NEVER_CALLED))
def test_loaders_of_a_regime_are_refused_before_any_run(hook, monkeypatch):
    (told,) = refused(recording(hook, base=LinearProbe), monkeypatch)
    assert f"linear_probe: Recording overrides {hook}, which is never called" in told
    assert "on_after_batch_transfer" in told


def test_several_optimisers_without_manual_optimisation_are_refused_before_any_run(monkeypatch):
    class Automatic(TwoOptimizers):
        def __init__(self, backbone, num_classes):
            super().__init__(backbone, num_classes)
            self.automatic_optimization = True

    (told,) = refused(Automatic, monkeypatch)
    assert "Automatic.configure_optimizers gives 2 optimisers" in told
    assert "self.automatic_optimization = False" in told
    for fine in (TwoOptimizers, recording(*HOOKS), FromScratch):
        assert refused(fine, monkeypatch) == []


def test_optimisers_that_only_a_trainer_knows_of_are_left_to_it(monkeypatch):
    class Asking(FromScratch):
        def configure_optimizers(self):
            return [torch.optim.SGD(self.parameters(), lr=1 / self.trainer.max_epochs)]

    assert refused(Asking, monkeypatch) == []
    fitted(Asking)


@pytest.mark.parametrize("hook", sorted(BEFORE_THE_FIRST_STEP))
def test_hooks_before_the_first_step_are_lightnings_and_called_as_often(hook):
    cls = recording(hook)
    assert loop_of(fresh(cls)) is LightningLoop
    ours, theirs = fitted(cls)[0], by_lightning(cls)
    expected = getattr(theirs, "calls", [])
    assert getattr(ours, "calls", [])[: len(expected)] == expected
    assert same_weights(ours, theirs)


def _clip(self, *_, **__):
    self.trainer.gradient_clip_val = 0.01


def _accumulate(self, *_, **__):
    self.trainer.accumulate_grad_batches = 2


@pytest.mark.parametrize(
    ("hook", "ask"),
    [
        *(("setup", _clip), ("on_fit_start", _clip), ("on_train_start", _clip)),
        *(("on_fit_start", _accumulate), ("on_train_start", _accumulate)),
    ],
)
def test_what_a_regime_asks_of_the_trainer_before_the_first_step_is_done(hook, ask):
    cls = type("Asking", (FromScratch,), {hook: ask})
    regime, _ = fitted(cls)
    assert same_weights(regime, by_lightning(cls))
    assert not same_weights(regime, fitted(FromScratch)[0])


@pytest.mark.parametrize(
    ("ask", "name"), [(_clip, "gradient_clip_val"), (_accumulate, "accumulate_grad_batches")]
)
@pytest.mark.parametrize("hook", ["on_validation_end", "training_step"])
def test_what_it_asks_too_late_is_refused(hook, ask, name):
    def asking(self, *given):
        ask(self)
        return getattr(FromScratch, hook)(self, *given)

    cls = type("Late", (FromScratch,), {hook: asking})
    assert loop_of(fresh(cls)) is ChunkedLoop
    with pytest.raises(ValueError, match=rf"Late sets trainer\.{name} .*in on_train_start"):
        fitted(cls)


@pytest.mark.parametrize("idly", [False, True], ids=["fast loop", "Lightning's loop"])
@pytest.mark.parametrize("hook", ["on_train_start", "on_validation_end", "training_step"])
def test_the_trainers_loader_is_the_domains_and_looking_through_it_spends_nothing(hook, idly):
    def looking(self, *given):
        loader = self.trainer.train_dataloader
        self.__dict__.setdefault("seen", []).append(sum(len(y) for _, y in loader))
        assert len(loader) == BATCHES
        assert len(loader.dataset) == self.seen[-1]
        return getattr(FromScratch, hook)(self, *given)

    cls = type("Looking", (FromScratch,), {hook: looking})
    regime, result = fitted(idle(cls) if idly else cls)
    assert set(regime.seen) == {48}
    assert result.curve.last["epoch"] == EPOCHS
    assert result.curve.last["steps"] == EPOCHS * BATCHES
    assert same_weights(regime, by_lightning(cls))


def test_the_last_batch_of_each_epoch_is_known_as_such():
    class Watching(FromScratch):
        def training_step(self, batch, index):
            self.__dict__.setdefault("last", []).append(self.trainer.is_last_batch)
            return super().training_step(batch, index)

    expected = [index == BATCHES - 1 for _ in range(EPOCHS) for index in range(BATCHES)]
    assert fitted(Watching)[0].last == fitted(idle(Watching))[0].last == expected


@pytest.mark.parametrize("patience", [None, 5])
@pytest.mark.parametrize("step", [8, 11, 100])
def test_a_fit_ends_after_the_step_that_says_so(step, patience):
    """And with a validation, whether or not one was due."""

    class Stopping(FromScratch):
        def training_step(self, batch, index):
            self.trainer.should_stop = self.global_step == step
            return super().training_step(batch, index)

    fit = Fit(epochs=25, batch_size=8, patience=patience)
    fast, result = fitted(Stopping, fit)
    slow, same = fitted(idle(Stopping), fit)
    assert result.curve.last["steps"] == step + 1
    assert result.curve.last["epoch"] == step // BATCHES + 1
    assert result.curve.last["val_accuracy"] is not None
    assert rows_of(result) == rows_of(same)
    assert same_weights(fast, slow)


@pytest.mark.parametrize("idly", [False, True], ids=["fast loop", "Lightning's loop"])
def test_a_dict_without_a_loss_is_an_error_in_both_loops(idly):
    step = {"training_step": lambda self, batch, index: {"loss": None}}
    cls = type("Lossless", (FromScratch,), step)
    with pytest.raises(Exception, match=r"training_step.* a dict"):
        fitted(idle(cls) if idly else cls)
