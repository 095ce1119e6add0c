"""Choice -> domain."""

from __future__ import annotations

from transfer_lab.data.base import ImageDomain
from transfer_lab.data.folds import Fold, Folded
from transfer_lab.experiment.catalog import DOMAINS
from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.classes import class_of


def domain_class(choice: Choice) -> type[ImageDomain]:
    """The class behind a choice; raises ModuleError where it is one's own and cannot be had."""
    return class_of(choice, DOMAINS, ImageDomain)  # type: ignore[type-abstract]


def build_domain(
    choice: Choice, image_size: int, fold: tuple[int, int] | None = None
) -> ImageDomain:
    """The domain, no images made yet; with `fold`, that fold of it as test set."""
    found = described(domain_class(choice)(image_size, **choice.arguments), choice)
    return Folded(found, Fold(*fold)) if fold else found


def described(domain: ImageDomain, choice: Choice) -> ImageDomain:
    """The domain with what its code and its data are known by noted on it."""
    known = {name: getattr(choice, name) for name in ("code", "distribution", "holds")}
    domain.origin = {name: value for name, value in known.items() if value is not None}
    return domain
