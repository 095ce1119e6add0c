"""What advice says in words: numbers of 100, times, and no gain that was not measured."""

import pytest

from tests.advice.invented import advice, content
from transfer_lab.advice.wording import deed, duration, hundred, terminal, why

ESCAPE = "\x1b[31mred\x1b]0;title\x07\u202e"


def told(found) -> str:
    lines = terminal(found, "advice/index.html", "transfer-lab train photos -o model/")
    return "\n".join(f"{line.head} {line.text} {line.below}" for line in lines)


@pytest.mark.parametrize(
    ("share", "number"), [(0.864, 86), (0.999, 99), (1.0, 100), (0.001, 1), (0.0, 0)]
)
def test_only_what_is_certain_is_all_or_none(share, number):
    assert hundred(share) == number


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0213, "0.02 s"),
        (0.004, "0.004 s"),
        (0.51, "0.5 s"),
        (4.2, "4 s"),
        (59.7, "1 min"),
        (110, "1 min 50 s"),
        (1500, "25 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_times_read_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_the_terminal_says_what_to_do_what_to_expect_and_what_comes_next():
    text = told(advice())
    for part in (
        "412 photos, 9 classes (31 to 80 each). 38 are near-copies",
        "RECOMMENDED Keep the pretrained network and train only its last layer, at 224 px.",
        "EXPECT 86 of 100 new photos right, likely 82 to 89",
        "naming the largest class every time: 19 of 100",
        "COST training 4 s; 0.02 s a photo here; 14 MB",
        "twice as many: about 89 (84 to 92); five times: about 92 (87 to 95)",
        'WEAKEST "oak" 61 of 100, taken for "beech"',
        "5 may be in the wrong folder",
        "not for another camera, place or season",
        "next: transfer-lab train photos -o model/",
    ):
        assert part in text


def test_a_lead_on_the_folds_is_never_told_as_a_gain():
    found = content()
    found["recommendation"] |= {"left_default": True, "paired_lead": 8.6, "se": 1.7}
    assert "8.6" not in told(advice(recommendation=found["recommendation"]))


def test_what_was_tried_names_only_in_what_it_differs():
    (text,) = why(advice())
    assert "adjusting the last blocks (1 min 50 s)" in text
    assert "only the last layer at 160 px (3 s)" in text
    assert "no time for only the last layer at 240 px of lite1 (9 s)" in text


def test_what_failed_is_not_called_no_better():
    alternatives = content()["alternatives"]
    alternatives[0]["state"] = "failed"
    (text,) = why(advice(alternatives=alternatives))
    tried, _, failed = text.rpartition("Trying ")
    assert failed == "adjusting the last blocks failed."
    assert "adjusting the last blocks" not in tried


def test_without_advice_the_reason_stands_in_its_place():
    reason = "the answers are no better than guessing"
    found = advice(
        recommendation=None,
        promise=None,
        cost=None,
        more_images=[],
        abstentions=[
            {"question": "recommendation", "reason": reason},
            {"question": "promise", "reason": reason},
        ],
    )
    assert told(found).count(reason) == 1
    assert f"NO ADVICE {reason}" in told(found)
    assert "RECOMMENDED" not in told(found) and "EXPECT" not in told(found)


def test_that_there_was_no_time_comes_before_what_follows_from_it():
    hurried = "140 of 150 photos were not looked at for want of time: give it more with --budget"
    found = advice(
        recommendation=None,
        promise=None,
        cost=None,
        more_images=[],
        flags=[{"kind": "not_reached", "text": hurried}],
        abstentions=[{"question": "recommendation", "reason": "no better than guessing"}],
    )
    assert f"NO ADVICE {hurried} no better than guessing" in told(found)


def test_an_unknown_number_is_said_to_be_so():
    reason = "four photos in the class elm are too few"
    text = told(
        advice(
            promise=None, more_images=[], abstentions=[{"question": "promise", "reason": reason}]
        )
    )
    assert f"EXPECT No number: {reason}" in text and "WEAKEST" not in text


def test_names_of_classes_and_files_cannot_steer_a_terminal():
    found = content()
    found["data"] |= {"root": ESCAPE}
    found["per_class"][6] |= {"name": ESCAPE, "taken_for": ESCAPE}
    found["flags"] = [{"kind": "unlike_the_rest", "text": ESCAPE, "paths": [(ESCAPE,)]}]
    found["abstentions"] = [{"question": "regime", "reason": ESCAPE}]
    text = told(advice(**{key: found[key] for key in ("data", "per_class", "flags")}))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_a_regime_that_has_no_words_is_called_by_its_name():
    assert deed("l2_sp") == "l2 sp"
