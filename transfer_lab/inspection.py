"""What a folder of images holds, before anything is trained on it. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from tabulate import tabulate

from transfer_lab.decoding import BrokenImageError, decode_all
from transfer_lab.listing import ImageFile, Listing, list_images
from transfer_lab.yaml_source import ConfigError

_OUT = Console(highlight=False)
_NAMED = 20
_PROBE = 32
_BAR = 24

Parts = Mapping[str, Sequence[ImageFile]]


def inspect(folder: Path, source: Path | None, test_fraction: float) -> int:
    """Print classes, sizes, duplicates and files left out; returns 1 if something needs a hand.

    Raises ConfigError for a folder that cannot be used at all.
    """
    listing = _listed(folder)
    parts = listing.divided(test_fraction)
    _say(_classes(listing, parts))
    broken = _broken(listing)
    copies = _shared(parts["train"], parts["test"])
    problems = [
        *_named("cannot be read and would be refused", broken),
        *_named("left out", [f"{path}: {reason}" for path, reason in listing.set_aside]),
        *_named("in both training pool and test set (copies)", copies),
    ]
    if source is not None:
        pair = _shared(_listed(source).files, listing.files)
        problems += _named(f"in {source} as well (copies)", pair)
    if listing.ignored:
        _say(f"{listing.ignored} hidden files or files that are no images were passed over")
    _say(f"content {listing.fingerprint}")
    for line in problems:
        _say(line)
    return 1 if problems else 0


def _listed(folder: Path) -> Listing:
    try:
        return list_images(folder)
    except RuntimeError as error:
        raise ConfigError([str(error)]) from error


def _classes(listing: Listing, parts: Parts) -> str:
    counts = {part: Counter(file.label for file in files) for part, files in parts.items()}
    most = max(counts["train"].values())
    rows = [
        (name, pool := counts["train"][name], counts["test"][name], "#" * (_BAR * pool // most))
        for name in listing.classes
    ]
    test = sum(counts["test"].values())
    share = max(counts["test"].values()) / test
    return "\n".join(
        [
            tabulate(rows, headers=("class", "training pool", "test", ""), disable_numparse=True),
            f"{len(listing.classes)} classes, {len(listing.files)} images: "
            f"{len(parts['train'])} to learn from, {test} to test on",
            f"largest class: {100 * share:.1f} % of the test set",
            f"at most {min(counts['train'].values())} images per class can be asked for",
            _sizes(listing),
        ]
    )


def _sizes(listing: Listing) -> str:
    sizes = []
    for file in listing.files:
        try:
            with Image.open(file.path) as image:
                sizes.append(image.size)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue  # named below among the files that cannot be read
    if not sizes:
        return "no image could be opened"
    low, middle, high = np.percentile(sizes, (0, 50, 100), axis=0).astype(int)
    return (
        f"width x height: {low[0]} x {low[1]} to {high[0]} x {high[1]}, "
        f"median {middle[0]} x {middle[1]}"
    )


def _broken(listing: Listing) -> list[str]:
    found = decode_all([file.path for file in listing.files], _PROBE)
    return [str(image) for image in found if isinstance(image, BrokenImageError)]


def _shared(first: Sequence[ImageFile], second: Sequence[ImageFile]) -> list[str]:
    known = {file.sha256: file.path for file in first}
    return [f"{file.path} = {known[file.sha256]}" for file in second if file.sha256 in known]


def _named(what: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  and {len(lines) - _NAMED} more"] if len(lines) > _NAMED else []
    return [f"{len(lines)} {what}:", *(f"  {line}" for line in lines[:_NAMED]), *more]


def _say(text: str) -> None:
    _OUT.print(text, markup=False, soft_wrap=True)
