"""The experiments that come with the package, from a checkout and from a wheel alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import ENVIRONMENT
from transfer_lab.cli import app as cli
from transfer_lab.experiment import shipped
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.yaml_source import ConfigError

ROOT = Path(__file__).parents[2]
FILES = {path.stem: path for path in (ROOT / "experiments").glob("*.yaml")}


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(monkeypatch, capsys, *words: str) -> str:
    """What the command line says on standard error where it refuses."""
    monkeypatch.setattr(sys, "argv", ["transfer-lab", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_all_experiments_of_the_checkout_are_shipped():
    assert {name: one.path for name, one in shipped.shipped().items()} == FILES


@pytest.mark.parametrize("name", FILES)
def test_each_says_what_it_is_what_it_takes_and_how_it_is_run(name):
    one = shipped.find(name)
    assert one.title == load_title(FILES[name])
    assert 10 < len(one.takes) < 100
    assert one.command(Path("my.yaml")).startswith("transfer-lab run my.yaml")
    assert "\\" not in one.command(Path("my.yaml"))


def load_title(path: Path) -> str:
    (line,) = (line for line in path.read_text().splitlines() if line.startswith("title: "))
    return line.removeprefix("title: ")


def test_a_copy_lies_where_its_first_lines_say(empty):
    copied = shipped.find("four_scenarios").copy()
    assert copied == Path("experiments/four_scenarios.yaml")
    assert load_experiment(copied).experiment.name == "four_scenarios"
    assert copied.read_bytes() == FILES["four_scenarios"].read_bytes()
    assert shipped.find("four_scenarios").copy() == copied  # the same bytes are in nobody's way


def test_a_copy_has_the_modules_it_names_beside_it(empty):
    shipped.find("scene15").copy(empty / "mine")
    names = sorted(path.name for path in (empty / "mine").iterdir())
    assert names == ["mobilenet_v1.py", "scene15.yaml"]


def test_a_copy_may_have_another_name(empty):
    assert (
        shipped.find("digits").copy(Path("a/b.yaml")).read_bytes() == FILES["digits"].read_bytes()
    )
    assert [path.name for path in (empty / "a").iterdir()] == ["b.yaml"]


@pytest.mark.parametrize("changed", ["scene15.yaml", "mobilenet_v1.py"])
def test_nothing_is_overwritten(empty, changed):
    (empty / changed).write_text("mine")
    with pytest.raises(shipped.NotCopiedError, match=rf"{changed}: is there .* copy scene15 DEST"):
        shipped.find("scene15").copy(empty)
    assert [path.name for path in empty.iterdir()] == [changed]
    assert (empty / changed).read_text() == "mine"


def test_a_place_that_cannot_be_written_is_named(empty):
    (empty / "file").write_text("in the way")
    with pytest.raises(shipped.NotCopiedError, match="file: cannot write there"):
        shipped.find("digits").copy(empty / "file")


def test_the_command_copies_and_says_what_comes_next(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["transfer-lab", "copy", "four_scenarios", "here"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert "next:    transfer-lab run here/four_scenarios.yaml\n" in capsys.readouterr().out


def test_a_name_that_is_none_is_refused_with_the_nearest(monkeypatch, capsys):
    told = refused(monkeypatch, capsys, "copy", "four_scenaros")
    assert "did you mean 'four_scenarios'?" in told


@pytest.mark.parametrize(
    "asked", ["four_scenarios", "four_scenarios.yaml", "experiments/four_scenarios.yaml"]
)
def test_a_file_that_is_absent_and_shipped_leads_to_its_copy(monkeypatch, capsys, asked):
    told = refused(monkeypatch, capsys, "run", asked)
    assert told.startswith(f"{asked}: cannot read the experiment")
    assert "`transfer-lab copy four_scenarios` writes experiments/four_scenarios.yaml" in told


def test_a_file_that_is_absent_leads_to_the_copy_that_is_there(monkeypatch, capsys):
    shipped.find("four_scenarios").copy()
    told = refused(monkeypatch, capsys, "plan", "four_scenarios")
    assert told.endswith("; experiments/four_scenarios.yaml is there\n")


def test_a_file_that_is_absent_and_not_shipped_has_no_such_hint():
    with pytest.raises(ConfigError) as error:
        load_experiment("mine.yaml")
    assert "transfer-lab copy" not in str(error.value)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder that holds the package as its wheel does, and nothing of the checkout."""
    pytest.importorskip("hatchling", reason="the wheel is built by hatchling")
    place = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(place), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return place


@pytest.mark.slow
def test_a_wheel_alone_leads_to_a_first_plan(installed, empty):
    def lab(*words: str) -> str:
        environment = {**ENVIRONMENT, "PYTHONPATH": str(installed)}
        command = [sys.executable, "-m", "transfer_lab", *words]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=empty, env=environment
        ).stdout

    assert not [path for path in installed.rglob("*.yaml") if path.stem not in FILES]
    assert "four_scenarios" in lab("experiments")
    assert "transfer-lab run experiments/four_scenarios.yaml" in lab("copy", "four_scenarios")
    path = os.path.join("experiments", "four_scenarios.yaml")
    assert "for 288 to 648 cells" in " ".join(lab("plan", path).split())
    assert (installed / "transfer_lab" / "py.typed").exists()
