"""Verdicts and regrets on the page, recomputed from the records."""

from __future__ import annotations

import re

import pytest

from transfer_lab.experiment.plan import plan
from transfer_lab.reporting.decision import rule_standings
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


OVERALL = "Rules of thumb, over all backbones"
BY_BACKBONE = "Rules of thumb by scenario and backbone"


def rows(tables: dict[str, list[list[str]]], rule: str) -> list[list[str]]:
    return [row for row in tables[OVERALL][1:] if row[0] == rule]


def test_every_scenario_has_a_verdict_for_both_published_rules(tables):
    words = ("supported", "refuted", "undecided", "no data", "behind, by less than 1 point")
    for name in ("rule_av", "rule_cs231n"):
        found = rows(tables, name)
        assert len(found) == 4
        assert all(row[3].startswith(words) for row in found)


def test_a_regime_that_is_not_run_is_no_data(tables):
    (row,) = (row for row in rows(tables, "rule_cs231n") if row[1] == "small_dissimilar")
    assert row[2] == "linear_probe on an earlier stage"
    assert row[3:] == ["no data (not measured here)", "–", "–"]
    assert "small_dissimilar" not in [
        row[1] for row in tables[BY_BACKBONE][1:] if row[0] == "rule_cs231n"
    ]


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
        shown, worst, _, _, served = regret[name]
        mean, low, high = re.fullmatch(r"([\d.]+) \(([\d.]+) to ([\d.]+)\)", shown).groups()
        assert float(low) <= float(mean) <= float(high)
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
    (row,) = rows(markdown_tables(made.markdown()), "rule_cs231n")
    assert row[2] == "linear_probe on an earlier stage (early)"
    assert row[3:5] == ["supported", "0.0"]


def test_controls_are_no_rivals(grid):
    asked = experiment(corners=CORNERS[:1], regimes=["linear_probe", "full_finetune", *CONTROLS])
    made = Grid(asked).finish()
    made.finish(lambda c: c.regime == "random_features", test_accuracy=0.99)
    made.finish(lambda c: c.regime == "linear_probe", test_accuracy=0.8)
    (row,) = rows(markdown_tables(made.markdown()), "rule_av")
    assert row[3] == "supported"
    assert re.match(r"full_finetune [\d.]+ ± [\d.]+ points behind", row[5])


def test_where_nothing_is_transferred_no_rule_is_scored():
    made = Grid(experiment(regimes=["from_scratch", "majority"], seeds=2)).finish()
    assert rules(Study.of(made.experiment, StoredResults(made.frame))) is None


NETWORKS = {"cnn": {"kind": "cnn"}, "mlp": {"kind": "mlp", "options": {"width": 64}}}


def scored(scores: dict[str, dict[str, float]], **more: object) -> Grid:
    """The small similar scenario, where regimes score so on each network, in every seed nearly."""
    networks = {name: NETWORKS[name] for name in scores}
    regimes = list(dict.fromkeys(r for of_network in scores.values() for r in of_network))
    asked = experiment(corners=CORNERS[:1], backbones=networks, regimes=regimes, seeds=3, **more)
    made = Grid(asked)
    for cell in made.cells:
        name = next(n for n, c in asked.backbones.items() if c.label == cell.backbone)
        if cell.regime in scores[name]:
            value = scores[name][cell.regime] + 0.0005 * (cell.seed * hash_of(cell.regime) % 3)
            made.finish(lambda c, own=cell: c == own, test_accuracy=value, n_test=10**8)
    return made


def hash_of(name: str) -> int:
    return sum(map(ord, name))


def standing(made: Grid):
    return rule_standings(made.study())["rule_av", "small_similar"]


def test_a_rule_is_judged_on_the_mean_over_the_backbones():
    """Ahead on one by as much as it is behind on the other."""
    one = standing(
        scored(
            {
                "cnn": {"linear_probe": 0.60, "lp_ft": 0.65},
                "mlp": {"linear_probe": 0.35, "lp_ft": 0.30},
            }
        )
    )
    assert one.verdict == "supported"
    assert one.lead.mean == pytest.approx(0, abs=0.001)
    assert one.followed == {"cnn": "linear_probe", "mlp": "linear_probe"}


def test_a_rival_that_one_backbone_lacks_is_compared_on_the_other():
    one = standing(
        scored({"cnn": {"linear_probe": 0.6, "lp_ft": 0.7}, "mlp": {"linear_probe": 0.5}})
    )
    assert (one.verdict, one.rival) == ("refuted", "lp_ft")
    assert one.lead.mean == pytest.approx(0.1, abs=0.001)


@pytest.mark.parametrize(
    ("margin", "verdict", "words"),
    [
        (1, "behind", "behind, by less than 1 point"),
        (0.3, "refuted", "refuted"),
        (2.5, "behind", "behind, by less than 2.5 points"),
    ],
)
def test_the_margin_of_the_experiment_decides_what_counts_as_behind(margin, verdict, words):
    made = scored({"cnn": {"linear_probe": 0.600, "lp_ft": 0.606}}, margin=margin)
    one = standing(made)
    assert one.verdict == verdict
    assert 0.006 <= one.at_most < 0.01
    assert rows(markdown_tables(made.markdown()), "rule_av")[0][3] == words


def test_the_margin_is_of_no_run():
    plain, other = experiment(), experiment(margin=3)
    assert [c.run.id for c in plan(plain)] == [c.run.id for c in plan(other)]


def test_a_rule_that_leads_loses_nothing_and_one_seed_says_nothing_of_it():
    made = scored({"cnn": {"linear_probe": 0.7, "lp_ft": 0.6}})
    assert standing(made).at_most == 0.0
    alone = Grid(experiment(corners=CORNERS[:1], seeds=1)).finish()
    one = standing(alone)
    assert (one.verdict, one.at_most) == ("undecided", None)
    assert one.told.lacking == "a second seed"
