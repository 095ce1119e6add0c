"""Tables fit the window; whole where there is none."""

import io

from rich.console import Console

from transfer_lab.cli.tables import cut, room, table, wrapped

HEAD = ("regime", *(f"scenario_of_size_{n}" for n in range(12)))
ROWS = [(name, *(f"{n}/12" for n in range(12))) for name in ("linear_probe", "full_finetune")]


def widest(text):
    return max(map(len, text.splitlines()))


def test_what_fits_is_one_table():
    assert table([("a", 1)], ("name", "count"), 80) == table([("a", 1)], ("name", "count"), None)


def test_what_is_too_wide_is_taken_apart_and_loses_nothing():
    assert widest(table(ROWS, HEAD, None)) > 200
    text = table(ROWS, HEAD, 80)
    assert widest(text) <= 80
    blocks = text.split("\n\n")
    assert all(block.splitlines()[0].startswith("regime") for block in blocks)
    for name in HEAD[1:]:
        assert sum(name in block.splitlines()[0].split() for block in blocks) == 1
    assert text.split().count("11/12") == 2


def test_an_entry_that_no_window_holds_is_shortened():
    text = table([("x" * 100, "y" * 100)], ("a", "b"), 40)
    assert widest(text) <= 40
    assert text.count("…") == 2


def test_lists_go_on_in_lines_that_are_set_in():
    lines = wrapped("x regimes", ", ".join(f"regime_{n}" for n in range(20)), 60).splitlines()
    assert len(lines) > 3
    assert all(len(line) <= 60 for line in lines)
    assert all(line.startswith("    ") for line in lines[1:])
    assert "\n" not in wrapped("x regimes", ", ".join(["long"] * 50), None)


def test_a_window_has_a_width_and_a_file_has_none():
    window = Console(file=io.StringIO(), force_terminal=True, width=80)
    assert room(window) == 80
    assert room(window, wide=True) is None
    assert room(Console(file=io.StringIO(), force_terminal=False, width=80)) is None


def test_a_line_is_cut_with_a_sign_that_it_was():
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == cut("abcd", None) == "abcd"
