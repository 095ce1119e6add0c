"""The report's sections, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable

from transfer_lab.reporting.blocks import Section
from transfer_lab.reporting.sections.accuracy import accuracy
from transfer_lab.reporting.sections.answer import answer, head
from transfer_lab.reporting.sections.backbones import backbones
from transfer_lab.reporting.sections.budgets import budgets
from transfer_lab.reporting.sections.claims import claims
from transfer_lab.reporting.sections.dense import dense
from transfer_lab.reporting.sections.depth import depth
from transfer_lab.reporting.sections.failures import failures
from transfer_lab.reporting.sections.flags import flags
from transfer_lab.reporting.sections.learning_curves import learning_curves
from transfer_lab.reporting.sections.majority import majority
from transfer_lab.reporting.sections.methods import methods
from transfer_lab.reporting.sections.per_class import per_class
from transfer_lab.reporting.sections.protocol import protocol
from transfer_lab.reporting.sections.provenance import provenance
from transfer_lab.reporting.sections.rules import rules
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

SECTIONS: tuple[Callable[[Study], Section | None], ...] = (
    head,
    claims,
    answer,
    accuracy,
    rules,
    methods,
    dense,
    flags,
    learning_curves,
    depth,
    stage_transfer,
    budgets,
    similarity,
    source_runs,
    majority,
    tuning,
    time_accuracy,
    training_time,
    transfer_cost,
    backbones,
    per_class,
    stage_drift,
    training_curves,
    failures,
    seeds,
    protocol,
    provenance,
)
