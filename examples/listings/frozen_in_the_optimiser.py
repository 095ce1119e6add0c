"""A frozen text encoder whose parameters are in the optimiser, re-told on images.

The listing sets `requires_grad = False`, gives Adam all parameters at 1e-5, and calls neither
`train()` nor `eval()`. In the encoder's place stands a network with dropout, as it has, and with
batch normalisation, which it does not have: other networks do.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from examples.listings.result import PUBLISHED, REPAIRED, Listing, Replay
from examples.listings.task import Set, Task, accuracy, adam, pretrained, seeded, train, unequal
from transfer_lab.regimes.linear_probe import LinearProbe

FILTERS, FEATURES = 16, 96
RATE, RATES = 1e-5, (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
DECAY = 0.01
"""AdamW's own."""
USUAL, MODES = "with model.train()", "not held, in eval mode"


class Classifier(nn.Module):
    """An encoder, dropout of 0.1 on its pooled output, and a linear layer."""

    def __init__(self, classes: int):
        super().__init__()
        self.encoder = nn.Sequential(
            *_block(3, FILTERS),
            *_block(FILTERS, FILTERS),
            nn.Flatten(),
            nn.Linear(FILTERS * 7 * 7, FEATURES),
            nn.Tanh(),
        )
        self.dropout = nn.Dropout(0.1)
        self.linear = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes)."""
        return self.linear(self.dropout(self.encoder(images)))


def _block(before: int, after: int) -> Iterable[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, padding=1)
    return convolution, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.1)


def replay(task: Task, seed: int) -> Replay:
    """Ten epochs of the head on a frozen encoder: as published, with the usual `train()`, and with
    the encoder in eval mode and out of the optimiser, at the listing's rate and at a chosen one."""
    few, held_out = task.drawn(seed)
    encoder = pretrained(task, Classifier, adam).encoder
    fit = {"epochs": task.epochs, "seed": seed}

    published = _on(encoder, task, seed)
    optimizer = torch.optim.Adam(published.parameters(), lr=RATE)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    train(published, optimizer, few, **fit)

    decayed = _on(encoder, task, seed)
    optimizer = torch.optim.AdamW(decayed.parameters(), lr=RATE, weight_decay=DECAY)
    for parameter in decayed.encoder.parameters():
        parameter.grad = torch.zeros_like(parameter)  # left over by an earlier training
    train(decayed, optimizer, few, **fit, keep_zeros=True)

    usual = _on(encoder, task, seed).train()
    train(usual, torch.optim.Adam(usual.parameters(), lr=RATE), few, **fit)

    probes = {rate: _probe(encoder, task, seed, few, rate) for rate in RATES}
    chosen = max(RATES, key=lambda rate: accuracy(probes[rate], held_out))
    arms = {USUAL: usual.eval(), MODES: probes[RATE], REPAIRED: probes[chosen]}
    return Replay(
        {PUBLISHED: accuracy(published, task.test, seed=seed)}
        | {arm: accuracy(network, task.test) for arm, network in arms.items()},
        {
            "held": len(held),
            "frozen": sum(not p.requires_grad for p in held),
            "tensors": len(encoder.state_dict()),
            "moved": unequal(published.encoder, encoder),
            "decayed": unequal(decayed.encoder, encoder),
            "statistics": unequal(usual.encoder, encoder),
            "restless": _restless(published, task.test),
            "kept": unequal(probes[chosen].encoder, encoder),
            "rate": math.log10(chosen),
        },
    )


def _on(encoder: nn.Module, task: Task, seed: int) -> Classifier:
    """A new head on a frozen copy of the encoder, in the modes that they come in: the encoder's
    eval, the head's training."""
    network = seeded(seed + 1000, Classifier, task.classes)
    network.encoder = copy.deepcopy(encoder).requires_grad_(False)
    return network


def _probe(encoder: nn.Module, task: Task, seed: int, few: Set, rate: float) -> Classifier:
    """The encoder in eval mode and out of the optimiser; dropout is off once the head is learnt."""
    network = _on(encoder, task, seed)
    optimizer = torch.optim.Adam(network.linear.parameters(), lr=rate)
    train(network, optimizer, few, epochs=task.epochs, seed=seed)
    return network.eval()


@torch.no_grad()
def _restless(network: nn.Module, data: Set) -> float:
    """Share (%) of images that two passes answer differently."""
    torch.manual_seed(0)
    one, other = (network(data.images[:1000]).argmax(1) for _ in range(2))
    return 100 * float((one != other).float().mean())


class FrozenInTheOptimiser(LinearProbe):
    """Freezes all stages, and gives the optimiser all parameters."""

    def parameter_groups(self) -> list[dict[str, object]]:
        return [{"params": list(self.parameters()), "lr": self.phase.lr}]


class FrozenInTrainingMode(FrozenInTheOptimiser):
    """The same in the loop that most scripts have: `train()` wakes dropout and batch statistics."""

    def train(self, mode: bool = True) -> FrozenInTrainingMode:
        return nn.Module.train(self, mode)


_OUT = "frozen_stages_are_in_eval_mode_and_out_of_the_optimiser_at_every_step"
_SAME = "frozen_state_is_bit_identical_after_a_fit_and_the_rest_has_changed"

LISTING = Listing(
    name="a frozen BERT and a linear layer",
    says="all of the encoder is frozen, only the layer on top learns",
    does=(
        "The optimiser holds {held:.0f} parameter tensors, of which {frozen:.0f} are frozen.",
        "As published these stay as they are: {moved:.0f} of the encoder's {tensors:.0f} tensors "
        "change, since Adam leaves out what has no gradient.",
        "With a weight decay of 0.01, and gradients that are set to zero and not dropped (the "
        "default before PyTorch 2.0), {decayed:.0f} change, frozen as they are.",
        "With the usual train() in the loop {statistics:.0f} change: the running statistics of "
        "batch normalisation.",
        "Without eval() the head's dropout stays on: two passes answer {restless:.1f} % of the "
        "test images differently.",
        "Repaired, {kept:.0f} change, and the rate is the best of five on held-out images: 10 to "
        "the power of {rate:.1f}, on average over the seeds, not of -5.",
    ),
    aside="At 0.00001, a rate for fine-tuning, a new layer hardly moves in ten epochs, so that the "
    "other faults show in no accuracy; they are one option away from changing what is called "
    "frozen.",
    arms=(PUBLISHED, USUAL, MODES, REPAIRED),
    replay=replay,
    regimes={FrozenInTheOptimiser: (_OUT,), FrozenInTrainingMode: (_OUT, _SAME)},
)
