"""Before the plan: published weights that are not on this machine, by whose content runs are
known."""

from __future__ import annotations

import contextlib

import torch

from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.weights import find
from transfer_lab.experiment.published import unknown_weights
from transfer_lab.experiment.spec import Experiment
from transfer_lab.system.files import WeightsError

Problem = tuple[tuple[str, ...], str]


def fetch_weights(experiment: Experiment) -> list[Problem]:
    """Download the weights that are missing; what is wrong with those that cannot be had."""
    problems = []
    for name in unknown_weights(experiment):
        choice = experiment.backbones[name]
        with contextlib.suppress(Exception), torch.device("meta"):  # preflight says why
            backbone = build_backbone(choice, experiment.image_size)
            try:
                find(backbone, choice.pretrained, download=True)
            except WeightsError as error:
                problems.append((("backbones", name, "pretrained"), str(error)))
    return problems
