"""Whatever befalls any single file operation of a grid, the next call ends as if nothing had."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import ALL
from tests.faults.kinds import KINDS
from tests.faults.nursery import Nursery
from tests.faults.small_grid import DONE, FAILED, NO_ROOM, checksums, differing, lay, outcome

KILLED = -signal.SIGKILL
STEP, GRID = (1, "siblings") if ALL else (5, "alone")

ENDS = {
    "kill": {KILLED},
    "tear": {KILLED},
    "EIO on write": {DONE, FAILED},
    "EIO on fsync": {DONE, FAILED},
    "EIO on read": {DONE, FAILED},
    "full": {DONE, NO_ROOM},
}
"""How a grid may end that meets the fault."""


@pytest.fixture(scope="module")
def undisturbed(nursery, tmp_path_factory) -> tuple[Path, object, int]:
    """A finished grid, what came out of it, and how many times it wrote."""
    folder = tmp_path_factory.mktemp("undisturbed")
    lay(folder, GRID)
    ended = nursery.case("train", folder, "count writes")
    assert ended.code == DONE and ended.operations > 100, ended.said
    return folder, outcome(folder), ended.operations


def kinds(folder: Path) -> set[str]:
    return {kind.name for kind in KINDS if kind.files(folder / "runs")}


def test_the_grid_of_the_fast_part_leaves_every_kind_of_file_that_the_whole_one_does(
    nursery, tmp_path
):
    for grid in ("alone", "siblings"):
        lay(tmp_path / grid, grid)
        assert nursery.case("train", tmp_path / grid).code == DONE
    assert kinds(tmp_path / "alone") == kinds(tmp_path / "siblings") > {"weights", "frozen outputs"}


def resumed_equals(nursery: Nursery, folder: Path, expected: object, told: str) -> None:
    again = nursery.case("train", folder)
    assert again.code == DONE, f"{told}: {again.said}"
    assert differing(outcome(folder), expected) == {}, told
    assert all(all(files.values()) for files in checksums(folder).values()), told


@pytest.mark.parametrize("fault", ["kill", "tear", "EIO on write", "full"])
def test_a_grid_that_meets_it_at_any_operation_ends_as_an_undisturbed_one(
    fault, nursery, undisturbed, tmp_path, tried
):
    _, expected, operations = undisturbed
    for at in range(1, operations + 1, STEP):
        folder = tmp_path / str(at)
        lay(folder, GRID)
        told = f"{fault} at operation {at}"
        ended = nursery.case("train", folder, fault, at)
        assert ended.code in ENDS[fault], f"{told}: {ended}"
        assert "Traceback" not in ended.said, f"{told}: {ended.said}"
        resumed_equals(nursery, folder, expected, told)
        tried.append(told)
        shutil.rmtree(folder)


@pytest.mark.parametrize("fault", ["EIO on fsync", "EIO on read"])
def test_and_where_flushing_or_reading_fails(fault, nursery, undisturbed, tmp_path, tried):
    _, expected, operations = undisturbed
    for at in range(1, operations + 1, STEP):
        folder = tmp_path / str(at)
        lay(folder, GRID)
        told = f"{fault} at operation {at}"
        ended = nursery.case("train", folder, fault, at)
        assert ended.code in ENDS[fault], f"{told}: {ended}"
        assert "Traceback" not in ended.said, f"{told}: {ended.said}"
        resumed_equals(nursery, folder, expected, told)
        tried.append(told)
        shutil.rmtree(folder)
        if ended.operations < at:  # there are no more
            break
    assert len(tried) > 3


def test_a_report_bears_a_read_that_fails(nursery, undisturbed, tmp_path, tried):
    folder, expected, _ = undisturbed
    shutil.copytree(folder, tmp_path / "copy")
    for at in range(1, 500, STEP):
        ended = nursery.case("read", tmp_path / "copy", "EIO on read", at)
        assert ended.code == DONE, f"read {at}: {ended}"
        tried.append(str(at))
        if ended.operations < at:
            break
    assert len(tried) > 3
    assert outcome(tmp_path / "copy") == expected
