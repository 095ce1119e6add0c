"""What regimes see beside the target's images: planned from the scenario, or refused."""

from __future__ import annotations

import pytest

from transfer_lab.experiment.choices import Weights
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.experiment.sources import streams_of
from transfer_lab.experiment.spec import Run
from transfer_lab.experiment.yaml_source import ConfigError

DOMAINS = """
domains:
  clean: {kind: latin, letters: ABCD, train_per_class: 40}
  shifted: {kind: latin, letters: ABCD, train_per_class: 41}
  greek: {train_per_class: 40}
  weights_of: {kind: cyrillic}
"""
REST = """
image_size: 16
seeds: [3, 4]
fit: {epochs: 1, val_fraction: 0.25}
pretrain: {epochs: 2, val_fraction: 0.1, per_class: 20}
"""


def written(tmp_path, scenarios: str, regimes: str, backbones: str = "cnn: {}", rest: str = REST):
    path = tmp_path / "e.yaml"
    text = f"name: e\n{DOMAINS}\nscenarios:\n  {scenarios}\nbackbones:\n  {backbones}\n"
    path.write_text(f"{text}regimes:\n  {regimes}\n{rest}")
    return path


def planned(*args, **kwargs):
    return plan(load_experiment(written(*args, **kwargs)).experiment)


def refusal(*args, **kwargs) -> str:
    with pytest.raises(ConfigError) as caught:
        planned(*args, **kwargs)
    return str(caught.value)


GIVEN = "small_similar: {source: clean, target: shifted, per_class: 5}"
NONE = GIVEN.replace("per_class: 5", "per_class: 9, labels: none")


def test_what_sees_nothing_else_is_hashed_as_if_nothing_else_could_be_seen(tmp_path):
    (cell, _) = planned(tmp_path, GIVEN, "full_finetune: {}")
    assert not {"streams", "starts", "labels"} & cell.run.model_dump().keys()
    assert not any(word in cell.run.canonical for word in ("streams", "starts", '"labels"'))


def test_a_source_stream_is_what_its_source_run_learns_from(tmp_path):
    for cell in planned(tmp_path, GIVEN, "multi_task: {}"):
        (role, stream), parent = *cell.run.streams.items(), cell.run.parent
        assert role == "source" and stream.labelled
        assert stream.domain == parent.domain and stream.per_class == parent.per_class == 20
        assert (stream.val_fraction, stream.seed) == (parent.fit.val_fraction, parent.seed)


def test_a_source_run_of_each_seed_makes_a_stream_of_each_seed(tmp_path):
    rest = REST.replace("per_class: 20", "per_class: 20, per_seed: true")
    cells = planned(tmp_path, GIVEN, "multi_task: {}", rest=rest)
    assert [cell.run.streams["source"].seed for cell in cells] == [3, 4]
    assert [cell.run.parent.seed for cell in cells] == [3, 4]


def test_without_labels_those_regimes_alone_are_planned_that_need_none(tmp_path):
    regimes = "{full_finetune: {}, joint_training: {}, source_only: {}, majority: {}}"
    cells = planned(tmp_path, NONE, regimes)
    assert {cell.regime for cell in cells} == {"joint_training", "source_only"}
    assert {cell.run.labels for cell in cells} == {"none"}
    assert {cell.run.fit.val_fraction for cell in cells} == {0.0}, "nothing could be validated"
    given = planned(tmp_path, GIVEN, regimes)
    assert {cell.regime for cell in given} == {"full_finetune", "joint_training", "majority"}


def test_ready_made_weights_learn_the_source_first_where_its_head_is_needed(tmp_path):
    sha = "0" * 64
    backbones = f"cnn: {{pretrained: {{file: w.pth, sha256: '{sha}'}}}}"
    cells = planned(tmp_path, NONE, "{source_only: {}, joint_training: {}}", backbones)
    starts = {cell.regime: cell.run.init for cell in cells}
    assert isinstance(starts["joint_training"], Weights)
    source = starts["source_only"]
    assert isinstance(source, Run) and isinstance(source.init, Weights)
    assert (source.regime.kind, source.domain.options["train_per_class"]) == ("full_finetune", 40)
    assert {cell.source for cell in cells} == {"w, clean"}


def test_domains_between_are_learnt_one_after_the_other(tmp_path):
    direct, by = planned(
        tmp_path,
        "{small_similar: {source: greek, target: shifted, per_class: 5}, by: {source: greek, via: "
        "[weights_of, clean], target: shifted, per_class: 5, size: small, similarity: similar}}",
        "linear_probe: {}",
    )[::2]
    chain = [run.domain.kind for run in by.run.ancestors]
    assert chain == ["latin", "cyrillic", "greek"]
    assert [*by.run.ancestors][-1].id == direct.run.parent.id, "they begin with the same source run"
    assert [run.regime.kind for run in by.run.ancestors][:2] == ["full_finetune"] * 2
    assert (direct.source, by.source) == ("greek", "greek → weights_of → clean")
    order = [*runs_of([by])]
    assert order == [run.id for run in reversed([*by.run.ancestors])] + [by.run.id]


def test_a_target_that_is_its_own_source_has_learnt_from_no_validation_image(tmp_path):
    cells = planned(
        tmp_path,
        "{small_similar: {control: self, target: shifted, per_class: 5}}",
        "full_finetune: {}",
    )
    for cell in cells:
        run, source = cell.run, cell.run.parent
        assert source.domain == run.domain and source.subset_seed == run.seed
        assert source.seed != run.seed, "or stages that are drawn anew would be those it had"
        assert (source.per_class, source.fit.val_fraction) == (run.per_class, run.fit.val_fraction)
        assert source.fit.epochs == 2, "its budget is that of source runs"


def test_a_teacher_is_the_arm_of_the_same_scenario_and_seed(tmp_path):
    regimes = "{linear_probe: {}, distillation: {teacher: {backbone: mlp, regime: linear_probe}}}"
    cells = planned(tmp_path, GIVEN, regimes, "{cnn: {}, mlp: {}}")
    arms = {(cell.backbone, cell.regime, cell.seed): cell.run for cell in cells}
    for seed in (3, 4):
        student = arms["cnn", "distillation", seed]
        assert student.starts["teacher"] == arms["mlp", "linear_probe", seed]
        assert student.starts["teacher"].id in {run.id for run in student.parents}


def test_several_sources_are_streams_of_their_own(tmp_path):
    scenario = GIVEN.replace("source: clean", "source: clean, sources: [greek]")
    experiment = load_experiment(written(tmp_path, scenario, "full_finetune: {}")).experiment
    assert [*streams_of(experiment, "small_similar", "full_finetune", 3)] == []
    cells = planned(tmp_path, scenario, "multi_task: {}")
    assert [*cells[0].run.streams] == ["source"], "it sees one of them"


NO_SOURCE = "small_similar: {target: shifted, per_class: 5}"
TEACHER = "distillation: {teacher: {backbone: %s, regime: %s}}"


@pytest.mark.parametrize(
    ("scenario", "regimes", "told"),
    [
        (NO_SOURCE, "multi_task: {}", "is without a source, whose images multi_task sees"),
        (NONE, "full_finetune: {}", "no regime is planned here: each needs labels of the target"),
        (GIVEN, "source_only: {}", "no regime is planned here: each is for targets without labels"),
        (
            NONE,
            "joint_training: {tune: {lr: [0.1, 0.2]}}",
            "joint_training has trials, but without labels nothing says which is the best",
        ),
        (GIVEN, "distillation: {}", "teacher: is missing: write teacher: {backbone: "),
        (GIVEN, TEACHER % ("cmn", "majority"), "no backbone 'cmn' here; did you mean 'cnn'?"),
        (GIVEN, TEACHER % ("cnn", "probe"), "no regime 'probe' here"),
        (GIVEN, TEACHER % ("cnn", "distillation"), "distillation has a teacher itself"),
        (
            GIVEN,
            "full_finetune: {teacher: {backbone: cnn, regime: full_finetune}}",
            "full_finetune has no teacher",
        ),
        (
            "small_similar: {control: self, target: shifted, per_class: 5}",
            "multi_task: {}",
            "its own images are the source, so that multi_task has nothing else to see",
        ),
        (
            GIVEN.replace("target", "via: [shifted], target"),
            "full_finetune: {}",
            "via.0: shifted holds images that are the scenario's already",
        ),
        (
            "small_similar: {source: shifted, target: shifted, per_class: 5}",
            "full_finetune: {}",
            "nothing is transferred (control: self says that this is meant)",
        ),
        (
            "small_similar: {sources: [greek], target: shifted, per_class: 5}",
            "from_scratch: {}",
            "`sources` are those that come beside it",
        ),
    ],
)
def test_what_cannot_be_had_is_refused_before_any_training(tmp_path, scenario, regimes, told):
    assert told in refusal(tmp_path, scenario, regimes)


def test_a_source_run_must_learn_from_images_alone(tmp_path):
    rest = REST.replace("epochs: 2", "epochs: 2, regime: multi_task")
    told = refusal(tmp_path, GIVEN, "full_finetune: {}", rest=rest)
    assert "pretrain.regime: multi_task learns nothing from a source's images alone" in told


def test_each_backbone_may_be_pretrained_by_a_regime_of_its_own(tmp_path):
    backbones = "{cnn: {}, turned: {kind: cnn, pretrained: {run: rotation}}}"
    cells = planned(tmp_path, GIVEN, "{linear_probe: {}, from_scratch: {}}", backbones)
    found = {(cell.backbone, cell.regime): cell.run for cell in cells if cell.seed == 3}
    assert {backbone for backbone, _ in found} == {"cnn", "cnn(pretrained=rotation)"}
    turned = found["cnn(pretrained=rotation)", "linear_probe"]
    assert turned.parent.regime.kind == "rotation" and turned.backbone.canonical == (
        found["cnn", "linear_probe"].backbone.canonical
    )
    scratch = {run.id for (_, regime), run in found.items() if regime == "from_scratch"}
    assert len(scratch) == 1, "what starts from nothing is the same run"


@pytest.mark.parametrize(
    ("regimes", "backbones", "told"),
    [
        ("rotation: {}", "cnn: {}", "rotation learns no classes: write pretrain: {regime: rotat"),
        (
            "linear_probe: {}",
            "cnn: {pretrained: {run: rotate}}",
            "pretrained.run: no regime named 'rotate'; did you mean 'rotation'?",
        ),
    ],
)
def test_pretexts_are_for_source_runs(tmp_path, regimes, backbones, told):
    assert told in refusal(tmp_path, GIVEN, regimes, backbones)


def test_a_regime_may_be_meant_for_some_scenarios(tmp_path):
    scenarios = "{small_similar: {source: clean, target: shifted, per_class: 5}, large_similar: "
    scenarios += "{source: clean, target: shifted, per_class: 9}}"
    regimes = "{full_finetune: {}, linear_probe: {scenarios: [large_similar]}}"
    cells = planned(tmp_path, scenarios, regimes)
    found = {(cell.scenario, cell.regime) for cell in cells}
    assert ("large_similar", "linear_probe") in found and len(found) == 3
    wrong = regimes.replace("[large_similar]", "[large_similar, lareg_similar]")
    told = refusal(tmp_path, scenarios, wrong)
    assert "no scenario 'lareg_similar' here; did you mean 'large_similar'" in told


def test_a_scenario_may_have_the_name_of_a_domain(tmp_path):
    """What others start from is not its own source run, in whichever order they are planned."""
    itself = "greek: {control: self, target: greek, per_class: 5, size: small, similarity: similar}"
    other = "small_similar: {source: greek, target: shifted, per_class: 5}"
    starts = []
    for scenarios in (f"{{{itself}, {other}}}", f"{{{other}, {itself}}}"):
        cells = planned(tmp_path, scenarios, "full_finetune: {}")
        starts.append({cell.scenario: cell.run.parent.id for cell in cells if cell.seed == 3})
    assert starts[0] == starts[1] and len({*starts[0].values()}) == 2


ROTATED = "cnn: {pretrained: {run: rotation}}"
TUNED = "{lr: [0.001, 0.01]}"


@pytest.mark.parametrize(
    ("scenario", "regimes", "backbones", "rest", "told"),
    [
        (NONE, "source_only: {}", ROTATED, "", "learns no classes, and source_only goes by the so"),
        (
            "small_similar: {control: self, labels: none, target: shifted, per_class: 5}",
            "joint_training: {}",
            "cnn: {}",
            "",
            "control: self learns the target's labels; leave labels out",
        ),
        (
            f"{{{GIVEN}, other: {{source: greek, target: shifted, per_class: 5, size: small, "
            "similarity: dissimilar}}",
            "{distillation: {teacher: {backbone: cnn, regime: linear_probe}}, "
            "linear_probe: {scenarios: [other]}}",
            "cnn: {}",
            "",
            "linear_probe is not planned in small_similar, where it teaches",
        ),
        (
            GIVEN,
            f"{{distillation: {{tune: {TUNED}, teacher: {{backbone: cnn, regime: linear_probe}}}}, "
            f"linear_probe: {{tune: {TUNED}}}}}",
            "cnn: {}",
            "",
            "linear_probe has trials and so has learnt in the end from the validation images too",
        ),
        (
            GIVEN,
            "{distillation: {teacher: {backbone: cnn, regime: adapters}}, adapters: {}}",
            "cnn: {}",
            "",
            "leaves layers or a head that are not the backbone's",
        ),
        (
            GIVEN,
            "{distillation: {teacher: {backbone: cnn, regime: majority}}, majority: {}}",
            "cnn: {}",
            "",
            "majority is a control and teaches nothing",
        ),
        (
            NONE,
            "joint_training: {}",
            "cnn: {}",
            "budgets: {patient: {patience: 2}}",
            "budgets.patient.patience: it watches labels of validation images, and small_similar",
        ),
        (
            "small_similar: {control: self, target: shifted, per_class: 8}",
            "full_finetune: {}",
            "cnn: {}",
            "budgets: {other: {val_fraction: 0.5}}",
            "budgets with other val_fractions would validate on what its source run learnt",
        ),
        (
            GIVEN,
            "linear_probe: {}",
            "cnn: {pretrained: {run: l2_sp}}",
            "",
            "l2_sp goes on from weights, and backbones here start from none",
        ),
        (
            GIVEN.replace("target", "sources: [greek, greek], target"),
            "full_finetune: {}",
            "cnn: {}",
            "",
            "sources.1: greek holds images that are the scenario's already",
        ),
        (
            GIVEN.replace("target", "via: [the_same], target"),
            "full_finetune: {}",
            "cnn: {}",
            "# the target under another name",
            "via.0: the_same holds images that are the scenario's already",
        ),
    ],
)
def test_what_would_go_wrong_without_a_word_is_refused(
    tmp_path, scenario, regimes, backbones, rest, told, monkeypatch
):
    twin = "  the_same: {kind: latin, letters: ABCD, train_per_class: 41}\n"
    monkeypatch.setattr("tests.experiment.test_seen.DOMAINS", DOMAINS + twin)
    assert told in refusal(tmp_path, scenario, regimes, backbones, REST + rest)
