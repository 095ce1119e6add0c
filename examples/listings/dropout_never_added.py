"""Dense layers on frozen features, between which dropout is built and not put.

The listing takes the last map of a frozen VGG16 and learns 1000, 500 and 150 units on it (ReLU,
sigmoid, sigmoid) by Adam, 20 epochs in batches of 128. It builds its dropout layers and adds none.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from examples.listings.never_copied import TwoConvolutions
from examples.listings.result import PUBLISHED, REPAIRED, Listing, Replay
from examples.listings.task import Set, Task, accuracy, adam, pretrained, seeded, train
from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.mlp_probe import MLPProbe

UNITS, DROPOUT = (1000, 500, 150), 0.5
"""Units as published; the share that dropout would drop is set here."""
BATCH, EPOCHS = 128, 2
"""Batch as published; epochs as a multiple of the task's."""


def as_published(inputs: int, classes: int) -> nn.Sequential:
    """Built and not added: the layers do not know of it."""
    first, second, third = UNITS
    nn.Dropout(DROPOUT)
    return nn.Sequential(
        nn.Linear(inputs, first),
        nn.ReLU(),
        nn.Linear(first, second),
        nn.Sigmoid(),
        nn.Linear(second, third),
        nn.Sigmoid(),
        nn.Linear(third, classes),
    )


def repaired(inputs: int, classes: int) -> nn.Sequential:
    """The same with dropout behind each hidden layer."""
    layers = []
    for layer in as_published(inputs, classes):
        layers.append(layer)
        if isinstance(layer, nn.ReLU | nn.Sigmoid):
            layers.append(nn.Dropout(DROPOUT))
    return nn.Sequential(*layers)


def replay(task: Task, seed: int) -> Replay:
    """Both heads on the same frozen features, from the same first weights."""
    few, _ = task.drawn(seed)
    maps = pretrained(task, TwoConvolutions, adam).body[:7]
    learnt, test = _through(maps, few), _through(maps, task.test)
    heads = {
        arm: seeded(seed + 1000, build, learnt.images.shape[1], task.classes)
        for arm, build in ((PUBLISHED, as_published), (REPAIRED, repaired))
    }
    counted = {
        name: sum(isinstance(module, nn.Dropout) for module in heads[arm].modules())
        for name, arm in (("published", PUBLISHED), ("repaired", REPAIRED))
    }
    counted["alike"] = 100 * _alike(heads[PUBLISHED], learnt.images)
    for head in heads.values():
        epochs = EPOCHS * task.epochs
        train(head, adam(head), learnt, epochs=epochs, seed=seed, batch_size=BATCH)
    answers = {arm: accuracy(head.eval(), test) for arm, head in heads.items()}
    seen = {f"seen_{arm.split()[-1]}": accuracy(head.eval(), learnt) for arm, head in heads.items()}
    return Replay(answers, counted | seen)


@torch.no_grad()
def _through(maps: nn.Module, data: Set) -> Set:
    outputs = [maps(images) for images in data.images.split(500)]
    return Set(torch.cat(outputs), data.labels)


@torch.no_grad()
def _alike(head: nn.Module, inputs: Tensor) -> bool:
    """Whether training mode answers what eval mode does, to the last bit."""
    training = head.train()(inputs)
    same = torch.equal(training, head.eval()(inputs))
    head.train()
    return same


class DropoutNeverAdded(MLPProbe):
    """Several layers on frozen stages; it has a dropout, and no layer that drops."""

    def __init__(
        self, backbone: Backbone, num_classes: int, *, dropout: float = 0.5, **options: Any
    ):
        super().__init__(backbone, num_classes, dropout=0.0, **options)
        self.dropout = nn.Dropout(dropout)


LISTING = Listing(
    name="dense layers on VGG16 features",
    says="three hidden layers, with dropout between them, learn on frozen features",
    does=(
        "The network has {published:.0f} dropout layers, repaired {repaired:.0f}.",
        "Its outputs in training mode and in eval mode are equal, to the last bit, for "
        "{alike:.0f} % of the seeds.",
        "It answers {seen_published:.1f} % of its training images rightly, repaired "
        "{seen_repaired:.1f} %.",
    ),
    aside="Features are transferred here; what is lost is the dropout. The share to drop, 0.5, and "
    "the rate, 0.001, are set here: whether dropout helps is a question of its own (of digits "
    "experiments/digits_features.yaml asks it), and as published it cannot be asked.",
    arms=(PUBLISHED, REPAIRED),
    replay=replay,
    regimes={DropoutNeverAdded: ("its_dropout_drops_in_training_and_nowhere_else",)},
)
