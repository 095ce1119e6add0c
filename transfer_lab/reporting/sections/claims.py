"""What an article claims, beside what was measured, with a verdict each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.experiment.settings import Claim
from transfer_lab.reporting.accuracies import Unit, one_a_pass, units_of
from transfer_lab.reporting.blocks import Cell, Line, Note, Section, Table, cell
from transfer_lab.reporting.sections.majority import gain
from transfer_lab.reporting.study import Place, Study, interval
from transfer_lab.reporting.wording import listed, percent, seconds
from transfer_lab.stats.intervals import Interval
from transfer_lab.stats.verdicts import Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd

WORDS: dict[Verdict, str] = {
    "supported": "holds",
    "refuted": "does not hold",
    "undecided": "undecided",
    "no data": "not measured",
}
_OF_ONE: dict[Verdict, str] = WORDS | {"undecided": "is undecided", "no data": "was not measured"}
_OF_SEVERAL: dict[Verdict, str] = {
    "supported": "hold",
    "refuted": "do not",
    "undecided": "are undecided",
    "no data": "were not measured",
}
TITLE = "The claims, one by one"
LEAD = "What an article says, beside what was measured here."
LEGEND = (
    "A claim holds, or does not, where the 95 % interval of the difference lies on one side of "
    "zero, and is undecided otherwise. Differences are paired by seed; those of accuracies hold "
    "the test set's error too, paired by test image where predictions are stored. Equal: not one "
    "seed differs. Where a claim is about several arms, the mean validation "
    "accuracy has chosen one of them. The intervals are those of single comparisons, not corrected "
    "for the number of claims, and hold for "
    "this data and these options; seconds are those of this machine."
)


def claims(study: Study) -> Section | None:
    """One row a claim; no section where the experiment names none."""
    if not study.experiment.claims:
        return None
    rows = tuple(_row(study, claim) for claim in study.experiment.claims.values())
    head = ("the claim", "verdict", "published", "here", "compared with")
    table = Table("Claims", head, rows, texts=5)
    return Section(TITLE, (table, Note(LEGEND)), LEAD, open=True)


def counted(study: Study) -> str:
    """'Of 11 claims 2 hold, 5 do not and 4 are undecided.'; nothing where none is made."""
    stated = study.experiment.claims
    if not stated:
        return ""
    tally = Counter(judged(study, claim).verdict for claim in stated.values())
    if len(stated) == 1:
        return f"The one claim {_OF_ONE[next(iter(tally))]}."
    told = [f"{tally[found]} {_OF_SEVERAL[found]}" for found in _OF_SEVERAL if tally[found]]
    return f"Of {len(stated)} claims {listed(told)}."


class Judged(NamedTuple):
    """What was found of a claim: by which arm, in how many pairs of runs, and whether not one of
    them differs."""

    verdict: Verdict
    arm: str
    pairs: int
    equal: bool


def judged(study: Study, claim: Claim) -> Judged:
    """Whether the claim holds; one that says there is a difference does not where there is none."""
    arm = _chosen(study, claim)
    found, other = measured(study, claim, arm), measured(study, claim, claim.than)
    differences = [value - other[seed] for seed, value in found.items() if seed in other]
    told = verdict(_difference(study, claim, arm, differences), claim.relation)
    equal = len(differences) > 1 and not any(differences)
    return Judged("refuted" if equal else told, arm, len(differences), equal)


def _row(study: Study, claim: Claim) -> tuple[Cell, ...]:
    told, arm, pairs, equal = judged(study, claim)
    found, other = measured(study, claim, arm), measured(study, claim, claim.than)
    word = "does not hold: equal" if equal else WORDS[told]
    return (
        cell(claim.text),
        cell(word, f"(n={pairs})", strong=told in ("supported", "refuted")),
        cell(_published(claim)),
        _value(claim, _measure(study, claim, arm, found), arm),
        _value(claim, _measure(study, claim, claim.than, other), claim.than),
    )


def _difference(study: Study, claim: Claim, arm: str, differences: list[float]) -> Interval | None:
    """The arm's measure minus that it is compared with, paired by seed."""
    place = _place(study, claim, arm)
    if place is None or not differences:
        return interval(differences)
    if isinstance(claim.than, str) and (other := _place(study, claim, claim.than)):
        lead = study.accuracies.lead(place, over=other)
        return lead.interval() if lead else None
    return gain(study, place, differences)  # over a constant: it has no error of its own


def _measure(
    study: Study, claim: Claim, what: str | float, values: dict[int, float]
) -> Interval | None:
    place = _place(study, claim, what) if isinstance(what, str) else None
    found = study.accuracies.estimate(place) if place else None
    return found.interval() if found else interval([*values.values()])


def _place(study: Study, claim: Claim, arm: str) -> Place | None:
    """Where an arm's test accuracy stands; None where the claim is about something else."""
    scenario = claim.scenario or (study.scenarios[0] if len(study.scenarios) == 1 else None)
    if claim.measure != "test_accuracy" or "/" not in arm or scenario is None:
        return None
    backbone, _, regime = arm.rpartition("/")
    return Place(scenario, backbone, regime)


def _published(claim: Claim) -> str:
    """The article's number, with as many digits as it gives."""
    if claim.published is None:
        return "–"
    if claim.measure == "test_accuracy":
        return f"{100 * claim.published:g} %"
    return f"{claim.published:g} s"


def measured(study: Study, claim: Claim, what: str | float) -> dict[Unit, float]:
    """The claim's measure by seed (and fold): of an arm `backbone/regime`, of `majority`, or a
    number."""
    done = study.done
    if claim.scenario:
        done = done[done["scenario"] == claim.scenario]
    if isinstance(what, float):
        return dict.fromkeys(units_of(done), what)
    if what == "majority":
        known = done.dropna(subset=["majority_accuracy"])
        return dict(zip(units_of(known), known["majority_accuracy"], strict=True))
    rows = _of_arm(study, done, what)
    if claim.measure != "test_accuracy":
        rows = one_a_pass(rows)
    values = zip(units_of(rows), MEASURES[claim.measure](rows), strict=True)
    return {seed: value for seed, value in values if value == value}


def _chosen(study: Study, claim: Claim) -> str:
    """Of several arms the one with the best mean validation accuracy."""
    done = study.done[study.done["scenario"] == claim.scenario] if claim.scenario else study.done
    scores = {arm: _of_arm(study, done, arm)["val_accuracy"].mean() for arm in claim.arms}
    known = {arm: score for arm, score in scores.items() if score == score}
    return max(known, key=known.__getitem__) if known else claim.arms[0]


def _of_arm(study: Study, done: pd.DataFrame, arm: str) -> pd.DataFrame:
    backbone, _, regime = arm.rpartition("/")
    return done[(done["backbone"] == backbone) & (done["regime"] == regime)]


MEASURES = {
    "test_accuracy": lambda rows: rows["test_accuracy"],
    "seconds_per_epoch": lambda rows: rows["fit_seconds"] / rows["epochs"],
    "total_seconds": lambda rows: rows[
        ["decode_seconds", "feature_seconds", "tune_seconds", "fit_seconds", "eval_seconds"]
    ].sum(axis=1),
}


def _value(claim: Claim, found: Interval | None, what: str | float) -> Cell:
    name = what if isinstance(what, str) else ""
    if found is None:
        return (Line("–", name),)
    if found.half is not None and found.half < 1e-12:  # a number, or seeds that all agree
        found = found._replace(half=None)
    if claim.measure == "test_accuracy":
        return cell(f"{percent(found)} %", name)
    return cell(f"{seconds(found)} s", name)
