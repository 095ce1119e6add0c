"""What a store holds of an experiment, as the report takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transfer_lab.reporting.course import Course
from transfer_lab.reporting.gallery import Gallery
from transfer_lab.reporting.predictions import Predictions
from transfer_lab.store.curves import Curve
from transfer_lab.store.records import Record

if TYPE_CHECKING:
    import pandas as pd

    from transfer_lab.similarity.overlap import Counted
    from transfer_lab.similarity.pairs import Compared
    from transfer_lab.store.trials import Trial


@dataclass(frozen=True)
class StoredResults:
    """What a store holds of an experiment's cells: `frame`, a row each, and what belongs to it."""

    frame: pd.DataFrame
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """Training curves, by the run's id."""
    trials: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """What a run that is tuned by itself tried, by its id."""
    searches: Mapping[str, tuple[Trial, ...]] = field(default_factory=dict)
    """What the searches for the whole grid tried, by their ids."""
    validated: Mapping[str, int] = field(default_factory=dict)
    """By how many validation images each of these chose."""
    predictions: Predictions = field(default_factory=Predictions)
    similarities: Mapping[str, Compared] = field(default_factory=dict)
    """What was measured of source and target, by the comparison's id."""
    overlaps: Mapping[str, Counted] = field(default_factory=dict)
    """How many images they share, by the overlap's id."""
    changes: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """What fine-tuning changed in each stage, by the run's id."""
    sources: Mapping[str, Record] = field(default_factory=dict)
    """The finished source runs, by id."""
    models: Mapping[str, str] = field(default_factory=dict)
    """The folders of the models that were kept, by the run's id."""
    left_out: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By run id and name, what is wrong with damaged files, of which nothing stands here."""
    gallery: Gallery = field(default_factory=Gallery)
    """What the domains look like."""
    course: Course | None = None
    """How far the looks have come where seeds are trained only where they are needed."""
