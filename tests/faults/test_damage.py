"""Damage to each kind of file in a store: rebuilt or named, never taken for what it was."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.faults.conftest import ALL
from tests.faults.kinds import DAMAGES, KINDS, kind_of, leave_the_rest
from tests.faults.small_grid import DONE, FAILED, checksums, differing, lay, outcome
from tests.faults.table import MODULES
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.grid.calibration import _read as calibration
from transfer_lab.store import layout
from transfer_lab.store.running import running

CASES = [
    (kind, damage)
    for number, kind in enumerate(KINDS)
    for place, damage in enumerate(DAMAGES)
    if ALL or (place - number) % len(DAMAGES) == 0
]


@pytest.fixture(scope="module")
def whole(nursery, tmp_path_factory):
    """A finished and compared grid that has left every kind of file, and what came out of it."""
    folder = tmp_path_factory.mktemp("whole")
    lay(folder, "tuned")
    ended = nursery.case("train and compare", folder)
    assert ended.code == DONE, ended.said
    expected = outcome(folder)
    leave_the_rest(folder / "runs")
    return folder, expected


def test_every_file_of_a_store_is_of_a_kind_that_has_a_damage_case(whole):
    store = whole[0] / "runs"
    files = [path for path in store.rglob("*") if path.is_file()]
    assert {kind_of(path, store).name for path in files} == {kind.name for kind in KINDS}
    (store / "runs.db").write_text("")
    with pytest.raises(LookupError, match=r"runs\.db: 0 kinds .*add it to kinds\.py"):
        kind_of(store / "runs.db", store)
    (store / "runs.db").unlink()


def test_every_name_in_the_layout_of_a_store_has_a_damage_case():
    names = {name: value for name, value in vars(layout).items() if name.isupper()}
    assert len(names) > 10
    for value in names.values():
        escaped = re.escape(value)
        assert any(escaped in kind.pattern or value in kind.pattern for kind in KINDS), value


def test_the_table_has_a_row_for_every_module():
    assert {path.stem for path in Path(__file__).parent.glob("test_*.py")} == MODULES.keys()


def target_runs(folder: Path) -> list[str]:
    cells = plan(load_experiment(folder / "small.yaml").experiment)
    return [cell.run.id for cell in cells]


@pytest.mark.parametrize(
    ("kind", "damage"), CASES, ids=[f"{kind.name}-{damage.__name__}" for kind, damage in CASES]
)
def test_damage_is_named_or_mended_and_the_results_stay(
    kind, damage, whole, nursery, tmp_path, tried
):
    source, expected = whole
    folder = tmp_path / "lab"
    shutil.copytree(source, folder)
    store = folder / "runs"
    victims = kind.files(store)
    assert victims
    for path in victims:
        damage(path)
    looked = nursery.case("doctor", folder)
    assert looked.code == (1 if kind.named else DONE), looked.said
    assert not kind.named or any(path.stem in looked.said for path in victims)
    assert "Traceback" not in looked.said
    assert nursery.case("read", folder).code == DONE
    if kind.cache:  # what was trained is trained again from what is damaged
        for run_id in target_runs(folder):
            (store / run_id / layout.RECORD).unlink(missing_ok=True)
    ended = nursery.case("train and compare", folder)
    assert ended.code in (DONE, FAILED) and "Traceback" not in ended.said, ended.said
    if damage.__name__ in ("folder", "unreadable"):  # which somebody has to take away
        for path in victims:
            _taken_away(path)
        again = nursery.case("train and compare", folder)
        assert again.code == DONE, again.said
        known = set(target_runs(folder))  # of source runs only what these need is made anew
    else:
        assert ended.code == DONE, ended.said
        known = set(expected)
    found, sound = outcome(folder), checksums(folder)
    unlike = differing({i: found[i] for i in known}, {i: expected[i] for i in known})
    if kind.name == "curve" and ended.code == FAILED:  # it is gone by now, and for that nothing is
        unlike = {i: pair for i, pair in unlike.items() if [*pair] != ["curve"]}  # trained again
    assert unlike == {}
    assert all(all(sound[i].values()) for i in known)
    assert list(running(store)) == [] and isinstance(calibration(store / "calibration.json"), dict)
    tried.append(kind.name)


def _taken_away(path: Path) -> None:
    """Unless it was replaced by what belongs there."""
    if path.is_symlink():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
