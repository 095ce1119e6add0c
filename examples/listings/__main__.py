"""Replay four published listings as published and repaired, and write what came out.

    python -m examples.listings

Takes minutes on two cores and needs no download. Everything is drawn by seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from examples.listings import dropout_never_added, frozen_in_the_optimiser, never_copied
from examples.listings.page import Played, write
from examples.listings.result import Listing
from examples.listings.task import Task
from transfer_lab.regimes.base import TransferModule
from transfer_lab.testing import ContractError, check_regime

LISTINGS: tuple[Listing, ...] = (
    never_copied.PYTORCH,
    never_copied.KERAS,
    frozen_in_the_optimiser.LISTING,
    dropout_never_added.LISTING,
)
OUT = Path("reports/listings")


def refusal(regime: type[TransferModule], checks: tuple[str, ...]) -> str:
    """What `check_regime` says; raises AssertionError unless each of these checks refuses it."""
    try:
        check_regime(regime)
    except ContractError as refused:
        told = str(refused)
        missing = [name for name in checks if f"- {name.replace('_', ' ')}: " not in told]
        assert not missing, f"{regime.__name__} is not refused by {', '.join(missing)}: {told}"
        return gist(told.splitlines()[1:], checks)
    raise AssertionError(f"{regime.__name__} is not refused")


def gist(lines: Sequence[str], checks: tuple[str, ...]) -> str:
    """What these checks say, and how many others say something, too."""
    lines = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    named = [line for line in lines if line.partition(":")[0].replace(" ", "_") in checks]
    others = len(lines) - len(named)
    return "; ".join([*named, *([f"and by {others} more"] if others else [])])


def played(listing: Listing, task: Task, seeds: int) -> Played:
    """The listing replayed for each seed, and refused."""
    replays = []
    for seed in range(seeds):
        replays.append(listing.replay(task, seed))
        told = ", ".join(f"{arm} {score:.1f}" for arm, score in replays[-1].accuracy.items())
        print(f"{listing.name}, seed {seed}: {told}", flush=True)
    refusals = {cls.__name__: refusal(cls, named) for cls, named in listing.regimes.items()}
    return Played(listing, tuple(replays), refusals)


def main(argv: list[str] | None = None, task: Task | None = None) -> Path:
    """Replay all listings and write the page; returns its path."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder of the page: {OUT}")
    options = parser.parse_args(argv)
    task = task or Task.rendered()
    found = [played(listing, task, options.seeds) for listing in LISTINGS]
    page = write(found, task, options.out, "python -m examples.listings")
    print(f"written: {page}")
    return page


if __name__ == "__main__":
    main()
