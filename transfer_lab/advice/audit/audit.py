"""What should be looked at in an album before anything is learnt from it. No torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from transfer_lab.advice.advice import Flag
from transfer_lab.advice.album.album import UNREADABLE, Album
from transfer_lab.advice.album.handed_over import listed
from transfer_lab.advice.audit.confounds import told_by_frame, told_by_size
from transfer_lab.advice.audit.near_copies import near_copies, together
from transfer_lab.advice.audit.suspects import label_suspects, unlike_the_rest
from transfer_lab.advice.features.looks import Look

if TYPE_CHECKING:
    from transfer_lab.advice.features.features import Features

Kind = Literal[
    "two_classes", "alike_in_two_classes", "label_suspects", "told_by_size", "told_by_frame",
    "own_test", "one_burst", "few_images", "imbalance", "small_images", "many_classes",
    "unlike_the_rest", "near_copies", "unreadable", "set_aside", "not_reached", "cache",
]  # fmt: skip
"""Of a flag, in the order of how much it matters."""
FEW, SMALL, TIMES, MANY = 10, 64, 10, 100
"""Photographs in a class; pixels; largest class over smallest; classes that were tried."""


class Findings(NamedTuple):
    """`groups` (n): a number for photographs that belong together; and what to look at."""

    groups: np.ndarray
    flags: tuple[Flag, ...]


def audit(album: Album, features: Features, own_groups: np.ndarray | None = None) -> Findings:
    """Near-copies, joined with the groups that the owner names, and flags.

    `features`: of the album's photographs, in their order.
    """
    copies = near_copies(features.values, features.thumbnails, album.labels)
    groups = copies if own_groups is None else together(copies, own_groups)
    found = [
        *_two_classes(album),
        *_copies(album, copies),
        *_confounds(album, features.looks),
        *_sizes(album, features.looks),
        *_counts(album),
        *_one_burst(album, groups),
        *_unlike(album, features.values, copies),
        *_aside(album),
    ]
    return Findings(groups, in_order(found))


def suspects_flag(album: Album, logits: np.ndarray, temperature: float) -> tuple[Flag, ...]:
    """Photographs that may have the wrong class, by out-of-fold `logits` (repeats, n, classes)."""
    found, _ = label_suspects(logits, album.labels, temperature)
    if not len(found):
        return ()
    text = f"{len(found)} may be in the wrong folder"
    return (flag("label_suspects", text, [[album.place(album.photos[n].path)] for n in found]),)


def in_order(flags: Iterable[Flag]) -> tuple[Flag, ...]:
    """What matters most first."""
    order = get_args(Kind)
    return tuple(sorted(flags, key=lambda one: order.index(one.kind)))


def flag(kind: Kind, text: str, paths: Iterable[Sequence[str]] = ()) -> Flag:
    """Something to look at; `paths` below the album's root, those that belong together in one."""
    return Flag(kind=kind, text=text, paths=tuple(tuple(files) for files in paths))


def _two_classes(album: Album) -> list[Flag]:
    sets = [[album.place(path) for path in files] for files in album.contradictory]
    if not sets:
        return []
    text = f"{_photos(len(sets))} in more than one class at once, and left out"
    return [flag("two_classes", text, sets)]


def _copies(album: Album, copies: np.ndarray) -> list[Flag]:
    members: dict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(copies.tolist()):
        members[group].append(place)
    several = [places for places in members.values() if len(places) > 1]
    mixed = [p for p in several if len({album.photos[n].label for n in p}) > 1]
    paths = [[album.place(album.photos[n].path) for n in p] for p in several]
    found = []
    if mixed:
        files = [[album.place(album.photos[n].path) for n in p] for p in mixed]
        count = sum(map(len, mixed))
        text = f"{count} look alike but lie in different folders"
        found.append(flag("alike_in_two_classes", text, files))
    if several:
        count = sum(map(len, several)) - len(several)
        are = "is a near-copy" if count == 1 else "are near-copies"
        text = f"{count} {are} of another and counted once"
        found.append(flag("near_copies", text, sorted(paths, key=len, reverse=True)))
    return found


def _confounds(album: Album, looks: Sequence[Look]) -> list[Flag]:
    found = []
    told: tuple[tuple[Kind, list[int], str], ...] = (
        ("told_by_size", told_by_size(looks, album.labels), "the size of its images"),
        ("told_by_frame", told_by_frame(looks, album.labels), "an even border of its images"),
    )
    for kind, classes, by in told:
        for name in (album.classes[number] for number in classes):
            text = f'"{name}" can be told by {by} alone; the model may learn that and nothing else'
            found.append(flag(kind, text))
    return found


def _sizes(album: Album, looks: Sequence[Look]) -> list[Flag]:
    small = [
        album.place(photo.path)
        for photo, seen in zip(album.photos, looks, strict=True)
        if min(seen.width, seen.height) < SMALL
    ]
    if not small:
        return []
    return [flag("small_images", f"{len(small)} smaller than {SMALL} px", [[p] for p in small])]


def _counts(album: Album) -> list[Flag]:
    counts = dict(zip(album.classes, album.per_class, strict=True))
    found = []
    few = [f'"{name}" ({count})' for name, count in counts.items() if count < FEW]
    if few:
        found.append(flag("few_images", f"fewer than {FEW} photos of {listed(few)}"))
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[most] > TIMES * counts[least]:
        text = f'"{most}" has {counts[most]} photos, "{least}" only {counts[least]}'
        found.append(flag("imbalance", text))
    if len(counts) > MANY:
        text = f"{len(counts)} classes: what is promised was tested for {MANY} at most"
        found.append(flag("many_classes", text))
    return found


def _one_burst(album: Album, groups: np.ndarray) -> list[Flag]:
    single = [
        f'"{name}"'
        for number, name in enumerate(album.classes)
        if len(np.unique(groups[album.labels == number])) == 1
    ]
    if not single:
        return []
    text = (
        f"all photos of {listed(single)} belong together, so that nothing tells how a new one "
        "would be named: add some of other moments"
    )
    return [flag("one_burst", text)]


def _unlike(album: Album, features: np.ndarray, copies: np.ndarray) -> list[Flag]:
    found = unlike_the_rest(features, copies)
    if not len(found):
        return []
    paths = [[album.place(album.photos[n].path)] for n in found]
    return [flag("unlike_the_rest", f"{len(found)} unlike the rest", paths)]


def _aside(album: Album) -> list[Flag]:
    by_reason: dict[str, list[Path]] = defaultdict(list)
    unreadable = []
    for path, reason in album.set_aside:
        if reason.startswith(UNREADABLE):
            unreadable.append([album.place(path)])
        else:
            by_reason[reason].append(path)
    found = []
    if unreadable:
        found.append(flag("unreadable", f"{len(unreadable)} unreadable", unreadable))
    for reason, files in sorted(by_reason.items()):
        text = f"{len(files)} left out: {reason}"
        found.append(flag("set_aside", text, [[album.place(path)] for path in files]))
    return found


def _photos(count: int) -> str:
    return "1 photo lies" if count == 1 else f"{count} photos lie"
