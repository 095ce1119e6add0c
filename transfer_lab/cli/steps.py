"""What an advice is doing, while it does it: a line that moves, or plain lines in a log."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from transfer_lab.advice.wording import duration
from transfer_lab.grid.progress import moves
from transfer_lab.reporting.wording import one_line

_SILENCE = 15.0
"""Seconds after which a log says how far a step is."""
_PER_SECOND = 8
_SPOKEN = {
    "reading": "reading the files",
    "features": "looking at each photo",
    "checking": "looking for copies and mistakes",
    "comparing": "testing on photos kept aside",
    "earlier": "seeing whether more training may pay",
    "training": "training on all photos",
    "calibrating": "finding out how sure it may be",
}
"""Steps of an advice as a person would call them."""


def console(*, error: bool = False, quiet: bool = False) -> Console:
    """That of today's output; letters that it does not know are replaced, not an error."""
    stream = sys.stderr if error else sys.stdout
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return Console(file=stream, highlight=False, markup=False, emoji=False, quiet=quiet)


class Steps:
    """Tells a person of each step; a context manager and an advice's listener."""

    def __init__(self, out: Console):
        self._out = out
        self._name = ""
        self._expected: float | None = None
        self._since = self._spoke = time.monotonic()
        self._done = self._total = 0
        self._lock = threading.RLock()
        look = "line" if out.options.ascii_only else "dots"
        self._spinner = Spinner(look, style="cyan")
        self._live = Live(
            get_renderable=self._line,
            console=out,
            refresh_per_second=_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Steps:
        if moves(self._out) and not self._out.quiet:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._name = ""
        self._live.stop()

    def step(self, name: str, expected_seconds: float | None) -> None:
        """A step begins."""
        with self._lock:
            self._name, self._expected = _spoken(name), expected_seconds
            self._since = self._spoke = time.monotonic()
            self._done = self._total = 0
        if self._live.is_started:
            self._live.refresh()
        elif not moves(self._out):
            self._print(f"{self._name} ...{_about(expected_seconds).lstrip(',')}")

    def progress(self, done: int, total: int) -> None:
        """So many of the step's photographs are done."""
        self._done, self._total = done, total
        if not moves(self._out) and time.monotonic() - self._spoke > _SILENCE:
            self._spoke = time.monotonic()
            self._print(f"{self._name}: {done:,} of {total:,}{self._left()}")

    def done(self, name: str, seconds: float) -> None:
        """The step has ended."""
        with self._lock:
            self._name = ""
        self._print(f"{_spoken(name)}: {duration(seconds)}", style="dim")

    def say(self, text: str) -> None:
        """A sentence, above the line that moves."""
        self._print(one_line(text))

    def _print(self, text: str, style: str = "") -> None:
        self._out.print(Text(text, style=style), soft_wrap=True)

    def _line(self) -> Text | Spinner:
        if not self._name:
            return Text("")
        count = f" {self._done:,} of {self._total:,}" if self._total else ""
        told = f"{self._name}{count}{self._left()}"
        self._spinner.update(text=Text(told, overflow="ellipsis", no_wrap=True))
        return self._spinner

    def _left(self) -> str:
        """Of this step, from its pace where that is known."""
        gone = time.monotonic() - self._since
        if self._done and gone > 1:
            return _about(gone * (self._total - self._done) / self._done, "left")
        if self._expected is None:
            return ""
        return _about(max(1.0, self._expected - gone), "left" if gone > 1 else "")


def _spoken(name: str) -> str:
    return _SPOKEN.get(name, one_line(name))


def _about(seconds: float | None, what: str = "") -> str:
    if seconds is None:
        return ""
    whole = max(1, round(seconds))
    told = f"{whole} s" if whole < 60 else duration(whole)
    return f", about {told}{' ' * bool(what)}{what}"
