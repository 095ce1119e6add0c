"""What a run sees beside its target: the images that it names and no others, in its own order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.test_run import BACKBONES, SMALL, run
from transfer_lab.data.rendered import RenderedDomain
from transfer_lab.experiment.budget import Augment
from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.spec import Fit, Run, Stream
from transfer_lab.regimes.instances.joint_training import JointTraining
from transfer_lab.reporting.collect import curves_of
from transfer_lab.store.records import RecordStore
from transfer_lab.system.files import WeightsError
from transfer_lab.training.accompanied import Accompanied
from transfer_lab.training.building import build_domain, build_regime
from transfer_lab.training.run import Setting, train

LATIN = Choice(kind="latin", options=SMALL)
OTHER = Choice(kind="latin", options=SMALL | {"train_per_class": 11})
SOURCE_FIT = Fit(epochs=1, batch_size=8, val_fraction=0.3)


def source(**changes) -> Run:
    return run(**{"domain": LATIN, "fit": SOURCE_FIT, "per_class": 10, "seed": 0} | changes)


def stream(**changes) -> Stream:
    given = {"domain": LATIN, "per_class": 10, "val_fraction": 0.3, "seed": 0}
    return Stream(**given | changes)


def seeing(kind: str, **changes) -> Run:
    streams = {"source": stream()}
    given = {"domain": OTHER, "regime": Choice(kind=kind), "init": source(), "streams": streams}
    return run(**given | changes)


def stored(store: RecordStore, one: Run, **how):
    for parent in one.parents:
        if store.get(parent.id) is None:
            stored(store, parent, keep_weights=True)
    return train(one, store, Setting(precision="fp32"), **how)


def test_a_source_stream_has_the_source_runs_training_images_and_no_others():
    beside = build_domain(seeing("multi_task"), None).streams["source"]
    learnt = build_domain(source(), None)
    assert np.array_equal(beside.split.train, learnt.split.train)
    assert len(learnt.split.val) == 4 * 3
    shown = sum(len(labels) for _, labels in beside.train_dataloader())
    assert shown == len(learnt.split.train)


def test_the_order_of_a_stream_is_the_runs_and_its_images_are_not():
    one, other = (
        build_domain(seeing("multi_task", seed=s), None).streams["source"] for s in (3, 4)
    )
    assert np.array_equal(one.split.train, other.split.train)
    orders = [torch.cat([y for _, y in d.train_dataloader()]).tolist() for d in (one, other)]
    assert orders[0] != orders[1]


def test_streams_go_round_and_passes_over_the_target_are_whole():
    target = build_domain(seeing("multi_task"), None)
    both = Accompanied(
        target.train_dataloader(), {"source": target.streams["source"].train_dataloader()}
    )
    state = torch.get_rng_state()
    beside = [len(seen["source"][1]) for _ in range(5) for _, _, seen in both]
    images = len(target.streams["source"].split.train)
    assert both.seen == sum(beside) and len(beside) == 5 * len(both)
    assert both.seen > 3 * images
    per_pass = -(-images // 8)
    assert sum(beside[:per_pass]) == images, "a whole pass before it begins again"
    for _ in target.train_dataloader():
        pass
    drawn = torch.get_rng_state()
    torch.set_rng_state(state)
    for _ in range(6):
        for _ in target.train_dataloader():
            pass
    assert torch.equal(drawn, torch.get_rng_state()), "beginning a stream draws no number"


def test_what_is_frozen_gives_the_streams_outputs_once_too(tmp_path):
    cnn = BACKBONES[1]
    store = RecordStore(tmp_path)
    one = seeing("joint_training", backbone=cnn, init=source(backbone=cnn))
    for k in (0, "all"):
        choice = Choice(kind="joint_training", options={"k": k})
        record = stored(store, one.model_copy(update={"regime": choice}))
        of_a_source_batch = 28 // 4
        assert record.images_seen == record.n_train + record.steps * of_a_source_batch
        assert (record.feature_seconds > 0) == (k == "all")


class Watching(JointTraining):
    """Keeps the labels that it is shown."""

    shown: list[torch.Tensor]

    def loss(self, logits, labels):
        self.shown.append(labels)
        return super().loss(logits, labels)


def test_labels_that_are_not_given_are_shown_to_nobody():
    given = seeing("joint_training", labels="none", fit=Fit(epochs=1, batch_size=8, val_fraction=0))
    domain = build_domain(given, None)
    assert set(domain.section_labels("train").tolist()) == {-1}
    assert set(domain.section_labels("test").tolist()) == {0, 1, 2, 3}
    hidden = build_domain(
        seeing("joint_training", streams={"unlabelled": stream(labelled=False)}), None
    ).streams["unlabelled"]
    assert set(hidden.section_labels("train").tolist()) == {-1}


def test_a_run_without_labels_says_nothing_of_its_training_accuracy(tmp_path):
    none = {"labels": "none", "fit": Fit(epochs=1, batch_size=8, val_fraction=0)}
    record = stored(RecordStore(tmp_path), seeing("joint_training", **none))
    assert record.status == "done" and record.test_accuracy is not None
    assert record.n_val == 0 and record.val_accuracy is None
    assert record.train_accuracy is None and record.majority_accuracy is None


def test_a_source_free_run_never_opens_the_sources_images(tmp_path, monkeypatch):
    store = RecordStore(tmp_path)
    one = seeing("source_only", streams={}, labels="none")
    stored(store, source(), keep_weights=True)
    opened = []
    made = RenderedDomain.image_blocks
    monkeypatch.setattr(
        RenderedDomain,
        "image_blocks",
        lambda domain, part: opened.append(domain.identity) or made(domain, part),
    )
    for path in (tmp_path / "images").glob("*"):
        path.unlink()
    record = stored(store, one)
    assert record.status == "done"
    theirs = build_domain(source(), None).identity
    assert opened and all(identity != theirs for identity in opened)


def test_a_source_only_run_answers_as_the_sources_model_does(tmp_path):
    store = RecordStore(tmp_path)
    one = seeing("source_only", streams={}, labels="none", domain=LATIN)
    record = stored(store, one)
    known = store.get(source().id)
    assert record.test_accuracy == known.test_accuracy
    assert record.test_log_loss == pytest.approx(known.test_log_loss, abs=1e-6)
    assert (record.steps, record.epochs) == (0, 1)
    curve = curves_of([one.id], store)[one.id]
    assert curve["steps"].tolist() == [0]


def test_a_teacher_is_the_trained_arm_and_is_stored_nowhere(tmp_path):
    store = RecordStore(tmp_path)
    trials = ({"lr": 0.001}, {"lr": 0.05})
    teacher = run(
        domain=OTHER, backbone=BACKBONES[1], regime=Choice(kind="linear_probe"), tune=trials,
        init=source(backbone=BACKBONES[1]),
    )  # fmt: skip
    student = seeing("distillation", streams={}, starts={"teacher": teacher})
    stored(store, student)
    domain = build_domain(student, None)
    regime = build_regime(student, domain, store)
    (kept,) = regime._teachers
    assert not any(p.requires_grad for p in kept.parameters()) and not kept.training
    assert not any("teacher" in name for name in regime.state_dict())
    images, index, _ = domain.source_of("test")
    answers = kept(torch.as_tensor(images[index])).argmax(1)
    right = (answers == domain.section_labels("test")).double().mean().item()
    assert right == pytest.approx(store.get(teacher.id).test_accuracy)


def test_a_teacher_that_left_no_weights_is_named(tmp_path):
    teacher = run(domain=OTHER, regime=Choice(kind="from_scratch"))
    student = seeing("distillation", streams={}, starts={"teacher": teacher})
    store = RecordStore(tmp_path)
    stored(store, source(), keep_weights=True)
    with pytest.raises(WeightsError, match=f"run {teacher.id}.*has left no weights"):
        train(student, store, Setting())


def test_what_is_calculated_sees_images_as_they_are(tmp_path):
    moved = Fit(epochs=1, batch_size=8, augment=Augment(flip=True, shift=0.2))
    plain = run(domain=OTHER, regime=Choice(kind="ridge_probe"), init=source())
    records = [
        stored(RecordStore(tmp_path / name), plain.model_copy(update={"fit": fit}))
        for name, fit in (("plain", plain.fit), ("moved", moved))
    ]
    assert records[0].test_log_loss == records[1].test_log_loss


def test_a_source_run_on_the_targets_own_images_draws_them_and_nothing_else(tmp_path):
    target = run(domain=OTHER)
    own = target.model_copy(update={"seed": 1003, "subset_seed": 3})
    one, other = build_domain(target, None), build_domain(own, None)
    assert np.array_equal(one.split.train, other.split.train)
    orders = [torch.cat([y for _, y in d.train_dataloader()]).tolist() for d in (one, other)]
    assert orders[0] != orders[1]
    weights = [build_regime(r, one, RecordStore(tmp_path)).state_dict() for r in (target, own)]
    assert not torch.equal(weights[0]["head.weight"], weights[1]["head.weight"])
