"""Rules of thumb: which regime each scenario is told to use."""

from __future__ import annotations

from collections.abc import Mapping

Rule = Mapping[tuple[str, str], str]
"""(size, similarity) -> the kind of regime."""

RULE_AV: Rule = {
    ("small", "similar"): "linear_probe",
    ("small", "dissimilar"): "partial_finetune",
    ("large", "dissimilar"): "from_scratch",
    ("large", "similar"): "full_finetune",
}
"""As in "Transfer learning and the art of using pre-trained models in deep learning" (Analytics
Vidhya, 2017)."""

EARLY_PROBE = "linear_probe on an earlier stage"

RULE_CS231N: Rule = {
    ("small", "similar"): "linear_probe",
    ("small", "dissimilar"): EARLY_PROBE,
    ("large", "dissimilar"): "full_finetune",
    ("large", "similar"): "full_finetune",
}
"""As in the notes of Stanford's CS231n, "Transfer Learning"."""


def always(kind: str) -> Rule:
    """The rule that prescribes one regime everywhere."""
    return dict.fromkeys(RULE_AV, kind)


RULES: dict[str, Rule] = {
    "rule_av": RULE_AV,
    "rule_cs231n": RULE_CS231N,
    "always_full_finetune": always("full_finetune"),
    "always_linear_probe": always("linear_probe"),
    "always_lp_ft": always("lp_ft"),
    "always_from_scratch": always("from_scratch"),
}
