"""What an advice is made from: photographs that were seen, and ways to learn that were compared on
them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.advice.advice import Flag
from transfer_lab.advice.album.album import Album
from transfer_lab.advice.audit.audit import Findings
from transfer_lab.advice.features.features import Features
from transfer_lab.advice.features.networks import Network

if TYPE_CHECKING:
    from transfer_lab.advice.challengers.race import Outcome
    from transfer_lab.advice.promise.resampling import OutOfFold


class Seen(NamedTuple):
    """Photographs that could be read in time, of the `whole` album; their features (n, d) by the
    default network, and what is to be looked at."""

    whole: Album
    album: Album
    network: Network
    features: Features
    findings: Findings

    @property
    def missed(self) -> int:
        """Photographs that there was no time for."""
        return len(self.whole.photos) - self.features.reached


class Compared(NamedTuple):
    """What the folds have shown: answers of the default, and of the challengers, where there were
    any."""

    default: OutOfFold
    race: Outcome | None = None
    flags: tuple[Flag, ...] = ()
    """Of a test part that the photographs came with."""

    @property
    def best(self) -> OutOfFold:
        """Answers on all photographs of the way that is recommended."""
        if self.race is None or self.race.answers is None:
            return self.default
        return self.race.answers
