"""The section on similarity: numbers, loud contradictions, and what is missing."""

import csv

import pytest

from transfer_lab.experiment.packaged import PACKAGED
from transfer_lab.reporting.blocks import (
    Bullets,
    Code,
    Fold,
    Note,
    Paragraph,
    Picture,
    Section,
    Table,
)
from transfer_lab.reporting.figures.plotly import chart
from transfer_lab.reporting.report import write
from transfer_lab.reporting.sections.similarity import similarity
from transfer_lab.reporting.study import StoredResults, Study
from transfer_lab.similarity.axis import CUT
from transfer_lab.similarity.pairs import NO_BACKBONE, Compared, comparisons

from .invented import Grid, experiment

LITE0 = "timm:tf_efficientnet_lite0"
NEAR, FAR = (0.2, 0.15, 0.25), (0.8, 0.75, 0.85)


def study(places: dict[tuple[str, str], tuple], **changes) -> Study:
    """Invented results for (source, space); the others are missing."""
    grid = Grid(experiment(seeds=2))
    found = {}
    for named in comparisons(grid.experiment):
        place = places.get((named.source, named.space))
        if place:
            known = {"mmd2": (0.3, 0.01), "proxy_a": (1.95, 0.02), "neighbours": 0.5, "images": 40}
            known |= {"labelled_images": 80, "position": place} | changes
            key = named.comparison.id
            found[key] = Compared(of=key, seconds=1, **known)
    command = "transfer-lab run a.yaml --runs r"
    return Study.of(grid.experiment, StoredResults(grid.frame, similarities=found), command)


def everywhere(latin: tuple, textures: tuple, **changes) -> Study:
    places = {("latin", s): latin for s in (NO_BACKBONE, "cnn")}
    places |= {("textures", s): textures for s in (NO_BACKBONE, "cnn")}
    return study(places, **changes)


def blocks(section: Section, kind: type) -> list:
    inner = [b for f in section.blocks if isinstance(f, Fold) for b in f.blocks]
    return [b for b in (*section.blocks, *inner) if isinstance(b, kind)]


def warnings(section: Section) -> list[str]:
    return [b.text for b in blocks(section, Paragraph) if b.warning]


def test_places_stand_in_the_table_with_their_intervals():
    table = blocks(similarity(everywhere(NEAR, FAR)), Table)[0]
    assert table.head == ("source → target", "called", NO_BACKBONE, "cnn")
    rows = [[(line.text, line.note) for cell in row for line in cell] for row in table.rows]
    assert rows[0] == [
        ("latin → cyrillic", ""),
        ("similar", ""),
        *[("0.20", "[0.15, 0.25]")] * 2,
    ]
    assert rows[1][2] == ("0.80", "[0.75, 0.85]")


def test_words_that_agree_need_no_warning_and_the_cuts_that_agree_are_told():
    section = similarity(everywhere(NEAR, FAR))
    assert warnings(section) == []
    (told,) = [b for b in section.blocks if isinstance(b, Bullets)]
    assert told.items[0] == (
        f"{NO_BACKBONE}: every cut from 0.20 to 0.80 agrees with the author's words."
    )


def test_words_that_the_axis_contradicts_are_warned_of_before_anything_else():
    section = similarity(everywhere(FAR, NEAR))
    said = warnings(section)
    assert [b.text for b in section.blocks[: len(said)]] == said
    (first, second, third), rest = said[:3], said[3:]
    assert "calls latin → cyrillic similar" in first and "0.80 [0.75, 0.85], beyond" in first
    assert "calls textures → cyrillic dissimilar" in second and "within the cut" in second
    assert '"similar" source latin' in third and "overlap" not in third
    assert all("cnn" in text for text in rest) and len(rest) == 3
    assert "no cut agrees" in next(b for b in section.blocks if hasattr(b, "items")).items[0]


def test_an_interval_that_holds_the_cut_is_no_contradiction_but_is_said():
    section = similarity(everywhere((0.55, 0.4, 0.7), FAR))
    assert warnings(section) == []
    cells = [line.text for row in blocks(section, Table)[0].rows for c in row for line in c]
    assert "leans against" in cells


def test_a_reversal_within_the_intervals_says_that_they_overlap():
    said = warnings(similarity(everywhere((0.65, 0.4, 0.9), (0.6, 0.4, 0.8))))
    assert said and all("the intervals overlap" in text for text in said)


def test_saturation_and_missing_measures_are_marked():
    section = similarity(everywhere(NEAR, FAR, notes={"linear": "a class has a single image"}))
    tables = {b.caption: b for b in blocks(section, Table)}
    lines = [line for r in tables["Label-free measures, ± standard error"].rows for c in r
             for line in c]  # fmt: skip
    assert ("1.95 ± 0.02", "saturated") in [(line.text, line.note) for line in lines]
    told = [item for f in section.blocks if isinstance(f, Fold) for b in f.blocks
            for item in getattr(b, "items", ())]  # fmt: skip
    assert any("single image" in item for item in told)


def test_the_note_says_what_0_is_for_ready_made_weights_and_for_source_runs():
    start = {"origin": "package", "sha256": PACKAGED[LITE0].sha256}
    lite0 = {"kind": "timm", "options": {"name": "tf_efficientnet_lite0"}, "pretrained": start}
    asked = experiment(seeds=1, backbones={"lite0": lite0, "cnn": {"kind": "cnn"}})
    known = comparisons(asked)
    (own,) = (n.comparison.id for n in known if n.comparison.source is None)
    (other, *_) = (n.comparison.id for n in known if n.comparison.source is not None)

    def told(*ids: str) -> tuple[str, list[str]]:
        found = {one: Compared(of=one, position=NEAR, images=40, seconds=1) for one in ids}
        stored = StoredResults(Grid(asked).frame, similarities=found)
        section = similarity(Study.of(asked, stored, "transfer-lab run a.yaml"))
        (note,) = blocks(section, Note)
        return note.text, [table.caption for table in blocks(section, Table)]

    text, captions = told(own)
    assert "whose statistics the lab ships" in text and "MMD²" not in text
    assert not [caption for caption in captions if caption.startswith("Label-free")]
    text, captions = told(own, other)
    assert "whose statistics the lab ships" in text and "MMD²" in text
    assert [caption for caption in captions if caption.startswith("Label-free")]
    assert "whose statistics the lab ships" not in told(other)[0]


def test_nothing_measured_says_what_is_missing_and_how_to_measure_it():
    section = similarity(study({}))
    assert "latin → cyrillic, cnn" in blocks(section, Paragraph)[0].text
    assert blocks(section, Code)[0].text == "transfer-lab similarity a.yaml --runs r"


def test_what_is_there_is_shown_beside_what_is_missing():
    section = similarity(study({("latin", NO_BACKBONE): NEAR}))
    assert blocks(section, Table) and blocks(section, Code)
    assert "textures → cyrillic" in next(
        b.text for b in blocks(section, Paragraph) if b.text.startswith("Not measured yet")
    )


def test_results_without_a_place_still_say_why():
    section = similarity(everywhere(None, None, notes={"position": "no axis"}))
    assert section is not None and blocks(section, Code)  # no result at all: all are missing
    bare = study({("latin", NO_BACKBONE): NEAR}, position=None, notes={"position": "no axis"})
    told = [f.blocks[0].items for f in similarity(bare).blocks if isinstance(f, Fold)]
    assert told == [(f"latin → cyrillic, {NO_BACKBONE}: no position: no axis",)]


def test_the_interactive_axis_has_the_numbers_of_the_table_and_the_lines_of_the_picture():
    section = similarity(everywhere(NEAR, (0.8, 0.75, 1.2)))
    (picture,) = [b for b in section.blocks if isinstance(b, Picture)]
    (panel,) = chart(picture.figure).panels
    assert panel.rows == (NO_BACKBONE, "cnn")
    found = {(t["meta"]["pair"], t["y"][0]): t for t in panel.traces}
    assert len(found) == len(panel.traces) == 4
    for (pair, _), trace in found.items():
        value, low, high = NEAR if "latin" in pair else (0.8, 0.75, 1.2)
        assert trace["x"] == [value]
        assert trace["x"][0] + trace["error_x"]["array"][0] == pytest.approx(high)
        assert trace["x"][0] - trace["error_x"]["arrayminus"][0] == pytest.approx(low)
    assert [shape["x0"] for shape in panel.layout["shapes"]] == [0, CUT, 1]
    assert panel.layout["xaxis"]["range"] == pytest.approx([-0.05, 1.25])
    looks = {(k["value"], k["colour"], k["symbol"]) for k in chart(picture.figure).keys}
    assert looks == {
        (t["meta"]["pair"], t["marker"]["color"], t["marker"]["symbol"]) for t in panel.traces
    }
    assert len({symbol for *_, symbol in looks}) == 2


def test_only_a_backbones_space_is_filtered_by_backbone():
    (picture,) = [b for b in similarity(everywhere(NEAR, FAR)).blocks if isinstance(b, Picture)]
    (panel,) = chart(picture.figure).panels
    spaces = {trace["y"][0]: trace["meta"].get("backbone") for trace in panel.traces}
    assert spaces == {NO_BACKBONE: None, "cnn": "cnn"}


@pytest.mark.parametrize("files", ["similarity.csv", "figures/similarity.png"])
def test_a_written_report_holds_table_and_figure(tmp_path, files):
    made = everywhere(NEAR, FAR)
    stored = StoredResults(Grid(made.experiment).frame, similarities=made.similarities)
    page = write(made.experiment, stored, tmp_path, made.command)
    assert (tmp_path / files).stat().st_size > 100
    assert "Similarity, measured" in page.read_text()
    with (tmp_path / "similarity.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [(r["source"], r["features"]) for r in rows][:2] == [
        ("latin", NO_BACKBONE),
        ("latin", "cnn"),
    ]
    first = {name: rows[0][name] for name in ("position", "position_low", "mmd2_error", "proxy_a")}
    assert first == {
        "position": "0.2", "position_low": "0.15", "mmd2_error": "0.01", "proxy_a": "1.95",
    }  # fmt: skip
