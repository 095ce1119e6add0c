"""A method and its twin: which options both must have alike is known without importing either."""

from __future__ import annotations

import pytest

from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.options import options_of

METHODS = [name for name, entry in REGIMES.items() if entry.off]


@pytest.mark.parametrize("method", METHODS)
def test_every_option_of_a_twin_is_one_that_the_report_compares(method):
    """An option of the twin that is named nowhere would pass for the method's own."""
    off = REGIMES[method].off
    own = {name for name, _ in off.options}
    # What is solved takes no steps, for which these are.
    idle = {"lr", "weight_decay", "recipe"} if REGIMES[off.twin].solves else set()
    if off.twin != method:
        assert {*options_of(REGIMES.load(off.twin))} - own - idle <= {*off.alike}


@pytest.mark.parametrize("method", METHODS)
def test_what_switches_a_method_off_is_an_option_of_its_own(method):
    entry = REGIMES[method]
    assert {name for name, _ in entry.off.options} <= {*options_of(REGIMES.load(method))}
