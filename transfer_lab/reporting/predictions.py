"""Which test images each run got right: read from disk when a statement needs it, and once."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.store.layout import PREDICTIONS
from transfer_lab.store.records import RecordStore

if TYPE_CHECKING:
    import numpy as np

Locate = Callable[[str], Path]
"""Run id -> where its predictions.npz lies."""
Vouch = Callable[[str, bytes], bool]
"""Whether content is what the run's record means by its predictions."""


def beside(store: RecordStore) -> tuple[Locate, Vouch]:
    """Where the predictions lie, and what they are held against: beside the records, for whoever
    states an accuracy."""
    return partial(store.file, name=PREDICTIONS), partial(_vouch, store)


def _vouch(store: RecordStore, run_id: str, content: bytes) -> bool:
    if store.vouches_for(run_id, PREDICTIONS, content):
        return True
    store.leave_out(store.file(run_id, PREDICTIONS), "its checksum does not match")
    return False


UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, MemoryError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading a damaged file may raise."""

_ROUNDING = 1e-5


class Outcome(NamedTuple):
    """A run's test set, as it answered it: labels, whether each answer is right, class names, and
    the answers."""

    labels: np.ndarray
    right: np.ndarray
    classes: tuple[str, ...]
    predicted: np.ndarray


class Together(NamedTuple):
    """Runs that were tested on the same images: their labels, and correctness by run and image."""

    labels: np.ndarray
    right: np.ndarray


class Predictions:
    """The stored predictions of runs; what is missing or damaged is named and never an error."""

    def __init__(self, locate: Locate | None = None, vouch: Vouch = lambda *_: True):
        self._locate, self._vouch = locate, vouch
        self._known: dict[str, Outcome | None] = {}
        self._arrays: dict[bytes, np.ndarray] = {}
        self.problems: Counter[str] = Counter()

    @classmethod
    def of_store(cls, store: RecordStore) -> Predictions:
        """Those that lie in a store."""
        return cls(*beside(store))

    def of(self, run_id: str, accuracy: float) -> Outcome | None:
        """A run's outcome, if it is there and agrees with the accuracy in its record."""
        if run_id not in self._known:
            self._known[run_id] = self._read(run_id, accuracy)
        return self._known[run_id]

    def classes(self, run_id: str) -> tuple[str, ...]:
        """The names of a run's classes, in label order; none where they are not stored."""
        try:
            return self._decoded(self._content(run_id)).classes if self._locate else ()
        except UNREADABLE:
            return ()

    def log_probabilities(self, run_id: str) -> np.ndarray | None:
        """By test image, the logarithm of the probability that was given to its class; None where
        that is not stored."""
        import numpy as np

        try:
            with np.load(io.BytesIO(self._content(run_id))) as arrays:
                return arrays["label_log_probability"].astype(np.float64)
        except UNREADABLE:
            return None

    def together(self, runs: Sequence[tuple[str, float]]) -> Together | None:
        """The outcomes of (run id, accuracy) pairs, if all are there and of the same images."""
        import numpy as np

        found = [self.of(*run) for run in runs]
        if not found or any(one is None for one in found):
            return None
        if any(one.labels is not found[0].labels for one in found):
            return None
        return Together(found[0].labels, np.stack([one.right for one in found]))

    def _read(self, run_id: str, accuracy: float) -> Outcome | None:
        if self._locate is None:
            self.problems["not handed to the report"] += 1
            return None
        try:
            outcome = self._decoded(self._content(run_id))
        except FileNotFoundError:
            self.problems["missing"] += 1
            return None
        except UNREADABLE:
            self.problems["damaged"] += 1
            return None
        if abs(outcome.right.mean() - accuracy) > _ROUNDING:
            self.problems["not those of the record"] += 1
            return None
        return outcome

    def _content(self, run_id: str) -> bytes:
        content = self._locate(run_id).read_bytes()
        if not self._vouch(run_id, content):
            raise ValueError("the checksum does not match")
        return content

    def _decoded(self, content: bytes) -> Outcome:
        # As np.load, but the whole file at once, and what many runs share not decoded again:
        # 10,000 runs are read in a second or two.
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            labels = self._once(file, "label.npy", content)
            predicted = _array(file.read("predicted.npy"))
            named = "classes.npy" in file.NameToInfo
            classes = tuple(map(str, self._once(file, "classes.npy", content))) if named else ()
        if labels.ndim != 1 or not labels.size or labels.shape != predicted.shape:
            raise ValueError("labels and predictions do not fit together")
        return Outcome(labels, labels == predicted, classes, predicted)

    def _once(self, file: zipfile.ZipFile, name: str, content: bytes) -> np.ndarray:
        """One array for equal contents: comparing labels is then comparing references."""
        packed = _packed(file.getinfo(name), content)
        if packed not in self._arrays:
            plain = file.read(name)
            if plain not in self._arrays:
                self._arrays[plain] = _array(plain)
            self._arrays[packed] = self._arrays[plain]
        return self._arrays[packed]


def _packed(member: zipfile.ZipInfo, content: bytes) -> bytes:
    """The member's bytes as they lie in the archive, after its local header."""
    name, extra = struct.unpack_from("<HH", content, member.header_offset + 26)
    start = member.header_offset + 30 + name + extra
    return content[start : start + member.compress_size]


def _array(content: bytes) -> np.ndarray:
    import numpy as np

    start = 10 + int.from_bytes(content[8:10], "little")
    dtype, shape = _layout(content[:start])
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


@lru_cache
def _layout(header: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    """Type and shape that the header of an array file states; parsing one takes longer than
    reading the array."""
    import numpy as np

    stream = io.BytesIO(header)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array file of another version")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise ValueError("an array of objects")
    return dtype, shape
