"""What a folder or a domain holds, before anything is trained on it. No torch for a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from tabulate import tabulate

from transfer_lab.experiment.catalog import DOMAINS, suggest
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.system.decode import BrokenImageError, decode_all
from transfer_lab.system.image_folder import ImageFile, Listing, Part, list_files
from transfer_lab.system.output import plain

_OUT = Console(highlight=False)
_NAMED = 20
_PROBE = 32
_BAR = 24
TEST_FRACTION = 0.3


@dataclass(frozen=True)
class Request:
    """The part of a class that becomes the test set, where published data lie, and whether they
    are fetched."""

    test_fraction: float | None = None
    root: str | None = None
    download: bool = False


def inspect(place: str, source: str | None = None, how: Request | None = None) -> int:
    """Print classes, sizes, duplicates and files left out; returns 1 if something needs a hand.

    `place` and `source` are folders, or names of domains. Raises ConfigError for what cannot be
    used at all.
    """
    how = how or Request()
    for name in (place, source):
        if name and _is_name(name) and Path(name).is_dir():
            _say(f"{name}: the domain; the folder of that name is ./{name}")
    problems = _of_domain(place, how) if _is_name(place) else _of_folder(place, how)
    if source is not None:
        problems += _named(f"in {source} as well (copies)", _pairs(place, source, how))
    for line in problems:
        _say(line)
    return 1 if problems else 0


def _is_name(place: str) -> bool:
    """A domain's name; a folder that is called the same is meant when written `./name`."""
    return place.partition(":")[0] in _names()


def _names() -> list[str]:
    return [name for name in DOMAINS.names if name not in DOMAINS or not DOMAINS[name].in_folder]


def _of_folder(folder: str, how: Request) -> list[str]:
    listing = _listed(folder)
    parts = listing.divided(how.test_fraction or TEST_FRACTION)
    counts = {part: Counter(file.label for file in files) for part, files in parts.items()}
    _say(_classes(listing.classes, counts))
    _say(_span(_sizes(listing)) or "no image could be opened")
    if listing.ignored:
        _say(f"{listing.ignored} hidden files or files that are no images were passed over")
    _say(f"content {listing.fingerprint}")
    aside = [f"{path}: {reason}" for path, reason in listing.set_aside]
    copies = _shared(parts["train"], parts["test"])
    in_case = [", ".join(map(repr, names)) for names in listing.differ_in_case]
    return [
        *_named("cannot be read: refused, or left out with broken: skip", _broken(listing)),
        *_named("left out", aside),
        *_named("names of which several classes differ in case alone", in_case),
        *_named("in both training pool and test set (copies)", copies),
    ]


def _of_domain(name: str, how: Request) -> list[str]:
    from transfer_lab.data import inspect as domains

    domain = domains.named_domain(name, **asdict(how))
    found = domains.contents(domain)
    _say(_classes(domain.classes, domains.counts(domain)))
    _say(_span(domain.original_sizes()) or "rendered at any size")
    return _named("in both training pool and test set (copies)", domains.copies_in_test(found))


def _pairs(place: str, source: str, how: Request) -> list[str]:
    """Images that the source holds too: by the files of two folders, else by their pixels."""
    if not _is_name(place) and not _is_name(source):
        return _shared(_listed(source).files, _listed(place).files)
    from transfer_lab.data import inspect as domains

    found = [
        domains.contents(
            domains.named_domain(name, **asdict(how))
            if _is_name(name)
            else domains.folder_domain(name)
        )
        for name in (place, source)
    ]
    return domains.shared(*found)


def _listed(folder: str) -> Listing:
    try:
        return list_files(folder)
    except RuntimeError as error:
        hint = (
            ""
            if Path(folder).exists()
            else f"; no domain has this name either: {suggest(folder, _names())}"
        )
        raise ConfigError([f"{error}{hint}"]) from error


def _classes(classes: Sequence[str], counts: Mapping[Part, Counter[str]]) -> str:
    most = max(counts["train"].values())
    rows = [
        (name, pool := counts["train"][name], counts["test"][name], "#" * (_BAR * pool // most))
        for name in classes
    ]
    learning, test = (sum(counts[part].values()) for part in ("train", "test"))
    share = max(counts["test"].values()) / test
    return "\n".join(
        [
            tabulate(rows, headers=("class", "training pool", "test", ""), disable_numparse=True),
            f"{len(classes)} classes, {learning + test} images: "
            f"{learning} to learn from, {test} to test on",
            f"largest class: {100 * share:.1f} % of the test set",
            f"at most {min(counts['train'][name] for name in classes)} images per class can be "
            "asked for",
        ]
    )


def _sizes(listing: Listing) -> list[tuple[int, int]]:
    sizes = []
    for file in listing.files:
        try:
            with Image.open(file.path) as image:
                sizes.append(image.size)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue  # named below among the files that cannot be read
    return sizes


def _span(sizes: Sequence[tuple[int, int]]) -> str:
    if not sizes:
        return ""
    low, middle, high = np.percentile(sizes, (0, 50, 100), axis=0).astype(int)
    return (
        f"width x height: {low[0]} x {low[1]} to {high[0]} x {high[1]}, "
        f"median {middle[0]} x {middle[1]}"
    )


def _broken(listing: Listing) -> list[str]:
    found = decode_all(listing.files, _PROBE)
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
    _OUT.print(plain(text), markup=False, soft_wrap=True)
