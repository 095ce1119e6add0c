"""The report's sections, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from transfer_lab.reporting.blocks import Fold, Heading, Note, Section
from transfer_lab.reporting.sections.accuracy import accuracy
from transfer_lab.reporting.sections.answer import answer, head
from transfer_lab.reporting.sections.backbones import backbones
from transfer_lab.reporting.sections.beyond import beyond
from transfer_lab.reporting.sections.budgets import budgets
from transfer_lab.reporting.sections.claims import claims
from transfer_lab.reporting.sections.dense import dense
from transfer_lab.reporting.sections.depth import depth
from transfer_lab.reporting.sections.failures import failures
from transfer_lab.reporting.sections.flags import flags
from transfer_lab.reporting.sections.learning_curves import learning_curves
from transfer_lab.reporting.sections.majority import majority
from transfer_lab.reporting.sections.methods import methods
from transfer_lab.reporting.sections.mistakes import mistakes
from transfer_lab.reporting.sections.per_class import per_class
from transfer_lab.reporting.sections.protocol import protocol
from transfer_lab.reporting.sections.provenance import provenance
from transfer_lab.reporting.sections.rules import rules
from transfer_lab.reporting.sections.searches import searches
from transfer_lab.reporting.sections.seeds import seeds
from transfer_lab.reporting.sections.similarity import similarity
from transfer_lab.reporting.sections.source_runs import source_runs
from transfer_lab.reporting.sections.stage_drift import stage_drift
from transfer_lab.reporting.sections.stage_transfer import stage_transfer
from transfer_lab.reporting.sections.time import training_time
from transfer_lab.reporting.sections.time_accuracy import time_accuracy
from transfer_lab.reporting.sections.training_curves import training_curves
from transfer_lab.reporting.sections.transfer_cost import transfer_cost
from transfer_lab.reporting.sections.tuning import tuning
from transfer_lab.reporting.study import Study

Maker = Callable[[Study], Section | None]


class Part(NamedTuple):
    """Sections that are one on the page; those that are `brief` stand in report.md too, without
    what is folded unless that is `whole`."""

    makers: tuple[Maker, ...]
    title: str = ""
    lead: str = ""
    brief: bool = False
    whole: bool = False


PARTS = (
    Part((head,), brief=True),
    Part((answer,), brief=True),
    Part((claims,), brief=True),
    Part((accuracy,), brief=True),
    Part((rules,), brief=True),
    Part((beyond,), brief=True),
    Part((methods,), brief=True, whole=True),
    Part((dense,), brief=True),
    Part((flags,), brief=True),
    Part((learning_curves,), brief=True),
    Part((stage_transfer,), brief=True),
    Part((budgets,), brief=True, whole=True),
    Part((depth,)),
    Part((similarity,), brief=True),
    Part(
        (time_accuracy, training_time, transfer_cost),
        "Time and cost",
        "What a target takes, what pretraining adds, and which arms no other beats in both.",
    ),
    Part(
        (backbones, source_runs),
        "Networks and their source runs",
        "What each network is and costs, and how good those are that everything starts from.",
        brief=True,
    ),
    Part((tuning,)),
    Part((searches,)),
    Part(
        (mistakes, per_class),
        "Mistakes",
        "What the best arm of each scenario takes for what, and which classes it finds.",
    ),
    Part((majority,)),
    Part((training_curves,)),
    Part((stage_drift,)),
    Part((seeds,)),
    Part((failures,), brief=True),
    Part(
        (protocol, provenance),
        "How it was measured",
        "Rules that every run obeys, options, versions, and the command that makes it again.",
        brief=True,
    ),
)


def sections(study: Study, *, brief: bool = False) -> tuple[Section, ...]:
    """Every section that has something to say, or as much of them as report.md holds."""
    parts = (part for part in PARTS if part.brief or not brief)
    made = ((part, section) for part in parts if (section := _made(part, study)))
    return tuple(_in_brief(section, part.whole) if brief else section for part, section in made)


def _made(part: Part, study: Study) -> Section | None:
    made = [section for maker in part.makers if (section := maker(study))]
    if not made:
        return None
    if not part.title:
        return made[0]
    blocks = tuple(block for section in made for block in (Heading(section.title), *section.blocks))
    return Section(part.title, blocks, part.lead)


def _in_brief(section: Section, whole: bool) -> Section:
    left_out = Note if whole else Note | Fold
    kept = (block for block in section.blocks if not isinstance(block, left_out))
    return replace(section, blocks=tuple(kept))
