"""What must hold for regimes that are solved, that set themselves a task, or that see more than
labelled images of the target."""

from __future__ import annotations

import torch

from transfer_lab.experiment.budget import Fit
from transfer_lab.training.contracts.cases import (
    changed,
    demand,
    options_of,
    stage_of,
    state,
)
from transfer_lab.training.contracts.regime_case import BUDGET, CLASSES, RegimeCase
from transfer_lab.training.contracts.toys import Blocks
from transfer_lab.training.fit import fit_and_test


def frozen_stages_are_as_they_were_after_solving(case: RegimeCase) -> None:
    """To the last bit, statistics included; what `phases` leaves open may change."""
    regime = case.build()
    (phase,) = regime.phases()
    before = state(regime.backbone.stages)
    fit_and_test(regime, case.drawn(), BUDGET)
    moved = {stage_of(key) for key in changed(before, regime.backbone.stages)}
    demand(moved.isdisjoint(phase.frozen), f"of the frozen stages {sorted(moved)} have changed")


def labels_that_are_not_its_to_see_are_hidden(case: RegimeCase) -> None:
    """Other labels of the target where it reads none, and other ones of the streams that have none,
    change nothing, to the last bit."""
    answers = []
    for other in (False, True):
        domain, regime = case.drawn(), case.build(seed=5)
        for images in (domain, *domain.streams.values()):
            if images.hides_labels and other:
                true = images.labels("train")
                images.labels = lambda part, true=true, kept=images.labels: (
                    (true + 1) % CLASSES if part == "train" else kept(part)
                )
        fit_and_test(regime, domain, BUDGET)
        answers.append(torch.cat(regime.test_outputs))
    demand(torch.equal(*answers), "labels that it must not see change what it answers")


def it_does_not_collapse_at_ten_times_its_weight(case: RegimeCase) -> None:
    """A penalty that is made small by one and the same answer would end there."""
    weights = {
        name: 10 * parameter.default
        for name, parameter in options_of(case.cls).items()
        if name == "penalty" and isinstance(parameter.default, float)
    }
    regime, epochs = RegimeCase(case.cls, {**case.options, **weights}).learner()
    domain = case.drawn(Blocks(), per_class=24, val_fraction=0)
    # Labels of the target would hold the answers apart.
    domain.hides_labels = case.entry.target_labels != "needed"
    fit_and_test(regime, domain, Fit(epochs=epochs, batch_size=8))
    given = torch.cat(regime.test_outputs).argmax(1).unique()
    demand(len(given) > 1, f"with {weights} it answers {given.tolist()} to every image")


def no_label_is_read(case: RegimeCase) -> None:
    """Shuffled ones make no difference to the stages, to the last bit."""
    ends = []
    for shuffled in (False, True):
        regime = case.build(seed=5)
        domain = case.drawn(Blocks(shuffled=shuffled), per_class=24, val_fraction=0)
        fit_and_test(regime, domain, BUDGET)
        ends.append(state(regime.backbone.stages))
    # The draw goes by class: other labels draw other images, unless all are drawn.
    other = [key for key in ends[0] if not torch.equal(ends[0][key], ends[1][key])]
    demand(not other, f"with other labels these end otherwise: {other}")


def its_own_task_is_learnt(case: RegimeCase) -> None:
    """Its loss falls."""
    regime, epochs = case.learner()
    domain = case.drawn(Blocks(), per_class=24)
    rows = fit_and_test(regime, domain, Fit(epochs=epochs, batch_size=8)).curve.rows
    first, last = rows[0]["train_loss"], rows[-1]["train_loss"]
    demand(last < 0.9 * first, f"its loss is {last} after the fit, {first} before")
