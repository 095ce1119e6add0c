"""Which seeds are needed: after each look at the results more are trained only of the arms that are
still in question.

All of it is computed from stored records, so that whoever asks gets the same: the grid, what says
how far it is, and the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from transfer_lab.experiment.spec import Cell, Experiment
from transfer_lab.reporting.accuracies import Place, rows_of
from transfer_lab.reporting.course import Answer, Course, Question
from transfer_lab.reporting.decision import decide
from transfer_lab.reporting.predictions import Predictions
from transfer_lab.reporting.stored import StoredResults
from transfer_lab.reporting.study import Study
from transfer_lab.store import results
from transfer_lab.store.records import RecordStore
from transfer_lab.store.results import State

if TYPE_CHECKING:
    import pandas as pd


def course_of(study: Study) -> Course:
    """The looks that the study's records allow, one after the other; those of an arm's later seeds
    count from the look on that asks for them.

    An arm is in question for as long as it is not ruled out, among those of its scenario or, where
    backbones are to be settled too, those of its backbone there, and what leads them may be more
    than `until` points behind. Raises ValueError where the seeds are fixed.
    """
    looks = study.experiment.looks
    if looks is None:
        raise ValueError(f"{study.experiment.name} has fixed seeds")
    questions = dict(_questions(study, each=looks.settle == "backbones"))
    given = dict.fromkeys(_places(study), looks.counts[0])
    contending = going = frozenset(arm for arms in questions.values() for arm in arms)
    taken: list[tuple[Answer, ...]] = []
    out: dict[Question, frozenset[Place]] = dict.fromkeys(questions, frozenset())
    asked = [*questions]
    for count in looks.counts:
        given |= dict.fromkeys(going, count)
        seen = _seen(study, given)
        if (seen.frame["status"] == "missing").any():
            return Course(given, going, tuple(taken), out)
        answers = tuple(_answer(seen, question, out) for question in asked)
        taken.append(answers)
        asked = [answer.question for answer in answers if answer.left and not answer.settled]
        going = frozenset(arm for a in answers if a.question in asked for arm in a.left)
        if not going:
            break
    unmeasured = frozenset(arm for arm in contending if not seen.measured.tested(arm))
    return Course(given, unmeasured, tuple(taken), out, over=True)


def looked_at(
    experiment: Experiment, cells: Sequence[Cell], store: RecordStore, predictions: Predictions
) -> tuple[pd.DataFrame, Course | None]:
    """As `store.results.frame`, where the state of a cell that is not asked for is waiting or not
    needed; and how far the looks have come, None where the seeds are fixed."""
    table = results.frame(cells, store)
    found = _course(experiment, table, predictions)
    if found is None:
        return table, None
    return _relabelled(table, beyond(experiment, cells, found)), found


def frame(planned: Sequence[tuple[Experiment, Sequence[Cell]]], store: RecordStore) -> pd.DataFrame:
    """The same table, of several experiments."""
    table = results.frame([cell for _, cells in planned for cell in cells], store)
    states: list[str | None] = []
    for experiment, cells in planned:
        rows = table.iloc[len(states) : len(states) + len(cells)]
        found = _course(experiment, rows, Predictions.of_store(store))
        states += beyond(experiment, cells, found) if found else [None] * len(cells)
    return _relabelled(table, states)


def course(experiment: Experiment, cells: Sequence[Cell], store: RecordStore) -> Course | None:
    """How far the looks of an experiment have come; None where its seeds are fixed."""
    if experiment.looks is None:
        return None
    return _course(experiment, results.frame(cells, store), Predictions.of_store(store))


def states(
    experiment: Experiment, cells: Sequence[Cell], store: RecordStore
) -> Iterator[tuple[Cell, State]]:
    """As `store.results.states`, with those that are waiting or not needed."""
    found = course(experiment, cells, store)
    asked = beyond(experiment, cells, found) if found else [None] * len(cells)
    for (cell, state), other in zip(results.states(cells, store), asked, strict=True):
        yield cell, State(other, None) if other and state.status != "done" else state


def due(
    experiment: Experiment, cells: Sequence[Cell], store: RecordStore, say: Callable[[str], None]
) -> Iterator[tuple[Cell, ...]]:
    """The cells to train, look after look: those of the next are known, and it is said why they are
    needed, when they are asked for, by what is stored then."""
    if experiment.looks is None:
        yield tuple(cells)
        return
    handed_out: set[int] = set()
    told = 0
    while True:
        found = course(experiment, cells, store)
        asked = beyond(experiment, cells, found) if found else []
        new = [n for n, other in enumerate(asked) if other is None and n not in handed_out]
        fresh = [cells[n] for n in new]
        if handed_out or any(store.get(cell.run.id) is None for cell in fresh):
            for line in _lines(found, told):
                say(line)
        if not fresh:
            return
        told = len(found.looks)
        handed_out.update(new)
        yield tuple(fresh)


def beyond(experiment: Experiment, cells: Iterable[Cell], found: Course) -> list[str | None]:
    """Of each cell what it is if it is not asked for: waiting or not needed; None if it is."""
    names = {choice.label: name for name, choice in experiment.backbones.items()}
    position = {seed: n for n, seed in enumerate(experiment.seeds)}
    return [
        found.beyond(Place(c.scenario, names[c.backbone], c.regime), position[c.seed])
        for c in cells
    ]


def _course(experiment: Experiment, table: pd.DataFrame, predictions: Predictions) -> Course | None:
    if experiment.looks is None:
        return None
    return course_of(Study.of(experiment, StoredResults(table, predictions=predictions)))


def _relabelled(table: pd.DataFrame, states: Sequence[str | None]) -> pd.DataFrame:
    """The table with these states of cells that are not done."""
    done = (table["status"] == "done").tolist()
    others = [None if is_done else other for is_done, other in zip(done, states, strict=True)]
    known = {name: table[name].tolist() for name in ("status", "error", "error_kind")}
    known["status"] = [other or state for other, state in zip(others, known["status"], strict=True)]
    for name in ("error", "error_kind"):
        told = zip(others, known[name], strict=True)
        known[name] = [None if other else value for other, value in told]
    import pandas as pd

    return table.assign(**{name: pd.Series(v, table.index) for name, v in known.items()})


def _lines(found: Course | None, told: int) -> Iterator[str]:
    """What the last look says, if it has not been told."""
    if found and len(found.looks) > told:
        yield from (answer.text(last=found.over) for answer in found.looks[-1])


def _places(study: Study) -> tuple[Place, ...]:
    """Every arm of every scenario."""
    return tuple(
        Place(scenario, backbone, regime)
        for scenario in study.scenarios
        for backbone in study.backbones
        for regime in study.planned(scenario, backbone)
    )


def _questions(study: Study, *, each: bool) -> Iterator[tuple[Question, tuple[Place, ...]]]:
    """Each with the arms that it is about: the contenders, where there are two. `each`: of every
    backbone, too, where there are several."""
    for scenario in study.scenarios:
        arms = {
            backbone: tuple(
                Place(scenario, backbone, r) for r in study.contenders(scenario, backbone)
            )
            for backbone in study.backbones
        }
        arms = {backbone: found for backbone, found in arms.items() if found}
        if each or len(arms) == 1:
            yield from ((Question(scenario, b), a) for b, a in arms.items() if len(a) > 1)
        if len(arms) > 1:
            yield Question(scenario, None), tuple(place for a in arms.values() for place in a)


def _seen(study: Study, given: Mapping[Place, int]) -> Study:
    """The study of no more seeds than each arm was given by then."""
    position = {seed: n for n, seed in enumerate(study.experiment.seeds)}
    columns = ("scenario", "backbone", "regime", "seed")
    asked = [
        position[int(seed)] < given.get(Place(*names), 0)
        for *names, seed in rows_of(study.frame, *columns)
    ]
    return replace(study, frame=study.frame[asked])


def _answer(seen: Study, question: Question, out: dict[Question, frozenset[Place]]) -> Answer:
    """What the records say; an arm that was ruled out once stays so, and is added to `out`."""
    found = decide(seen, *question, gone=out[question])
    left = tuple(one.place for one in found.standings if not one.ruled_out)
    out[question] |= {one.place for one in found.standings if one.ruled_out}
    bound = found.bound
    settled = len(left) == 1 or (bound is not None and 100 * bound <= seen.experiment.looks.until)
    return Answer(question, left, bound, settled)
