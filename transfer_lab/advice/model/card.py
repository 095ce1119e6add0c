"""The model card that lies beside a model as README.md, with the metadata that the Hugging Face hub
reads. No torch."""

from __future__ import annotations

import io
from collections.abc import Collection

from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML

from transfer_lab.advice.advice import Advice
from transfer_lab.advice.model.manifest import Manifest
from transfer_lab.advice.networks import Network

_IDENTIFIERS = frozenset({"apache-2.0", "mit", "bsd-3-clause", "cc-by-nc-4.0", "cc-by-4.0"})
"""Licences that the hub knows by these names."""


def card_content(
    advice: Advice, network: Network, manifest: Manifest, names: Collection[str]
) -> bytes:
    """The card of a model trained on photographs; `names`: the files beside it."""
    page = Environment(
        loader=PackageLoader("transfer_lab.advice.model", "pages"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    ).get_template("card.md")
    text = page.render(
        metadata=_metadata(advice, network, manifest),
        advice=advice,
        network=network,
        manifest=manifest,
        names=names,
        percent=lambda share: f"{100 * share:.0f}",
        spoken=_spoken(advice),
    )
    return text.encode()


def _metadata(advice: Advice, network: Network, manifest: Manifest) -> str:
    licence = network.licence.lower()
    known = licence if licence in _IDENTIFIERS else "other"
    content = {
        "library_name": "timm" if manifest.timm else "transfer_lab",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "transfer-learning", "transfer-lab"],
        "license": known,
        **({} if known != "other" else {"license_name": network.licence}),
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
