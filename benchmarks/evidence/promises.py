"""What is promised, against the truth: by task, and by how many images a draw has."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from benchmarks.evidence.judged import Row, every_draw, judged, row, rows
from benchmarks.evidence.probes import PER_CLASS
from benchmarks.evidence.records import Record
from benchmarks.evidence.tasks import TUNING
from transfer_lab.advice.measured import Evidence
from transfer_lab.reporting.blocks import Bullets, Cell, Paragraph, Section, Table, cell
from transfer_lab.stats.intervals import wilson

_MANY_ALIKE = 0.2

Probes = Mapping[str, list[Record]]
Constants = Mapping[str, Evidence]


def section(probes: Probes, constants: Constants, silent: int) -> Section:
    """Of each task's draws; `silent`: how many more there are of which nothing is promised."""
    every = rows(probes, constants)
    if not every:
        return Section("", ())
    pooled = row("all", every_draw(probes, constants))
    lines = tuple(_of_task(one) for one in [*every, pooled])
    low, high = (100 * end for end in wilson(0.9, sum(one.draws for one in every), 0.95))
    return Section(
        "Promises by task",
        (
            Table(
                "What is promised of the default probe, against the truth; in points",
                (
                    *("task", "role", "draws", "promised minus true", "covered, %", "below, %"),
                    *("half-width", "error of the gain at 2x", "at 5x", "calibration error"),
                ),
                lines,
                texts=2,
            ),
            Paragraph(
                f"If all were as promised, so many draws would be covered in {low:.0f} to "
                f"{high:.0f} % (95 % interval, were they independent; draws of a task overlap). "
                f"{silent} more draws are of too few images for any number. The truth is "
                "told from a few hundred images, of judging sets that have more from up to 4,000, "
                "and its own error counts against the promise."
            ),
            _by_size(probes, constants),
            _alike(probes),
        ),
        folded=False,
    )


def _alike(probes: Probes) -> Bullets:
    """Tasks of which many images are taken for near-copies."""
    shares = {task: fmean(1 - one["groups"] / one["n"] for one in p) for task, p in probes.items()}
    return Bullets(
        tuple(
            f"Of {task}, {100 * share:.0f} % of the images are taken for near-copies of another: "
            "they count once, are tested together, and the truth is told from what is like none of "
            "them. Where they are not shots of one moment, but a class that looks alike, the "
            "promise is too low, and the advice shows them as near-copies."
            for task, share in shares.items()
            if share > _MANY_ALIKE
        )
    )


def _of_task(one: Row) -> tuple[Cell, ...]:
    role = {True: "tuning", False: "judging"}[one.name in TUNING] if one.name != "all" else ""
    near, far = (("" if error is None else f"{error:.1f}") for error in one.gain_errors)
    numbers = (
        *(f"{one.draws}", f"{one.bias:+.1f}", f"{one.coverage:.0f}", f"{one.below:.0f}"),
        *(f"{one.half:.1f}", near, far, f"{one.ece:.3f}"),
    )
    return tuple(cell(text, strong=one.name == "all") for text in (one.name, role, *numbers))


def _by_size(probes: Probes, constants: Constants) -> Table:
    """Bias at each number of images a class."""
    lines = []
    for task, some in probes.items():
        found: dict[int, list[float]] = {size: [] for size in PER_CLASS}
        for record in some:
            one = judged(record, constants[task])
            size = min(PER_CLASS, key=lambda each: abs(each - record["n"] / record["classes"]))
            found[size].append(one.value - one.truth)
        means = (f"{fmean(each):+.1f}" if each else "" for each in found.values())
        lines.append(tuple(map(cell, (task, *means))))
    sizes = tuple(f"{size} a class" for size in PER_CLASS)
    title = "Promised minus true, by how many images a draw has; in points"
    return Table(title, ("task", *sizes), tuple(lines))
