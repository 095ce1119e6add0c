"""How far a worker is, told to whoever waits for it: a line in a small file, now and then."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

_SECONDS_BETWEEN = 0.25
_SECONDS_BETWEEN_CURVES = 1.0
_POINTS = 500
"""Of a line that is told while it grows, at most: epochs between are left out."""
_CHARACTERS, _BYTES = 64, 512
"""Of a beat, filled up with blanks: it is written and read in one piece."""
_PREFIX = "transfer-lab-"

Batch = TypeVar("Batch")
Yielded = TypeVar("Yielded", covariant=True)


@contextlib.contextmanager
def pulse_folder() -> Iterator[Path | None]:
    """A new folder for the files in which work tells how far it is, removed at the end; None where
    there is no room for one. What dead processes have left of theirs is removed, too."""
    with contextlib.ExitStack() as stack:
        folder = None
        with contextlib.suppress(OSError):
            _clear(Path(tempfile.gettempdir()))
            made = tempfile.TemporaryDirectory(
                prefix=f"{_PREFIX}{os.getpid()}-", ignore_cleanup_errors=True
            )
            folder = Path(stack.enter_context(made))
        yield folder


def _clear(folder: Path) -> None:
    for left in folder.glob(f"{_PREFIX}*-*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not lives(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def lives(pid: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True


class Batches(Protocol[Yielded]):
    """What one pass of training goes through: its batches, and how many there are."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Yielded]: ...


class Beat(NamedTuple):
    """What is being done, in words, and the share of the whole that is done; None: not known."""

    doing: str
    share: float | None = None


Line = Mapping[str, Sequence[float | None]]
"""A learning curve so far: epochs under `epoch`, and what was measured at each."""


class Curves(NamedTuple):
    """The curves of one piece of work so far, and which of its fits they are of."""

    part: int
    parts: int
    lines: tuple[Line, ...]


class Pulse:
    """The beats of one piece of work. What cannot be written is left out: nobody depends on it."""

    def __init__(self, path: Path):
        self._file: int | None = None
        with contextlib.suppress(OSError):
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        self._next = 0.0
        self._share: float | None = None
        self.doing = ""
        self._part, self._parts = 1, 1
        self._epochs, self._done, self._capped = 0, 0, False
        self._curves, self._next_curve = curves_beside(path), 0.0

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def tell(self, doing: str, share: float | None = None) -> None:
        """Write a beat, whenever the last one was; without a share the last one stays."""
        self._next = time.monotonic() + _SECONDS_BETWEEN
        self._share = self._share if share is None else share
        self.doing = doing
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            line = json.dumps([doing[:_CHARACTERS], self._share]).encode()
            os.pwrite(self._file, line.ljust(_BYTES), 0)

    def draw(self, lines: Callable[[], Sequence[Line]]) -> None:
        """Leave the curves so far beside the beats, a line for each head that learns; they are
        asked for once a second at most."""
        now = time.monotonic()
        if now < self._next_curve or self._file is None:
            return
        self._next_curve = now + _SECONDS_BETWEEN_CURVES
        told = {
            "part": self._part,
            "parts": self._parts,
            "lines": [_thinned(line) for line in lines()],
        }
        # Whole or not at all, but not flushed: it is gone with the run.
        with contextlib.suppress(OSError):
            new = self._curves.with_suffix(".new")
            new.write_text(json.dumps(told))
            os.replace(new, self._curves)

    def part(self, number: int, parts: int) -> None:
        """What follows is one of several fits of a run: its trials, then its result."""
        self._part, self._parts = number, parts

    def expect(self, epochs: int, *, capped: bool) -> None:
        """Epochs of the fit that begins; `capped`: it may end before."""
        self._epochs, self._done, self._capped = epochs, 0, capped

    def through(self, batches: Batches[Batch]) -> Iterator[Batch]:
        """The batches of one epoch, and a beat now and then between them."""
        self._beat(0.0)
        for index, batch in enumerate(batches, start=1):
            yield batch
            if time.monotonic() >= self._next:
                self._beat(index / len(batches))
        self._done += 1

    def _beat(self, of_epoch: float) -> None:
        if time.monotonic() < self._next or not self._epochs:
            return
        most = "at most " if self._capped else ""
        doing = f"epoch {min(self._done + 1, self._epochs)} of {most}{self._epochs}"
        if self._parts > 1:
            doing = f"fit {self._part} of {self._parts}, {doing}"
        fitted = min(1.0, (self._done + of_epoch) / self._epochs)
        share = None if self._capped else (self._part - 1 + fitted) / self._parts
        self.tell(doing, share)


class _Followed(Generic[Batch]):
    """Batches that can be gone through again and again, each time with beats."""

    def __init__(self, batches: Batches[Batch], pulse: Pulse):
        self.batches, self.pulse = batches, pulse

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return self.pulse.through(self.batches)

    def __getattr__(self, name: str) -> object:
        """What the loader has besides: hooks may ask for its `dataset`."""
        if name == "batches":  # while it is being copied
            raise AttributeError(name)
        return getattr(self.batches, name)


_CURRENT: ContextVar[Pulse | None] = ContextVar("pulse", default=None)


@contextlib.contextmanager
def beating(path: Path | None) -> Iterator[None]:
    """What is told meanwhile goes to this file; nowhere without one."""
    if path is None:
        yield
        return
    pulse = Pulse(path)
    token = _CURRENT.set(pulse)
    try:
        yield
    finally:
        _CURRENT.reset(token)
        pulse.close()


def tell(doing: str, share: float | None = None) -> None:
    """Say what begins now, to whoever follows this work."""
    if pulse := _CURRENT.get():
        pulse.tell(doing, share)


@contextlib.contextmanager
def telling(doing: str) -> Iterator[None]:
    """Say what is done within this, and afterwards again what was done before."""
    pulse = _CURRENT.get()
    before = pulse.doing if pulse else ""
    tell(doing)
    try:
        yield
    finally:
        if before:
            tell(before)


def part(number: int, parts: int) -> None:
    """Say that what follows is one of several fits of a run."""
    if pulse := _CURRENT.get():
        pulse.part(number, parts)


def expect(epochs: int, *, capped: bool = False) -> None:
    """Say how many epochs the fit that begins will have; `capped`: at most."""
    if pulse := _CURRENT.get():
        pulse.expect(epochs, capped=capped)


def draw(lines: Callable[[], Sequence[Line]]) -> None:
    """An epoch has ended: whoever follows this work may want to see the curves so far."""
    if pulse := _CURRENT.get():
        pulse.draw(lines)


def followed(batches: Batches[Batch]) -> Batches[Batch]:
    """The same batches; whoever follows this work hears how far each pass over them is."""
    pulse = _CURRENT.get()
    return batches if pulse is None else _Followed(batches, pulse)


def heard(path: Path | None) -> Beat | None:
    """The last beat in a file; None where there is none."""
    if path is None:
        return None
    try:
        with open(path, "rb", buffering=0) as file:
            return Beat(*json.loads(file.read(_BYTES)))
    except (OSError, ValueError, TypeError):
        return None


def curves_beside(path: Path) -> Path:
    """Where the curves of the work lie whose beats lie there."""
    return path.with_suffix(".curves")


def drawn(path: Path) -> Curves | None:
    """The curves that were left beside a file of beats; None where there are none."""
    try:
        told = json.loads(curves_beside(path).read_bytes())
        lines = tuple(
            {name: [_number(value) for value in values] for name, values in line.items()}
            for line in told["lines"]
        )
        return Curves(int(told["part"]), int(told["parts"]), lines)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _number(value: object) -> float | None:
    """The value if it is a finite number."""
    known = isinstance(value, int | float) and math.isfinite(value)
    return value if known else None  # type: ignore[return-value]


def _thinned(line: Line) -> dict[str, list[float | None]]:
    """At most so many points of a line and as many at which validation came; always the last."""
    epochs, validated = line["epoch"], _known(line.get("val_loss", ()))
    kept = {*range(0, len(epochs), -(-len(epochs) // _POINTS) or 1), *range(len(epochs))[-1:]}
    kept.update(validated[:: -(-len(validated) // _POINTS) or 1])
    return {name: [values[at] for at in sorted(kept)] for name, values in line.items()}


def _known(values: Sequence[float | None]) -> list[int]:
    """Where there is a value."""
    return [at for at, value in enumerate(values) if value is not None]
