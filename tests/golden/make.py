"""Pin the predictions of the tiny runs anew: `python -m tests.golden.make`.

Refused where they moved and the protocol number has not: stored records would pass for new ones.
"""

from __future__ import annotations

import sys

from tests.golden.results import (
    EVERYWHERE,
    FILE,
    Answers,
    Pinned,
    kind,
    moved,
    read,
    steady,
    told,
    trained,
    write,
)
from transfer_lab.experiment.spec import PROTOCOL


def refusal(found: Answers, pinned: Pinned) -> str | None:
    """Why these may not be pinned: under the same protocol nothing may have moved.

    With other versions than the pinned ones, of PyTorch say, the last bits may.
    """
    if pinned.protocol != PROTOCOL:
        return None
    exact = pinned.kind == kind()
    names = moved(found if exact else steady(found), pinned.answers, exact=exact)
    return told(names, found, pinned.answers) if names else None


def main() -> None:
    """Train, compare, write."""
    (found,) = trained((EVERYWHERE, "all"))
    if FILE.exists() and (reason := refusal(found, read())):
        sys.exit(reason)
    write(found)
    print(f"{len(found)} runs pinned in {FILE} under protocol {PROTOCOL}")


if __name__ == "__main__":
    main()
