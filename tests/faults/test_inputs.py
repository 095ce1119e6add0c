"""Any bytes at all are an experiment or a list of what is wrong with it, and soon."""

from __future__ import annotations

import cProfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import TINY_YAML
from tests.faults.conftest import ALL
from transfer_lab.experiment import yaml_source
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.yaml_source import ConfigError

MOST_CALLS = 12_000_000
"""Of functions, for one text: work that is the same on every machine, about a second of a fast
one. To take the largest of these texts apart whole costs several times as much."""


def read(path: Path, content: bytes, overrides: tuple[str, ...] = ()) -> str | None:
    """What is said of it; None for an experiment."""
    path.write_bytes(content)
    try:
        load_experiment(path, overrides)
        return None
    except ConfigError as error:
        assert str(error)
        return str(error)


def read_counted(path: Path, content: bytes, overrides: tuple[str, ...] = ()) -> str | None:
    """The same; fails where that is much work."""
    profile = cProfile.Profile()
    said = profile.runcall(read, path, content, overrides)
    calls = sum(entry.callcount for entry in profile.getstats())
    assert calls < MOST_CALLS
    return said


LARGE = {
    "a long list": "[" + "a," * 499_000 + "]",
    "a list of lines": "- a\n" * 240_000,
    "many keys": "".join(f"k{i}: 1\n" for i in range(90_000)),
    "nested": "[" * 400_000,
    "nested lines": "- " * 400_000,
    "many anchors": "".join(f"- &a{i} x\n" for i in range(70_000)),
    "many aliases": "a: &a [1]\nb: [" + "*a," * 200_000 + "]",
    "a bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{new}: &{new} [{','.join(9 * ['*' + old])}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "a long word": "a: " + "x" * 999_000,
    "a long text": 'a: "' + "x " * 490_000 + '"',
    "many lines": "a: " + "x\n  " * 240_000,
    "comments": "# x\n" * 240_000,
    "nothing": "\n" * 990_000,
    "documents": "--- a\n" * 160_000,
}


@pytest.mark.parametrize("what", LARGE)
@pytest.mark.parametrize("size", [None, yaml_source._MAX_BYTES])
def test_a_large_text_is_refused_before_it_is_taken_apart(what, size, tmp_path):
    if size and not ALL and [*LARGE].index(what) % 7:
        pytest.skip("one in seven; `make faults` tries them all")
    assert read_counted(tmp_path / "large.yaml", LARGE[what].encode()[:size])


def test_a_large_override_is_refused_as_well(tmp_path):
    override = "seeds=[" + "1," * 200_000 + "]"
    told = read_counted(tmp_path / "tiny.yaml", TINY_YAML.encode(), (override,))
    assert "more than 10000 values" in told


TAGS = {
    "!!binary": "aGVsbG8=",
    "!!set": "{a, b}",
    "!!omap": "[a: 1]",
    "!!pairs": "[a: 1]",
    "!!timestamp": "2020-01-01",
    "!!python/object/apply:os.system": "[ls]",
    "!own": "x",
}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("place", ["name", "kind", "option", "key", "pretrained", "top"])
def test_a_tag_that_makes_what_no_field_can_hold_is_refused(tag, place, tmp_path):
    value = f"{tag} {TAGS[tag]}"
    content = {
        "name": TINY_YAML.replace("name: tiny", f"name: {value}"),
        "kind": TINY_YAML.replace("mlp: {width: 8, depth: 2}", f"mlp: {{kind: {value}}}"),
        "option": TINY_YAML.replace("width: 8", f"width: {value}"),
        "key": TINY_YAML + f"? {value}\n: 1\n",
        "pretrained": TINY_YAML.replace("depth: 2", f"pretrained: {value}"),
        "top": value,
    }
    assert "is not for an experiment" in read(tmp_path / "tagged.yaml", content[place].encode())


@pytest.mark.parametrize("tag", ["!!str", "!!int", "!!seq"])
def test_tags_of_plain_values_may_be_written_out(tag, tmp_path):
    content = {
        "!!str": TINY_YAML.replace("letters: ABCD", "letters: !!str 1234"),
        "!!int": TINY_YAML.replace("width: 8", "width: !!int 8"),
        "!!seq": TINY_YAML.replace("seeds: [0", "seeds: !!seq [0"),
    }
    assert read(tmp_path / "tagged.yaml", content[tag].encode()) is None


@settings(max_examples=150)
@given(st.binary(max_size=300))
def test_any_bytes_are_an_experiment_or_what_is_wrong(tmp_path_factory, content):
    assert read(tmp_path_factory.mktemp("any") / "any.yaml", content)


WORDS = (
    *("name", "domains", "scenarios", "backbones", "regimes", "seeds", "fit", "pretrain", "mlp"),
    *("latin", "kind", "tune", "search", "claims", "looks", "folds", "budgets", "module", "root"),
    *("2020-01-01", "0x10", ".inf", ".nan", "~", "yes", "1e400", "-1", "''", "<<", "*a", "&a"),
    *("12:30:45", "1_000", "0o7", "[]", "{}", "[[]]", "{a: 1}", "\u0000", "\ud7ff", "file.py:Cls"),
)


@settings(max_examples=150)
@given(st.integers(0, 2000), st.sampled_from(WORDS), st.integers(0, 40))
def test_an_experiment_with_a_word_put_in_is_one_or_what_is_wrong(
    tmp_path_factory, place, word, removed
):
    at = place % len(TINY_YAML)
    text = TINY_YAML[:at] + word + TINY_YAML[at + removed :]
    read(tmp_path_factory.mktemp("words") / "words.yaml", text.encode())


VALUES = st.recursive(
    st.sampled_from((*WORDS, "0", "1", "true")),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda v: f"[{', '.join(v)}]")
        | st.dictionaries(st.sampled_from(WORDS[:19]), inner, max_size=3).map(
            lambda d: "{" + ", ".join(f"{k}: {v}" for k, v in d.items()) + "}"
        )
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(st.sampled_from(WORDS[:19]), VALUES)
def test_any_value_for_any_key_is_an_experiment_or_what_is_wrong(tmp_path_factory, key, value):
    path = tmp_path_factory.mktemp("values") / "values.yaml"
    read(path, TINY_YAML.encode(), (f"{key}={value}",))
