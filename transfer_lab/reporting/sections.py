"""The report's sections, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable

from transfer_lab.reporting.accuracy import accuracy
from transfer_lab.reporting.answer import answer, head
from transfer_lab.reporting.architectures import architectures
from transfer_lab.reporting.blocks import Section
from transfer_lab.reporting.budgets import budgets
from transfer_lab.reporting.changed import changed
from transfer_lab.reporting.claims import claims
from transfer_lab.reporting.degenerate import degenerate
from transfer_lab.reporting.depth import depth
from transfer_lab.reporting.failures import failures
from transfer_lab.reporting.flags import flags
from transfer_lab.reporting.frontier import frontiers
from transfer_lab.reporting.learning import learning
from transfer_lab.reporting.payoff import payoff
from transfer_lab.reporting.per_class import per_class
from transfer_lab.reporting.protocol import protocol
from transfer_lab.reporting.provenance import provenance
from transfer_lab.reporting.rules import rules
from transfer_lab.reporting.similarity import similarity
from transfer_lab.reporting.size_curves import size_curves
from transfer_lab.reporting.sources import sources
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.training_time import training_time
from transfer_lab.reporting.tuning import tuning

SECTIONS: tuple[Callable[[Study], Section | None], ...] = (
    head,
    claims,
    answer,
    accuracy,
    rules,
    flags,
    size_curves,
    depth,
    budgets,
    similarity,
    sources,
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
