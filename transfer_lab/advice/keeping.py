"""The models that an experiment's `keep` asks for: of the recommended arm, for each target."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from ruamel.yaml import YAML
from torch import nn

from transfer_lab.advice.model.card import Origin, kept_card_content
from transfer_lab.advice.model.manifest import (
    CARD,
    EXPERIMENT,
    REFERENCE,
    Manifest,
    ModelFolderError,
)
from transfer_lab.advice.model.reference import reference, reference_content
from transfer_lab.advice.model.saving import write_model, write_tensors
from transfer_lab.advice.model.trained import Trained
from transfer_lab.backbones.build import build_backbone
from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.loading import ExperimentFile
from transfer_lab.experiment.packaged import packaged_as
from transfer_lab.experiment.spec import Cell, Experiment, Run
from transfer_lab.reporting.collect import study
from transfer_lab.reporting.kept import Recommended, recommended
from transfer_lab.reporting.study import Study
from transfer_lab.store.layout import MODEL
from transfer_lab.store.records import RecordStore
from transfer_lab.system.files import WeightsError
from transfer_lab.training.again import Again, train_again

Say = Callable[[str], None]
_SEEN, _BATCH = 1000, 32
"""Training images at most that `unfamiliar` goes by, and how many at a time."""
_CHECKED, _ALIKE = 16, 1e-4
"""On how many test images, and within what, a network's answers must be those of its regime."""


def keep_models(
    file: ExperimentFile, cells: Sequence[Cell], store: RecordStore, say: Say, warn: Say
) -> None:
    """Keep, beside its record, the model of each run that is recommended for a target and whose
    model is not kept yet; nothing where the experiment keeps none.

    No run leaves its model while the grid runs: which is recommended is known at the end, and that
    one is trained once more, to the same end. What cannot be kept is told, and stops nothing.
    """
    if not file.experiment.keep:
        return
    found = study(file.experiment, tuple(cells), store, "")
    runs = {cell.run.id: cell.run for cell in cells}
    for chosen in recommended(found):
        folder = store.file(chosen.run_id, MODEL)
        if folder.is_dir():
            continue
        try:
            _keep(file, found, chosen, runs[chosen.run_id], store, say)
            say(f"model for {chosen.target}: {folder}; to see it answer: transfer-lab try {folder}")
        except Exception as error:  # somebody's code, or a full disk; the results are all there
            warn(f"the model for {chosen.target} is not kept: {type(error).__name__}: {error}")


def _keep(
    file: ExperimentFile, found: Study, chosen: Recommended, run: Run, store: RecordStore, say: Say
) -> None:
    record = store.get(run.id)
    if record is None:
        raise WeightsError(f"{store.folder(run.id)}: its record is gone")
    took = f"about {record.fit_seconds:.0f} s" if record.fit_seconds else "a few seconds"
    say(f"keeping the model for {chosen.target}: {run.title} is trained once more, {took}")
    again = train_again(run, record, store)
    if again.metrics["test_accuracy"] != record.test_accuracy:
        say(
            f"it ended elsewhere than its record, at {again.metrics['test_accuracy']:.2%} instead "
            f"of {record.test_accuracy:.2%} right: another machine, or other versions; its card "
            "says what it scores itself"
        )
    origin = _origin(file.experiment, found, chosen, run, again)
    _write(file, run, again, origin, store.file(run.id, MODEL))


def _write(
    file: ExperimentFile,
    run: Run,
    again: Again,
    origin: Origin,
    folder: Path,
) -> None:
    beside = {EXPERIMENT: content} if (content := _experiment(file)) else {}
    trained = classifier_of(run, again)
    if trained is None:
        beside[CARD] = kept_card_content(origin, None)
        write_tensors(again.regime.state_dict(), folder, beside)
        return
    beside[REFERENCE] = reference_content(reference(_features(trained, again.domain)))

    def card(manifest: Manifest) -> bytes:
        return kept_card_content(origin, manifest)

    try:
        write_model(trained, folder, beside, card)
    except ModelFolderError:
        raise
    except Exception:  # an operation that ONNX does not have, or that cannot be traced
        write_model(trained, folder, beside, card, formats=("safetensors", "checkpoint"))


def classifier_of(run: Run, again: Again) -> Trained | None:
    """The run's network as features and a linear head, if it is that and answers to pictures."""
    regime, domain = again.regime, again.domain
    if type(regime.head) is not nn.Linear or not regime.backbone.sees_pixels:
        return None
    trained = Trained(
        classes=domain.classes,
        network=run.backbone.label,
        architecture=run.backbone,
        backbone=regime.backbone,
        weight=regime.head.weight.detach(),
        bias=regime.head.bias.detach(),
        image_size=run.image_size,
        options=run.regime.options,
        shaped_by=run.regime.model_dump(mode="json") | {"module": run.regime.module},
    )
    images = torch.from_numpy(np.array(domain.source_of("test")[0][:_CHECKED]))
    with torch.inference_mode():
        expected = regime(images).softmax(1)
        found, _ = trained.classifier(images.permute(0, 2, 3, 1))
    return trained if (found - expected).abs().max() <= _ALIKE else None


def _features(trained: Trained, domain: ImageDomain) -> np.ndarray:
    """Of some of the training images, spread over all of them."""
    images, index, _ = domain.source_of("train")
    index = index[:: max(1, -(-len(index) // _SEEN))]
    found = []
    with torch.inference_mode():
        for at in range(0, len(index), _BATCH):
            batch = torch.from_numpy(np.array(images[index[at : at + _BATCH]]))
            found.append(trained.classifier(batch.permute(0, 2, 3, 1))[1].numpy())
    return np.concatenate(found)


def _origin(
    experiment: Experiment, found: Study, chosen: Recommended, run: Run, again: Again
) -> Origin:
    measure, place = found.measure, chosen.place
    own = again.metrics[measure.column] * measure.scale
    start, licence = _start(run)
    split = again.domain.split
    told = measure.number(chosen.standing.accuracy)
    seeds = chosen.standing.accuracy.n
    return Origin(
        experiment=experiment.name,
        target=chosen.target,
        arm=f"{place.regime} on {place.backbone}",
        run_id=run.id,
        start=start,
        licence=licence,
        found=f"{told} {measure.unit} test {measure.title} for this arm, over {seeds} trainings",
        own=f"{measure.digits(own)} {measure.unit}",
        images=len(split.train) + len(split.val) if split else 0,
    )


def _start(run: Run) -> tuple[str, str]:
    """What it started from, and its licence."""
    if run.init is None:
        return "random weights", "none"
    if isinstance(run.init, Run):
        return f"the source run {run.init.id} ({run.init.title})", "that of the source's images"
    if run.init.origin == "package":
        held = packaged_as(run.init.sha256)
        return held.source, held.licence
    if run.init.origin == "file":
        name = Path(str(run.init.path)).name
        return f"the file {name}", "your own file: the lab does not know its licence"
    backbone = build_backbone(run.backbone, run.image_size)
    where = backbone.published.url if backbone.published else "its library"
    unknown = "not stated by its publisher: look there before you hand a model on"
    return f"weights published for ImageNet at {where}", backbone.licence or unknown


def _experiment(file: ExperimentFile) -> bytes:
    """The experiment as it was run, overrides included; nothing where it was no text."""
    if not file.source.data:
        return b""
    written = io.BytesIO()
    YAML().dump(file.source.data, written)
    return written.getvalue()
