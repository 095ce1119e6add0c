"""Records that were made under an older protocol: they lie in the store, and are not used."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from transfer_lab.experiment.spec import PROTOCOL, Run
from transfer_lab.store.layout import RECORD
from transfer_lab.store.records import RecordStore


class Outdated(NamedTuple):
    """A protocol that is not the present one, and how many runs have a record under it."""

    protocol: int
    records: int

    def text(self, runs: Path) -> str:
        """What a person is told of it."""
        was, them = ("was", "it") if self.records == 1 else ("were", "them")
        records = "1 record" if self.records == 1 else f"{self.records:,} records"
        return (
            f"{records} in {runs} {was} made under protocol {self.protocol}, of which nothing is "
            f"used; the present one is {PROTOCOL}: `run` trains {them} anew"
        )


def outdated(runs: Iterable[Run], store: RecordStore) -> list[Outdated]:
    """By protocol, the newest first, how many of these runs have a record from then.

    The ids they had then are made again and looked for among the names in the store, which is read
    once; no record is opened.
    """
    wanted = list(runs)
    try:
        known = {entry.name for entry in os.scandir(store.root)} if wanted else set()
    except OSError:
        return []
    found = []
    for protocol in range(PROTOCOL - 1, 0, -1):
        ids = [run_id for run in wanted if (run_id := run.id_under(protocol)) in known]
        stored = sum(os.path.exists(f"{store.root}/{run_id}/{RECORD}") for run_id in ids)
        if stored:
            found.append(Outdated(protocol, stored))
    return found
