"""`python -m benchmarks`: run the parts, print the table, store it."""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.figures import Result
from benchmarks.parts import PARTS
from benchmarks.setting import Setting
from benchmarks.table import Bench, show, store

_OUT, _TRIAL = Path("reports/bench"), Path("reports/bench_trial")
_LISTED = "\n\n".join(f"- `{name}`: {part.says}" for name, part in PARTS.items())

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.command(help=f"How fast the lab is, against a plain Lightning script.\n\n{_LISTED}")
def bench(
    parts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PART]...", help="All but precision unless named."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny sizes: whether it runs, not how fast.")
    ] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats of what is short.")] = 3,
    cells: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Cells of the default grid that the plain script trains; the rest is projected.",
            show_default="one of each regime, backbone and size",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where report.md and results.csv are written.",
            show_default=f"{_OUT}; {_TRIAL} if not all parts run in full",
        ),
    ] = None,
) -> None:
    """Run the parts one after another; one that fails stops no other."""
    chosen = _chosen(parts)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    whole = not quick and set(_chosen(None)) <= set(chosen)
    out = out or (_OUT if whole else _TRIAL)
    circumstances = _circumstances()
    results: dict[str, Result | str] = {}
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:

            def say(text: str, name: str = name) -> None:
                console.print(f"{datetime.now():%H:%M:%S} {name}: {text}", markup=False)

            results[name] = _measured(name, Setting(Path(scratch), say, quick, repeats, cells))
        found = Bench(results, circumstances)
        found = found.without_targets() if quick else found
        store(found, out)  # after every part: the next one may take long, or be stopped
    show(found, console)
    console.print(f"written: {out / 'report.md'} and {out / 'results.csv'}", markup=False)
    raise typer.Exit(1 if found.failures else 0)


def _chosen(parts: list[str] | None) -> list[str]:
    unknown = sorted(set(parts or ()) - set(PARTS))
    if unknown:
        raise typer.BadParameter(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if parts:
        return [name for name in PARTS if name in parts]
    return [name for name, part in PARTS.items() if not part.only_named]


def _measured(name: str, setting: Setting) -> Result | str:
    from transfer_lab.training.fit import quiet

    quiet()
    setting.say(PARTS[name].says)
    start = time.perf_counter()
    try:
        result = PARTS[name].load()(setting)
    except Exception as error:  # a part that fails takes no other with it
        setting.say(f"failed: {error!r}")
        return f"{type(error).__name__}: {error}"
    setting.say(f"done in {time.perf_counter() - start:.0f} s")
    return result


def _circumstances() -> dict[str, str]:
    from benchmarks.machine import machine

    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    date = datetime.now(UTC).isoformat(timespec="minutes")
    return {"command": command, "date": date, **machine()}


if __name__ == "__main__":
    app()
