"""Regimes and domains that are not the lab's own: read without being imported, known by content."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import ENVIRONMENT, ROOT
from tests.own_code import DOMAIN, REGIME, install, write_own
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.choices import regime_entry
from transfer_lab.experiment.classes import ModuleError, class_of
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.one_pass import peers
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.reporting.dashboard.comparison import look_of
from transfer_lab.reporting.figures.pens import GREYS

PROVIDED = {
    "regimes": "first = stripy.regimes:TuneFirst\nguessed = stripy.regimes:Guess",
    "domains": "bars = stripy.domains:Stripes",
    "backbones": "two = stripy.backbones:TwoLayers",
}
BY_NAME = (
    "domains.stripes={kind: bars, per_class: 10}",
    "regimes.tune_first={kind: first, k: 1}",
    "regimes.guess={kind: guessed}",
    "backbones.two={}",
)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    write_own(tmp_path)
    monkeypatch.chdir("/")
    return tmp_path


@pytest.fixture
def installed(folder, monkeypatch) -> Path:
    where = install(folder / "site", **PROVIDED)
    monkeypatch.syspath_prepend(where)
    return where


def loaded(folder: Path, *overrides: str):
    return load_experiment(folder / "own.yaml", overrides).experiment


def ids(folder: Path, *overrides: str) -> list[str]:
    return [cell.run.id for cell in plan(loaded(folder, *overrides))]


def test_the_contents_of_runs_without_own_code_are_what_they_were():
    runs = runs_of(plan(load_experiment(ROOT / "benchmarks" / "untuned_grid.yaml").experiment))
    contents = [run.canonical for run in runs.values()]
    digests = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in contents]
    assert digests[:3] == ["2e6e6e498aad5cea", "b22dfa11cb706594", "a0994e0ebaa685a0"]
    whole = hashlib.sha256("\n".join(contents).encode()).hexdigest()
    assert whole.startswith("ce0d2e34521148dc")
    first = next(iter(runs.values()))
    written = first.model_dump(mode="json")
    assert set(written["regime"]) == set(written["domain"]) == {"kind", "options"}
    assert set(written["backbone"]) == {"kind", "options", "code"}


def test_runs_belong_to_the_content_of_own_code_and_not_to_its_place(folder):
    before = ids(folder)
    (folder / "mine").rename(folder / "moved")
    text = (folder / "own.yaml").read_text().replace("mine/", "moved/")
    (folder / "own.yaml").write_text(text)
    assert ids(folder) == before
    (folder / "moved" / "regimes.py").write_text(REGIME + "# edited\n")
    after = ids(folder)
    assert [a == b for a, b in zip(after, before, strict=True)] == [False, False, True]
    (folder / "moved" / "stripes.py").write_text(DOMAIN + "# edited\n")
    assert not {*ids(folder)} & {*after, *before}


def test_a_trial_and_a_refit_are_of_the_same_code(folder):
    asked = loaded(
        folder,
        "regimes.tune_first.tune={lr: [0.01, 0.1]}",
        "regimes.linear_probe.tune={lr: [0.01, 0.1]}",
    )
    run = next(cell.run for cell in plan(asked) if cell.regime == "tune_first")
    for made in (run.trial({"lr": 0.1}), run.refit({"lr": 0.1})):
        assert made.regime.code == run.regime.code == asked.regimes["tune_first"].code
        assert made.regime.module == str(folder / "mine" / "regimes.py")
        assert made.regime.options == {"k": 1, "lr": 0.1}


def test_plan_and_report_go_by_what_the_class_says_of_itself(folder):
    asked = loaded(
        folder,
        "budgets.longer={epochs: 3}",
        "regimes.probe={module: mine/regimes.py:Probe}",
        "seeds=[1, 2]",
    )
    guess, first = regime_entry(asked.regimes["guess"]), regime_entry(asked.regimes["tune_first"])
    assert (guess.from_source, guess.control, guess.spends_budget, guess.tunable) == (
        (False, True, False, False)
    )
    assert (first.from_source, first.control, first.spends_budget, first.tunable) == (
        (True, False, True, True)
    )
    cells = plan(asked)
    assert {c.regime for c in cells if c.budget} == {"tune_first", "linear_probe", "probe"}
    assert {c.regime for c in cells if c.run.init is None} == {"guess"}
    probes = [c.run for c in cells if c.regime == "probe" and not c.budget]
    assert peers(probes[0]) == peers(probes[1]) is not None
    assert look_of([asked])["guess"].colour in GREYS


@pytest.mark.parametrize(
    ("value", "refused"),
    [("bool(1)", True), ("1", True), ("True", False), ("(True)", False)],
)
def test_what_cannot_be_read_without_running_the_file_is_refused_at_its_line(
    folder, value, refused
):
    text = REGIME.replace("control = True", f"control = {value}")
    (folder / "mine" / "regimes.py").write_text(text)
    if refused:
        with pytest.raises(ConfigError, match=r"own\.yaml:12:.*Guess\.control must be written as"):
            loaded(folder)
    else:
        assert regime_entry(loaded(folder).regimes["guess"]).control


@pytest.mark.parametrize(
    ("group", "module", "message"),
    [
        ("regimes.guess", "mine/gone.py:Guess", r"gone\.py: cannot read the module"),
        ("regimes.guess", "mine/regimes.py", r"write it as path/to/file\.py:ClassName"),
        ("regimes.guess", "mine/regimes.py:majority", "majority is the name of one of the lab's"),
        ("domains.stripes", "mine/gone.py:Stripes", r"gone\.py: cannot read the module"),
        ("domains.stripes", "3", r"write it as path/to/file\.py:ClassName"),
    ],
)
def test_a_module_that_cannot_be_named_so_is_refused_when_read(folder, group, module, message):
    with pytest.raises(ConfigError, match=message):
        loaded(folder, f"{group}.module={module}")


@pytest.mark.parametrize(
    "line",
    ["import shared", "from shared import x", "from . import shared", "from .shared import x"],
)
def test_what_is_imported_from_beside_would_not_be_known_by_content(folder, line):
    (folder / "mine" / "shared.py").write_text("x = 1\n")
    (folder / "mine" / "regimes.py").write_text(f"{line}\n{REGIME}")
    with pytest.raises(ConfigError, match=r"own\.yaml:11:.*imports \.?(shared)? from its own fold"):
        loaded(folder)


def test_what_an_own_domain_reads_is_known_by_content_wherever_it_lies(folder):
    (folder / "noise.txt").write_text("30")
    given = "domains.stripes={module: mine/stripes.py:Stripes, root: noise.txt}"
    before = loaded(folder, given).domains["stripes"]
    assert before.arguments == {"root": str(folder / "noise.txt")}
    (folder / "noise.txt").rename(folder / "other.txt")
    moved = loaded(folder, given.replace("noise.txt", "other.txt")).domains["stripes"]
    assert moved.canonical == before.canonical
    (folder / "other.txt").write_text("31")
    edited = loaded(folder, given.replace("noise.txt", "other.txt")).domains["stripes"]
    assert edited.canonical != before.canonical
    with pytest.raises(ConfigError, match=r"noise\.txt: cannot be read"):
        loaded(folder, given)


def test_a_folder_that_an_own_domain_reads_is_known_by_names_and_contents(folder):
    root = folder / "images"
    (root / "a").mkdir(parents=True)
    (root / "a" / "1.bin").write_bytes(b"1")
    given = "domains.stripes={module: mine/stripes.py:Stripes, root: images}"

    def held() -> str:
        return loaded(folder, given).domains["stripes"].holds

    before = held()
    (root / ".hidden").write_bytes(b"")
    assert held() == before
    (root / "a" / "1.bin").rename(root / "a" / "2.bin")
    assert held() != before


def test_names_that_installed_packages_provide_are_known_without_importing_them(installed, folder):
    asked = loaded(folder, *BY_NAME)
    assert asked.regimes["tune_first"].distribution == "stripy 1.2"
    assert regime_entry(asked.regimes["guess"]).control
    assert "stripy" not in sys.modules
    source = (installed / "stripy" / "domains.py").read_bytes()
    assert asked.domains["stripes"].code == hashlib.sha256(source).hexdigest()
    assert asked.backbones["two"].distribution == "stripy 1.2"
    with pytest.raises(ConfigError, match="no regime named 'frst'; did you mean 'first'"):
        loaded(folder, "regimes.tune_first={kind: frst}")


def test_runs_of_installed_code_belong_to_version_and_content(folder, tmp_path, monkeypatch):
    def known(place: str, version: str, more: str = "") -> set[str]:
        where = install(tmp_path / place, version, **PROVIDED)
        (where / "stripy" / "regimes.py").write_text(REGIME + more)
        with monkeypatch.context() as here:
            here.syspath_prepend(where)
            cells = plan(loaded(folder, *BY_NAME))
            return {c.run.id for c in cells if c.regime == "tune_first"}

    first = known("a", "1.2")
    assert known("b", "1.2") == first
    assert not known("c", "1.3") & first
    assert not known("d", "1.2", "# edited in place\n") & first


def test_a_name_that_two_packages_provide_is_refused(installed, folder, monkeypatch):
    line = {"regimes": "first = zebra.regimes:TuneFirst"}
    monkeypatch.syspath_prepend(install(folder / "more", "2", "zebra", **line))
    with pytest.raises(ConfigError, match=r"tune_first: 'first' is provided by .* and .*uninstall"):
        loaded(folder, *BY_NAME)


def test_a_module_without_source_is_refused(folder, monkeypatch):
    line = {"regimes": "first = stripy.gone:TuneFirst"}
    monkeypatch.syspath_prepend(install(folder / "site", **line))
    with pytest.raises(ConfigError, match=r"stripy 1.2 names the module stripy\.gone, of which"):
        loaded(folder, "regimes.tune_first={kind: first, k: 1}")


def test_planning_own_code_loads_neither_it_nor_torch(folder):
    site = install(folder / "site", **PROVIDED)
    script = (
        "import sys; from transfer_lab.experiment.loading import load_experiment; "
        "from transfer_lab.experiment.plan import plan; "
        f"plan(load_experiment('own.yaml', {list(BY_NAME)!r}).experiment); "
        "print(sorted({'torch', 'stripy', 'lightning'} & sys.modules.keys()))"
    )
    path = f"{ENVIRONMENT['PYTHONPATH']}:{site}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=ENVIRONMENT | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_own_files_run_as_they_are_and_not_as_python_has_kept_them(tmp_path):
    """An edit of the same length within a second, as an editor's undo or a script makes it."""
    script = (
        "import inspect, traceback; from transfer_lab.experiment.catalog import REGIMES; "
        "from transfer_lab.experiment.choices import Regime; import hashlib, pathlib; "
        "from transfer_lab.experiment.classes import class_of; path = pathlib.Path('own.py'); "
        "code = hashlib.sha256(path.read_bytes()).hexdigest(); "
        "found = class_of(Regime(kind='Own', module=str(path.absolute()), code=code), REGIMES, "
        "object); print(found.value, 'value = ' in inspect.getsource(found)); "
        "\ntry: found.fail()\nexcept ZeroDivisionError: print(traceback.format_exc())"
    )
    writing = {k: v for k, v in ENVIRONMENT.items() if k != "PYTHONDONTWRITEBYTECODE"}
    seen = []
    for value in (1, 2):
        text = f"class Own:\n    value = {value}\n    fail = lambda: 1 / 0  # here\n"
        (tmp_path / "own.py").write_text(text)
        os.utime(tmp_path / "own.py", (1e9, 1e9))
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=writing,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "fail = lambda: 1 / 0  # here" in done.stdout
        seen.append(done.stdout.partition("\n")[0])
    assert seen == ["1 True", "2 True"]
    assert [path.name for path in tmp_path.iterdir()] == ["own.py"]


def test_what_lies_behind_a_linked_folder_is_known_by_content_too(folder):
    (folder / "elsewhere" / "deep").mkdir(parents=True)
    (folder / "elsewhere" / "deep" / "1.bin").write_bytes(b"1")
    root = folder / "images"
    root.mkdir()
    for name in ("a", "b"):  # the same folder twice is no circle
        (root / name).symlink_to(folder / "elsewhere", target_is_directory=True)
    given = "domains.stripes={module: mine/stripes.py:Stripes, root: images}"

    def held() -> str:
        return loaded(folder, given).domains["stripes"].holds

    linked = held()
    (folder / "elsewhere" / "deep" / "1.bin").write_bytes(b"2")
    assert held() != linked
    (folder / "elsewhere" / "deep" / "1.bin").write_bytes(b"1")
    for name in ("a", "b"):
        (root / name).unlink()
        shutil.copytree(folder / "elsewhere", root / name)
    assert held() == linked
    (root / "a" / "back").symlink_to(root, target_is_directory=True)
    with pytest.raises(ConfigError, match=r"cannot be read .back is a link to a folder above"):
        loaded(folder, given)


def test_what_is_installed_or_upgraded_meanwhile_is_known_when_an_experiment_is_read(
    folder, tmp_path, monkeypatch
):
    """As in a notebook: the folder of packages is on the path all the time."""
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(ConfigError, match="no regime named 'first'"):
        loaded(folder, *BY_NAME)
    install(tmp_path / "site", "1.2", **PROVIDED)
    assert loaded(folder, *BY_NAME).regimes["tune_first"].distribution == "stripy 1.2"
    shutil.rmtree(tmp_path / "site" / "stripy-1.2.dist-info")
    install(tmp_path / "site", "1.3", **PROVIDED)
    assert loaded(folder, *BY_NAME).regimes["tune_first"].distribution == "stripy 1.3"


def test_a_package_that_is_upgraded_after_it_was_imported_is_refused(folder, tmp_path, monkeypatch):
    """What else it holds may be in memory as it was, though the module itself is the same."""
    lines = {"regimes": "plain = plainly.regimes:TuneFirst"}
    use = "regimes.tune_first={kind: plain, k: 1}"
    monkeypatch.syspath_prepend(tmp_path / "site")
    install(tmp_path / "site", "1.2", "plainly", **lines)
    (tmp_path / "site" / "plainly" / "__init__.py").write_text("")
    before = loaded(folder, use).regimes["tune_first"]
    assert class_of(before, REGIMES, object).__module__ == "plainly.regimes"
    shutil.rmtree(tmp_path / "site" / "plainly-1.2.dist-info")
    install(tmp_path / "site", "1.3", "plainly", **lines)
    after = loaded(folder, use).regimes["tune_first"]
    with pytest.raises(ModuleError, match=r"has imported plainly 1\.2; start it anew"):
        class_of(after, REGIMES, object)
    with pytest.raises(ModuleError, match=r"was plainly 1\.2 when .* read: load it anew"):
        class_of(before, REGIMES, object)
