"""Who is tried against the default on given photographs: four at most."""

from __future__ import annotations

from transfer_lab.advice.advice import Recommendation
from transfer_lab.advice.album.album import RefusedError
from transfer_lab.advice.challengers.base import Challenger
from transfer_lab.advice.challengers.finetune import FineTuned
from transfer_lab.advice.challengers.photographs import Photographs
from transfer_lab.advice.challengers.probe import OtherFeatures
from transfer_lab.advice.features.networks import Network, find_network
from transfer_lab.backbones.base import Backbone
from transfer_lab.experiment.catalog import REGIMES, suggest
from transfer_lab.experiment.options import option_problems

SMALL = 160
"""Pixels: half the work of 224, and nearer to the size of what is drawn or cut out."""
_OTHERS = ("lite1", "lite0")
"""Networks to try beside, the first that is another one and there."""
_RATES = {"lr": 1e-3, "backbone_lr": 3e-4}


def challengers(photographs: Photographs) -> list[Challenger]:
    """Smaller images; another network; the last stage fine-tuned; everything fine-tuned."""
    network = photographs.network
    size = size_of("full_finetune", network)
    found: list[Challenger] = []
    if size != network.image_size:
        found.append(OtherFeatures(photographs, network, size))
    if (other := another(network)) is not None:
        found.append(OtherFeatures(photographs, other, other.image_size))
    for regime in ("partial_finetune", "full_finetune"):
        options = default_options(regime, photographs.backbone(network))
        found.append(FineTuned(photographs, network, regime, size, options))
    return found


def size_of(regime: str, network: Network) -> int:
    """The side of the images that a regime learns from where none is named, in the race and in
    training alike: that of the network's weights for a head alone, no more than `SMALL` where the
    network learns, too."""
    if regime == "linear_probe" or not network.any_size:
        return network.image_size
    return min(SMALL, network.image_size)


def default_options(regime: str, backbone: Backbone) -> dict[str, float | int | str]:
    """Of a regime that is tried or named without options: a handful of images moves no running
    statistics, and of a network's stages the last alone is adjusted where not all are."""
    options: dict[str, float | int | str] = {**_RATES, "statistics": "fixed"}
    if regime == "partial_finetune":
        return {"k": len(backbone.stages) - 1} | options
    return options if regime == "full_finetune" else {}


def another(network: Network) -> Network | None:
    """A network that comes by pip and is another one; None where none is installed."""
    for name in _OTHERS:
        try:
            other = find_network(name)
        except RefusedError:
            continue
        if other.sha256 != network.sha256:
            return other
    return None


def challenger_of(
    photographs: Photographs, network: Network, recommendation: Recommendation
) -> Challenger:
    """What a recommendation says, ready to learn; options that it leaves out are the default ones.

    Raises RefusedError where there is no such regime or option, or the regime needs more than
    labelled photographs, or ends in more than a linear head.
    """
    regime, size = recommendation.regime, recommendation.image_size
    if size != network.image_size and not network.any_size:
        raise RefusedError(f"{network.short} takes images of {network.image_size} px alone")
    if regime == "linear_probe" and not recommendation.options:
        return OtherFeatures(photographs, network, size)
    entry = REGIMES.get(regime)
    if entry is None:
        raise RefusedError(f"there is no regime '{regime}'; {suggest(regime, REGIMES)}")
    if not entry.is_comparable or entry.control or entry.pretext or entry.adds_layers:
        raise RefusedError(
            f"{regime} needs more than labelled photographs and a pretrained network, or leaves "
            "none: choose linear_probe, partial_finetune or full_finetune"
        )
    options = default_options(regime, photographs.backbone(network)) | recommendation.options
    for option, problem in option_problems(REGIMES.load(regime), options):
        raise RefusedError(f"{regime}, {option}: {problem}")
    try:
        return FineTuned(photographs, network, regime, size, options).checked()
    except ValueError as error:
        raise RefusedError(f"{regime}: {error}") from error
