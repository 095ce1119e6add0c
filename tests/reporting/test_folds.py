"""Reports on cross-validation: its units, its interval, and what it says of itself."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from tests.reporting.invented import experiment, record
from transfer_lab.experiment.plan import plan
from transfer_lab.reporting.accuracies import Measured, Place, units_of
from transfer_lab.reporting.predictions import Predictions
from transfer_lab.reporting.render.markdown import to_markdown
from transfer_lab.reporting.sections.order import sections
from transfer_lab.reporting.study import StoredResults, Study
from transfer_lab.store.records import RecordStore
from transfer_lab.store.results import frame

FOLDS, SEEDS = 4, 2
SPOT = ("large_similar", "cnn")


@pytest.fixture(scope="module")
def asked():
    return experiment(corners=[("large", "similar")], seeds=SEEDS, folds=FOLDS)


@pytest.fixture(scope="module")
def study(asked, tmp_path_factory):
    store = RecordStore(tmp_path_factory.mktemp("runs"))
    for cell in plan(asked):
        store.put(record(cell, n_test=185))
    return Study.of(asked, StoredResults(frame(plan(asked), store)))


def scores(study, regime: str) -> np.ndarray:
    rows = study.done[study.done["regime"] == regime]
    return rows.sort_values(["seed", "fold"])["test_accuracy"].to_numpy()


def test_records_name_the_fold_and_none_elsewhere(study, tmp_path):
    assert sorted(study.frame["fold"].unique()) == [0, 1, 2, 3]
    plain = frame(plan(experiment(seeds=1)), RecordStore(tmp_path))
    assert plain["fold"].isna().all()
    assert units_of(plain[:1]) == [0]


def test_the_interval_is_the_corrected_one_over_all_folds_of_all_seeds(study):
    values = scores(study, "full_finetune")
    units = FOLDS * SEEDS
    found = study.accuracy(*SPOT, "full_finetune")
    error = np.sqrt((1 / units + 1 / (FOLDS - 1)) * values.var(ddof=1))
    assert found.n == units
    assert found.mean == pytest.approx(values.mean())
    assert found.half == pytest.approx(stats.t.ppf(0.975, units - 1) * error)


def test_leads_are_paired_by_fold(study):
    lead = study.measured.lead(Place(*SPOT, "lp_ft"), over=Place(*SPOT, "from_scratch"))
    difference = scores(study, "lp_ft") - scores(study, "from_scratch")
    assert lead.mean == pytest.approx(difference.mean())
    expected = (1 / 8 + 1 / 3) * difference.var(ddof=1)
    assert lead.over_seeds == pytest.approx(expected)
    assert lead.over_images == 0


def test_folds_that_one_side_lacks_are_left_out(study):
    rows = study.done
    without = rows[~((rows["regime"] == "lp_ft") & (rows["seed"] == 1) & (rows["fold"] == 2))]
    measured = Measured(without, Predictions(), folds=FOLDS)
    assert len(measured.tested(Place(*SPOT, "lp_ft"))) == 7
    assert measured.lead(Place(*SPOT, "lp_ft"), Place(*SPOT, "from_scratch")).seeds == 7


def test_the_report_says_what_it_is_and_promises_no_more(study):
    text = to_markdown(sections(study))
    head, _, rest = text.partition("## ")
    assert "4-fold cross-validation, repeated with 2 seeds" in head
    assert "4-fold cross-validation, repeated with 2 seeds: each seed divides all images" in rest
    assert "Nadeau and Bengio 2003" in rest
    assert "one fixed test set" not in text
    assert not re.search(r"about \d+ seeds", text), "more seeds are no more images"


def test_without_folds_nothing_is_said_of_them(tmp_path):
    asked = experiment(corners=[("large", "similar")], seeds=2)
    store = RecordStore(tmp_path)
    for cell in plan(asked):
        store.put(record(cell))
    study = Study.of(asked, StoredResults(frame(plan(asked), store)))
    text = to_markdown(sections(study))
    assert "cross-validation" not in text
    assert "fold" not in text.replace("folder", "")


def test_missing_folds_are_listed_with_their_seed(asked, tmp_path):
    study = Study.of(asked, StoredResults(frame(plan(asked), RecordStore(tmp_path))))
    text = to_markdown(sections(study))
    assert "seed 0 fold 0, seed 0 fold 1" in text
