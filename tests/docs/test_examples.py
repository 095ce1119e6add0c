"""What README and docs show is what the code does: examples run, commands parse, links lead on."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import typer
from ruamel.yaml import YAML
from typer.core import TyperGroup

from docs.quoted_numbers import ROOT
from tests.advice.scenes import NO_WEIGHTS, WEIGHTS, draw_scenes, has_weights
from tests.builders import TINY_YAML, SharedEngine
from tests.photos import photos
from tests.texts import texts
from transfer_lab.advice.challengers import field
from transfer_lab.cli.app import app
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.grid.engines import local
from transfer_lab.grid.preflight import preflight

PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
    if path.stem not in ("contributing", "changelog") or path.parent == ROOT
)
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
NOTEBOOKS = sorted(path.name for path in (ROOT / "examples").glob("*.ipynb"))
TESTED_ALONE = "docs/adding-things.md"
"""Its files name one another: see test_adding_things."""
BLOCKS = [
    pytest.param(language, text, id=f"{page}:{TEXTS[page][: match.start()].count(chr(10)) + 1}")
    for page in TEXTS
    if page != TESTED_ALONE
    for match in BLOCK.finditer(TEXTS[page])
    for language, text in [match.groups()]
]


def of(*languages: str) -> list:
    return [block for block in BLOCKS if block.values[0] in languages]


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(local, "LocalEngine", SharedEngine)


# Experiments


def a_folder_of_scenes(folder: Path) -> None:
    """photos/ that can be told apart, and a new one."""
    draw_scenes(folder / "photos", per_class=12)
    shutil.copy(next(folder.glob("photos/*/*.jpg")), folder / "new.jpg")


def a_folder_of_photos(folder: Path) -> None:
    """Whatever the pages name: photographs, texts, a module, weights."""
    shutil.copytree(photos(40), folder / "photos")
    shutil.copytree(texts(), folder / "texts")
    shutil.copy(ROOT / "experiments" / "mobilenet_v1.py", folder)
    for name in ("vgg.pth", "w.safetensors"):
        (folder / name).write_bytes(b"weights")


@pytest.mark.parametrize(("language", "text"), of("yaml"))
def test_an_experiment_that_is_shown_is_valid(language, text, empty):
    a_folder_of_photos(empty)
    yaml, shown = YAML(typ="safe"), YAML(typ="safe").load(text)
    whole = {"name", "scenarios", "backbones", "regimes", "seeds"} <= shown.keys()
    content = shown if whole else yaml.load(TINY_YAML) | shown
    if "frozen_copy" in (shown.get("regimes") or {}):  # `on` names a backbone
        content["backbones"] = ["cnn"]
    with (empty / "shown.yaml").open("w") as file:
        yaml.dump(content, file)
    experiment = load_experiment(empty / "shown.yaml").experiment
    assert plan(experiment)
    if whole and "imagenet" not in text:
        assert preflight(experiment) == []


def test_the_example_experiment_fills_its_matrix(empty):
    (text,) = (text for block in of("yaml") if "per_seed" in (text := block.values[1]))
    (empty / "mine.yaml").write_text(text)
    assert len(plan(load_experiment("mine.yaml").experiment)) == 2 * 2 * 4 * 3


# Python


@pytest.mark.parametrize(("language", "text"), of("python"))
def test_python_that_is_shown_is_complete(language, text, empty, engine, monkeypatch):
    if "advise(" in text:
        if not WEIGHTS:
            pytest.skip(NO_WEIGHTS)
        a_folder_of_scenes(empty)
        monkeypatch.setattr(field, "challengers", lambda *_: [])
        text = patient(text)
    namespace = run_alone(text)
    if "table" in namespace:
        assert namespace["table"]["status"].unique().tolist() == ["done"]
        assert len(list(empty.glob("reports/*/index.html"))) == 1


def run_alone(text: str) -> dict:
    """The names that a file of this text defines, run as a module of its own."""
    module = ModuleType("shown_in_docs")
    sys.modules[module.__name__] = module  # where annotations are looked up
    try:
        exec(compile(text, "shown_in_docs", "exec"), vars(module))
    finally:
        del sys.modules[module.__name__]
    return vars(module)


def patient(text: str) -> str:
    """The code with all the time in the world, on a machine that does other things, too."""
    assert "budget=60" in text
    return text.replace("budget=60", "budget=3600")


def code_of(notebook: str) -> str:
    cells = json.loads((ROOT / "examples" / notebook).read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


@pytest.mark.slow
def test_the_notebook_of_a_grid_runs_from_top_to_bottom(empty, engine):
    namespace = run_alone(code_of("first_grid.ipynb"))
    assert namespace["table"]["status"].unique().tolist() == ["done"]
    assert namespace["accuracy"].shape == (10, 4)
    assert namespace["accuracy"].notna().all(axis=None)
    assert namespace["page"] == Path("reports/first_grid/index.html")
    assert "<iframe" in namespace["page"]._repr_html_()


@pytest.mark.slow
@has_weights
def test_the_notebook_of_photographs_runs_and_its_promise_is_kept(empty, monkeypatch):
    monkeypatch.setattr(field, "challengers", lambda *_: [])  # minutes, and tested for themselves
    namespace = run_alone(patient(code_of("photos.ipynb")))
    promise = namespace["advised"].advice.promise
    # Fifty new photographs: the truth is known to a few points.
    assert promise.low - 0.1 <= namespace["right"] <= promise.high + 0.1
    assert promise.value > 0.6 > promise.majority
    assert "<iframe" in namespace["advised"]._repr_html_()
    assert namespace["page"].name == "index.html"


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_is_kept_without_results(notebook):
    cells = json.loads((ROOT / "examples" / notebook).read_text(encoding="utf-8"))["cells"]
    assert [c for c in cells if c.get("outputs") or c.get("execution_count")] == []


# Commands


def commands() -> list:
    """Every `transfer-lab ...` of the pages, in blocks and in the text."""
    inline = re.compile(r"`((?:\S*/)?transfer-lab [^`]+)`")
    found = {}
    for page, text in TEXTS.items():
        lines = [line for match in BLOCK.finditer(text) for line in match[2].splitlines()]
        lines += [" ".join(line.split()) for line in inline.findall(BLOCK.sub("", text))]
        for line in lines:
            words = shlex.split(line, comments=True) if "transfer-lab " in line else []
            while words and "=" in words[0]:  # variables of the environment
                words = words[1:]
            if words and words[0].endswith("transfer-lab"):
                found[shlex.join(words[1:])] = page
    return [pytest.param(line, id=f"{page}: {line}") for line, page in found.items()]


@cache
def command_line() -> TyperGroup:
    return typer.main.get_command(app)


@pytest.mark.parametrize("line", commands())
def test_a_command_that_is_shown_is_one(line):
    group, words = command_line(), shlex.split(line)
    with group.make_context("transfer-lab", words, resilient_parsing=True) as context:
        name, command, rest = group.resolve_command(context, words)
        command.make_context(name, rest, parent=context).close()


def test_the_command_lines_are_looked_at():
    lines = {param.values[0].split()[0] for param in commands()}
    assert lines >= {"advise", "train", "predict", "try"}
    assert lines >= {"plan", "run", "report", "status", "similarity", "data", "dashboard", "doctor"}
    with pytest.raises(Exception, match="no-such-option"):
        test_a_command_that_is_shown_is_one("plan mine.yaml --no-such-option")


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_the_targets_of_make_are_there(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = re.findall(r"(?:`|^)make ([a-z]+)\b", TEXTS[page], re.MULTILINE)
    assert set(told) <= targets


# Links


def anchors(text: str) -> set[str]:
    """The names that headings get."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_every_link_leads_somewhere(page):
    missing = []
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", BLOCK.sub("", TEXTS[page]))
    for path, anchor in links:
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists():
            missing.append(path)
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            missing.append(f"{path}#{anchor}")
    assert missing == []


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_every_file_that_is_named_is_there(page):
    named = re.findall(
        r"`((?:transfer_lab|experiments|docs|benchmarks|tests|examples)/[\w./]*)`", TEXTS[page]
    )
    made = {"docs/_build/html"}
    assert [path for path in named if path not in made and not (ROOT / path).exists()] == []


def test_the_architecture_has_a_paragraph_for_every_package():
    packages = {path.parent.name for path in (ROOT / "transfer_lab").glob("*/__init__.py")}
    told = re.findall(r"^\*\*([\w.]+)\*\* ", TEXTS["docs/architecture.md"], re.MULTILINE)
    assert sorted(told) == sorted({*packages, "api.py", "testing.py"})


def test_every_page_is_in_the_table_of_contents():
    index = TEXTS["docs/index.md"]
    listed = set(re.findall(r"^([a-z-]+)$", index, re.MULTILINE))
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages <= listed


def test_the_readme_is_one_page():
    assert len(TEXTS["README.md"].splitlines()) <= 150
