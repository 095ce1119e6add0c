"""What must hold for every registered regime, present and future."""

from __future__ import annotations

import copy

import lightning as L
import pytest
import torch

from tests.toys import Blocks, Leaky, drawn
from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.weights import load_stages, save_weights
from transfer_lab.experiment.catalog import BACKBONES, REGIMES
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes.base import TransferModule
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.regimes.partial_finetune import PartialFinetune
from transfer_lab.training.fit import FitResult, fit_and_test, phase_epochs
from transfer_lab.training.heads import learns_linear_head_alone
from transfer_lab.training.loop import ChunkedLoop, LightningLoop, loop_of

NEEDED = {"partial_finetune": {"k": 2}}
LEARNERS = [name for name in REGIMES if name != "majority"]
BUDGET = Fit(epochs=4, batch_size=8)


def build(name: str, backbone: Backbone | None = None, seed: int = 0, **options) -> TransferModule:
    torch.manual_seed(seed)
    backbone = backbone or Leaky()
    torch.manual_seed(seed + 1)
    regime = REGIMES.load(name)(backbone, 4, **NEEDED.get(name, {}) | options)
    torch.manual_seed(seed + 2)
    return regime


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def changed(before: dict[str, torch.Tensor], module: torch.nn.Module) -> set[str]:
    return {k for k, v in module.state_dict().items() if not torch.equal(v, before[k])}


class Watch:
    """What a regime's frozen stages and its optimiser are like before and after each forward pass
    of training; it overrides no hook, so that the regime is trained as it would be unwatched."""

    def __init__(self, regime: TransferModule):
        self.regime, self.looks = regime, 0
        self.faults: set[str] = set()
        self._step = regime.training_step
        regime.training_step = self._watched

    def _watched(self, batch, index):
        self._look()
        loss = self._step(batch, index)
        self._look()
        self.looks += 1
        return loss

    def _look(self):
        frozen = [self.regime.backbone.stages[i] for i in self.regime.phase.frozen]
        if any(module.training for stage in frozen for module in stage.modules()):
            self.faults.add("a frozen stage is in training mode")
        if any(p.requires_grad or p.grad is not None for s in frozen for p in s.parameters()):
            self.faults.add("a frozen parameter has a gradient")
        (optimizer,) = self.regime.trainer.optimizers
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if held != {id(p) for p in self.regime.parameters() if p.requires_grad}:
            self.faults.add("the optimiser does not hold exactly what learns")


def driven(regime: TransferModule, loop: type) -> TransferModule:
    """The same regime, with an idle hook if it is to be trained by Lightning's own loop."""
    if loop is LightningLoop:
        regime.on_train_batch_start = lambda batch, index: None
    assert loop_of(regime) is loop
    return regime


@pytest.mark.parametrize("reuse_prefix", [True, False], ids=["prefix computed once", "live"])
@pytest.mark.parametrize("name", LEARNERS)
def test_after_a_fit_frozen_state_is_bit_identical_and_everything_else_has_changed(
    name, reuse_prefix
):
    regime = build(name)
    phases = []
    begin = regime.begin

    def noted(phase, *, entry):
        begin(phase, entry=entry)
        phases.append((phase, state(regime.backbone.stages), state(regime.head)))

    regime.begin = noted
    initial = state(regime.backbone.stages)
    fit_and_test(regime, drawn(), BUDGET, reuse_prefix=reuse_prefix)
    before_any_step = phases[0][1]
    assert all(torch.equal(value, before_any_step[key]) for key, value in initial.items())
    after = [(s, h) for _, s, h in phases[1:]] + [
        (state(regime.backbone.stages), state(regime.head))
    ]
    assert phases
    for (phase, stages, head), (stages_after, head_after) in zip(phases, after, strict=True):
        for key, value in stages.items():
            same = torch.equal(value, stages_after[key])
            assert same == (int(key.partition(".")[0]) in phase.frozen), key
        assert not any(torch.equal(head[key], head_after[key]) for key in head)


@pytest.mark.parametrize("loop", [ChunkedLoop, LightningLoop])
@pytest.mark.parametrize("reuse_prefix", [True, False], ids=["prefix computed once", "live"])
@pytest.mark.parametrize("name", list(REGIMES))
def test_frozen_stages_are_in_eval_mode_and_out_of_the_optimiser_at_every_step(
    name, reuse_prefix, loop
):
    watch = Watch(driven(build(name), loop))
    result = fit_and_test(watch.regime, drawn(), BUDGET, reuse_prefix=reuse_prefix)
    steps = BUDGET.epochs * 6 if REGIMES[name].spends_budget else 0
    assert watch.looks == result.curve.last.get("steps", 0) == steps
    assert not watch.faults


@pytest.mark.parametrize("name", LEARNERS)
def test_every_regime_ends_alike_in_both_loops(name):
    ends = []
    for loop in (ChunkedLoop, LightningLoop):
        regime = driven(build(name), loop)
        result = fit_and_test(regime, drawn(), BUDGET)
        rows = [row | {"fit_seconds": 0} for row in result.curve.rows]
        ends.append((regime.state_dict(), torch.cat(regime.test_outputs), rows))
    (fast, answers, rows), (slow, *same) = ends
    assert all(torch.equal(value, slow[key]) for key, value in fast.items())
    assert torch.equal(answers, same[0]) and rows == same[1]


@pytest.mark.parametrize("name", LEARNERS)
def test_the_registry_says_whether_a_regime_starts_from_the_source(name):
    assert REGIMES[name].from_source == (build(name).transferred > 0)


@pytest.mark.parametrize("name", LEARNERS)
def test_the_registry_says_of_which_regimes_a_linear_head_is_all_that_learns(name):
    assert REGIMES[name].head_alone == learns_linear_head_alone(build(name))


@pytest.mark.parametrize("name", [n for n in LEARNERS if REGIMES[n].from_source])
def test_transferred_tensors_equal_the_sources_bit_for_bit_at_step_0(name, tmp_path):
    torch.manual_seed(99)
    source = Leaky()
    source(torch.randint(0, 255, (8, 3, 12, 12), dtype=torch.uint8))  # moves the running statistics
    digest = save_weights(source, tmp_path / "weights.safetensors")
    for options in ({}, {"reinit": True}) if name == "partial_finetune" else ({},):
        regime = build(name, **options)
        own = state(regime.backbone.stages)
        load_stages(regime.backbone, regime.transferred, tmp_path / "weights.safetensors", digest)
        for key, value in regime.backbone.stages.state_dict().items():
            inherited = int(key.partition(".")[0]) < regime.transferred
            reference = source.stages.state_dict() if inherited else own
            assert torch.equal(value, reference[key]), key


def test_reinitialised_stages_differ_from_the_sources():
    regime = build("partial_finetune", k=1, reinit=True)
    torch.manual_seed(99)
    source = Leaky()
    assert regime.transferred == 1
    assert not torch.equal(regime.backbone.stages[1][0].weight, source.stages[1][0].weight)


def trained(cls, **options) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    backbone = Leaky()
    torch.manual_seed(4)
    regime = cls(backbone, 4, **options)
    torch.manual_seed(5)
    fit_and_test(regime, drawn(), BUDGET)
    return regime.state_dict()


def test_partial_finetune_with_nothing_frozen_is_full_finetune():
    partial, full = trained(PartialFinetune, k=0), trained(FullFinetune)
    assert all(torch.equal(partial[key], full[key]) for key in full)


def test_partial_finetune_with_everything_frozen_is_a_linear_probe():
    partial = trained(PartialFinetune, k=3, lr=0.01)
    probe = trained(REGIMES.load("linear_probe"), lr=0.01)
    assert all(torch.equal(partial[key], probe[key]) for key in probe)


def test_full_finetune_at_one_rate_takes_the_steps_of_from_scratch():
    """They differ in where they start and in nothing else: same batches, same order."""
    scratch, full = trained(FromScratch, lr=0.01), trained(FullFinetune, lr=0.01, backbone_lr=0.01)
    assert all(torch.equal(scratch[key], full[key]) for key in full)


@pytest.mark.parametrize("name", LEARNERS)
def test_every_regime_learns_a_separable_toy(name):
    result = FitResult()
    regime = build(name, lr=0.02)
    domain = drawn(Blocks(), per_class=24)
    result = fit_and_test(regime, domain, Fit(epochs=25, batch_size=8))
    rows = result.curve.rows
    assert accuracy(regime, domain) > 0.95
    assert rows[-1]["train_loss"] < 0.5 * rows[0]["train_loss"]


@pytest.mark.parametrize("name", LEARNERS)
def test_shuffled_labels_give_chance(name):
    """A leak of the test set, or of labels into inputs, would show as more."""
    regime = build(name, lr=0.02)
    domain = drawn(Blocks(shuffled=True, test_per_class=200), per_class=24)
    fit_and_test(regime, domain, Fit(epochs=6, batch_size=8))
    assert abs(accuracy(regime, domain) - 0.25) < 0.08


def accuracy(regime: TransferModule, domain: Blocks) -> float:
    predicted = torch.cat(regime.test_outputs).argmax(1)
    return (predicted == domain.section_labels("test")).float().mean().item()


def test_majority_answers_the_most_frequent_class_of_the_training_labels():
    regime = build("majority")
    domain = drawn()
    labels = domain.labels("train").copy()
    labels[:] = np_labels = [1] * 60 + [0] * 20 + [2] * 10 + [3] * 6
    domain.labels = lambda part: labels if part == "train" else Blocks().labels("test")
    domain.draw(per_class="all", val_fraction=0, batch_size=8, seed=0)
    result = fit_and_test(regime, domain, BUDGET)
    logits = torch.cat(regime.test_outputs)
    assert logits.argmax(1).unique().tolist() == [1]
    assert logits.softmax(1)[0].tolist() == pytest.approx(
        [np_labels.count(label) / 96 for label in range(4)]
    )
    assert result.curve.rows == []


@pytest.mark.parametrize("name", list(REGIMES))
def test_the_same_seed_gives_the_same_result(name):
    outputs = []
    for _ in range(2):
        regime = build(name, seed=11)
        fit_and_test(regime, drawn(), BUDGET)
        outputs.append(torch.cat(regime.test_outputs))
    assert torch.equal(*outputs)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_probe_of_a_stage_learns_on_its_averaged_output_and_leaves_the_rest_out(stage):
    torch.manual_seed(0)
    whole = Leaky().eval()
    shortened = copy.deepcopy(whole)
    shortened.image_size = 12
    probe = LinearProbe(shortened, 4, stage=stage).eval()
    assert probe.transferred == stage
    images = torch.randint(0, 256, (5, 3, 12, 12), dtype=torch.uint8)
    outputs = whole(images, stop=stage)
    expected = outputs.mean((2, 3)) if outputs.dim() == 4 else outputs
    torch.testing.assert_close(probe.backbone(images), expected)
    assert probe.head.in_features == expected.shape[1]
    found = fit_and_test(probe, drawn(), Fit(epochs=2, batch_size=8))
    assert found.trainable_params == 4 * (expected.shape[1] + 1)


@pytest.mark.parametrize("stage", [0, 4])
def test_a_stage_that_is_not_there_cannot_be_probed(stage):
    with pytest.raises(ValueError, match="stage must be 1 to 3"):
        LinearProbe(Leaky(), 4, stage=stage)


SMALL = {
    "mlp": {"width": 8},
    "mlp_published": {"width": 8},
    "cnn": {"filters": 4},
    "cnn_published": {"filters": 4},
    "vgg16": {"width": 0.03, "top": "pooled"},
    "torchvision": {"name": "mobilenet_v3_small"},
    "timm": {"name": "test_resnet"},
}


@pytest.mark.parametrize("backbone", list(BACKBONES))
@pytest.mark.parametrize("name", LEARNERS)
def test_every_backbone_trains_in_every_regime(name, backbone):
    torch.manual_seed(0)
    network = BACKBONES.load(backbone)(12, **SMALL.get(backbone, {}))
    regime = build(name, network)
    before = copy.deepcopy(state(regime.backbone.stages))
    fit_and_test(regime, drawn(), Fit(epochs=2, batch_size=32))
    frozen = set(regime.phases()[-1].frozen)
    moved = {int(key.partition(".")[0]) for key in changed(before, regime.backbone.stages)}
    learning = set(range(len(network.stages))) - frozen
    assert moved == learning


@pytest.mark.parametrize("name", LEARNERS)
def test_the_phases_share_out_the_whole_budget(name):
    phases = build(name).phases()
    assert sum(phase.share for phase in phases) == pytest.approx(1)
    for epochs in range(len(phases), 30):
        assert sum(share for _, share in phase_epochs(phases, epochs)) == epochs


def test_inputs_may_not_skip_a_stage_that_learns():
    regime = build("partial_finetune", k=1)
    (phase,) = regime.phases()
    with pytest.raises(ValueError, match="only 1 are frozen"):
        regime.begin(phase, entry=2)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_regime_is_a_lightning_module_that_documents_itself(name):
    cls = REGIMES.load(name)
    assert issubclass(cls, L.LightningModule)
    assert cls.__doc__


def test_the_backbone_learns_at_its_own_rate():
    regime = build("full_finetune", lr=0.01, backbone_lr=0.001)
    (phase,) = regime.phases()
    assert (phase.lr, phase.backbone_lr) == (0.01, 0.001)
    default = build("full_finetune")
    assert default.backbone_lr < default.lr
