"""Two listings whose second network never gets the weights of the first.

Both build a network, train it, build another one of the same class and train that. The first is in
PyTorch, the second in Keras under a mirrored strategy, re-told here in PyTorch.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from examples.listings.result import PUBLISHED, REPAIRED, Listing, Replay
from examples.listings.task import (
    BATCH,
    Set,
    Task,
    accuracy,
    adam,
    pretrained,
    seeded,
    train,
    unequal,
)
from transfer_lab.regimes.full_finetune import FullFinetune

WIDTH = 0.25
"""Of the published network's 64 and 128 filters and 1000 units, so that it takes seconds."""
STEPS = 10
"""That the Keras listing takes with each network."""
_TINY = 1e-7
COPIED, SOFTMAX = "weights copied", "softmax added"


class TwoConvolutions(nn.Module):
    """Two convolutions with pooling, a dense layer on 7 x 7 maps, a head: 28 pixels alone fit."""

    def __init__(self, classes: int):
        super().__init__()
        first, second, units = (int(WIDTH * full) for full in (64, 128, 1000))
        self.body = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(second * 7 * 7, units),
            nn.ReLU(),
        )
        self.head = nn.Linear(units, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes)."""
        return self.head(self.body(images))


def sgd(network: nn.Module) -> torch.optim.Optimizer:
    """As the PyTorch listing has it."""
    return torch.optim.SGD(network.parameters(), lr=0.01)


def without_softmax(outputs: Tensor, labels: Tensor) -> Tensor:
    """Keras' `categorical_crossentropy` on what are not probabilities: outputs are divided by their
    sum, clipped to between 1e-7 and 1 - 1e-7, and the negative logarithm is taken.
    """
    shares = outputs / outputs.sum(1, keepdim=True)
    return -shares.clamp(_TINY, 1 - _TINY).gather(1, labels[:, None]).log().mean()


def clipped(network: nn.Module, data: Set) -> float:
    """Share (%) of images whose label's value is clipped, so that they give no gradient."""
    with torch.no_grad():
        outputs = network(data.images)
    shares = (outputs / outputs.sum(1, keepdim=True)).gather(1, data.labels[:, None])
    return 100 * float(((shares < _TINY) | (shares > 1 - _TINY)).float().mean())


def in_pytorch(task: Task, seed: int) -> Replay:
    """SGD at 0.01, ten epochs with each network, one loader for both."""
    few, _ = task.drawn(seed)
    first = seeded(seed, TwoConvolutions, task.classes)
    train(first, sgd(first), few, epochs=task.epochs, seed=seed)
    published = seeded(seed + 1000, TwoConvolutions, task.classes)
    equal = _tensors(published) - unequal(published, first)
    train(published, sgd(published), few, epochs=task.epochs, seed=seed)

    alone = seeded(seed + 1000, TwoConvolutions, task.classes)
    train(alone, sgd(alone), few, epochs=task.epochs, seed=seed)

    source = pretrained(task, TwoConvolutions, sgd)
    repaired = _started_from(source, task, seed)
    carried = _tensors(source.body) - unequal(repaired.body, source.body)
    train(repaired, sgd(repaired), few, epochs=task.epochs, seed=seed)
    return Replay(
        {PUBLISHED: accuracy(published, task.test), REPAIRED: accuracy(repaired, task.test)},
        {
            "tensors": _tensors(published),
            "equal": equal,
            "moved": unequal(published, alone),
            "body": _tensors(source.body),
            "carried": carried,
        },
    )


def in_keras(task: Task, seed: int) -> Replay:
    """Ten steps with each network, one Adam for both, linear outputs under a loss that takes
    probabilities."""
    few, _ = task.drawn(seed)
    first = seeded(seed, TwoConvolutions, task.classes)
    published = seeded(seed + 1000, TwoConvolutions, task.classes)
    equal = _tensors(published) - unequal(published, first)
    shared = torch.optim.Adam([*first.parameters(), *published.parameters()], lr=1e-3)
    silent = clipped(published, few)
    for network in (first, published):
        train(network, shared, few, epochs=STEPS, seed=seed, steps=STEPS, loss=without_softmax)

    softmax = seeded(seed + 1000, TwoConvolutions, task.classes)
    train(softmax, adam(softmax), few, epochs=STEPS, seed=seed, steps=STEPS)

    source = pretrained(task, TwoConvolutions, adam)
    copied, repaired = (_started_from(source, task, seed) for _ in range(2))
    train(copied, adam(copied), few, epochs=STEPS, seed=seed, steps=STEPS)
    train(repaired, adam(repaired), few, epochs=task.epochs, seed=seed)
    arms = {PUBLISHED: published, SOFTMAX: softmax, COPIED: copied, REPAIRED: repaired}
    return Replay(
        {arm: accuracy(network, task.test) for arm, network in arms.items()},
        {
            "tensors": _tensors(published),
            "equal": equal,
            "clipped": silent,
            "steps": STEPS,
            "needed": task.epochs * -(-len(few) // BATCH),
        },
    )


def _started_from(source: TwoConvolutions, task: Task, seed: int) -> TwoConvolutions:
    """The same network with the source's body, which is what was left out, and a new head."""
    network = seeded(seed + 1000, TwoConvolutions, task.classes)
    network.body = copy.deepcopy(source.body)
    return network


def _tensors(network: nn.Module) -> int:
    return len(network.state_dict())


class BuildsAnotherNetwork(FullFinetune):
    """Fine-tunes everything, it says; when training starts, it builds the network anew."""

    def on_fit_start(self) -> None:
        self.backbone.initialise()


class TakesNothing(FullFinetune):
    """Starts from the source, it says, and takes no stage of it; its loss wants probabilities and
    gets none."""

    from_source = True

    @property
    def transferred(self) -> int:
        return 0

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return without_softmax(logits, labels)


PYTORCH = Listing(
    name="two convolutions in PyTorch",
    says="a network is pretrained, and another one of its class fine-tuned",
    does=(
        "Of the {tensors:.0f} tensors of the network that is fine-tuned, {equal:.0f} are equal to "
        "the pretrained one's when its training starts.",
        "Without the first half of the listing {moved:.0f} of its tensors end otherwise.",
        "Source and target are one loader, so the pretraining was on the target's own images.",
        "Repaired, {carried:.0f} of the {body:.0f} tensors below the head are the source's, bit "
        "for bit, at step 0.",
    ),
    aside="Its functional module is not imported, its dense layer takes 28 x 28 pixels and no "
    "other size, and to run it on several GPUs is no part of transfer.",
    arms=(PUBLISHED, REPAIRED),
    replay=in_pytorch,
    regimes={
        BuildsAnotherNetwork: ("transferred_tensors_equal_the_sources_bit_for_bit_at_step_0",)
    },
)

KERAS = Listing(
    name="two convolutions in Keras",
    says="a network is pretrained, and another one of its class fine-tuned, on all GPUs",
    does=(
        "Of the {tensors:.0f} tensors of the network that is fine-tuned, {equal:.0f} are equal to "
        "the pretrained one's when its training starts.",
        "Its loss takes probabilities and gets linear outputs: at step 0, {clipped:.1f} % of the "
        "images give no gradient, since the value of their class is clipped.",
        "Each network takes {steps:.0f} steps; ten epochs would be {needed:.0f}.",
        "One optimiser serves both networks.",
    ),
    aside="A strategy that mirrors the network on several devices computes the same result "
    "elsewhere: it is no part of transfer.",
    arms=(PUBLISHED, SOFTMAX, COPIED, REPAIRED),
    replay=in_keras,
    regimes={TakesNothing: ("what_is_said_of_it_is_so",)},
)
