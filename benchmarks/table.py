"""The table of a benchmark: on the terminal, as report.md and as results.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Detail, Figure, Result, Timing
from transfer_lab.system.files import write_atomically

HEAD = ("cell", "seconds, baseline", "seconds, ours", "value", "accuracy, baseline : ours")
HEAD += ("target", "", "note")
COLUMNS = (
    *("part", "cell", "value", "unit", "target", "verdict", "baseline"),
    *("baseline_seconds", "baseline_repeats", "baseline_projected_from"),
    *("ours_seconds", "ours_repeats", "ours_projected_from"),
    *("accuracy_baseline", "accuracy_ours", "note"),
)


@dataclass(frozen=True)
class Bench:
    """All that a benchmark found, by part, and the circumstances; a part that failed is a text."""

    results: Mapping[str, Result | str]
    circumstances: Mapping[str, str]

    @property
    def rows(self) -> list[tuple[str, Figure]]:
        """Every figure with its part."""
        found = self.results.items()
        return [(p, f) for p, r in found if isinstance(r, Result) for f in r.figures]

    @property
    def failures(self) -> dict[str, str]:
        """Parts that failed, and why."""
        return {part: r for part, r in self.results.items() if isinstance(r, str)}

    def without_targets(self) -> Bench:
        """The same for sizes that no target is about."""
        results = {
            part: r if isinstance(r, str) else replace(r, figures=tuple(map(_bare, r.figures)))
            for part, r in self.results.items()
        }
        return Bench(results, self.circumstances)

    @property
    def details(self) -> list[Detail]:
        """Every further table."""
        return [d for r in self.results.values() if isinstance(r, Result) for d in r.details]


def show(bench: Bench, console: Console) -> None:
    """Print the table, and the further ones below it."""
    console.print(_rich("", HEAD, [_row(figure) for _, figure in bench.rows]))
    show_details(bench.details, console)
    for part, reason in bench.failures.items():
        console.print(f"{part} failed: {reason}", markup=False)


def show_details(details: Iterable[Detail], console: Console) -> None:
    """Print further tables."""
    for detail in details:
        console.print(_rich(detail.caption, detail.head, detail.rows))


def store(bench: Bench, out: Path) -> None:
    """Write report.md and results.csv."""
    for name, text in (("results.csv", to_csv(bench)), ("report.md", to_markdown(bench))):
        content = text.encode()
        write_atomically(out / name, lambda handle, content=content: handle.write(content))


def to_csv(bench: Bench) -> str:
    """One row a figure, the circumstances at its end."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*COLUMNS, *bench.circumstances], lineterminator="\n")
    writer.writeheader()
    for part, figure in bench.rows:
        writer.writerow(_record(part, figure) | dict(bench.circumstances))
    return text.getvalue()


def to_markdown(bench: Bench) -> str:
    """The table, what failed, the circumstances, the further tables folded."""
    parts = ["# Benchmark", _markdown(HEAD, [_row(figure) for _, figure in bench.rows])]
    parts += [f"**{part} failed: {_cell(reason)}**" for part, reason in bench.failures.items()]
    parts.append(
        "A number of seconds is the median of its repeats; a star marks one that was projected and "
        "not measured whole, and the note says from what. Baseline and lab ran in turns in one "
        "call of the command."
    )
    parts.append("\n".join(f"- {name}: {value}" for name, value in bench.circumstances.items()))
    for detail in bench.details:
        table = _markdown(detail.head, detail.rows)
        summary = f"<summary>{detail.caption}</summary>"
        parts.append(f"<details>{summary}\n\n{table}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def _bare(figure: Figure) -> Figure:
    return replace(figure, target=None)


def _row(figure: Figure) -> tuple[str, ...]:
    scores = (figure.accuracy_baseline, figure.accuracy_ours)
    known = any(score is not None for score in scores)
    return (
        figure.cell,
        " ".join(filter(None, (_seconds(figure.baseline), _in_brackets(figure.baseline_name)))),
        _seconds(figure.ours),
        figure.told,
        " : ".join("–" if s is None else f"{100 * s:.1f} %" for s in scores) if known else "",
        figure.target.told(figure.unit) if figure.target else "",
        figure.verdict,
        "; ".join(filter(None, (figure.note, _sources(figure)))),
    )


def _record(part: str, figure: Figure) -> dict[str, object]:
    return {
        "part": part,
        "cell": figure.cell,
        "value": f"{figure.value:.6g}",
        "unit": figure.unit,
        "target": figure.target.told(figure.unit) if figure.target else "",
        "verdict": figure.verdict,
        "baseline": figure.baseline_name,
        **_timing("baseline", figure.baseline),
        **_timing("ours", figure.ours),
        "accuracy_baseline": figure.accuracy_baseline,
        "accuracy_ours": figure.accuracy_ours,
        "note": figure.note,
    }


def _timing(name: str, timing: Timing | None) -> dict[str, object]:
    if timing is None:
        return {}
    return {
        f"{name}_seconds": f"{timing.median:.6g}",
        f"{name}_repeats": " ".join(f"{value:.6g}" for value in timing.seconds),
        f"{name}_projected_from": timing.projected,
    }


def _seconds(timing: Timing | None) -> str:
    if timing is None:
        return ""
    star = "*" if timing.projected else ""
    value = timing.median
    return f"{value:,.0f}{star}" if value >= 100 else f"{value:.3g}{star}"


def _sources(figure: Figure) -> str:
    named = (("baseline", figure.baseline), ("ours", figure.ours))
    told = [f"{name} projected from {t.projected}" for name, t in named if t and t.projected]
    return "; ".join(told)


def _in_brackets(text: str) -> str:
    return f"({text})" if text else ""


def _rich(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(*head, title=caption or None, title_justify="left")
    for row in rows:
        table.add_row(*(_escaped(cell) for cell in row))
    return table


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, [":---"] * len(head), *([_cell(c) for c in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*").replace("\n", " ")
