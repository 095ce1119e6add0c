"""A report that changes cannot land unnoticed: every file of one is pinned."""

from __future__ import annotations

import json

import pytest

from tests.golden.report import FILE, MAKE, digests, files, holds_pictures, moved, versions


@pytest.fixture(scope="module")
def pinned() -> dict:
    return json.loads(FILE.read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, str]:
    return digests(files(tmp_path_factory.mktemp("golden")))


def told(names: list[str]) -> str:
    return (
        f"files of the report moved: {', '.join(names)}. If that is meant, pin them and say in the "
        f"commit what the report now says otherwise, or how it looks: {MAKE}"
    )


def test_the_texts_are_the_pinned_ones(found, pinned):
    names = [n for n in moved(found, pinned["files"]) if not holds_pictures(n)]
    assert not names, told(names)


def test_the_pictures_are_the_pinned_ones(found, pinned):
    names = [n for n in moved(found, pinned["files"]) if holds_pictures(n)]
    others = moved(versions(), pinned["versions"])
    if names and others:
        here = ", ".join(f"{n} {versions().get(n)}" for n in others)
        pytest.skip(f"pictures were pinned with other versions than {here}")
    assert not names, told(names)


def test_every_kind_of_file_is_pinned(pinned):
    pictures = {name for name in pinned["files"] if name.startswith("figures/")}
    assert {*pinned["files"]} - pictures == {
        *("index.html", "index.html without its pictures", "report.md"),
        *("records.csv", "trials.csv", "similarity.csv", "cka.csv", "accuracy.tex", "rules.tex"),
    }
    assert {"figures/accuracy.png", "figures/learning-curves.png"} < pictures


def test_a_file_that_moved_came_or_went_is_named():
    assert moved({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "1", "d": "4"}) == ["b", "c", "d"]
