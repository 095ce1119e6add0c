"""Rules of thumb: which regime each scenario is told to use."""

from __future__ import annotations

RULE_AV: dict[tuple[str, str], str] = {
    ("small", "similar"): "linear_probe",
    ("small", "dissimilar"): "partial_finetune",
    ("large", "dissimilar"): "from_scratch",
    ("large", "similar"): "full_finetune",
}
"""(size, similarity) -> regime, as in "Transfer learning and the art of using pre-trained models
in deep learning" (Analytics Vidhya, 2017)."""

RULES = {"rule_av": RULE_AV}
