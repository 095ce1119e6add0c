"""Where seeds are trained only where they are needed: how many each place took, and why."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_lab.experiment.looks import Looks
from transfer_lab.reporting.blocks import Cell, Note, Paragraph, Section, Table, cell
from transfer_lab.reporting.course import Course, Question
from transfer_lab.reporting.study import Study
from transfer_lab.store.results import NOT_NEEDED

LEAD = "How many trainings each place took, and what fixed seeds would have taken."
TRAINED = ("done", "failed")


def seeds(study: Study) -> Section | None:
    """The looks of each place, and what fixed seeds would have taken; None where they are fixed."""
    looks, course = study.experiment.looks, study.course
    if looks is None or course is None:
        return None
    head = ("scenario", "backbone", "last look", "trainings", f"with {looks.at_most} seeds each")
    rows = tuple(_rows(study, course))
    table = Table("Trainings of each place, and what its last look says", head, rows, texts=3)
    return Section("Seeds", (Paragraph(_told(study, looks)), Note(_sharing(looks)), table), LEAD)


def _sharing(looks: Looks) -> str:
    """How the looks keep what is said of the results true."""
    *some, last = map(str, looks.counts)
    if not some:
        return f"Every arm has {last} seeds."
    backbones = " or those of its backbone there" if looks.settle == "backbones" else ""
    return (
        f"Every arm has {looks.start} seeds. After {' and '.join(some)} an arm that is still in "
        f"question, among those of its scenario{backbones}, gets more, "
        f"{last} at most; none does once nothing tried can be more than {looks.until:g} points "
        f"better than what leads. Each of the {len(looks.counts)} looks is taken at its share of "
        "the 5 % error, so that what was ruled out or settled at any of them holds with 95 % "
        "confidence (Bonferroni); what was ruled out stays so. Regimes that cannot win, as the "
        "controls, have the first seeds alone."
    )


def _told(study: Study, looks: Looks) -> str:
    cells = study.cells
    every = cells["run_id"].nunique()
    asked = cells[cells["status"] != NOT_NEEDED]["run_id"].nunique()
    trained = cells[cells["status"].isin(TRAINED)]["run_id"].nunique()
    so_far = "" if trained == asked else f", of the {asked:,} that are needed or may be"
    return (
        f"{trained:,} trainings were made{so_far}; {looks.at_most} seeds everywhere are {every:,}."
    )


def _rows(study: Study, course: Course) -> Iterator[tuple[Cell, ...]]:
    frame = study.frame
    said = dict(_said(course))
    for scenario in study.scenarios:
        for backbone in study.backbones:
            here = frame[(frame["scenario"] == scenario) & (frame["backbone"] == backbone)]
            if not here.empty:
                trained = int(here["status"].isin(TRAINED).sum())
                found = said.get(Question(scenario, backbone), "–")
                yield (*map(cell, (scenario, backbone, found, trained, len(here))),)
        if found := said.get(Question(scenario, None)):
            yield (*map(cell, (scenario, "all", found, "", "")),)


def _said(course: Course) -> Iterator[tuple[Question, str]]:
    """By question the words of the last look at it."""
    for number, answers in enumerate(course.looks, start=1):
        last = course.over and number == len(course.looks)
        yield from ((answer.question, answer.found(last=last)) for answer in answers)
