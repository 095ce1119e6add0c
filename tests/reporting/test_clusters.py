"""Targets that share a source run count once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.spec import Experiment
from transfer_lab.reporting.clusters import clusters, family
from transfer_lab.reporting.hypotheses import spots
from transfer_lab.reporting.regrets import against
from transfer_lab.reporting.sections.protocol import inference
from transfer_lab.stats.rules_of_thumb import RULES

from .invented import Grid
from .reading import markdown_tables

REGRET = "Regret of following each rule: means over all scenarios and backbones it can serve"


def grid(sources: dict[str, str], **more: object) -> Grid:
    """Targets, each with the source that it is reached from."""
    kinds = {"latin", "textures", "scenes", *sources, *sources.values()}
    return Grid(
        Experiment(
            name="many",
            image_size=32,
            domains={name: {"kind": name} for name in sorted(kinds)},
            scenarios={
                f"to_{target}": {
                    "source": source,
                    "target": target,
                    "per_class": 5,
                    "size": "small",
                    "similarity": "similar",
                }
                for target, source in sources.items()
            },
            backbones={"cnn": {"kind": "cnn"}},
            regimes={name: {"kind": name} for name in ("from_scratch", "linear_probe")},
            seeds=(0, 1, 2),
            **more,
        )
    ).finish()


def told(made: Grid) -> str:
    return " ".join(text for text in inference(made.study()) if text.startswith("Over targets"))


def test_targets_of_one_source_run_are_one_cluster():
    made = grid({"greek": "latin", "cyrillic": "latin", "digits": "textures"})
    found = clusters(made.study())
    assert found["greek"] == found["cyrillic"] != found["digits"]
    text = told(made)
    assert "3 targets, 2 families of data, 2 source runs" in text
    assert "greek, cyrillic share one and are one cluster: they count once" in text
    assert "Fewer than 3 clusters say nothing of other targets." in text


def test_source_runs_of_each_seed_are_shared_as_well():
    made = grid({"greek": "latin", "cyrillic": "latin"}, pretrain={"per_seed": True})
    assert len(set(clusters(made.study()).values())) == 1


def test_targets_with_sources_of_their_own_stand_for_themselves():
    made = grid({"greek": "latin", "digits": "textures", "other_scenes": "scenes"})
    assert len(set(clusters(made.study()).values())) == 3
    text = told(made)
    assert "The 3 clusters are summed up by a random-effects model" in text
    assert "share one" not in text
    assert "With fewer than 5 families and 3 sources that holds for targets" in text


def test_a_lead_over_targets_is_told_with_what_the_next_one_may_show():
    made = grid({"greek": "latin", "digits": "textures", "other_scenes": "scenes"})
    skill = {"to_greek": 0.30, "to_digits": 0.34, "to_other_scenes": 0.20}
    for scenario, probe in skill.items():
        for regime, accuracy in (("linear_probe", probe), ("from_scratch", 0.1)):
            made.finish(
                lambda c, s=scenario, r=regime: (c.scenario, c.regime) == (s, r),
                test_accuracy=accuracy,
            )
    leads = -np.array([0.20, 0.24, 0.10])
    half = stats.t.isf(0.025, 2) * stats.sem(leads)
    # So few targets: a new one may lie as far off as the next draw of a normal, and farther.
    study = made.study()
    found = against(study, RULES["always_from_scratch"], list(spots(study))).elsewhere
    assert (found.mean, found.half) == pytest.approx((leads.mean(), half))
    assert found.predicted >= stats.t.isf(0.025, 2) * leads.std(ddof=1) * math.sqrt(4 / 3) - 1e-9
    (row,) = [
        row
        for row in markdown_tables(made.markdown())[REGRET][1:]
        if row[0] == "always_from_scratch"
    ]
    assert f"−18.0 ± {100 * half:.1f} over 3 targets the next one: −" in row[3]


def test_a_lead_over_targets_of_one_source_run_is_for_these_alone():
    study = grid(dict.fromkeys(("greek", "cyrillic", "digits"), "latin")).study()
    assert against(study, RULES["always_from_scratch"], list(spots(study))).elsewhere is None


def test_one_target_has_nothing_to_be_pooled_over():
    assert told(grid({"greek": "latin"})) == ""


def test_folders_that_lie_side_by_side_are_one_family():
    art, photo, own = (
        Choice(kind="folder", root=root) for root in ("d/pacs/art", "d/pacs/photo", "d/mine")
    )
    assert family(art) == family(photo) != family(own)
    assert family(Choice(kind="latin")) == family(Choice(kind="greek"))
    assert family(Choice(kind="latin")) != family(Choice(kind="digits"))
