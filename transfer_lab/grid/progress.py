"""How the grid goes, in the parent process: a few lines that move, or plain lines in a log."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from transfer_lab.experiment.names import RunName, group_name
from transfer_lab.experiment.spec import Run
from transfer_lab.grid.time_left import TimeLeft, clock, spoken
from transfer_lab.store.records import Record
from transfer_lab.store.running import AtWork, Mishap
from transfer_lab.system.output import plain
from transfer_lab.system.pulse import Beat, beating, heard, pulse_folder

_LINES = 20
"""Of a log, for runs that ended, at most."""
_SILENCE = 60.0
"""Seconds after which a log says how far it is, even if no run has ended."""
_PER_SECOND = 4
_FAILURES = 20
"""That are told to whoever looks from elsewhere, the newest."""
_MARGIN = 4
"""Lines of the window that stay free."""
_WIDEST_BAR = 40
_NOTHING = Beat("starting")


def moves(console: Console) -> bool:
    """Whether lines that were shown can be shown anew: in a terminal that is not a dumb one."""
    return console.is_terminal and not console.is_dumb_terminal


class _Work:
    """Runs in one pass, since when they are in work, and where their beats are found."""

    def __init__(self, runs: Sequence[Run], name: str, pulse: Path | None, since: float):
        self.ids = tuple(run.id for run in runs)
        self.open, self.name, self.pulse, self.since = set(self.ids), name, pulse, since


class GridProgress:
    """Runs done / total, time gone and left, and what is in work. A context manager, and a
    runner's watch.

    Before the runs it shows what is made ready; `pulses` is the folder in which workers tell how
    far they are: of what is made ready in `ready`, of runs in a file with the first run's id. It
    is None, and nothing is told, where no temporary folder can be made.
    """

    def __init__(self, console: Console, runs: Mapping[str, Run], names: Mapping[str, RunName]):
        self.console, self.total, self.ended_runs = console, len(runs), 0
        self._runs, self._names = runs, names
        self._stack = contextlib.ExitStack()
        self.pulses = self._stack.enter_context(pulse_folder())
        self._phase, self._training = "", False
        self._working: dict[str, _Work] = {}
        self._failed: list[Mishap] = []
        self._started = self._spoke = time.monotonic()
        self._left = TimeLeft(runs, {}, 1)
        self._lock, self._over = threading.RLock(), threading.Event()
        self._live = Live(
            get_renderable=lambda: self, console=console, refresh_per_second=_PER_SECOND
        )

    def __enter__(self) -> GridProgress:
        if moves(self.console):
            self._live.start(refresh=True)
        else:
            threading.Thread(target=self._break_silences, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        with self._lock:
            self._working.clear()
        self._phase = ""
        self._live.transient = not self._training  # of a refused experiment no bar is left
        self._live.stop()
        self._stack.close()

    @property
    def ready(self) -> Path | None:
        """Where a worker tells how far it is with what comes before the runs."""
        return self.pulses and self.pulses / "ready"

    def phase(self, text: str) -> None:
        """What is being done before the runs, or after them."""
        self._phase = text

    def train(self, costs: Mapping[str, float], slots: int) -> None:
        """The runs begin, so many at a time; `costs`: seconds that each should take."""
        self._phase, self._training = "", True
        self._left = TimeLeft(self._runs, costs, slots)

    def say(self, message: str) -> None:
        """A line above the bar."""
        self.console.print(plain(message), markup=False, highlight=False, soft_wrap=True)

    def started(self, runs: Sequence[Run]) -> None:
        """Show runs as being worked on."""
        name = group_name(runs, self._names)
        pulse = self.pulses and self.pulses / runs[0].id
        work = _Work(runs, name, pulse, time.monotonic())
        with self._lock:
            for run in runs:  # again, where a worker has died
                self._drop(run.id)
            self._working[runs[0].id] = work

    def ended(self, run: Run, record: Record) -> None:
        """Count a run; name it if it failed."""
        with self._lock:
            self._left.gone(run.id)
            self._drop(run.id)
            self.ended_runs += 1
        name = self._names[run.id]
        if record.status == "failed":
            self._failed.append(Mishap(run=run.id, name=str(name), error=record.error or ""))
            self.say(f"failed: {name} [{run.id}]: {record.error}")
        elif not moves(self.console) and self._on_a_step():
            self._log(f"; last: {name}")

    def _drop(self, run_id: str) -> None:
        """The run is not in work any more; the last of its pass tells what that took."""
        for first, work in list(self._working.items()):
            if run_id in work.open:
                work.open.remove(run_id)
                if not work.open:
                    del self._working[first]
                    self._left.learnt(work.ids, time.monotonic() - work.since)

    def _on_a_step(self) -> bool:
        before = (self.ended_runs - 1) * _LINES // self.total
        return self.ended_runs * _LINES // self.total > before

    def _log(self, rest: str) -> None:
        self._spoke = time.monotonic()
        self.say(f"{self.ended_runs} of {self.total} runs, {self._times()}{rest}")

    def _break_silences(self) -> None:
        """A line where a minute has passed without one."""
        while not self._over.wait(1.0):
            if time.monotonic() - self._spoke < _SILENCE:
                continue
            doing = [f"{work.name}: {beat.doing}" for work, beat in self._beats()]
            doing = doing or [self._doing_before()]
            more = f" and {len(doing) - 1} more" if len(doing) > 1 else ""
            self._log(f"; now: {doing[0]}{more}")

    def _beats(self) -> list[tuple[_Work, Beat]]:
        with self._lock:
            working = list(self._working.values())
        return [(work, heard(work.pulse) or _NOTHING) for work in working]

    def told(self) -> dict[str, object]:
        """How far the grid is, as `RunningGrid` has it."""
        now, beats = time.monotonic(), self._beats()
        return {
            "total": self.total,
            "ended": self.ended_runs,
            "phase": self._doing_before() if not self._training or self._phase else "",
            "seconds": now - self._started,
            "left": self._seconds_left(beats, now),
            "working": tuple(
                AtWork(
                    runs=work.ids,
                    name=work.name,
                    doing=beat.doing,
                    share=beat.share,
                    seconds=now - work.since,
                )
                for work, beat in beats
            ),
            "failed": tuple(self._failed[-_FAILURES:]),
        }

    def _seconds_left(self, beats: Sequence[tuple[_Work, Beat]], now: float) -> float | None:
        shares = {work.ids: (now - work.since, beat.share) for work, beat in beats}
        with self._lock:
            return self._left.seconds(shares) if self.ended_runs < self.total else None

    def _times(self) -> str:
        """`0:01:12, about 3 min left`."""
        now = time.monotonic()
        left = self._seconds_left(self._beats(), now)
        rest = "" if left is None else f", about {spoken(left)} left"
        return clock(now - self._started) + rest

    def _doing_before(self) -> str:
        beat = heard(self.ready)
        return beat.doing if beat and not self._training else self._phase

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        width, height = options.max_width, max(1, console.height - _MARGIN)
        beats = self._beats()
        inside = sum(len(work.open) * (beat.share or 0.0) for work, beat in beats)
        yield _cut(self._head(width, self.ended_runs + inside), width)
        if not self._training or self._phase:
            yield _cut(Text(f"  {self._doing_before()}", "dim"), width)
        for work, beat in beats[: height if len(beats) <= height else height - 1]:
            yield _line(work.name, beat.doing, width)
        if len(beats) > height:
            yield Text(f"  and {len(beats) - height + 1} more", "dim")

    def _head(self, width: int, done: float) -> Text:
        """`67 of 240 runs ━━━━━━━━━━━━━━━━━ 0:01:12, about 3 min left`."""
        count, times = f"{self.ended_runs} of {self.total} runs", self._times()
        bar = min(_WIDEST_BAR, width - len(count) - len(times) - 2)
        text = Text(count)
        if bar > 0:
            full = min(bar, int(bar * done / self.total))
            text.append(" ").append("━" * full, "green").append("─" * (bar - full), "bright_black")
        return text.append(f" {times}")


class Waiting:
    """One line that says what is being done in this process, gone when it is done; nothing in a
    log."""

    def __init__(self, console: Console, doing: str):
        self._console, self._stack = console, contextlib.ExitStack()
        self._first = Beat(doing)

    def __enter__(self) -> None:
        if not moves(self._console):
            return
        enter = self._stack.enter_context
        folder = enter(pulse_folder())
        path = folder and folder / "ready"
        enter(beating(path))
        spinner = Spinner("dots")

        def shown() -> Spinner:
            spinner.update(text=(heard(path) or self._first).doing)
            return spinner

        enter(
            Live(get_renderable=shown, console=self._console, transient=True, refresh_per_second=8)
        )

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def _line(name: str, doing: str, width: int) -> Text:
    """What runs, cut to what its state leaves of the width."""
    room = width - len(doing) - 4
    shown = name if len(name) <= room else name[: max(0, room - 1)] + "…"
    return _cut(Text(f"  {shown}  ", "default").append(doing, "dim"), width)


def _cut(text: Text, width: int) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    text.truncate(width, overflow="ellipsis")
    return text
