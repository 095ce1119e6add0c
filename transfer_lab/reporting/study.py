"""The experiment and its records, grouped once for all sections."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from transfer_lab.experiment.choices import Regime, regime_entry
from transfer_lab.experiment.plan import fits, spends_budget, suits
from transfer_lab.experiment.spec import SIZES, Experiment
from transfer_lab.reporting.accuracies import (
    PLACE,
    Measured,
    Place,
    Unit,
    one_a_pass,
    rows_of,
    units_of,
)
from transfer_lab.reporting.columns import measured
from transfer_lab.reporting.course import Question
from transfer_lab.reporting.leads import Leads
from transfer_lab.reporting.measures import ACCURACY, MEASURES, Measure
from transfer_lab.reporting.stored import StoredResults
from transfer_lab.reporting.summaries import Summary, interval
from transfer_lab.stats.hypotheses import LEVEL
from transfer_lab.stats.intervals import Interval
from transfer_lab.stats.outliers import far_below, usual_spread
from transfer_lab.stats.rules_of_thumb import EARLY_PROBE

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Study(StoredResults):
    """All that a section may draw on: what is stored of an experiment, with numbers as numbers.

    `frame` holds the cells under the experiment's main budget, `cells` those under further budgets
    as well; `further` is the same study under each of these.
    """

    experiment: Experiment
    cells: pd.DataFrame
    command: str
    colours_of: tuple[str, ...] = ()
    """The regimes by which colours are dealt out, where this is a part of a larger study."""

    @classmethod
    def of(cls, experiment: Experiment, stored: StoredResults, command: str = "") -> Study:
        """The study with every measured column as numbers, absent values as NaN, and backbones by
        their names in the experiment.

        Records of a time before there were further budgets are all under the main one.
        """
        frame = stored.frame
        cells = measured(frame if "budget" in frame else frame.assign(budget=None))
        names = {choice.label: name for name, choice in experiment.backbones.items()}
        cells["backbone"] = [names.get(label, label) for label in cells["backbone"]]
        known = vars(stored) | {"frame": cells[cells["budget"].isna()]}
        return cls(experiment=experiment, cells=cells, command=command, **known)

    @cached_property
    def further(self) -> dict[str, Study]:
        """The study under each further budget that has cells, by the budget's name."""
        experiment = self.experiment
        regimes = {n: r for n, r in experiment.regimes.items() if spends_budget(experiment, n)}
        found = {}
        for name, fit in experiment.budgets.items():
            rows = self.cells[self.cells["budget"] == name]
            changes = {"fit": fit, "budgets": {}, "regimes": regimes, "claims": {}}
            if not rows.empty:
                under = experiment.model_copy(update=changes)
                known = {"frame": rows, "cells": rows, "colours_of": self.trained}
                found[name] = replace(self, experiment=under, **known)
        return found

    @cached_property
    def done(self) -> pd.DataFrame:
        """The finished cells."""
        return self.frame[self.frame["status"] == "done"]

    @property
    def margin(self) -> float:
        """By how much an accuracy may be behind another and still count as equal, of 1."""
        return self.experiment.margin / 100

    @property
    def error(self) -> float:
        """The chance of a wrong conclusion that may be taken at one look, so that it is 5 % for all
        of them where seeds are given look after look."""
        looks = self.experiment.looks
        return looks.share(LEVEL) if looks else LEVEL

    def ruled_out(self, scenario: str, backbone: str | None) -> frozenset[Place]:
        """The arms that some look has ruled out among those of a scenario, or of a backbone (None:
        of all) there."""
        known = self.course.ruled_out if self.course else {}
        question, asked = Question(scenario, backbone), [q for q in known if q.scenario == scenario]
        if backbone is None and len(asked) == 1:  # one backbone alone has contenders
            question = asked[0]
        return known.get(question, frozenset())

    @cached_property
    def scenarios(self) -> tuple[str, ...]:
        """Scenario names in the order of the 2 x 2 matrix: small before large, those with fewer
        images first, of equally many similar before dissimilar, and those without labels last."""
        places = self.experiment.scenarios
        order = {
            name: (
                SIZES.index(p.size),
                math.inf if p.per_class == "all" else p.per_class,
                p.similarity == "dissimilar",
                p.labels == "none",
            )
            for name, p in places.items()
        }
        return tuple(sorted(places, key=order.__getitem__))

    @cached_property
    def backbones(self) -> tuple[str, ...]:
        """The backbones' names in the experiment, in its order."""
        return tuple(self.experiment.backbones)

    @cached_property
    def regimes(self) -> tuple[str, ...]:
        """Regime names in the experiment's order, the controls last."""
        return tuple(sorted(self.experiment.regimes, key=self.is_control))

    @cached_property
    def trained(self) -> tuple[str, ...]:
        """The regimes that are no controls."""
        return tuple(regime for regime in self.regimes if not self.is_control(regime))

    @cached_property
    def glosses(self) -> dict[str, str]:
        """What each regime does, in words; where several do the same, with the options in which
        they differ."""
        known = {
            name: regime_entry(choice).gloss for name, choice in self.experiment.regimes.items()
        }
        alike = Counter(known.values())
        return {
            name: f"{words}{self._differing(name, known)}" if alike[words] > 1 else words
            for name, words in known.items()
        }

    def _differing(self, name: str, known: Mapping[str, str]) -> str:
        """' (stage=1)': options that not all regimes of the same gloss have alike."""
        regimes = self.experiment.regimes
        own = regimes[name].options
        others = [regimes[r].options for r, words in known.items() if words == known[name]]
        told = [
            f"{option}={value}"
            for option, value in own.items()
            if any(other.get(option) != value for other in others)
        ]
        return f" ({', '.join(told)})" if told else ""

    @property
    def facets(self) -> dict[str, tuple[str, ...]]:
        """By what readers of the page filter, and the values there are."""
        seeds = tuple(str(seed) for seed in self.experiment.seeds)
        return {"backbone": self.backbones, "regime": self.regimes, "seed": seeds}

    def regimes_on(self, backbone: str) -> tuple[str, ...]:
        """The regimes that are planned on a backbone in some scenario, the controls last."""
        planned = {place.regime for place in self._planned if place.backbone == backbone}
        return tuple(regime for regime in self.regimes if regime in planned)

    def planned(self, scenario: str, backbone: str) -> tuple[str, ...]:
        """The regimes that are planned in a scenario on a backbone, the controls last."""
        return tuple(r for r in self.regimes if Place(scenario, backbone, r) in self._planned)

    def contenders(self, scenario: str, backbone: str) -> tuple[str, ...]:
        """Those of them that may win: the comparable ones, among which the rules choose. Without
        labels of the target, where no rule speaks, all but the controls."""
        unlabelled = self.is_unlabelled(scenario)
        return tuple(
            regime
            for regime in self.planned(scenario, backbone)
            if not self.is_control(regime) and (unlabelled or self.is_comparable(regime))
        )

    def is_unlabelled(self, scenario: str) -> bool:
        """Whether regimes are given no labels of the target there."""
        return self.experiment.scenarios[scenario].labels == "none"

    def is_comparable(self, regime: str) -> bool:
        """Whether the regime sees what the rules choose among see, and no more."""
        return regime_entry(self.experiment.regimes[regime]).is_comparable

    @cached_property
    def _planned(self) -> frozenset[Place]:
        experiment = self.experiment
        return frozenset(
            Place(scenario, name, regime)
            for name in experiment.backbones
            for regime in experiment.regimes
            if fits(experiment, name, regime)
            for scenario in experiment.scenarios
            if suits(experiment, scenario, regime)
        )

    def source(self, scenario: str, backbone: str | None = None) -> str:
        """Where what is transferred in a scenario comes from, on one backbone or on any: a domain,
        weights, or both."""
        rows = self.frame[(self.frame["scenario"] == scenario) & self.frame["init_id"].notna()]
        rows = rows if backbone is None else rows[rows["backbone"] == backbone]
        # A cell may name weights and a domain both: each is said once.
        named = (part for source in rows["source"].dropna().unique() for part in source.split(", "))
        return ", ".join(dict.fromkeys(named)) or "no source"

    @cached_property
    def controls(self) -> tuple[str, ...]:
        """The regimes that are there for comparison only."""
        return tuple(filter(self.is_control, self.experiment.regimes))

    def is_control(self, regime: str) -> bool:
        """Whether the regime is there for comparison only."""
        return regime_entry(self.experiment.regimes[regime]).control

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """The names of the regimes of one kind; a probe of an earlier stage is one of its own."""
        regimes = self.experiment.regimes.items()
        return tuple(name for name, choice in regimes if prescribed_as(choice) == kind)

    def summary(self, scenario: str, backbone: str, regime: str) -> Summary:
        """The cells of one place, empty if the frame has none."""
        return self._summaries.get(Place(scenario, backbone, regime), Summary({}))

    @cached_property
    def usual_seeds(self) -> int:
        """How many seeds most places have."""
        counts = Counter(found.planned for found in self._summaries.values())
        return counts.most_common(1)[0][0] if counts else 0

    def accuracy(self, scenario: str, backbone: str, regime: str) -> Interval | None:
        """Mean score and its interval (seeds and test set), or None where no seed is done."""
        return self.summary(scenario, backbone, regime).accuracy

    def finished(self, place: Place) -> pd.DataFrame:
        """The finished cells of one place."""
        done = self.done
        for name, value in place._asdict().items():
            done = done[done[name] == value]
        return done

    @cached_property
    def measured(self) -> Measured:
        """Scores by the measure that leads, with their errors."""
        return Measured(self.done, self.predictions, self.measure, self.experiment.folds)

    @cached_property
    def accuracies(self) -> Measured:
        """Test accuracies with their errors, whatever leads."""
        if self.measure is ACCURACY:
            return self.measured
        return Measured(self.done, self.predictions, folds=self.experiment.folds)

    @cached_property
    def by_accuracy(self) -> Study:
        """The same, led by accuracy."""
        if self.measure is ACCURACY:
            return self
        changed = self.experiment.model_copy(update={"measure": ACCURACY.name})
        return replace(self, experiment=changed)

    @property
    def measure(self) -> Measure:
        """What leads."""
        return MEASURES[self.experiment.measure]

    def leads(self, seeds: frozenset[int] | None = None) -> Leads:
        """How far the arms that may win are ahead of each other, on all seeds or on these alone."""
        if seeds not in self._leads:
            self._leads[seeds] = Leads(self.measured, self._arms, seeds)
        return self._leads[seeds]

    @cached_property
    def memory(self) -> dict[object, Any]:
        """What was found of this study, by what was asked: for what several sections ask for."""
        return {}

    @cached_property
    def _leads(self) -> dict[frozenset[int] | None, Leads]:
        return {}

    @cached_property
    def _arms(self) -> dict[str, list[Place]]:
        return {
            scenario: [
                Place(scenario, backbone, regime)
                for backbone in self.backbones
                for regime in self.contenders(scenario, backbone)
            ]
            for scenario in self.scenarios
        }

    def by_seed(self, scenario: str, backbone: str, regime: str) -> dict[Unit, float]:
        """Score of every finished seed (and fold) of one place."""
        tested = self.measured.tested(Place(scenario, backbone, regime))
        return {seed: one.score for seed, one in tested.items()}

    def fitted_by_seed(self, place: Place) -> dict[Unit, float]:
        """Training accuracy of every finished seed (and fold) of one place that has one."""
        return self._training.get(place, {})

    def fitted(self, place: Place) -> Interval | None:
        """Training accuracy with Student's t interval over seeds (over folds: a lower bound of it),
        None without any."""
        return interval([*self.fitted_by_seed(place).values()])

    def best(self, scenario: str, backbone: str, among: tuple[str, ...]) -> str | None:
        """The regime of highest mean accuracy among those measured; the first of equals."""
        found = {r: self.accuracy(scenario, backbone, r) for r in among}
        means = {regime: interval.mean for regime, interval in found.items() if interval}
        return max(means, key=means.__getitem__) if means else None

    def preferred(self, scenario: str, backbone: str, among: tuple[str, ...]) -> str | None:
        """The measured regime of highest mean validation accuracy: a choice that has not seen
        the test set. The first measured one where nothing was held out for validation."""
        means = {
            regime: self._validation.get(Place(scenario, backbone, regime), math.nan)
            for regime in among
            if self.accuracy(scenario, backbone, regime)
        }
        known = {regime: mean for regime, mean in means.items() if mean == mean}
        return max(known, key=known.__getitem__) if known else next(iter(means), None)

    @cached_property
    def _validation(self) -> dict[Place, float]:
        places = self.done.groupby(["scenario", "backbone", "regime"], sort=False)
        return {Place(*names): mean for names, mean in places["val_accuracy"].mean().items()}

    @cached_property
    def _training(self) -> dict[Place, dict[Unit, float]]:
        found: dict[Place, dict[Unit, float]] = defaultdict(dict)
        rows = rows_of(self.done, *PLACE, "train_accuracy")
        for unit, (*names, score) in zip(units_of(self.done), rows, strict=True):
            if score == score:
                found[Place(*names)][unit] = score
        return found

    @cached_property
    def with_curves(self) -> tuple[tuple[Place, str], ...]:
        """Every finished cell that has a learning curve: its place and its run."""
        cells = rows_of(self.done, "scenario", "backbone", "regime", "run_id")
        return tuple((Place(*names), run_id) for *names, run_id in cells if run_id in self.curves)

    @cached_property
    def _summaries(self) -> dict[Place, Summary]:
        states: dict[Place, Counter[str]] = defaultdict(Counter)
        seconds: dict[Place, list[float]] = defaultdict(list)
        for *names, status in rows_of(self.frame, *PLACE, "status"):
            states[Place(*names)][status] += 1
        for *names, time in rows_of(one_a_pass(self.done), *PLACE, "fit_seconds"):
            seconds[Place(*names)].append(time)
        return {
            place: Summary(
                *(count, self._accuracy(place), interval(seconds[place])),
                in_one_pass=count["done"] - len(seconds[place]),
                measure=self.measure,
                far_below=far_below(self._scores(place), self._usual_spreads[place.scenario]),
            )
            for place, count in states.items()
        }

    def _scores(self, place: Place) -> list[float]:
        return [one.accuracy for one in self.accuracies.tested(place).values()]

    @cached_property
    def _usual_spreads(self) -> dict[str, float]:
        """By scenario, over the trained arms."""
        arms = [place for place in self._planned if place.regime in self.trained]
        return {
            scenario: usual_spread(self._scores(arm) for arm in arms if arm.scenario == scenario)
            for scenario in self.scenarios
        }

    def _accuracy(self, place: Place) -> Interval | None:
        found = self.measured.estimate(place)
        return found.interval() if found else None


def prescribed_as(regime: Regime) -> str:
    """What a rule calls a regime."""
    early = regime.kind == "linear_probe" and regime.options.get("stage") is not None
    return EARLY_PROBE if early else regime.kind
