"""What README, docs and experiments say was measured, a committed report says."""

import re

import pytest

from docs import quoted_numbers
from docs.quoted_numbers import ROOT, Quote, quotes, sources, unmarked
from transfer_lab.experiment.spec import PROTOCOL

QUOTES = [quote for path in sources() for quote in quotes(path)]


@pytest.mark.parametrize("quote", QUOTES, ids=lambda quote: f"{quote.file}: {quote.text}")
def test_a_quoted_number_stands_in_the_row_it_names(quote):
    assert quote.problem is None, f"{quote.place}; that says now: {quote.found}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.name)
def test_what_looks_measured_names_its_report(path):
    assert unmarked(path) == [], "name the row behind it, or say <!-- set -->"


def test_the_readme_quotes_what_came_out():
    assert len([quote for quote in QUOTES if quote.file == "README.md"]) >= 5


def test_the_default_report_was_made_by_the_present_protocol():
    report = (ROOT / "reports" / "four_scenarios" / "report.md").read_text()
    found = re.findall(r"\bProtocol (\d+)\b", report)
    assert found == [str(PROTOCOL)], "make the report anew: make grid"


@pytest.fixture
def invented(tmp_path, monkeypatch):
    """A checkout with one report of one table, and a way to say something of it."""
    report = tmp_path / "reports" / "one"
    report.mkdir(parents=True)
    (report / "report.md").write_text(
        "## Accuracy\n\n**Accuracy (%), cnn**\n\n| regime | small | large |\n| :-- | --: | --: |\n"
        "| probe | **† 56.9 ± 5.5** (n=3) | 92.7 ± 1.1 (n=3) |\n"
        "| probe_2 | 10.0 ± 5.5 (n=3) | 1,192.7 (n=3) |\n\n**Grouped**\n\n"
        "| regime | few, mlp | few, net | many, mlp |\n| :-- | --: | --: | --: |\n"
        "| new<br>layer | 1.1 | 2.2 | 3.3 |\n\n## Flags\n\n11 of 2,985 are copies.\n"
    )
    monkeypatch.setattr(quoted_numbers, "ROOT", tmp_path)
    quoted_numbers._rows.cache_clear()
    yield tmp_path
    quoted_numbers._rows.cache_clear()


HOLDING = [
    ("56.9 ± 5.5 %", "one > Accuracy > cnn > probe > small"),
    ("57 %", "one > Accuracy > cnn > probe > small"),
    ("56.9 and 92.7", "one > Accuracy > probe"),
    ("1,193", "one > Accuracy > probe_2"),
    ("11", "one > Flags > copies"),
    ("2.2", "one > Accuracy > layer > few > net"),
    ("2.2", "one > Accuracy > layer > few, net"),
    ("1.1 and 2.2", "one > Accuracy > layer > few"),
]
WRONG = [
    ("56.8 ± 5.5 %", "one > Accuracy > cnn > probe > small", "56.8"),
    ("56.9 ± 5.4 %", "one > Accuracy > cnn > probe > small", "56.9"),
    ("56.9 ± 5.5 %", "one > Accuracy > cnn > probe > large", "56.9"),
    ("2.2", "one > Accuracy > layer > few > mlp", "2.2"),
    ("92.7 ± 1.1", "one > Accuracy > cnn > probe_2", "92.7"),
    ("1192.7 ± 1.0", "one > Accuracy > cnn > probe_2 > large", "1192.7"),
    ("56.9", "one > Accuracy > cnn", "2 rows"),
    ("56.9", "one > Accuracy > mlp > probe", "no such row"),
    ("56.9", "one > Rules > cnn > probe", "no such row"),
]


@pytest.mark.parametrize(("text", "place"), HOLDING)
def test_numbers_are_found_rounded_or_not(invented, text, place):
    assert Quote("page.md", text, place).problem is None


@pytest.mark.parametrize(("text", "place", "said"), WRONG)
def test_a_number_that_its_row_does_not_hold_is_named(invented, text, place, said):
    assert said in Quote("page.md", text, place).problem


MARK = "<!-- one > Accuracy > cnn > probe > small -->"


@pytest.mark.parametrize(
    ("page", "marked", "left"),
    [
        (f"It is 56.9 ± 5.5 %{MARK}, not less.", ["56.9 ± 5.5 %"], []),
        (f"At 5 and 80 images: 56.9,\n92.7 and 1.0 %{MARK}.", ["56.9, 92.7 and 1.0 %"], []),
        ("It is 56.9 ± 5.5 %.", [], ["56.9 ± 5.5"]),
        ("It is 56.9 % here.", [], ["56.9 %"]),
        ("Ahead by 3 points, in 12 s.", [], ["3 points", "12 s"]),
        ("92 times less", [], ["92 times"]),
        ("within 1 point<!-- set --> of it, at 5 %", [], []),
        ("`56.9 ± 5.5` in code\n```\n56.9 ± 5.5 %\n```\n", [], []),
    ],
)
def test_numbers_that_look_measured_are_told_from_others(invented, page, marked, left):
    path = invented / "page.md"
    path.write_text(page)
    assert [quote.text for quote in quotes(path)] == marked
    assert unmarked(path) == left


def test_the_header_of_an_experiment_lists_its_numbers(invented):
    path = invented / "mine.yaml"
    path.write_text(
        "# What came out: 56.9 % against 92.7 ± 1.1 %, 3 points\n# less, and 1 / 2 / 3 %.\n"
        "# Numbers: 56.9 in one > Accuracy > probe > small\n#\n# So 33 % of it.\nname: x\n# 44 %\n"
    )
    assert [quote.text for quote in quotes(path)] == ["56.9"]
    assert unmarked(path) == ["92.7±1.1", "3", "1", "2", "3", "33"]
