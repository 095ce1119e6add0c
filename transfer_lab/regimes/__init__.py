"""Regimes: how the target is learnt."""

from dataclasses import dataclass

from transfer_lab.registry import Entry, Registry


@dataclass(frozen=True)
class RegimeEntry(Entry):
    """A regime's class, and whether it starts from source weights (the plan must know)."""

    from_source: bool = True


REGIMES = Registry(
    "regime",
    __name__,
    {
        "from_scratch": RegimeEntry("from_scratch:FromScratch", from_source=False),
        "linear_probe": RegimeEntry("linear_probe:LinearProbe"),
        "partial_finetune": RegimeEntry("partial_finetune:PartialFinetune"),
        "full_finetune": RegimeEntry("full_finetune:FullFinetune"),
        "lp_ft": RegimeEntry("lp_ft:LPFT"),
        "majority": RegimeEntry("majority:Majority", from_source=False),
        "random_features": RegimeEntry("random_features:RandomFeatures", from_source=False),
    },
)
