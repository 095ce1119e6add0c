"""The overlap of training subsets, as the protocol section says it."""

from __future__ import annotations

from transfer_lab.reporting.sections.protocol import inference
from transfer_lab.reporting.subsets import overlaps

from .invented import CORNERS, Grid, experiment

SHARES = {"small_similar": 5 / 500, "large_similar": 200 / 500}


def grid(*, seeds: int = 3, **options: object) -> Grid:
    corners = [corner for corner in CORNERS if corner[1] == "similar"]
    made = experiment(corners=corners, regimes=["lp_ft"], seeds=seeds)
    made.domains["cyrillic"].options.update(options)
    return Grid(made)


def told(made: Grid) -> str:
    found = [text for text in inference(made.study()) if "share a part f" in text]
    return " ".join(found)


def test_the_recorded_overlap_is_printed_with_its_factor_where_it_is_above_a_fifth():
    made = grid()
    for name, share in SHARES.items():
        made.finish(lambda c, s=name: c.scenario == s, subset_overlap=share)
    text = told(made)
    assert "1 % or less in small_similar; 40 % in large_similar" in text
    assert "with 3 seeds by the factor 1 + 3 f / (1 - f): 3.0 in large_similar." in text
    assert "Nadeau and Bengio 2003" in text


def test_older_records_are_told_by_the_experiments_own_pool():
    assert overlaps(grid(train_per_class=800).finish().study())["large_similar"] == 0.25
    assert overlaps(grid().finish().study()) == {}
    assert told(grid().finish()) == ""


def test_what_all_seeds_learn_from_is_said_to_be_the_same():
    made = grid().finish(subset_overlap=1.0)
    assert "say nothing of it in small_similar, large_similar, where every seed" in told(made)


def test_little_overlap_is_said_to_be_little():
    assert "by a factor of less than 1.8 here" in told(grid().finish(subset_overlap=0.1))


def test_one_seed_has_no_overlap():
    assert told(grid(seeds=1).finish(subset_overlap=0.4)) == ""
