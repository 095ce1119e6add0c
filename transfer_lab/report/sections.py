"""The report's sections, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable

from transfer_lab.report.accuracy import accuracy
from transfer_lab.report.answer import answer, head
from transfer_lab.report.architectures import architectures
from transfer_lab.report.blocks import Section
from transfer_lab.report.budgets import budgets
from transfer_lab.report.changed import changed
from transfer_lab.report.claims import claims
from transfer_lab.report.degenerate import degenerate
from transfer_lab.report.failures import failures
from transfer_lab.report.flags import flags
from transfer_lab.report.frontier import frontiers
from transfer_lab.report.learning import learning
from transfer_lab.report.payoff import payoff
from transfer_lab.report.per_class import per_class
from transfer_lab.report.protocol import protocol
from transfer_lab.report.provenance import provenance
from transfer_lab.report.rules import rules
from transfer_lab.report.similarity import similarity
from transfer_lab.report.size_curves import size_curves
from transfer_lab.report.study import Study
from transfer_lab.report.training_time import training_time
from transfer_lab.report.tuning import tuning

SECTIONS: tuple[Callable[[Study], Section | None], ...] = (
    head,
    claims,
    answer,
    accuracy,
    rules,
    flags,
    size_curves,
    budgets,
    similarity,
    degenerate,
    tuning,
    frontiers,
    training_time,
    payoff,
    architectures,
    per_class,
    changed,
    learning,
    failures,
    protocol,
    provenance,
)
