"""One progress bar for the grid, in the parent process; plain lines where there is no terminal."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from transfer_lab.experiment.spec import Run
from transfer_lab.store.records import Record

_LINES = 20


class GridProgress:
    """Runs done / total, the runs in work, time left. A context manager and a runner's watch."""

    def __init__(self, console: Console, total: int):
        self.console, self.total, self.ended_runs = console, total, 0
        self._running: dict[str, str] = {}
        self._bar = Progress(
            TextColumn("{task.fields[phase]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("runs"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}", style="dim"),
            console=console,
            speed_estimate_period=600,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, phase="training")

    def __enter__(self) -> GridProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def say(self, message: str) -> None:
        """A line above the bar."""
        self.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def started(self, run: Run) -> None:
        """Show a run as being worked on."""
        self._running[run.id] = run.title
        self._refresh()

    def ended(self, run: Run, record: Record) -> None:
        """Count a run; name it if it failed."""
        self._running.pop(run.id, None)
        self.ended_runs += 1
        self._bar.advance(self._task)
        self._refresh()
        if record.status == "failed":
            self.say(f"failed: {run.title} [{run.id}]: {record.error}")
        elif not self.console.is_terminal and self._on_a_step():
            self.say(f"{self.ended_runs} of {self.total} runs; last: {run.title}")

    def _on_a_step(self) -> bool:
        before = (self.ended_runs - 1) * _LINES // self.total
        return self.ended_runs * _LINES // self.total > before

    def _refresh(self) -> None:
        self._bar.update(self._task, description=" | ".join(self._running.values()))
