"""Regimes: how the target is learnt."""

from dataclasses import dataclass

from transfer_lab.experiment.registry import Entry, Registry


@dataclass(frozen=True)
class RegimeEntry(Entry):
    """A regime's class, and what the plan and the report must know without importing it.

    `from_source`: whether it starts from source weights. `control`: whether it is there for
    comparison and is never recommended. `learns`: whether it fits anything that could be tuned.
    `head_alone`: whether a linear head on frozen stages is all that learns, so that such runs can
    be fitted in one pass.
    """

    from_source: bool = True
    control: bool = False
    learns: bool = True
    head_alone: bool = False


REGIMES = Registry(
    "regime",
    "transfer_lab.regimes",
    {
        "from_scratch": RegimeEntry("from_scratch:FromScratch", from_source=False),
        "linear_probe": RegimeEntry("linear_probe:LinearProbe", head_alone=True),
        "mlp_probe": RegimeEntry("mlp_probe:MLPProbe"),
        "partial_finetune": RegimeEntry("partial_finetune:PartialFinetune"),
        "full_finetune": RegimeEntry("full_finetune:FullFinetune"),
        "lp_ft": RegimeEntry("lp_ft:LPFT"),
        "majority": RegimeEntry("majority:Majority", from_source=False, control=True, learns=False),
        "random_features": RegimeEntry(
            "random_features:RandomFeatures", from_source=False, control=True, head_alone=True
        ),
    },
)
