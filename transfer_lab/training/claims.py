"""What a regime that is not the lab's own says of itself, against what it does."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_lab.experiment.catalog import RegimeEntry
from transfer_lab.experiment.choices import Choice, regime_entry
from transfer_lab.experiment.declared import FACTS
from transfer_lab.regimes.base import TransferModule
from transfer_lab.regimes.pretext import PretextModule
from transfer_lab.regimes.solved import SolvedModule
from transfer_lab.training.heads import learns_linear_head_alone


def contradicted(regime: TransferModule, choice: Choice) -> Iterator[str]:
    """What the plan would make wrong use of; nothing for the lab's own regimes.

    Whether it starts from the source, and whether a head is all that learns, may depend on options:
    to say so where it is not wrong costs time and changes no result.
    """
    if not choice.is_own:
        return
    entry, name = regime_entry(choice), type(regime).__name__
    for fact in FACTS:
        planned, found = getattr(entry, fact), getattr(type(regime), fact, None)
        if found is not None and found != planned:
            yield f"{name}.{fact} is {found!r}, but is not written in the class: write it there"
    found = observed(regime)
    if found.from_source and not entry.from_source:
        yield _told(name, "from_source", "it takes stages from the source", value=True)
    if entry.head_alone and not found.head_alone:
        what = "more than a linear head on all stages learns, or by other steps than all regimes'"
        yield _told(name, "head_alone", what, value=False)
    if entry.spends_budget != found.spends_budget:
        what = "it takes steps" if found.spends_budget else "it takes no steps"
        yield _told(name, "spends_budget", what, value=found.spends_budget)


def observed(regime: TransferModule) -> RegimeEntry:
    """What the regime does, as it is built."""
    phases, solved = regime.phases(), isinstance(regime, SolvedModule)
    return RegimeEntry(
        type(regime).__name__,
        gloss="",
        from_source=bool(regime.transferred_stages),
        spends_budget=bool(phases) and not solved,
        head_alone=bool(phases) and not solved and learns_linear_head_alone(regime),
        solves=solved,
        pretext=isinstance(regime, PretextModule),
    )


def _told(name: str, fact: str, why: str, *, value: bool) -> str:
    return f"{name}: {why}: write `{fact} = {value}` in the class"
