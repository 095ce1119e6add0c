"""What climbing a ladder gave: distances whose order is known, and where the axis puts them."""

from __future__ import annotations

from typing import NamedTuple


class Climbed(NamedTuple):
    """One ladder of one source in one space; values are a row a seed, a column a rung."""

    source: str
    space: str
    name: str
    rungs: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of the means over seeds with the rungs."""
        import numpy as np  # a notebook that imports the library does not wait for it

        means = np.mean(self.values, axis=0)
        ranks = np.argsort(np.argsort(means))
        return float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])
