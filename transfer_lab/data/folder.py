"""A folder of photographs, one folder a class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from typing import Literal

import numpy as np

from transfer_lab.data.base import ImageDomain, Part
from transfer_lab.data.image_cache import digest, stored_array
from transfer_lab.system.decode import BrokenImageError, decode_all
from transfer_lab.system.image_folder import (
    IMAGES,
    DataUnavailable,
    FileKind,
    ImageFile,
    Listing,
    list_files,
)

_NAMED = 10
_PROBE = 32


class Folder(ImageDomain):
    """`<root>/{train,test}/<class>/*`, or `<root>/<class>/*` with a split by content hash.

    Options: `root`: the folder; `test_fraction`: the part of every class that is the test set
    where the folder has none of its own; `broken`: whether a file that cannot be read is refused
    (`refuse`) or left out (`skip`); `groups`: which images are of one group, as of one person, for
    the experiment's `folds`: a regular expression that is searched for in a file's path below its
    class folder, and whose first parenthesis, or else all that it matches, is the group. `content`
    is filled in when the experiment is read: the hash of what the folder holds, so that results
    of other contents are not taken for these.
    """

    kind: FileKind = IMAGES

    def __init__(
        self,
        image_size: int,
        *,
        root: str,
        content: str | None = None,
        test_fraction: float = 0.3,
        broken: Literal["refuse", "skip"] = "refuse",
        groups: str | None = None,
    ):
        super().__init__(image_size)
        if not 0 < test_fraction < 1:
            raise ValueError(f"test_fraction must lie between 0 and 1, not {test_fraction}")
        self.listing = _listed(root, self.kind)
        self._pattern = groups
        if content not in (None, self.listing.known_by(groups)):
            raise DataUnavailable(f"{root}: the folder has changed since the experiment was read")
        self.test_fraction, self.broken = test_fraction, broken
        self.classes = self.listing.classes

    @property
    def identity(self) -> dict[str, object]:
        return {part: [file.sha256 for file in files] for part, files in self.files.items()}

    @cached_property
    def files(self) -> dict[Part, tuple[ImageFile, ...]]:
        """Training pool and test set, of readable files alone where broken ones are skipped.

        Raises DataUnavailable where too few of a class can be read.
        """
        listing = self.listing
        if self.broken == "skip":
            listing = listing.only(self._readable)
        return listing.divided(self.test_fraction)

    @property
    def set_aside(self) -> int:
        return len(self.listing.files) - sum(map(len, self.files.values()))

    @property
    def copies(self) -> int:
        known = {file.sha256 for file in self.files["train"]}
        return sum(file.sha256 in known for file in self.files["test"])

    def labels(self, part: Part) -> np.ndarray:
        index = {name: number for number, name in enumerate(self.classes)}
        return np.array([index[file.label] for file in self.files[part]], dtype=np.int64)

    def groups(self, part: Part) -> list[str] | None:
        if self._pattern is None:
            return None
        named = self.listing.groups(self._pattern)
        return [named[file.path] for file in self.files[part]]

    def decoded(
        self, files: Iterable[ImageFile], size: int
    ) -> Iterator[np.ndarray | BrokenImageError]:
        """Each file's (3, size, size) bytes or what is wrong with it, in order; raises
        DataUnavailable for a file that is not what was listed."""
        return decode_all(files, size)

    def image_blocks(self, part: Part) -> Iterator[np.ndarray]:
        """Raises DataUnavailable naming every file that cannot be read."""
        broken = []
        for found in self.decoded(self.files[part], self.image_size):
            if isinstance(found, BrokenImageError):
                broken.append(str(found))
            elif not broken:  # else nothing comes of it, and only the names are wanted
                yield found[None]
        if broken:
            more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
            raise DataUnavailable(
                f"{len(broken)} files cannot be read: {'; '.join(broken[:_NAMED])}{more}; mend "
                "them, take them out of the folder, or leave them out with broken: skip"
            )

    @cached_property
    def _readable(self) -> np.ndarray:
        """Whether each listed file can be decoded; found once and stored, since the subsets must
        be drawn from the same files in every run."""

        def probe() -> np.ndarray:
            found = self.decoded(self.listing.files, _PROBE)
            return np.array([not isinstance(image, BrokenImageError) for image in found])

        name = digest({"readable": [file.sha256 for file in self.listing.files]})
        return stored_array(self.cache, name, probe)[0]


@cache
def _listed(root: str, kind: FileKind) -> Listing:
    return list_files(root, kind)
