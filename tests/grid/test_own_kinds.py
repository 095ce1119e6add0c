"""Own regimes and domains before and in training: refused with the reason, trained by content."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from tests.builders import ENVIRONMENT, SharedEngine, workers
from tests.experiment.test_own_code import BY_NAME, PROVIDED
from tests.own_code import DOMAIN, REGIME, install, write_own
from transfer_lab import load_experiment, records, report, run
from transfer_lab.data.build import build_domain
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.engines import local
from transfer_lab.grid.preflight import preflight
from transfer_lab.grid.worker import execute
from transfer_lab.store.records import RecordStore
from transfer_lab.training.run import Setting


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    write_own(tmp_path)
    monkeypatch.chdir("/")
    return tmp_path


def problems(folder: Path, *overrides: str) -> str:
    from transfer_lab.experiment.loading import load_experiment

    file = load_experiment(folder / "own.yaml", overrides)
    with pytest.raises(ConfigError) as caught:
        file.refuse(preflight(file.experiment))
    return str(caught.value)


def edit(folder: Path, module: str, old: str, new: str) -> None:
    path = folder / "mine" / module
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_own_kinds_train_in_workers_and_the_report_knows_them(folder, monkeypatch):
    monkeypatch.setattr(local, "LocalEngine", SharedEngine)
    file = load_experiment(folder / "own.yaml")
    table = run(file, folder / "runs", jobs=2, progress=False)
    assert table["status"].tolist() == ["done"] * 3
    page = report(file, folder / "runs", folder / "reports").read_text()
    assert "tune_first" in page
    assert records(file, folder / "runs")["regime"].tolist() == list(file.regimes)
    again = run(file, folder / "runs", jobs=2, progress=False)
    assert again["started_at"].tolist() == table["started_at"].tolist()


def test_code_that_changed_after_the_experiment_was_read_is_not_trained_under_the_old_id(folder):
    for module in ("regimes.py", "stripes.py"):  # that no worker has imported yet
        path = folder / "mine" / module
        path.write_text(f"{path.read_text()}# {uuid4()}\n")
    cell = plan(load_experiment(folder / "own.yaml").experiment)[0]
    for module in ("regimes.py", "stripes.py"):
        kept = (folder / "mine" / module).read_text()
        (folder / "mine" / module).write_text(kept + "# edited\n")
        call = workers().submit(execute, cell.run, folder / module, Setting(), False)
        record = call.result()
        assert record.status == "failed"
        assert f"{module}: the module has changed since" in record.error
        (folder / "mine" / module).write_text(kept)


def test_images_of_own_code_are_stored_by_its_content(folder, tmp_path):
    def images(name: str):
        choice = load_experiment(folder / "own.yaml").domains["stripes"]
        domain = build_domain(choice, 12)
        domain.cache = tmp_path / "cache"
        domain.prepare_data()
        domain.draw(per_class=4, val_fraction=0, batch_size=4, seed=0)
        return domain.source_of("train")[2]

    before = images("before")
    edit(folder, "stripes.py", "rng.normal(0", "rng.normal(5")  # and no `version` raised
    assert images("after") != before


@pytest.mark.parametrize(
    ("module", "old", "new", "message"),
    [
        ("regimes.py", "class TuneFirst", "class Other", r":11:.*no class TuneFirst that derives"),
        ("regimes.py", "class Guess(TransferModule)", "class Guess(dict)", r":12:.*no class Guess"),
        ("regimes.py", REGIME, "def (", r":11:.*cannot be imported .SyntaxError"),
        (
            "regimes.py",
            "class Guess(TransferModule):",
            "from transfer_lab.regimes.majority import Majority as Guess\nclass X(TransferModule):",
            r":12:.*Guess is defined in transfer_lab\.regimes\.majority",
        ),
        (
            "regimes.py",
            "    def phases(self):\n        return ()\n",
            "",
            r":12:.*TypeError.*phases",
        ),
        ("regimes.py", "return ()\n", "return None\n", r":12:.*TypeError"),
        (
            "regimes.py",
            "    spends_budget = False\n",
            "",
            r":12:.*Guess: it takes no steps: write `spends_budget = False` in the class",
        ),
        (
            "regimes.py",
            "range(self.k, len",
            "range(self.k, 1 + len",
            r":11:.*TuneFirst freezes the stages 1, 2, but backbone mlp.* has 2, .*no stage 2",
        ),
        (
            "regimes.py",
            "        return 0\n",
            "        return 2\n",
            r":12:.*it takes stages from the source: write `from_source = True`",
        ),
        (
            "regimes.py",
            "class TuneFirst(TransferModule):\n",
            "class TuneFirst(TransferModule):\n    head_alone = True\n",
            r":11:.*more than a linear head .* learns.*: write `head_alone = False`",
        ),
        (
            "regimes.py",
            "class Guess(TransferModule):",
            "class Said(TransferModule):\n    head_alone = True\n\nclass Guess(Said):",
            r":12:.*Guess\.head_alone is True, but is not written in the class",
        ),
        ("stripes.py", "class Stripes(Im", "class Other(Im", r":4:.*no class Stripes that derives"),
        (
            "stripes.py",
            "    @property\n    def identity",
            "    @property\n    def identities",
            r":4:.*TypeError.*identity",
        ),
        ("stripes.py", "    classes =", "    names =", r":4:.*Stripes: AttributeError.*classes"),
        ("stripes.py", DOMAIN, "1 / 0", r":4:.*cannot be imported .ZeroDivisionError"),
    ],
)
def test_what_would_not_work_is_refused_at_its_line(folder, module, old, new, message):
    edit(folder, module, old, new)
    pattern = "(?s)own.yaml" + message
    assert re.search(pattern, problems(folder))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("regimes.tune_first.kay=1", r"kay: unknown option; choose from k, lr"),
        ("regimes.tune_first.k=one", r"k: .*integer"),
        ("domains.stripes.per_clas=3", r"per_clas: unknown option; did you mean 'per_class'"),
    ],
)
def test_options_of_own_kinds_are_checked_against_their_constructors(folder, override, message):
    assert re.search(message, problems(folder, override))


def test_a_number_of_stages_that_are_not_there_is_refused_for_any_regime(folder):
    edit(folder, "regimes.py", "range(self.k, len(self.backbone.stages))", "range(self.k)")
    told = problems(folder, "regimes.tune_first.k=7")
    assert "freezes the stages 0, 1, 2, 3, 4, 5, 6, but backbone mlp" in told


@pytest.mark.slow
def test_installed_kinds_train_in_worker_processes_of_a_command(tmp_path):
    write_own(tmp_path)
    site = install(tmp_path / "site", **PROVIDED)
    (site / "stripy" / "__init__.py").write_text("")
    sets = [word for line in BY_NAME for word in ("--set", line)]
    command = [sys.executable, "-m", "transfer_lab", "run", "own.yaml", *sets, "--jobs", "1"]
    path = os.pathsep.join((ENVIRONMENT["PYTHONPATH"], str(site)))
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=ENVIRONMENT | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    store = RecordStore(tmp_path / "runs")
    statuses = [json.loads(p.read_text()) for p in store.root.glob("*/record.json")]
    assert len(statuses) >= 6
    assert (tmp_path / "reports" / "own" / "index.html").exists()
