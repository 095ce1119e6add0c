"""The tiny runs whose predictions are pinned: every backbone in every regime, and every budget."""

from __future__ import annotations

from collections.abc import Iterable

from transfer_lab.experiment.budget import Augment, Fit
from transfer_lab.experiment.catalog import BACKBONES, REGIMES
from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.experiment.spec import Run, Stream

IMAGE_SIZE = 12
"""The last two stages of a VGG16 see maps of 2 x 2 and of 1 x 1 at this size."""

CLASSES, TEST_PER_CLASS = 4, 6
IMAGES_AND_CLASSES = (CLASSES * TEST_PER_CLASS, CLASSES)
"""The shape of a run's logits."""

SMALL = {
    "mlp": {"width": 8},
    "mlp_published": {"width": 8},
    "cnn": {"filters": 4},
    "cnn_published": {"filters": 4},
    "vgg16": {"width": 0.06, "batch_norm": True, "grid": 1},
    "minilm": {"layers": 2, "width": 32},
    "tfidf": {"features": 64},
    "torchvision": {"name": "resnet18"},
    "timm": {"name": "test_resnet"},
}
"""Options that make a backbone small; one that is not here trains at full size."""

NEEDED = {
    "partial_finetune": {"k": 2},
    "partial_transfer": {"k": 2},
    "mlp_probe": {"units": [8, 8, 8]},
}
"""Options that a regime cannot do without, or that make it small."""

ON_EVERY_BACKBONE = (
    *("from_scratch", "linear_probe", "mlp_probe", "partial_finetune", "full_finetune", "lp_ft"),
    *("partial_transfer", "surgical_finetune", "gradual_unfreezing", "discriminative_finetune"),
    *("l2_sp", "majority", "random_features"),
)
"""The others are methods on top of these, and run on a plain network and on one with batch
normalisation."""

NORMALISED = ("norm_only", "adabn", "tent")
"""Of these only on the latter."""

FIT = Fit(epochs=2, batch_size=8)
SHORT = Fit(epochs=2, batch_size=16)
"""For networks of many layers, whose steps take long."""
FITS = {"torchvision": SHORT, "timm": SHORT}

VARIANTS = {
    "augmentation": ("full_finetune", {}, {"augment": Augment(flip=True, shift=0.1)}),
    "augmented probe": ("linear_probe", {}, {"augment": Augment(shift=0.1)}),
    "patience": ("lp_ft", {}, {"patience": 2}),
    "recipe keras_adam": ("full_finetune", {"recipe": "keras_adam"}, {}),
    "recipe keras_sgd": ("from_scratch", {"recipe": "keras_sgd"}, {}),
    "reinitialised stages": ("partial_finetune", {"k": 1, "reinit": True}, {}),
    "probe of an early stage": ("linear_probe", {"stage": 1}, {}),
}
"""On the small convolutional network, what else decides how a run learns: regime, options, fit."""

_TRIALS = ({"lr": 0.003}, {"lr": 0.03})


STEADY_REGIMES = ("random_features", "from_scratch")
"""Between them they take every way through a backbone, frozen and folded, and learning; none starts
from a source run, so that nothing but what they do themselves moves them."""

STEADY_RATES = {"vgg16": 1e-4, "torchvision": 1e-4, "cnn_published": 3e-4}
"""Rates that do not drive a network apart; of the others it is `_RATE`."""
_RATE = 3e-3


def runs() -> dict[str, Run]:
    """Name -> run; those that start from a source run have it as their `init`."""
    crossed = {
        f"{backbone} / {regime}": _run(backbone, regime, NEEDED.get(regime, {}))
        for regime in REGIMES
        for backbone in _backbones(regime)
    }
    varied = {
        f"cnn / {name}": _run("cnn", regime, options, **fit)
        for name, (regime, options, fit) in VARIANTS.items()
    }
    tuned = _run("cnn", "linear_probe", {})
    content = {name: getattr(tuned, name) for name in Run.model_fields}
    return crossed | varied | {"cnn / trials": Run(**content | {"tune": _TRIALS})} | steady_runs()


def _backbones(regime: str) -> Iterable[str]:
    if regime in ON_EVERY_BACKBONE:
        # A bag of words has one stage.
        return [name for name in BACKBONES if name != "tfidf" or "k" not in NEEDED.get(regime, {})]
    return ("vgg16",) if regime in NORMALISED else ("cnn", "vgg16")


def steady_runs(rate: float = 1) -> dict[str, Run]:
    """Runs that rounding does not drive apart, so that they can be compared between machines.

    Batch normalisation makes gradients that are zero but for rounding, and AdamW takes steps of
    full length by them; plain gradient steps are as small as what they follow. `rate`: factor on
    all learning rates.
    """
    return {
        f"{backbone} / {regime}, plain steps": _run(
            backbone,
            regime,
            {"recipe": "keras_sgd", "lr": rate * STEADY_RATES.get(backbone, _RATE)},
        )
        for backbone in BACKBONES
        for regime in STEADY_REGIMES
    }


def _run(backbone: str, regime: str, options: dict[str, object], **fit: object) -> Run:
    budget, source, entry = FITS.get(backbone, FIT), None, REGIMES[regime]
    if entry.from_source:
        source = _trained(_letters("latin", "ABCD"), backbone, Choice(kind="from_scratch"), budget)
    kind = Choice(kind=regime, options=options)
    target = _letters("cyrillic", "БГДЖ")
    budget = budget.model_copy(update=fit)
    beside: dict[str, object] = {"streams": {r: _STREAMS[r] for s in entry.sees for r in _ROLES[s]}}
    if "teacher" in entry.sees:
        beside["starts"] = {"teacher": _run(backbone, "linear_probe", {})}
    if entry.target_labels == "unread":
        budget = budget.model_copy(update={"val_fraction": 0.0})
        beside["labels"] = "none"
    return _trained(target, backbone, kind, budget, source, **beside)


def _trained(
    domain: Choice,
    backbone: str,
    regime: Choice,
    fit: Fit,
    init: Run | None = None,
    **beside: object,
) -> Run:
    return Run(
        domain=domain,
        image_size=IMAGE_SIZE,
        per_class=8,
        backbone=Architecture(kind=backbone, options=SMALL.get(backbone, {})),
        regime=regime,
        fit=fit,
        seed=0,
        init=init,
        **beside,
    )


def _letters(script: str, letters: str) -> Choice:
    sizes = {"train_per_class": 8, "test_per_class": TEST_PER_CLASS}
    return Choice(kind=script, options={"letters": letters, **sizes})


def _stream(script: str, letters: str, **content: object) -> Stream:
    return Stream(
        domain=_letters(script, letters),
        **{"per_class": 8, "val_fraction": 0.2, "seed": 0} | content,
    )


_ROLES = {
    "source": ("source",),
    "sources": ("source", "source_2"),
    "unlabelled": ("unlabelled",),
    "teacher": (),
    "boxes": (),
    "masks": (),
}
_STREAMS = {
    "source": _stream("latin", "ABCD"),
    "source_2": _stream("greek", "ΓΔΘΛ"),
    "unlabelled": _stream("cyrillic", "БГДЖ", per_class="all", val_fraction=0.0, labelled=False),
}
