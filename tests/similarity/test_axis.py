"""The author's words against the axis."""

import pytest

from transfer_lab.similarity.axis import (
    CUT,
    Placed,
    apart,
    cuts_that_agree,
    reversals,
    saturated,
    standing,
)


def pair(word: str, value: float, half: float = 0.05, source: str = "a", target: str = "t"):
    return Placed(source, target, word, value, value - half, value + half)


@pytest.mark.parametrize(
    ("word", "value", "told"),
    [
        ("similar", 0.2, "agrees"),
        ("similar", 0.9, "contradicts"),
        ("dissimilar", 0.9, "agrees"),
        ("dissimilar", 0.2, "contradicts"),
        ("similar", CUT - 0.01, "leans towards"),
        ("similar", CUT + 0.01, "leans against"),
        ("dissimilar", CUT - 0.01, "leans against"),
        ("dissimilar", CUT + 0.01, "leans towards"),
    ],
)
def test_a_word_stands_as_its_interval_lies_to_the_cut(word, value, told):
    assert standing(pair(word, value)) == told


def test_a_similar_source_that_is_farther_than_a_dissimilar_one_is_a_reversal():
    near, away = pair("similar", 0.4, source="a"), pair("dissimilar", 0.3, source="b")
    assert reversals([near, away]) == [(near, away)]
    assert reversals([pair("similar", 0.2), away]) == []
    assert reversals([near, pair("dissimilar", 0.3, target="other")]) == []


def test_intervals_that_overlap_are_not_apart():
    assert apart(pair("similar", 0.1), pair("dissimilar", 0.3))
    assert not apart(pair("similar", 0.25), pair("dissimilar", 0.3))


def test_words_hold_for_every_cut_between_the_farthest_similar_and_the_nearest_dissimilar():
    pairs = [pair("similar", 0.1), pair("similar", 0.3), pair("dissimilar", 0.7)]
    assert cuts_that_agree(pairs) == (0.3, 0.7)
    assert cuts_that_agree([*pairs, pair("dissimilar", 0.2)]) is None
    assert cuts_that_agree(pairs[:2]) == (0.3, float("inf"))
    assert cuts_that_agree([pair("similar", -0.1), pair("dissimilar", 0.2)]) == (0.0, 0.2)


def test_an_a_distance_near_two_is_saturated():
    assert saturated(1.91)
    assert not saturated(1.9)
