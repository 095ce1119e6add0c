"""Letters in chosen fonts."""

import numpy as np
import pytest

from transfer_lab.data.letters import Cyrillic, Latin, _atlas, fonts_with

SIZE = {"letters": "ABCD", "train_per_class": 3, "test_per_class": 2}
USER, OTHERS = ["DejaVuSerif-Bold"], ["DejaVuSans", "STIXGeneral"]


def images(**options) -> np.ndarray:
    return Latin(16, **SIZE, **options).make_images("train")


def test_all_fonts_named_are_the_fonts_without_names():
    names = [path.stem for path in fonts_with("ABCD")]
    assert np.array_equal(images(fonts=names[::-1]), images())
    assert Latin(16, **SIZE, fonts=names).identity == Latin(16, **SIZE).identity


def test_letters_are_those_of_the_chosen_fonts_and_of_no_others():
    chosen, every = Latin(16, **SIZE, fonts=OTHERS[::-1]).fonts, fonts_with("ABCD")
    assert [path.stem for path in chosen] == OTHERS
    rows = [every.index(path) for path in chosen]
    assert np.array_equal(_atlas("ABCD", chosen), _atlas("ABCD", every)[rows])
    one, other = (images(fonts=[name]) for name in OTHERS)
    assert not np.array_equal(one, other)
    ink = np.abs(one.astype(int) - other) > 60
    assert 0 < ink.mean() < 0.2  # place, colours and noise are the same, and the font is not
    assert Latin(16, **SIZE, fonts=USER).identity["fonts"] == ["DejaVuSerif-Bold.ttf"]


@pytest.mark.parametrize("fonts", [[], ["Comic"], ["DejaVuSans", "DejaVuSans"]])
def test_fonts_that_are_not_there_are_answered_with_those_that_are(fonts):
    with pytest.raises(ValueError, match=r"name some of .*DejaVuSerif-Bold, .*each once"):
        Cyrillic(16, fonts=fonts)
