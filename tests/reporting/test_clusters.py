"""Targets that share a source run count once."""

from __future__ import annotations

from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.spec import Experiment
from transfer_lab.reporting.clusters import clusters, family
from transfer_lab.reporting.sections.protocol import inference

from .invented import Grid


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


def test_one_target_has_nothing_to_be_pooled_over():
    assert told(grid({"greek": "latin"})) == ""


def test_folders_that_lie_side_by_side_are_one_family():
    art, photo, own = (
        Choice(kind="folder", root=root) for root in ("d/pacs/art", "d/pacs/photo", "d/mine")
    )
    assert family(art) == family(photo) != family(own)
    assert family(Choice(kind="latin")) == family(Choice(kind="greek"))
    assert family(Choice(kind="latin")) != family(Choice(kind="digits"))
