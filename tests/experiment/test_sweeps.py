"""One scenario written for several sizes is one scenario a size."""

import pytest

from tests.builders import TINY_YAML
from tests.experiment.test_loading import at, loaded, problems, tiny
from transfer_lab.experiment.plan import plan, runs_of

SWEEP = tiny(
    """\
  small_similar: {source: latin, target: cyrillic, per_class: 4}
  small_dissimilar: {source: greek, target: cyrillic, per_class: 4}
""",
    """\
  similar: {source: latin, target: cyrillic, per_class: [2, 8, 4]}
  far: {source: greek, target: cyrillic, per_class: [2, 4, 8], similarity: dissimilar}
""",
)


def sweep(old: str, new: str) -> str:
    assert SWEEP.count(old) == 1
    return SWEEP.replace(old, new)


def test_a_list_of_sizes_is_one_scenario_a_size():
    places = loaded(SWEEP).scenarios
    assert [(n, p.per_class, p.size, p.similarity) for n, p in places.items()] == [
        ("similar_2", 2, "small", "similar"),
        ("similar_8", 8, "large", "similar"),
        ("similar_4", 4, "medium", "similar"),
        ("far_2", 2, "small", "dissimilar"),
        ("far_4", 4, "medium", "dissimilar"),
        ("far_8", 8, "large", "dissimilar"),
    ]


def test_written_one_by_one_the_runs_are_the_same():
    one_by_one = tiny("per_class: 4}\n  small_d", "per_class: 8}\n  small_d")
    wanted = runs_of(plan(loaded(one_by_one)))
    assert {run.per_class for run in wanted.values()} == {4, 8, "all"}
    assert set(wanted) <= set(runs_of(plan(loaded(SWEEP))))


@pytest.mark.parametrize(
    ("written", "sizes"),
    [
        ("size: small, per_class: [2, 8, 4]", ["small", "small", "small"]),
        ("size: [small, large, small], per_class: [2, 8, 4]", ["small", "large", "small"]),
        ("per_class: [2, all]", ["small", "large"]),
        ("size: large, per_class: [8]", ["large"]),
    ],
)
def test_what_is_said_of_the_size_counts(written, sizes):
    places = loaded(sweep("per_class: [2, 8, 4]", written)).scenarios
    found = [place.size for name, place in places.items() if name.startswith("similar")]
    assert found == sizes


def test_a_name_that_says_the_size_is_heard():
    places = loaded(sweep("  similar: {", "  small_similar: {")).scenarios
    found = {p.size for name, p in places.items() if name.startswith("small_similar_")}
    assert found == {"small"}


def test_medium_may_be_a_scenario_of_its_own():
    text = TINY_YAML.replace("small_similar", "medium_similar")
    assert loaded(text).scenarios["medium_similar"].size == "medium"


@pytest.mark.parametrize(
    ("text", "needle", "field", "message"),
    [
        (sweep("[2, 8, 4]", "[2, few, 4]"), "few", "scenarios.similar.per_class.1", "'few'"),
        (sweep("[2, 8, 4]", "[2, true, 4]"), "true", "scenarios.similar.per_class.1", "True"),
        (sweep("[2, 8, 4]", "[2, 0, 4]"), "0, 4]", "scenarios.similar.per_class.1", "(it is 0)"),
        (sweep("[2, 8, 4]", "[2, 8, 2]"), "[2, 8, 2]", "scenarios.similar.per_class.2", "2 twice"),
        (
            sweep("[2, 8, 4]", "[2, 8, 4], size: [small, large]"),
            "size: [small",
            "scenarios.similar.size",
            "2 names for 3 sizes",
        ),
        (sweep("[2, 8, 4]", "[9]"), "  similar: {", "scenarios.similar.size", "is missing"),
        (
            sweep(
                "  far: {", "  similar_8: {source: latin, target: greek, per_class: 3}\n  far: {"
            ),
            "  similar: {",
            "scenarios.similar",
            "a scenario of its own",
        ),
        (
            sweep("source: greek", "source: greak"),
            "source: greak",
            "scenarios.far.source",
            "did you mean 'greek'?",
        ),
        (
            sweep("source: greek", "source: cyrillic"),
            "  far: {",
            "scenarios.far",
            "nothing is transferred",
        ),
    ],
)
def test_a_mistake_is_named_once_where_it_was_written(text, needle, field, message):
    told = [line for line in problems(text) if f": {field}: " in line and message in line]
    assert len(told) == 1
    line = at(text, needle).partition(":")[0]
    assert told[0].startswith(f"{line}:")


def test_no_sizes_at_all_are_refused():
    assert any("names no size" in line for line in problems(sweep("[2, 8, 4]", "[]")))


def test_too_many_images_are_refused_at_the_size_that_asks_for_them(tmp_path):
    from tests.experiment.test_tuning import refusals

    text = sweep("[2, 8, 4]", "[2, 500, 4]")
    (told,) = refusals(text, tmp_path)
    assert told.startswith(f"{at(text, '500')}: scenarios.similar.per_class.1: ")


def test_an_assignment_may_replace_the_sizes():
    places = loaded(SWEEP, "scenarios.similar.per_class=[3, 5]").scenarios
    assert [n for n in places if n.startswith("similar")] == ["similar_3", "similar_5"]
