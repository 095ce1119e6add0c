"""Verdicts and regrets on the page, recomputed from the records."""

from __future__ import annotations

import pytest

from transfer_lab.reporting.sections.rules import rules
from transfer_lab.reporting.study import StoredResults, Study
from transfer_lab.stats.rules_of_thumb import RULES

from .invented import CONTROLS, CORNERS, REGIMES, Grid, experiment
from .reading import markdown_tables


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid(experiment()).finish()


@pytest.fixture(scope="module")
def tables(grid) -> dict[str, list[list[str]]]:
    return markdown_tables(grid.markdown())


def test_every_scenario_has_a_verdict_for_both_published_rules(tables):
    for name in ("rule_av", "rule_cs231n"):
        rows = tables[f"{name}: verdict in every scenario"][1:]
        assert len(rows) == 4
        assert all(
            row[-1].split(" ")[0] in ("supported", "refuted", "undecided", "no") for row in rows
        )


def test_a_regime_that_is_not_run_is_no_data(tables):
    rows = tables["rule_cs231n: verdict in every scenario"][1:]
    (row,) = (row for row in rows if row[0] == "small_dissimilar")
    assert row[2] == "linear_probe on an earlier stage"
    assert row[-1] == "no data not measured here"


def test_regrets_can_be_recomputed_from_the_records(grid, tables):
    done = grid.frame
    scores = done.assign(test_accuracy=done["test_accuracy"].astype(float))
    means = scores.groupby(["scenario", "regime"])["test_accuracy"].mean()
    regret = {row[0]: row[1:] for row in tables[next(t for t in tables if "Regret" in t)][1:]}
    places = grid.experiment.scenarios
    for name, rule in RULES.items():
        lost = [
            max(means[scenario][r] for r in REGIMES) - means[scenario][rule[p.size, p.similarity]]
            for scenario, p in places.items()
            if rule[p.size, p.similarity] in REGIMES
        ]
        mean, worst, _, _, _, served = regret[name]
        assert float(mean) == pytest.approx(100 * sum(lost) / len(lost), abs=0.051)
        assert float(worst) == pytest.approx(100 * max(lost), abs=0.051)
        assert served == f"{len(lost)} of 4"
        assert float(mean) >= 0
    assert regret["oracle"][:2] == ["0.0", "0.0"]


def test_a_probe_of_an_earlier_stage_is_what_cs231n_prescribes():
    regimes = {
        "linear_probe": {"kind": "linear_probe"},
        "early": {"kind": "linear_probe", "options": {"stage": 1}},
        "full_finetune": {"kind": "full_finetune"},
    }
    asked = experiment(corners=[CORNERS[1]], regimes=["linear_probe"], seeds=3)
    asked = type(asked)(**(asked.model_dump() | {"regimes": regimes, "domains": asked.domains}))
    made = Grid(asked).finish(test_accuracy=0.5)
    made.finish(lambda c: c.regime == "early", test_accuracy=0.8)
    rows = markdown_tables(made.markdown())["rule_cs231n: verdict in every scenario"][1:]
    assert rows[0][2] == "early"
    assert rows[0][-1] == "supported"


def test_controls_are_no_rivals(grid):
    asked = experiment(corners=CORNERS[:1], regimes=["linear_probe", "full_finetune", *CONTROLS])
    made = Grid(asked).finish()
    made.finish(lambda c: c.regime == "random_features", test_accuracy=0.99)
    made.finish(lambda c: c.regime == "linear_probe", test_accuracy=0.8)
    rows = markdown_tables(made.markdown())["rule_av: verdict in every scenario"][1:]
    assert rows[0][-1] == "supported"
    assert rows[0][4] == "full_finetune not ahead"


def test_where_nothing_is_transferred_no_rule_is_scored():
    made = Grid(experiment(regimes=["from_scratch", "majority"], seeds=2)).finish()
    assert rules(Study.of(made.experiment, StoredResults(made.frame))) is None
