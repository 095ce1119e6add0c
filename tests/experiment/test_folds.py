"""`folds` in an experiment: cells, what a run's id holds, what is seen beside the target, what is
refused."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import choice, experiment, write_tiny
from tests.photos import fill
from transfer_lab.data.folds import Folded
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.names import run_names
from transfer_lab.experiment.one_pass import peers
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.experiment.spec import Experiment, Run
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.estimate import Work, costs
from transfer_lab.grid.preflight import preflight
from transfer_lab.system.pixel_hash import hashes
from transfer_lab.training.building import build_domain

SEEING = {
    "from_scratch": choice("from_scratch"),
    "linear_probe": choice("linear_probe"),
    "pseudo_labels": choice("pseudo_labels"),
    "distillation": {
        **choice("distillation"),
        "teacher": {"backbone": "mlp", "regime": "from_scratch"},
    },
}


def folded(**changes) -> Experiment:
    letters = {"letters": "ABCD", "train_per_class": 6, "test_per_class": 4}
    cyrillic = letters | {"letters": "БГДЖ"}
    domains = {
        "latin": choice("latin", **letters),
        "cyrillic": choice("cyrillic", **cyrillic),
    }
    place = {"target": "cyrillic", "size": "small", "similarity": "similar", "per_class": 5}
    content = {
        "domains": domains,
        "scenarios": {
            "small_similar": {**place, "source": "latin"},
            "own": {**place, "control": "self"},
        },
        "backbones": {"mlp": choice("mlp", width=8)},
        "regimes": SEEING
        | {"pseudo_labels": SEEING["pseudo_labels"] | {"scenarios": ["small_similar"]}},
        "folds": 3,
    }
    return experiment(**content | changes)


def test_every_seed_has_every_fold_and_each_is_a_run_of_its_own():
    cells = plan(folded())
    places = [(c.scenario, c.backbone, c.regime, c.seed, c.fold) for c in cells]
    assert len(set(places)) == len(places)
    assert {(c.seed, c.fold) for c in cells} == {(s, f) for s in (0, 1) for f in range(3)}
    assert all(c.run.fold == (3, c.fold) for c in cells)
    scratch = [c.run.id for c in cells if (c.scenario, c.regime) == ("own", "from_scratch")]
    assert len(set(scratch)) == 6
    names = run_names(folded(), cells)
    assert len(set(names.values())) == len(names)


def test_without_folds_no_run_is_known_by_another_id_than_before():
    (first, *_) = (c.run for c in plan(experiment()))
    assert "fold" not in first.model_dump()
    assert "fold" not in first.canonical
    stream = plan(folded(folds=None))[-1].run
    assert all("fold" not in one.model_dump() for one in stream.streams.values())
    assert Run(**first.model_dump() | {"fold": (3, 0)}).id != first.id


def test_shared_source_runs_have_no_fold_and_one_of_the_targets_own_images_has():
    for cell in plan(folded()):
        for parent in cell.run.ancestors:
            on_target = parent.domain == cell.run.domain
            assert parent.fold == (cell.run.fold if on_target else None)


def test_no_run_and_nothing_that_it_draws_on_has_learnt_an_image_of_its_fold(tmp_path):
    cache = tmp_path / "images"
    for cell in plan(folded()):
        domain = build_domain(cell.run, cache)
        assert isinstance(domain, Folded)
        tested = contents(domain, "test")
        seen = {*contents(domain, "train"), *contents(domain, "val")}
        for stream in domain.streams.values():
            seen |= {*contents(stream, "train"), *contents(stream, "val")}
        for parent in cell.run.ancestors:
            if parent.domain == cell.run.domain:
                learnt = build_domain(parent, cache)
                assert contents(learnt, "test") == tested
                seen |= {*contents(learnt, "train"), *contents(learnt, "val")}
        assert tested
        assert not seen & set(tested)
        # All unlabelled images outside the fold are seen, where some are.
        if "unlabelled" in domain.streams:
            assert len(domain.streams["unlabelled"].split.train) == 40 - len(tested)


def contents(domain, section: str) -> list[bytes]:
    images, index, _ = domain.source_of(section)
    return hashes(np.asarray(images[index]))


def test_the_folds_of_all_regimes_and_sizes_are_the_same_images(tmp_path):
    tested: dict[tuple[int, int], set[bytes]] = {}
    for cell in plan(folded()):
        own = set(contents(build_domain(cell.run, tmp_path), "test"))
        assert tested.setdefault((cell.seed, cell.fold), own) == own
    for seed in (0, 1):
        assert len(set.union(*(tested[seed, fold] for fold in range(3)))) == 40
    assert tested[0, 0] != tested[1, 0]


def test_only_folds_of_as_many_images_are_fitted_in_one_pass():
    cells = [
        c for c in plan(folded()) if (c.scenario, c.regime) == ("small_similar", "linear_probe")
    ]
    assert {peers(c.run) for c in cells if c.fold == 0} != {
        peers(c.run) for c in cells if c.fold == 1
    }
    assert len({peers(c.run) for c in cells if c.fold == 0}) == 1
    whole = cells[0].run.model_copy(update={"per_class": "all"})
    assert peers(whole) is None


def test_the_subset_is_held_against_what_the_folds_leave():
    assert preflight(folded(scenarios=_of(per_class=6))) == []
    ((place, told),) = preflight(folded(scenarios=_of(per_class=7)))
    assert place == ("scenarios", "small_similar", "per_class")
    assert told.startswith("cyrillic without a fold: 7 images per class asked for")


def test_a_class_with_too_few_images_is_refused_before_any_training():
    ((place, told),) = preflight(folded(scenarios=_of(per_class=1), folds=11))
    assert place == ("domains", "cyrillic")
    assert "class Б has 10 images" in told
    assert "cannot be divided into 11 folds" in told


def _of(per_class: int) -> dict:
    place = {"source": "latin", "target": "cyrillic", "size": "small", "similarity": "similar"}
    return {"small_similar": {**place, "per_class": per_class}}


def test_the_estimate_knows_folds():
    runs = runs_of(plan(folded()))
    work = Work(runs)
    (run, *_) = (run for run in runs.values() if run.fold)
    assert work.domain(run).test == 13
    assert work.domain(run).counts.tolist() == [6] * 4
    assert all(seconds > 0 for seconds in costs(work).values())


TEXT = """\
name: photos
image_size: 12
domains:
  latin: {{letters: ABC, train_per_class: 8, test_per_class: 6}}
  photos: {{kind: folder, root: {root}, groups: {groups}}}
scenarios:
  small_similar: {{source: latin, target: photos, per_class: 4}}
backbones: {{mlp: {{width: 8, depth: 2}}}}
regimes: [from_scratch]
seeds: [0]
{folds}
"""


def test_groups_without_folds_are_refused_and_count_for_the_run_with_them(tmp_path):
    fill(tmp_path / "photos")

    def loaded(groups: str, folds: str):
        text = TEXT.format(root=tmp_path / "photos", groups=groups, folds=folds)
        return plan(load_experiment(write_tiny(tmp_path, text)).experiment)

    first, other = (loaded(groups, "folds: 3")[0].run for groups in ("'^[0-9]'", "'[0-9]'"))
    assert first.id != other.id
    with pytest.raises(ConfigError, match=r"domains\.photos\.groups.*only folds keep groups"):
        loaded("'^[0-9]'", "")
    with pytest.raises(ConfigError, match="no regular expression"):
        loaded("'('", "folds: 3")
    with pytest.raises(ConfigError, match="folds"):
        loaded("'^[0-9]'", "folds: 1")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            "tune: {lr: [0.1, 0.01]}\nsearch: {}",
            r"search: would choose by images that folds test on",
        ),
        ("SEEDS", r"seeds: with folds more seeds divide the same images again"),
    ],
)
def test_what_would_choose_by_tested_images_or_stop_by_intervals_is_refused(tmp_path, more, told):
    fill(tmp_path / "photos")
    text = TEXT.format(root=tmp_path / "photos", groups="'^[0-9]'", folds="folds: 3")
    if more == "SEEDS":
        text = text.replace("seeds: [0]", "seeds: {start: 3, at_most: 8, until: 2}")
    else:
        text = text.replace("seeds: [0]", "seeds: [1]") + more + "\n"
    with pytest.raises(ConfigError, match=told):
        load_experiment(write_tiny(tmp_path, text))
