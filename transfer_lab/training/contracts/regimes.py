"""What must hold for every regime: what is frozen stays so, what learns learns, nothing leaks."""

from __future__ import annotations

import contextlib
import tempfile
from itertools import product
from pathlib import Path

import lightning as L
import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.weights import load_stages, save_weights
from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import BACKBONES, REGIMES, RegimeEntry
from transfer_lab.experiment.declared import FACTS
from transfer_lab.regimes.base import (
    Phase,
    TransferModule,
    UnsuitableBackboneError,
    check_stages,
)
from transfer_lab.training.claims import observed
from transfer_lab.training.contracts.cases import (
    Check,
    State,
    arguments,
    changed,
    demand,
    options_of,
    stage_of,
    state,
)
from transfer_lab.training.contracts.regime_case import (
    BUDGET,
    Begun,
    RegimeCase,
    Watch,
)
from transfer_lab.training.contracts.seeing import (
    frozen_stages_are_as_they_were_after_solving,
    it_does_not_collapse_at_ten_times_its_weight,
    its_own_task_is_learnt,
    labels_that_are_not_its_to_see_are_hidden,
    no_label_is_read,
)
from transfer_lab.training.contracts.surroundings import surround
from transfer_lab.training.contracts.toys import Blocks, Leaky
from transfer_lab.training.fit import fit_and_test, phase_epochs
from transfer_lab.training.loop import LightningLoop, Loop, loop_of

_KNOWN = 1e-3
"""A loss below which nothing is left to learn: a source's model may know the toy from the start."""
_QUICK: dict[str, dict[str, object]] = {
    "mlp": {"width": 8},
    "mlp_published": {"width": 8},
    "cnn": {"filters": 4},
    "cnn_published": {"filters": 4},
    "vgg16": {"width": 0.03, "top": "pooled"},
    "minilm": {"layers": 2, "width": 32},
    "tfidf": {"features": 64},
    "torchvision": {"name": "mobilenet_v3_small"},
    "timm": {"name": "test_resnet"},
}
"""Options that make a backbone small; one without an entry is trained as it comes."""


def _loops(case: RegimeCase) -> tuple[type[Loop], ...]:
    """Those that can train it: one with hooks of its own needs Lightning's."""
    own = loop_of(case.build())
    return (own,) if own is LightningLoop else (own, LightningLoop)


def _driven(regime: TransferModule, loop: type[Loop]) -> TransferModule:
    """The same regime, with an idle hook if it is to be trained by Lightning's own loop."""
    if loop_of(regime) is not loop:
        regime.on_train_batch_start = lambda batch, index: None
    return regime


def it_is_a_lightning_module_that_documents_itself(case: RegimeCase) -> None:
    """Its docstring is what people read of it."""
    demand(issubclass(case.cls, L.LightningModule), "it is no LightningModule")
    demand(issubclass(case.cls, TransferModule), "it does not derive from TransferModule")
    demand((case.cls.__doc__ or "").strip(), "it has no docstring")


def what_is_said_of_it_is_so(case: RegimeCase) -> None:
    """Plan and report go by it."""
    regime = case.build()
    found = observed(regime)
    for fact in ("from_source", "spends_budget", "head_alone", "solves", "pretext"):
        said, is_so = getattr(case.entry, fact), getattr(found, fact)
        demand(said == is_so, f"{fact} is {said}, but should be {is_so}")
    for fact in FACTS:
        seen = getattr(case.cls, fact, getattr(case.entry, fact))
        demand(seen == getattr(case.entry, fact), f"{fact} must be written in the class itself")


def its_stages_are_those_of_the_backbone(case: RegimeCase) -> None:
    """Of what is frozen, and of what is transferred."""
    regime = case.build()
    check_stages(regime, regime.phases())


def the_same_seed_gives_the_same_result(case: RegimeCase) -> None:
    """To the last bit."""
    outputs = []
    for _ in range(2):
        regime = case.build(seed=11)
        fit_and_test(regime, case.drawn(), BUDGET)
        outputs.append(torch.cat(regime.test_outputs))
    demand(torch.equal(*outputs), "two fits with one seed answer differently")


def its_phases_share_out_the_whole_budget(case: RegimeCase) -> None:
    """However many epochs there are."""
    phases = case.build().phases()
    total = sum(phase.share for phase in phases)
    demand(abs(total - 1) < 1e-6, f"the shares of its phases add up to {total}, not to 1")
    for epochs in range(len(phases), 30):
        spent = sum(share for _, share in phase_epochs(phases, epochs))
        demand(spent == epochs, f"of {epochs} epochs it spends {spent}")


def frozen_state_is_bit_identical_after_a_fit_and_the_rest_has_changed(case: RegimeCase) -> None:
    """With the frozen prefix computed once and live, parameters and buffers, phase by phase."""
    for reuse_prefix in (True, False):
        regime = case.build()
        seen: list[Begun] = []
        begin, initial = regime.begin, state(regime.backbone.stages)

        def noted(phase: Phase, *, begin=begin, regime=regime, seen=seen, **more: object) -> None:
            begin(phase, **more)
            seen.append(Begun.of(phase, regime))

        regime.begin = noted
        fit_and_test(regime, case.drawn(), BUDGET, reuse_prefix=reuse_prefix)
        demand(seen, "no phase was begun")
        at_start = [k for k, v in initial.items() if not torch.equal(v, seen[0].stages[k])]
        demand(not at_start, f"before the first step, these have changed: {at_start}")
        ends = [*seen[1:], Begun.of(None, regime)]
        for begun, ended in zip(seen, ends, strict=True):
            for key, value in begun.stages.items():
                frozen = begun.is_frozen(key)
                if frozen is not None:
                    told = "frozen, but has changed" if frozen else "not frozen, but not changed"
                    same = torch.equal(value, ended.stages[key])
                    demand(same == frozen, f"stage tensor {key} is {told}")
            for key, value in begun.head.items():
                learns, same = key in begun.head_learns, torch.equal(value, ended.head[key])
                told = "learns, but has not changed" if learns else "is kept, but has changed"
                demand(same != learns, f"the head's {key} {told}")


def frozen_stages_are_in_eval_mode_and_out_of_the_optimiser_at_every_step(
    case: RegimeCase,
) -> None:
    """In both loops, with the frozen prefix computed once and live."""
    for loop, reuse_prefix in product(_loops(case), (True, False)):
        watch = Watch(_driven(case.build(), loop))
        result = fit_and_test(watch.regime, case.drawn(), BUDGET, reuse_prefix=reuse_prefix)
        steps = result.curve.last["steps"]
        demand(watch.looks == steps > 0, f"{watch.looks} steps were seen of {steps}")
        demand(not watch.faults, "; ".join(watch.faults))


def it_ends_alike_in_both_loops(case: RegimeCase) -> None:
    """The fast one is for time alone; nothing to compare where a hook needs Lightning's own."""
    ends = []
    for loop in _loops(case):
        regime = _driven(case.build(), loop)
        result = fit_and_test(regime, case.drawn(), BUDGET)
        rows = [row | {"fit_seconds": 0} for row in result.curve.rows]
        ends.append((state(regime), torch.cat(regime.test_outputs), rows))
    (first, answers, rows), (last, others, other_rows) = ends[0], ends[-1]
    other = [key for key in first if not torch.equal(first[key], last[key])]
    demand(not other, f"in the fast loop these end otherwise than in Lightning's: {other}")
    demand(torch.equal(answers, others), "the answers differ")
    demand(rows == other_rows, "the curves differ")


def switched_off_it_is_its_twin(case: RegimeCase) -> None:
    """To the last bit: what is ahead of the twin is then the method, and nothing beside it."""
    off = case.entry.off
    if off is None or not off.options or REGIMES.load(off.twin) is case.cls:
        return
    ends: list[tuple[State, torch.Tensor]] = []
    start: State = {}
    for cls, options in ((case.cls, dict(off.options)), (REGIMES.load(off.twin), {})):
        one = RegimeCase(cls)
        regime = one.build(seed=7, **options)
        # Where the method needs a source's head, its stages are those of the source's model.
        start = start or state(regime.backbone.stages)
        regime.backbone.stages.load_state_dict(start)
        fit_and_test(regime, one.drawn(), BUDGET)
        ends.append((state(regime), torch.cat(regime.test_outputs)))
    (own, answers), (twin, others) = ends
    other = [key for key in twin if not torch.equal(own[key], twin[key])]
    demand(not other, f"with {dict(off.options)} it is not {off.twin}: {other}")
    demand(torch.equal(answers, others), f"with {dict(off.options)} it answers unlike {off.twin}")


def it_learns_a_separable_toy(case: RegimeCase) -> None:
    """Four classes that a linear classifier of pixels tells apart."""
    regime, epochs = case.learner()
    domain = case.drawn(Blocks(), per_class=24)
    rows = fit_and_test(regime, domain, Fit(epochs=epochs, batch_size=8)).curve.rows
    right = _accuracy(regime, domain)
    demand(right > 0.95, f"after {epochs} epochs it answers {right:.0%} of the toy's test rightly")
    if case.entry.target_labels == "unread" or case.entry.solves:
        return  # its loss is no cross-entropy of what it was shown, or there is but one
    first, last = rows[0]["train_loss"], rows[-1]["train_loss"]
    enough = max(0.5 * first, _KNOWN) if case.entry.source_head else 0.5 * (first or 0)
    demand(
        None in (first, last) or last < enough,
        f"its training loss is {last} after the fit, {first} before",
    )


def shuffled_labels_give_chance(case: RegimeCase) -> None:
    """A leak of the test set, or of labels into inputs, would show as more."""
    regime, _ = case.learner()
    domain = case.drawn(Blocks(shuffled=True, test_per_class=200), per_class=24)
    fit_and_test(regime, domain, Fit(epochs=6, batch_size=8))
    right = _accuracy(regime, domain)
    demand(abs(right - 0.25) < 0.08, f"it answers {right:.0%} of shuffled labels; chance is 25 %")


def its_dropout_drops_in_training_and_nowhere_else(case: RegimeCase) -> None:
    """Where it has an option of that name: a layer that is built and not added drops nothing."""
    if "dropout" not in options_of(case.cls):
        return
    outputs = {}
    for share, training in product((0.0, 0.5), (True, False)):
        regime = case.build(dropout=share).train(training)
        images = torch.from_numpy(Blocks().make_images("test"))
        torch.manual_seed(3)
        outputs[share, training] = regime(images)
    dropped = not torch.equal(outputs[0.0, True], outputs[0.5, True])
    demand(dropped, "with dropout=0.5 it answers in training what it does with dropout=0.0")
    same = torch.equal(outputs[0.0, False], outputs[0.5, False])
    demand(same, "with dropout=0.5 it answers in eval mode otherwise than with dropout=0.0")


def transferred_tensors_equal_the_sources_bit_for_bit_at_step_0(case: RegimeCase) -> None:
    """And those that are not transferred are as they were drawn; when they have been loaded, and
    when the first step is taken."""
    torch.manual_seed(99)
    source = Leaky()
    source(torch.randint(0, 255, (8, 3, 12, 12), dtype=torch.uint8))  # moves running statistics
    regime = case.build(started=False)
    own, theirs = state(regime.backbone.stages), source.stages.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        load_stages(regime.backbone, regime.transferred_stages, path, save_weights(source, path))
    found = state(regime.backbone.stages)
    surround(regime, case.entry, started=False)
    watch = Watch(regime)
    fit_and_test(regime, case.drawn(), BUDGET)
    for when, tensors in (("", found), (" when the first step is taken", watch.first)):
        # What a method puts around a layer has other names.
        for key in tensors.keys() & own.keys():
            expected = theirs if stage_of(key) in regime.transferred_stages else own
            demand(torch.equal(tensors[key], expected[key]), f"stage tensor {key} is another{when}")


def small_backbones_train_in_it(case: RegimeCase) -> None:
    """On a few of the lab's own, of other depths than the toy's; those that it refuses for what
    they lack it need not train on."""
    for name in ("mlp", "cnn", "vgg16"):
        with contextlib.suppress(UnsuitableBackboneError):
            trains_on(case, name)


def trains_on(case: RegimeCase, backbone: str) -> None:
    """The stages of a registered backbone move where some phase lets them, and nowhere else; raises
    UnsuitableBackboneError where the regime refuses the backbone."""
    cls = BACKBONES.load(backbone)
    torch.manual_seed(0)
    network = cls(12, **arguments(cls, _QUICK.get(backbone, {})))
    network.image_size = 12
    moves_what_learns(case, network, backbone)


def moves_what_learns(case: RegimeCase, network: Backbone, name: str) -> None:
    """The same for a backbone that is built."""
    regime = case.build(network)
    before = state(regime.backbone.stages)
    fit_and_test(regime, case.drawn(Blocks(network.image_size)), Fit(epochs=2, batch_size=32))
    moved = {stage_of(key) for key in changed(before, regime.backbone.stages)}
    always = set.intersection(*(set(phase.frozen) for phase in regime.phases()))
    learning = set(range(len(regime.backbone.stages))) - always
    demand(moved == learning, f"on {name}: stages {moved} have moved, {learning} were to learn")


ALWAYS: tuple[Check, ...] = (
    it_is_a_lightning_module_that_documents_itself,
    what_is_said_of_it_is_so,
    its_stages_are_those_of_the_backbone,
    the_same_seed_gives_the_same_result,
    its_dropout_drops_in_training_and_nowhere_else,
)
LEARNING: tuple[Check, ...] = (
    its_phases_share_out_the_whole_budget,
    frozen_state_is_bit_identical_after_a_fit_and_the_rest_has_changed,
    frozen_stages_are_in_eval_mode_and_out_of_the_optimiser_at_every_step,
    it_ends_alike_in_both_loops,
    switched_off_it_is_its_twin,
    it_learns_a_separable_toy,
    shuffled_labels_give_chance,
)
SOLVED: tuple[Check, ...] = (
    frozen_stages_are_as_they_were_after_solving,
    labels_that_are_not_its_to_see_are_hidden,
    switched_off_it_is_its_twin,
    it_learns_a_separable_toy,
    shuffled_labels_give_chance,
)
PRETEXT: tuple[Check, ...] = (
    its_phases_share_out_the_whole_budget,
    frozen_state_is_bit_identical_after_a_fit_and_the_rest_has_changed,
    frozen_stages_are_in_eval_mode_and_out_of_the_optimiser_at_every_step,
    it_ends_alike_in_both_loops,
    no_label_is_read,
    its_own_task_is_learnt,
)
BESIDE: tuple[Check, ...] = (
    labels_that_are_not_its_to_see_are_hidden,
    it_does_not_collapse_at_ten_times_its_weight,
)
TRANSFERRING: tuple[Check, ...] = (transferred_tensors_equal_the_sources_bit_for_bit_at_step_0,)


def regime_checks(entry: RegimeEntry) -> tuple[Check, ...]:
    """Those that such a regime must keep, but for the backbones it trains on."""
    if entry.pretext:
        return (*ALWAYS, *PRETEXT)
    learning = LEARNING if entry.spends_budget else SOLVED if entry.solves else ()
    if entry.spends_budget and not entry.is_comparable:
        learning = (*learning, *BESIDE)
    return (*ALWAYS, *learning, *(TRANSFERRING if entry.from_source else ()))


def _accuracy(regime: TransferModule, domain: ImageDomain) -> float:
    predicted = torch.cat(regime.test_outputs).argmax(1)
    return (predicted == domain.section_labels("test")).float().mean().item()
