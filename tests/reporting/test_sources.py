"""The networks that transfer starts from, and how good they are."""

import pytest

from transfer_lab.experiment.spec import Scenario
from transfer_lab.reporting.sections.source_runs import (
    BETWEEN,
    LEGEND,
    UNLABELLED,
    WITHOUT_LABELS,
    source_runs,
)
from transfer_lab.reporting.study import StoredResults, Study
from transfer_lab.store.records import RecordStore

from .invented import CORNERS, Grid, experiment, record


def study(grid: Grid, found: dict) -> Study:
    return Study.of(grid.experiment, StoredResults(grid.frame, sources=found))


def records_of(grid: Grid, scores: list[float]) -> dict:
    """A record for each source run, in the order in which cells name them."""
    parents = {cell.run.parent.id: cell for cell in grid.cells if cell.run.parent}
    made = {}
    for (init, cell), score in zip(parents.items(), scores, strict=True):
        changes = {"test_accuracy": score, "num_classes": 26, "n_train": 5720, "epochs": 12}
        made[init] = record(cell, run_id=init, init_id=None, fit_seconds=45.0, **changes)
    return made


def texts(section) -> list[list[str]]:
    (table,) = (block for block in section.blocks if hasattr(block, "head"))
    return [[" ".join(filter(None, (e[0].text, e[0].note))) for e in row] for row in table.rows]


def test_each_source_run_is_there_with_its_own_accuracy():
    grid = Grid(experiment(seeds=2)).finish()
    section = source_runs(study(grid, records_of(grid, [0.91, 0.625])))
    assert texts(section) == [
        ["cnn", "latin", "91.0 (n=1)", "26", "5,720", "12", "45.0"],
        ["cnn", "textures", "62.5 (n=1)", "26", "5,720", "12", "45.0"],
    ]


def test_one_a_seed_is_a_mean_with_its_interval():
    grid = Grid(experiment(corners=CORNERS[:1], seeds=2, pretrain={"per_seed": True})).finish()
    ((_, _, tested, *_),) = texts(source_runs(study(grid, records_of(grid, [0.90, 0.92]))))
    assert tested == "91.0 ± 12.7 (n=2)"


def paragraphs(section) -> list[str]:
    return [block.text for block in section.blocks if hasattr(block, "text")]


@pytest.mark.parametrize(("right", "told"), [(0.875, "; 87.5 % of its task right"), (0.0, "")])
def test_a_source_run_without_labels_is_said_to_be_one(right, told):
    turned = {"cnn": {"kind": "cnn"}, "turned": {"kind": "cnn", "source_regime": "rotation"}}
    grid = Grid(experiment(corners=CORNERS[:1], backbones=turned, seeds=2)).finish()
    found = records_of(grid, [0.9, None])
    last = [*found][-1]
    found[last] = found[last].model_copy(update={"val_accuracy": right})
    section = source_runs(study(grid, found))
    labelled, unlabelled = texts(section)
    assert labelled[:3] == ["cnn", "latin", "90.0 (n=1)"]
    assert unlabelled[:3] == ["turned", "latin", f"– {WITHOUT_LABELS}{told}"]
    assert paragraphs(section) == [f"{LEGEND} {UNLABELLED}"]
    markdown = grid.markdown()
    assert "turned is pretrained by rotation (without labels" in markdown


def test_what_lies_between_source_and_target_is_named_and_said():
    plain = experiment(corners=CORNERS[:2], seeds=1)
    places = dict(plain.scenarios)
    far = places["small_dissimilar"]
    places["detour"] = far.model_copy(update={"via": ("latin",)})
    grid = Grid(plain.model_copy(update={"scenarios": places})).finish()
    section = source_runs(study(grid, records_of(grid, [0.9, 0.8, 0.7])))
    assert [row[1] for row in texts(section)] == ["latin", "textures", "textures → latin"]
    assert paragraphs(section) == [f"{LEGEND} {BETWEEN}"]
    markdown = grid.markdown()
    assert "| detour | textures → latin | cyrillic |" in markdown
    assert "Between source and target of detour the whole network is fine-tuned" in markdown


def test_a_target_that_is_its_own_source_is_said_to_be_one():
    plain = experiment(corners=CORNERS[:1], seeds=1)
    own = {"target": "cyrillic", "per_class": 5, "size": "small", "similarity": "similar"}
    places = {"itself": Scenario(control="self", **own)}
    markdown = Grid(plain.model_copy(update={"scenarios": places})).finish().markdown()
    assert "In itself the target is its own source" in markdown


@pytest.mark.parametrize("seeds", [1, 2])
def test_without_their_records_there_is_no_section(seeds):
    grid = Grid(experiment(seeds=seeds)).finish()
    assert source_runs(study(grid, {})) is None


def test_a_store_gives_the_records_of_source_runs_alone(tmp_path):
    from transfer_lab.reporting.collect import source_records

    grid, store = Grid(experiment(corners=CORNERS[:2], seeds=1)).finish(), RecordStore(tmp_path)
    first, second = records_of(grid, [0.9, 0.8]).values()
    store.put(first)
    store.put(second.model_copy(update={"status": "failed", "error": "x", "error_kind": "io"}))
    assert source_records(grid.frame, store) == {first.run_id: first}
