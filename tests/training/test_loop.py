"""The loop that takes many steps at once does what Lightning's own loop does."""

from __future__ import annotations

import lightning as L
import pytest
import torch

from tests.toys import Leaky, drawn
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.system import device as arithmetic
from transfer_lab.training.fit import fit_and_test
from transfer_lab.training.loop import EpochChunks

EPOCHS = 7
FIT = Fit(epochs=EPOCHS, batch_size=8)


def fresh(cls=FromScratch):
    torch.manual_seed(0)
    regime = cls(Leaky(), 4)
    torch.manual_seed(1)
    return regime


def by_lightning(domain, precision):
    regime = fresh()
    (phase,) = regime.phases()
    regime.begin(phase)
    trainer = L.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        precision=precision,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(regime, domain.loader("train"), domain.loader("val"))
    return regime


@pytest.mark.parametrize(("ours", "theirs"), [("fp32", "32-true"), ("bf16", "bf16-mixed")])
def test_it_ends_at_the_same_weights_as_lightnings_loop(ours, theirs):
    """Bit for bit: the same batches, steps, schedule and arithmetic."""
    regime = fresh()
    fit_and_test(regime, drawn(batch_size=8), FIT, precision=ours)
    expected = by_lightning(drawn(batch_size=8), theirs).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in regime.state_dict().items())


@pytest.mark.parametrize("cls", [FromScratch, LinearProbe])
def test_the_two_kinds_of_numbers_differ_and_both_learn(cls):
    weights = []
    for precision in ("fp32", "bf16"):
        regime = fresh(cls)
        result = fit_and_test(regime, drawn(), Fit(epochs=60, batch_size=8), precision=precision)
        weights.append(regime.head.weight.detach())
        assert weights[-1].dtype == torch.float32
        assert result.curve.last["train_loss"] < 0.5 * result.curve.rows[0]["train_loss"]
    assert not torch.equal(*weights)


@pytest.mark.parametrize(
    ("epochs", "length", "expected"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (1, 5, [1])]
)
def test_stretches_add_up_to_the_epochs(epochs, length, expected):
    batches = [object(), object()]
    stretches = EpochChunks(batches, epochs, length)
    taken = []
    while stretches.left:
        taken += stretches
    assert [stretch.epochs for stretch in taken] == expected
    assert all(stretch.batches is batches for stretch in taken)
    assert len(stretches) == 2


def test_every_epoch_has_a_row_and_every_stretch_a_validation():
    result = fit_and_test(fresh(), drawn(batch_size=8), Fit(epochs=25, batch_size=8))
    rows = result.curve.rows
    assert [row["epoch"] for row in rows] == list(range(1, 26))
    validated = [row["epoch"] for row in rows if row["val_accuracy"] is not None]
    assert validated == [3, 6, 9, 12, 15, 18, 21, 24, 25]
    steps = [row["steps"] for row in rows]
    assert steps == [steps[0] * row["epoch"] for row in rows]
    seconds = [row["fit_seconds"] for row in rows]
    assert seconds == sorted(seconds)


def test_bf16_is_taken_where_the_hardware_has_it(monkeypatch):
    monkeypatch.setattr(arithmetic, "device", lambda: torch.device("cpu"))
    for capabilities, expected in (
        ({"avx2": True}, "fp32"),
        ({"amx_bf16": False, "avx512_bf16": True}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found, False)
        assert arithmetic.precision("auto") == expected
        assert arithmetic.precision("fp32") == "fp32"
        assert arithmetic.precision("bf16") == "bf16"
