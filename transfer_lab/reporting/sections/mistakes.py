"""What the best arm of each scenario takes for what, and the test images that most arms miss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.reporting.accuracies import Tested
from transfer_lab.reporting.blocks import (
    Block,
    Fold,
    Matrix,
    Mistake,
    Mistakes,
    Note,
    Section,
    Shelf,
    Thumbnail,
    Thumbnails,
)
from transfer_lab.reporting.decision import decide
from transfer_lab.reporting.figures.thumbnails import matrix, thumbnail
from transfer_lab.reporting.predictions import Outcome
from transfer_lab.reporting.study import Place, Study

if TYPE_CHECKING:
    import numpy as np

_PAIRS, _CLASSES, _PICTURED, _MISSED = 5, 40, 8, 12
"""At most so many pairs a scenario, classes of a matrix, scenarios with images, missed images."""
LEGEND = (
    "Answers of the best arm of each scenario to the test images, all seeds together; how often a "
    "class was taken for another, of how many answers to its images. Exploratory."
)
OF_IMAGES = (
    " Left a test image that was mistaken so, right one of the class that it was taken for. In the "
    "matrix a row is a true class and a column an answer: green is right, red is wrong, and the "
    "more colour, the larger its share of the row."
)


class Answers(NamedTuple):
    """What several runs answered to the same test images: labels, answers by run and image, and
    the names of classes, as far as they are known."""

    labels: np.ndarray
    given: np.ndarray
    names: tuple[str, ...]

    def name(self, label: int) -> str:
        """The class as it is called."""
        return self.names[label] if label < len(self.names) else f"class {label}"

    @property
    def counts(self) -> np.ndarray:
        """Answers by true class and answer, all runs together."""
        import numpy as np

        classes = max(len(self.names), int(self.labels.max()) + 1, int(self.given.max()) + 1)
        found = np.zeros((classes, classes), int)
        np.add.at(found, (np.broadcast_to(self.labels, self.given.shape), self.given), 1)
        return found


def mistakes(study: Study) -> Section | None:
    """A block a scenario and a contact sheet a target; none where no predictions are at hand."""
    made = tuple(_confusions(study))
    blocks: list[Block] = [*made[:_PICTURED]]
    if further := made[_PICTURED:]:
        blocks.append(Fold(f"{len(further)} further scenarios", further))
    targets = dict.fromkeys(place.target for place in study.experiment.scenarios.values())
    for number, target in enumerate(targets, start=1):
        blocks += _missed(study, number, target)
    if made:
        blocks.append(Note(_legend(made)))
    return Section("What is taken for what", tuple(blocks)) if blocks else None


def _legend(made: tuple[Mistakes, ...]) -> str:
    shown = any(one.images for block in made for one in block.items)
    return LEGEND + OF_IMAGES * shown


def _confusions(study: Study) -> Iterator[Mistakes]:
    number = 0
    for scenario in study.scenarios:
        leader = decide(study, scenario).leader
        found = leader and _answers(study, [*study.measured.tested(leader.place).values()])
        if leader and found:
            number += 1
            target = study.experiment.scenarios[scenario].target
            images = _tests(study, target, found) if number <= _PICTURED else None
            yield _confusion(leader.place, found, images, f"mistakes-{number}.png")


def _answers(study: Study, runs: list[Tested]) -> Answers | None:
    """The runs' answers, as far as they were tested on the images of the first; None without
    any."""
    import numpy as np

    known = [one for one in map(study.measured.outcome, runs) if one]
    if study.experiment.folds and known:  # each of other images: all of them, one after the other
        labels, given = (
            np.concatenate([getattr(one, what) for one in known])
            for what in ("labels", "predicted")
        )
        return Answers(labels, given[None], next((o.classes for o in known if o.classes), ()))
    alike: list[Outcome] = [one for one in known if one.labels is known[0].labels]
    if not alike:
        return None
    names = next((one.classes for one in alike if one.classes), ())
    return Answers(alike[0].labels, np.stack([one.predicted for one in alike]), names)


def _tests(study: Study, target: str, found: Answers) -> np.ndarray | None:
    if study.experiment.folds:  # an answer's place is one in its fold
        return None
    images = study.gallery.tests(target)
    return images if images is not None and len(images) == len(found.labels) else None


def _confusion(place: Place, found: Answers, images: np.ndarray | None, name: str) -> Mistakes:
    counts = found.counts
    items = tuple(
        Mistake(
            f"{found.name(true)} taken for {found.name(answer)}: {counts[true, answer]:,} of "
            f"{counts[true].sum():,}",
            () if images is None else _two(found, images, true, answer),
        )
        for true, answer in _commonest(counts)
    )
    caption = f"{place.scenario}: {place.regime} on {place.backbone}"
    if not items:
        caption += " answers every image rightly"
    square = None
    if len(counts) <= _CLASSES:
        square = Matrix(matrix(counts), tuple(map(found.name, range(len(counts)))))
    return Mistakes(name, caption, items, square, (("backbone", place.backbone),))


def _commonest(counts: np.ndarray) -> list[tuple[int, int]]:
    """The pairs of a class and a wrong answer that are commonest as shares of their class; of equal
    ones those of the first classes."""
    import numpy as np

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:_PAIRS]
    pairs = [divmod(int(at), len(counts)) for at in order]
    return [pair for pair in pairs if shares[pair] > 0]


def _two(found: Answers, images: np.ndarray, true: int, answer: int) -> tuple[Thumbnail, ...]:
    """The image of the one class that was taken for the other most often, and the image of the
    other that was known most often; of equal ones the first."""
    said = (found.given == answer).sum(axis=0)
    made = []
    for label in (true, answer):
        of_class = (found.labels == label).nonzero()[0]
        if of_class.size:
            at = int(of_class[said[of_class].argmax()])
            name = found.name(label)
            made.append(thumbnail(images[at], name, f"{name}, test image {at}"))
    return tuple(made)


def _missed(study: Study, number: int, target: str) -> tuple[Block, ...]:
    """The contact sheet of a target; nothing where no image is missed by most runs, or none can be
    shown."""
    runs = [
        run for place in _places(study, target) for run in study.measured.tested(place).values()
    ]
    found = _answers(study, runs)
    images = found and _tests(study, target, found)
    if found is None or images is None:
        return ()
    wrong = found.given != found.labels
    missed = wrong.sum(axis=0)
    order = (-missed).argsort(kind="stable")[:_MISSED]
    shown = tuple(
        _told(found, images, int(at), int(missed[at]))
        for at in order
        if 2 * missed[at] > len(found.given)
    )
    if not shown:
        return ()
    title = (
        f"Test images of {target} that most of {len(found.given):,} runs miss: the class, the "
        "commonest wrong answer, and how many runs miss it"
    )
    caption = f"Test images of {target} that most runs miss"
    return (Thumbnails(f"missed-{number}.png", caption, (Shelf(title, shown),), "sheet"),)


def _places(study: Study, target: str) -> Iterator[Place]:
    """Where regimes that are no controls were tested on a target."""
    for scenario, place in study.experiment.scenarios.items():
        if place.target == target:
            for backbone in study.backbones:
                for regime in study.planned(scenario, backbone):
                    if not study.is_control(regime):
                        yield Place(scenario, backbone, regime)


def _told(found: Answers, images: np.ndarray, at: int, missed: int) -> Thumbnail:
    import numpy as np

    label = int(found.labels[at])
    given = np.bincount(found.given[:, at])
    if label < len(given):
        given[label] = 0
    text = f"{found.name(label)}, not {found.name(int(given.argmax()))} ({missed:,})"
    return thumbnail(images[at], text, f"{found.name(label)}, test image {at}")
