"""Which runs, and which trials of a run, are fitted in one pass: linear heads on stored outputs."""

from __future__ import annotations

from transfer_lab.experiment.choices import regime_entry
from transfer_lab.experiment.spec import Run


def peers(run: Run) -> str | None:
    """What the run has in common with those that can be fitted with it in one pass: all but the
    seed, and that of its source run. None for a run that is fitted alone.

    Such runs learn heads on stored outputs: their images are the same at every epoch.
    """
    alone = run.purpose == "search" or run.init is None or run.fit.augment is not None
    # What is left beside a fold may be more or fewer images from seed to seed.
    alone = alone or (run.fold is not None and run.per_class == "all")
    return None if alone or not is_in_one_pass(run) else _but_seeds(run)


def _but_seeds(run: Run) -> str:
    """All that determines a run and what it starts from but their seeds."""
    if run.parent is None:
        return run.canonical_but("seed")
    return f"{run.canonical_but('seed', 'init')} {_but_seeds(run.parent)}"


def is_in_one_pass(run: Run) -> bool:
    """Whether all that learns is a linear head, or several that differ in their rates alone: a
    search fits those in one pass. With patience each would end at an epoch of its own."""
    by_rate = all(set(options) == {"lr"} for options in run.tune or ())
    return by_rate and run.fit.patience is None and regime_entry(run.regime).head_alone
