"""Several commands at once on one store: every run once, or the same twice, and nothing half."""

from __future__ import annotations

import pytest

from tests.faults.conftest import ALL
from tests.faults.small_grid import DONE, checksums, differing, lay, outcome


@pytest.mark.parametrize(
    "action",
    ["three at once", "three at once, one killed soon", "three at once, one killed later"],
)
def test_grids_that_share_a_store_end_as_one(action, nursery, tmp_path, tried):
    lay(tmp_path / "alone")
    assert nursery.case("train", tmp_path / "alone").code == DONE
    expected = outcome(tmp_path / "alone")
    for number in range(10 if ALL else 2):
        folder = tmp_path / str(number)
        lay(folder)
        ended = nursery.case(action, folder)
        assert ended.code == DONE and "Traceback" not in ended.said, ended.said
        assert differing(outcome(folder), expected) == {}
        assert all(all(files.values()) for files in checksums(folder).values())
        tried.append(action)
