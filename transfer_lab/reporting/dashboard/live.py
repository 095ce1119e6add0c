"""What runs now, and how far the matrix is filled."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from transfer_lab.experiment.budget import under
from transfer_lab.reporting.accuracies import Place, rows_of
from transfer_lab.reporting.blocks import Block, Line, Table, cell
from transfer_lab.reporting.dashboard.lab import Lab, Shown, Training
from transfer_lab.reporting.dashboard.selection import Selection
from transfer_lab.reporting.dashboard.wire import Told, told
from transfer_lab.store.running import AtWork
from transfer_lab.system.pulse import drawn

STATES = ("done", "failed", "blocked", "missing")


def live(lab: Lab, selection: Selection) -> Told:
    """The grids that are running, and a token for each experiment that is looked at, which changes
    once there is something new of it."""
    return {
        "running": [_grid(one) for one in lab.training()],
        "tokens": {name: lab.token(name) for name in selection.experiments},
    }


def experiments(lab: Lab) -> Told:
    """All that can be looked at, what is wrong with others, and what is looked at by default."""
    running = {one.name for one in lab.training()}
    known = [
        {
            "name": name,
            "title": planned.experiment.title,
            "set": planned.overrides,
            "cells": len(planned.cells),
            "begun": lab.begun(name),
            "running": name in running,
        }
        for name, planned in lab.known().items()
    ]
    return {
        "runs": str(lab.store.root),
        "known": known,
        "refused": [{"path": path, "why": why} for path, why in lab.refused.items()],
        "default": lab.default(),
    }


def facets(lab: Lab, selection: Selection) -> Told:
    """By what can be filtered, and the values there are, in their order."""
    found: dict[str, dict[object, None]] = {
        a: {} for a in ("scenario", "backbone", "regime", "seed")
    }
    for name in selection.experiments:
        study = lab.study(name)
        for axis, values in (
            ("scenario", study.scenarios),
            ("backbone", study.backbones),
            ("regime", study.regimes),
            ("seed", sorted(study.cells["seed"].unique().tolist())),
        ):
            found[axis] |= dict.fromkeys(values)
    found["seed"] = dict.fromkeys(sorted(found["seed"]))
    return {axis: [str(one) for one in values] for axis, values in found.items()}


def matrix(lab: Lab, shown: list[Shown], selection: Selection) -> Told:
    """Of each study the places of its matrix: how many runs are done, failed, in work and missing,
    and the mean accuracy so far; and what failed."""
    working = {run for one in lab.training() for work in one.grid.working for run in work.runs}
    return {
        "studies": [_filled(one, selection, working) for one in shown],
        "failures": [told(block) for one in shown if (block := _failures(one))],
    }


def _filled(shown: Shown, selection: Selection, working: set[str]) -> Told:
    study = shown.study
    states: dict[Place, Counter[str]] = defaultdict(Counter)
    scores: dict[Place, list[float]] = defaultdict(list)
    columns = ("scenario", "backbone", "regime", "status", "test_accuracy", "run_id")
    for *names, status, score, run_id in rows_of(study.frame, *columns):
        place = Place(*names)
        states[place]["working" if status == "missing" and run_id in working else status] += 1
        if status == "done" and not math.isnan(score):
            scores[place].append(score)
    total: Counter[str] = Counter()
    for counts in states.values():
        total.update(counts)
    return {
        "name": shown.name,
        "experiment": shown.experiment,
        "counts": total,
        "scenarios": selection.scenarios(study),
        "backbones": selection.backbones(study),
        "regimes": selection.regimes(study),
        "places": [
            [*place, counts, _mean(scores[place])]
            for place, counts in states.items()
            if selection.keeps_place(*place)
        ],
    }


def _mean(scores: Sequence[float]) -> str:
    return f"{100 * sum(scores) / len(scores):.1f}" if scores else ""


def _failures(shown: Shown) -> Block | None:
    """Failed and blocked cells by error, with the runs whose log can be asked for."""
    table = shown.study.frame
    broken = table[table["status"].isin(("failed", "blocked"))]
    groups: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    columns = ("status", "error_kind", "error", "scenario", "backbone", "regime", "seed", "run_id")
    for status, kind, error, *names, seed, run_id in rows_of(broken, *columns):
        place = f"{' / '.join(names)}, seed {seed}{under(shown.budget)}"
        groups[status, _text(kind), _text(error)][place] = run_id
    if not groups:
        return None
    rows = tuple(
        (
            cell(status, f"({kind})" if kind else ""),
            cell(error or "–"),
            tuple(Line(place, run_id) for place, run_id in places.items()),
        )
        for (status, kind, error), places in groups.items()
    )
    head = ("status", "error", "cells")
    return Table(f"Failed and blocked cells, {shown.name}", head, rows, texts=3)


def _text(content: object) -> str:
    return content if isinstance(content, str) else ""


def _grid(one: Training) -> Told:
    grid = one.grid
    pulses = Path(grid.pulses) if grid.pulses and grid.is_here else None
    return {
        "id": grid.name,
        "experiment": grid.experiment,
        "name": one.name,
        "refused": one.refused,
        "host": grid.host,
        "pid": grid.pid,
        "set": grid.overrides,
        "started_at": grid.started_at,
        "total": grid.total,
        "ended": grid.ended,
        "phase": grid.phase,
        "seconds": round(grid.seconds),
        "left": grid.left,
        "working": [_work(work, pulses) for work in grid.working],
        "failed": [mishap.model_dump() for mishap in grid.failed],
    }


def _work(work: AtWork, pulses: Path | None) -> Told:
    found = drawn(pulses / work.runs[0]) if pulses and work.runs and _is_id(work.runs[0]) else None
    return {
        "runs": work.runs,
        "name": work.name,
        "doing": work.doing,
        "share": work.share,
        "seconds": round(work.seconds),
        "curves": found and _labelled(found.part, found.parts, found.lines, len(work.runs)),
    }


def _is_id(name: str) -> bool:
    return name.isascii() and name.isalnum()


def _labelled(part: int, parts: int, lines: Sequence[Mapping], runs: int) -> Told:
    """Lines with what they are of: of several runs or trials in one pass, which."""
    heads = max(1, len(lines) // max(1, runs))
    titles = []
    for at in range(len(lines)):
        run, head = divmod(at, heads)
        words = [f"run {run + 1}"] if runs > 1 else []
        words += [f"trial {head + 1}"] if heads > 1 else []
        titles.append(", ".join(words))
    return {"part": part, "parts": parts, "lines": lines, "titles": titles}
