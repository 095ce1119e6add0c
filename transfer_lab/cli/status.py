"""How far an experiment is, and what went wrong in it: for people, or as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from transfer_lab.cli.tables import table
from transfer_lab.experiment.budget import under
from transfer_lab.experiment.names import RunName, run_names
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.experiment.spec import Cell, Experiment
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.reporting.looks import states
from transfer_lab.store.outdated import Outdated, outdated
from transfer_lab.store.records import RecordStore
from transfer_lab.store.results import NOT_NEEDED, WAITING, State

SCHEMA = 1
STATES = ("done", "failed", "blocked", "missing", WAITING, NOT_NEEDED)


class Status:
    """The cells of an experiment with their states. Raises ConfigError if there is no store."""

    def __init__(self, experiment: Experiment, store: RecordStore):
        if not store.root.is_dir():
            missing = "there is no such folder, so nothing is stored there; `run` makes it"
            raise ConfigError([f"{store.root}: {missing}"])
        cells = plan(experiment)
        self.experiment, self.store = experiment, store
        self.found: tuple[tuple[Cell, State], ...] = tuple(states(experiment, cells, store))
        self.counts = Counter(state.status for _, state in self.found)
        self.names = run_names(experiment, cells)
        self._keys = backbone_keys(experiment)
        untrained = [cell for cell, state in self.found if state.status == "missing"]
        self.outdated = outdated(runs_of(untrained).values(), store)

    def text(self, width: int | None) -> str:
        """Counts by scenario and regime, and every failure with its reason."""
        total = len(self.found) - self.counts[NOT_NEEDED]
        parts = [f"{self.counts['done']} of {total} cells done {self._others()}".rstrip()]
        parts += [self._table(width), *outdated_lines(self.outdated, self.store.root)]
        parts += [
            f"failed: {name} [{run_id}]: {error}"
            for run_id, (name, error) in self._failed().items()
        ]
        return "\n".join(parts)

    def content(self) -> dict[str, object]:
        """The same as data: what `--json` prints. Keys are added, never renamed, under a schema."""
        return {
            "schema": SCHEMA,
            "experiment": self.experiment.name,
            "runs_folder": str(self.store.root),
            "counts": {name: self.counts[name] for name in STATES},
            "older_protocols": {str(old.protocol): old.records for old in self.outdated},
            "cells": [
                {
                    "scenario": cell.scenario,
                    "backbone": self._keys[cell.backbone],
                    "regime": cell.regime,
                    "budget": cell.budget,
                    "seed": cell.seed,
                    "fold": cell.fold,
                    "run_id": cell.run.id,
                    "status": state.status,
                    "error": state.error,
                }
                for cell, state in self.found
            ],
        }

    def _others(self) -> str:
        parts = [f"{self.counts[name]} {name}" for name in STATES[1:] if self.counts[name]]
        return f"({', '.join(parts)})" if parts else ""

    def _table(self, width: int | None) -> str:
        counts: dict[str, dict[str, Counter]] = {}
        for cell, state in self.found:
            regime = counts.setdefault(cell.regime + under(cell.budget), {})
            regime.setdefault(cell.scenario, Counter())[state.status] += 1
        scenarios = list(self.experiment.scenarios)
        rows = [
            (name, *(_share(found.get(scenario)) for scenario in scenarios))
            for name, found in counts.items()
        ]
        return table(rows, ("regime", *scenarios), width)

    def _failed(self) -> dict[str, tuple[RunName, str | None]]:
        """By id, the runs that failed, source runs included."""
        failed: dict[str, tuple[RunName, str | None]] = {}
        for cell, state in self.found:
            if state.status == "failed":
                failed.setdefault(cell.run.id, (self.names[cell.run.id], state.error))
            for run in cell.run.ancestors if state.status == "blocked" else ():
                record = self.store.get(run.id)
                if record is not None and record.status == "failed":
                    failed.setdefault(run.id, (self.names[run.id], record.error))
        return failed


def backbone_keys(experiment: Experiment) -> dict[str, str]:
    """By the label that reports use, the name that the experiment gives a backbone."""
    return {choice.label: name for name, choice in experiment.backbones.items()}


def outdated_lines(found: Sequence[Outdated], runs: Path) -> list[str]:
    """What is said of records that an older protocol made."""
    return [old.text(runs) for old in found]


def _share(counts: Counter | None) -> str:
    return f"{counts['done']}/{counts.total() - counts[NOT_NEEDED]}" if counts else "–"
