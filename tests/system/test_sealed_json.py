"""A file is either what was written or an error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_lab.system.sealed_json import opened, sealed

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
BODIES = st.dictionaries(st.text(), VALUES, max_size=5)


@given(BODIES)
def test_what_was_sealed_comes_back(body):
    assert json.loads(opened(sealed(body))) == body


@given(BODIES, st.sampled_from([None, 1, 4]))
def test_another_layout_of_the_same_is_read(body, indent):
    """As stores have it that were written with indentation."""
    content = json.dumps(json.loads(sealed(body)), indent=indent).encode()
    assert json.loads(opened(content)) == body


@given(BODIES, st.data())
def test_a_changed_byte_is_noticed(body, data):
    content = bytearray(sealed(body))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        found = opened(bytes(content))
    except ValueError:
        return
    assert json.loads(found) == body  # white space between the parts counts for nothing


@pytest.mark.parametrize("cut", [1, 40, 90])
def test_a_file_that_was_cut_off_is_refused(cut):
    with pytest.raises(ValueError):
        opened(sealed({"value": "x" * 50})[:-cut])
