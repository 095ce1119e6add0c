"""Runs one by one: records and curves beside each other, what one takes for what, and its log."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_lab.experiment.names import RunName
from transfer_lab.reporting.blocks import Block, Picture, Table, cell
from transfer_lab.reporting.collect import curves_of
from transfer_lab.reporting.dashboard.lab import Lab
from transfer_lab.reporting.dashboard.loading import Planned
from transfer_lab.reporting.dashboard.runs import options_of
from transfer_lab.reporting.dashboard.wire import Told, told, value
from transfer_lab.reporting.figures.pens import numbered
from transfer_lab.reporting.figures.spec import Axis, Figure, Key, Panel, Series
from transfer_lab.reporting.figures.thumbnails import thumbnail
from transfer_lab.store.curves import Curve
from transfer_lab.store.layout import CURVE, ONE_PASS_TRACE, TRACE
from transfer_lab.store.records import Record
from transfer_lab.system.pulse import drawn

if TYPE_CHECKING:
    import numpy as np

CURVES = {
    "train_loss": Axis("training loss", low=0),
    "val_loss": Axis("validation loss", low=0),
    "train_accuracy": Axis("training accuracy (%)", low=0, percent=True),
    "val_accuracy": Axis("validation accuracy (%)", low=0, percent=True),
}
MOST = 12
"""Runs that stand side by side."""
_DOTTED = 30
"""Points below which each is a dot on the line."""
_PAIRS, _MISSED, _CLASSES = 12, 60, 100
"""At most so many pairs of classes, missed images, and classes of a matrix, are told."""
_LOG_BYTES = 200_000


def side_by_side(lab: Lab, run_ids: Iterable[str]) -> Told:
    """Known runs beside each other: curves, what differs, and more of a single one."""
    found = {run_id: known for run_id in run_ids if (known := _planned(lab, run_id))}
    names = {run_id: _name(found[run_id], run_id) for run_id in list(found)[:MOST]}
    records = {run_id: lab.store.get(run_id) for run_id in names}
    curves = _curves(lab, names)
    blocks: list[Block] = [
        Picture(
            f"curve-{column}",
            axis.title.capitalize(),
            f"{axis.title} by epoch, a line a run",
            _figure(names, curves, column, axis),
        )
        for column, axis in CURVES.items()
        if any(column in curve for curve in curves.values())
    ]
    blocks += [_records(found, names, records)] if names else []
    content: Told = {
        "runs": [
            {"id": run_id, "name": name, "curve": run_id in curves}
            for run_id, name in names.items()
        ],
        "blocks": [told(block) for block in blocks],
    }
    if len(names) == 1:
        ((run_id, record),) = records.items()
        confused = _confusion(lab, found[run_id], run_id, record)
        content |= {"confusion": confused, "log": log(lab, run_id)}
    return content


def log(lab: Lab, run_id: str) -> str:
    """The traceback that a known run has left; empty without."""
    if _planned(lab, run_id) is None:
        return ""
    for name in (TRACE, ONE_PASS_TRACE):
        try:
            content = lab.store.file(run_id, name).read_bytes()
        except OSError:
            continue
        return content[-_LOG_BYTES:].decode(errors="replace")
    return ""


def curve_file(lab: Lab, run_id: str) -> bytes | None:
    """The metrics.csv of a known run; None without."""
    if _planned(lab, run_id) is None:
        return None
    try:
        return lab.store.file(run_id, CURVE).read_bytes()
    except OSError:
        return None


def _planned(lab: Lab, run_id: str) -> Planned | None:
    """The experiment that a run belongs to: of any other nothing is read."""
    return next((one for one in lab.known().values() if run_id in one.runs), None)


def _name(planned: Planned, run_id: str) -> str:
    name = planned.names.get(run_id) or RunName(
        planned.runs[run_id].title, planned.runs[run_id].seed
    )
    return f"{name}, {planned.experiment.name}"


def _curves(lab: Lab, run_ids: Iterable[str]) -> dict[str, Mapping[str, Sequence]]:
    """Stored curves, and of runs that are being trained what they are so far."""
    found: dict[str, Mapping[str, Sequence]] = {}
    stored: dict[str, Curve] = curves_of(run_ids, lab.store)
    for run_id in run_ids:
        if run_id in stored:
            curve = stored[run_id]
            found[run_id] = {k: curve[k].tolist() for k in ("epoch", *CURVES) if k in curve}
        elif live := _live(lab, run_id):
            found[run_id] = live
    return found


def _live(lab: Lab, run_id: str) -> Mapping[str, Sequence] | None:
    for one in lab.training():
        for work in one.grid.working if one.grid.is_here and one.grid.pulses else ():
            if run_id in work.runs:
                found = drawn(Path(one.grid.pulses) / work.runs[0])
                heads = len(found.lines) // len(work.runs) if found else 0
                return found.lines[work.runs.index(run_id) * heads] if heads else None
    return None


def _figure(
    names: Mapping[str, str], curves: Mapping[str, Mapping[str, Sequence]], column: str, axis: Axis
) -> Figure:
    """One line a run, by epoch, where the column was evaluated."""
    lines = [
        line
        for number, run_id in enumerate(names)
        if (line := _line(number, names[run_id], curves.get(run_id, {}), column, axis))
    ]
    keys = tuple(
        Key("run", str(line.facets["run"]), line.pen.colour, dash=line.pen.dash) for line in lines
    )
    return Figure(
        panels=(Panel("", tuple(lines)),),
        x=Axis("epoch", integers=True),
        y=axis,
        keys=keys if len(keys) > 1 else (),
    )


def _line(
    number: int, name: str, curve: Mapping[str, Sequence], column: str, axis: Axis
) -> Series | None:
    points = zip(curve.get("epoch", ()), curve.get(column, ()), strict=False)
    known = [(epoch, y) for epoch, y in points if y is not None and y == y]
    if not known:
        return None
    factor = 100 if axis.percent else 1
    return Series(
        kind="line",
        x=[int(epoch) for epoch, _ in known],
        y=[factor * y for _, y in known],
        pen=numbered(number),
        marker="o" if len(known) < _DOTTED else "",
        pattern="{y:.3g} at epoch {x}",
        facets={"run": name},
    )


def _records(
    planned: Mapping[str, Planned], names: Mapping[str, str], records: Mapping[str, Record | None]
) -> Table:
    """Options and records as columns, without the values that none of them has, what differs
    first."""
    columns = []
    for run_id in names:
        run = planned[run_id].runs[run_id]
        record = records[run_id]
        known = record.model_dump(exclude={"run_id"}) if record else {"status": "no record"}
        columns.append({"run_id": run_id, "seed": run.seed} | options_of(run) | known)
    rows = {name: [_text(one.get(name)) for one in columns] for one in columns for name in one}
    kept = {name: row for name, row in rows.items() if any(entry != "–" for entry in row)}
    ordered = sorted(kept, key=lambda name: len(set(kept[name])) == 1)
    body = tuple((cell(name), *map(cell, kept[name])) for name in ordered)
    return Table("Options and records, what differs first", ("", *names.values()), body, texts=99)


def _text(content: object) -> str:
    known = value(content)
    return (
        "–"
        if known is None or known == ""
        else f"{known:.6g}"
        if isinstance(known, float)
        else str(known)
    )


def _confusion(lab: Lab, planned: Planned, run_id: str, record: Record | None) -> Told | None:
    """Answers by true class, the commonest mistakes, and which test images were missed."""
    import numpy as np

    if record is None or record.test_accuracy is None:
        return None
    outcome = lab.store.predictions.of(run_id, record.test_accuracy)
    if outcome is None:
        return None
    answers = outcome.predicted
    count = max(len(outcome.classes), int(outcome.labels.max()) + 1, int(answers.max()) + 1)
    matrix = np.zeros((count, count), int)
    np.add.at(matrix, (outcome.labels, answers), 1)
    names = [_class(outcome.classes, at) for at in range(count)]
    missed = np.flatnonzero(~outcome.right)
    images = _images(lab, planned, run_id, len(outcome.labels))
    return {
        "classes": names,
        "matrix": matrix.tolist() if count <= _CLASSES else None,
        "pairs": [
            [names[true], names[answer], int(matrix[true, answer]), int(matrix[true].sum())]
            for true, answer in _commonest(matrix)
        ],
        "wrong": len(missed),
        "images": len(outcome.labels),
        "missed": [
            {
                "image": at,
                "true": names[outcome.labels[at]],
                "answer": names[answers[at]],
                "file": None if images is None else _file(images[at]),
            }
            for at in missed[:_MISSED].tolist()
        ],
    }


def _images(lab: Lab, planned: Planned, run_id: str, count: int) -> np.ndarray | None:
    """The test images of a run, as far as the store holds them; None without."""
    scenarios = planned.experiment.scenarios
    if planned.experiment.folds:  # an answer's place is one in its fold
        return None
    targets = (scenarios[cell.scenario].target for cell in planned.cells if cell.run.id == run_id)
    target = next(targets, None)
    images = lab.gallery(planned).tests(target) if target else None
    return images if images is not None and len(images) == count else None


def _file(image: np.ndarray) -> str:
    """A small image as what stands in the place of its address."""
    file = thumbnail(image, "", "").file
    return f"data:image/webp;base64,{base64.b64encode(file).decode()}"


def _class(names: Sequence[str], label: int) -> str:
    return names[label] if label < len(names) else f"class {label}"


def _commonest(matrix: np.ndarray) -> list[tuple[int, int]]:
    wrong = matrix.copy()
    wrong[range(len(wrong)), range(len(wrong))] = 0
    order = (-wrong).argsort(axis=None, kind="stable")[:_PAIRS]
    pairs = [divmod(int(at), len(wrong)) for at in order]
    return [pair for pair in pairs if wrong[pair] > 0]
