"""Overlap -> Counted: both domains' images, as the network sees them, are compared."""

from __future__ import annotations

import time

import numpy as np

from transfer_lab.data.base import Section
from transfer_lab.data.build import build_domain
from transfer_lab.experiment.choices import Choice
from transfer_lab.similarity.overlap import Counted, Overlap, overlap_store
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import RecordStore
from transfer_lab.system.pixel_hash import hashes, held

_BATCH = 64


def count(overlap: Overlap, store: RecordStore) -> Counted:
    """Count and store what two domains share; raises DataUnavailable and the like."""
    start = time.perf_counter()
    source = {part: set(found) for part, found in _hashes(overlap, overlap.source, store).items()}
    target = _hashes(overlap, overlap.target, store)
    everything = source["train"] | source["test"]
    found = Counted(
        of=overlap.id,
        test=len(held(target["test"], everything)),
        test_learnt=len(held(target["test"], source["train"])),
        test_images=len(target["test"]),
        train=len(held(target["train"], everything)),
        train_images=len(target["train"]),
        seconds=time.perf_counter() - start,
    )
    overlap_store(store).put(found)
    return found


def _hashes(overlap: Overlap, choice: Choice, store: RecordStore) -> dict[Section, list[bytes]]:
    """Of the whole training pool and of the test set."""
    domain = build_domain(choice, overlap.image_size)
    domain.cache = store.root / IMAGES
    domain.draw(per_class="all", val_fraction=0, batch_size=_BATCH, seed=0)
    parts: tuple[Section, ...] = ("train", "test")
    return {part: hashes(np.asarray(domain.source_of(part)[0])) for part in parts}
