"""What texts on transfer learning call a scenario: two schemes that contradict one another, and
whether source and target are described in the same terms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.spec import Experiment

Labels = Literal["target", "source", "none"]
"""Of whose images labels are read: of the target's, of the source's alone, or of none."""

BY_LABELS: dict[Labels, str] = {
    "target": "inductive",
    "source": "transductive",
    "none": "unsupervised",
}
BY_DOMAIN_AND_TASK = {
    (True, True): "ordinary learning",
    (True, False): "inductive",
    (False, True): "transductive",
    (False, False): "unsupervised",
}
"""(the same images, the same classes) -> the name."""


class Taxonomy(NamedTuple):
    """The names of one scenario."""

    by_labels: str
    by_domain_and_task: str
    spaces: str

    @property
    def text(self) -> str:
        """All of them as one line."""
        return (
            f"{self.by_labels} by labels, {self.by_domain_and_task} by domain and task, "
            f"{self.spaces}"
        )


def taxonomy(*, same_images: bool, same_classes: bool, labels: Labels) -> Taxonomy:
    """The names of a scenario whose source and target show the same images or others (Ds = Dt), in
    classes of the same names or of others (Ts = Tt), and in which these labels are read.

    By labels (Pan and Yang 2010, "A Survey on Transfer Learning", table 3, and those who follow
    it): inductive where labels of the target are given, transductive where those of the source
    alone are, unsupervised where there are none anywhere. By domain and task (as texts on
    model-based transfer retell the survey's table 1): Ds = Dt and Ts = Tt is ordinary learning,
    Ds = Dt and Ts != Tt inductive, Ds != Dt and Ts = Tt transductive (domain adaptation), and
    where both differ it is unsupervised, whatever labels there are. The two give one scenario two
    names: other images of other classes, with labels, are inductive in the one and unsupervised
    in the other. Neither is taken for the right one.

    Homogeneous: the same shape of inputs and the same classes (Weiss et al. 2016, "A survey of
    transfer learning", sec. 2). All images of an experiment come in one shape, so that the classes
    decide.
    """
    return Taxonomy(
        BY_LABELS[labels],
        BY_DOMAIN_AND_TASK[same_images, same_classes],
        "homogeneous" if same_classes else "heterogeneous",
    )


def has_same_images(experiment: Experiment, scenario: str) -> bool:
    """Whether the target is its own source."""
    return experiment.scenarios[scenario].control == "self"


def labels_read(experiment: Experiment, scenario: str) -> Labels:
    """Of whose images labels are read in a scenario."""
    if experiment.scenarios[scenario].labels == "given":
        return "target"
    source = REGIMES.get(experiment.pretrain.regime)
    return "none" if source and source.pretext else "source"


def named(experiment: Experiment, scenario: str, same_classes: bool) -> Taxonomy:
    """The names of a scenario, once it is known whether the classes have the same names."""
    return taxonomy(
        same_images=has_same_images(experiment, scenario),
        same_classes=same_classes,
        labels=labels_read(experiment, scenario),
    )


def possible(experiment: Experiment, scenario: str) -> tuple[Taxonomy, ...]:
    """The names that a scenario may have, as far as its images need not be looked at: one where
    the target is its own source, none where there is no source."""
    if experiment.scenarios[scenario].source is None:
        return ()
    answers = (True,) if has_same_images(experiment, scenario) else (True, False)
    return tuple(named(experiment, scenario, same) for same in answers)


def words(found: Iterable[Taxonomy]) -> str:
    """Names that a scenario may have, in words."""
    first, *others = found
    if not others:
        return first.text
    rest = "; ".join(f"{other.by_domain_and_task}, {other.spaces}" for other in others)
    return (
        f"{first.by_labels} by labels; by domain and task {first.by_domain_and_task}, "
        f"{first.spaces}, where the classes have the same names, else {rest}"
    )
