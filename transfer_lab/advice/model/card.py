"""The model card that lies beside a model as README.md, with the metadata that the Hugging Face hub
reads. No torch."""

from __future__ import annotations

import io
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML

from transfer_lab.advice.advice import Advice
from transfer_lab.advice.features.networks import Network
from transfer_lab.advice.model.manifest import (
    ADVICE,
    CHECKPOINT,
    EXPERIMENT,
    ONNX,
    REFERENCE,
    TENSORS,
    TIMM_CONFIG,
    Manifest,
)
from transfer_lab.reporting.render.markdown import escape

_IDENTIFIERS = frozenset({"apache-2.0", "mit", "bsd-3-clause", "cc-by-nc-4.0", "cc-by-4.0"})
"""Licences that the hub knows by these names."""

_FILES = {
    TENSORS: "the network, as tensors alone",
    TIMM_CONFIG: "its description for timm",
    ONNX: "the network for any program, without Python or torch",
    CHECKPOINT: "a checkpoint for Lightning",
    REFERENCE: "features of the images it learnt from, for `unfamiliar`",
    ADVICE: "what was measured and advised; it names the folder of the photographs",
    EXPERIMENT: "the same as an experiment of transfer_lab's grid; it names that folder, too",
}
"""What each file beside the card is."""


def card_content(advice: Advice, network: Network, manifest: Manifest) -> bytes:
    """The card of a model trained on photographs."""
    return _page(
        "card.md",
        metadata=_metadata(network.licence, manifest),
        advice=advice,
        network=network,
        manifest=manifest,
        percent=lambda share: f"{100 * share:.0f}",
        spoken=_spoken(advice),
    )


@dataclass(frozen=True)
class Origin:
    """Where a model of the grid comes from, in words: the experiment, the place in it, what its
    start is and under which licence, what the report found of its arm, and what this one model
    scored on the test set."""

    experiment: str
    target: str
    arm: str
    run_id: str
    start: str
    licence: str
    found: str
    own: str
    images: int


def kept_card_content(origin: Origin, manifest: Manifest | None) -> bytes:
    """The card of a model that an experiment has kept; without a manifest it is tensors alone."""
    metadata = _metadata(origin.licence, manifest)
    return _page("kept.md", metadata=metadata, origin=origin, manifest=manifest)


def _page(name: str, **known: object) -> bytes:
    # Markdown, of which names of others are cleared (`named`).
    pages = Environment(  # nosec B701
        loader=PackageLoader("transfer_lab.advice.model", "pages"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters["named"] = escape
    return pages.get_template(name).render(**known, told=_FILES).encode()


def _metadata(licence: str, manifest: Manifest | None) -> str:
    known = licence.lower() if licence.lower() in _IDENTIFIERS else "other"
    content = {
        "library_name": "timm" if manifest and manifest.timm else "transfer_lab",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "transfer-learning", "transfer-lab"],
        "license": known,
        **({} if known != "other" else {"license_name": licence}),
        "base_model_relation": "finetune",
        "metrics": ["accuracy"],
    }
    written = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(content, written)
    return written.getvalue()


def _spoken(advice: Advice) -> str:
    """What was done, in words."""
    chosen = advice.recommendation
    if chosen is None:
        return "trained although nothing could be recommended"
    done = {
        "linear_probe": "the pretrained network is kept as it is, and only its last layer is new",
        "partial_finetune": "the first part of the network is kept, the rest is adjusted",
        "full_finetune": "the whole network is adjusted",
    }
    return done.get(chosen.regime, chosen.regime)
