"""Operations of whole runs against closed forms."""

from __future__ import annotations

import pytest

from benchmarks.operations import Operations, operations
from transfer_lab.backbones.mlp import MLP
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.spec import Fit

SIDE, WIDTH, CLASSES = 8, 16, 5
TRAIN, VAL, TEST = 40, 10, 100
FIRST, SECOND, HEAD = (2 * n for n in (3 * SIDE**2 * WIDTH, WIDTH * WIDTH, WIDTH * CLASSES))
EPOCHS = 20
VALIDATED = 10 * VAL


class Domain:
    """As many labels as a fit would see."""

    image_size = SIDE

    def section_labels(self, section):
        return range({"train": TRAIN, "val": VAL, "test": TEST}[section])


def counted(kind, **options):
    regime = REGIMES.load(kind)(MLP(SIDE, width=WIDTH, depth=2), CLASSES, **options)
    return operations(regime, Domain(), Fit(epochs=EPOCHS, batch_size=8, val_fraction=0.2))


def test_training_everything_takes_a_gradient_of_weights_and_of_all_inputs_but_the_images():
    step = 3 * (FIRST + SECOND + HEAD) - FIRST
    forward = FIRST + SECOND + HEAD
    expected = Operations(0, EPOCHS * TRAIN * step, VALIDATED * forward, TEST * forward)
    assert counted("from_scratch") == expected


def test_a_probe_computes_its_frozen_stages_once_an_image():
    features = (TRAIN + VAL + TEST) * (FIRST + SECOND)
    steps = EPOCHS * TRAIN * 2 * HEAD
    assert counted("linear_probe") == Operations(features, steps, VALIDATED * HEAD, TEST * HEAD)


def test_no_gradient_is_counted_below_the_first_stage_that_learns():
    step = 3 * (SECOND + HEAD) - SECOND
    features = (TRAIN + VAL + TEST) * FIRST
    forward = SECOND + HEAD
    expected = Operations(features, EPOCHS * TRAIN * step, VALIDATED * forward, TEST * forward)
    assert counted("partial_finetune", k=1) == expected


def test_phases_add_up_and_the_test_is_of_the_last_one():
    found = counted("lp_ft", probe_share=0.5)
    whole = FIRST + SECOND + HEAD
    probe, tune = (EPOCHS // 2 * TRAIN * n for n in (2 * HEAD, 3 * whole - FIRST))
    validation = VALIDATED * (HEAD + whole)
    features = (TRAIN + VAL) * (FIRST + SECOND)
    assert found == Operations(features, probe + tune, validation, TEST * whole)
    assert found.total == pytest.approx(features + probe + tune + validation + TEST * whole)
