"""What the three commands take and answer: what is measured of them, and the verdicts."""

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.evidence import commands
from tests.advice.trained import fitted
from tests.photos import picture
from transfer_lab.advice.fitted import Head
from transfer_lab.advice.model.saving import save


def a_walk(n=150, *, first=9.0, apart=2e-7):
    return {
        "task": "scene15",
        "n": n,
        "seed": 0,
        "photos": n,
        "first": first,
        "seconds": [40.0, 12.0, 2.0],
        "way": "linear_probe",
        "image_size": 224,
        "promised": [0.8, 0.7, 0.9],
        "new": 300,
        "truth": 0.78,
        "kinds": 23,
        "millionths_apart": 1e6 * apart,
        "machine": {"processor": "P, 2 cores", "flags": "avx2", "torch": "2"},
    }


def test_the_slowest_first_answer_and_the_largest_difference_decide():
    walks = [a_walk(), a_walk(first=16.0), a_walk(2000, first=80.0, apart=3e-5)]
    small, large, readers = commands.targets(walks)
    assert small[2:] == ("16 s at most; folders: 2", False)
    assert large[2:] == ("80 s at most; folders: 1", True)
    assert readers[2:] == ("3e-05 at most, 3 models on 23 kinds of files", False)
    assert [met for *_, met in commands.targets([a_walk()])] == [True, None, True]


def test_every_folder_is_a_line():
    (table, note) = commands.section([a_walk(), a_walk(2000)]).blocks
    first, _ = table.rows
    texts = [line.text for (line,) in first]
    assert texts == [
        *("scene15", "150", "9", "40", "12", "2"),
        *("linear_probe, 224 px", "80 (70 to 90)", "78"),
    ]
    assert "P, 2 cores (avx2), torch 2." in note.text
    assert not commands.section([]).blocks


def test_answers_are_read_by_file(tmp_path):
    table = tmp_path / "answers.csv"
    table.write_text("path,class,error\nnew/b.jpg,sea,\nnew/a.jpg,wood,\nnew/c.jpg,,broken\n")
    asked = [tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")]
    assert commands._answers(table, asked, ("sea", "wood")).tolist() == [1, 0, -1]


def test_a_command_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        commands._run(tmp_path, "advise", "nowhere", "--yes")


def test_all_readers_of_a_model_are_compared_on_every_kind_of_file(tmp_path):
    for needed in ("timm", "onnx", "onnxruntime"):
        pytest.importorskip(needed)
    save(fitted(), tmp_path / "model")
    shown = [tmp_path / "a.png", tmp_path / "b.png"]
    for seed, path in enumerate(shown):
        picture(seed, (150, 110)).save(path)
    kinds, apart = commands._readers_apart(tmp_path / "model", tmp_path / "kinds", shown)
    assert kinds >= 21 and 0 <= apart <= 1e-5

    other = replace(fitted(), head=Head(fitted().head.weight, fitted().head.bias + np.arange(3)))
    save(other, tmp_path / "other")
    shutil.copy(tmp_path / "other/model.safetensors", tmp_path / "model/model.safetensors")
    _, apart = commands._readers_apart(tmp_path / "model", tmp_path / "again", shown)
    assert apart > 0.01
