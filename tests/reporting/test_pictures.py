"""Small images of the report: whose they are, what is said of them, and reports without them."""

from __future__ import annotations

import base64
import html
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfer_lab.data.build import build_domain
from transfer_lab.experiment.choices import Choice
from transfer_lab.reporting.blocks import (
    Fold,
    Mistakes,
    Section,
    Shelf,
    Thumbnail,
    Thumbnails,
    sheets,
)
from transfer_lab.reporting.figures.thumbnails import matrix, thumbnail
from transfer_lab.reporting.gallery import Gallery
from transfer_lab.reporting.render.html import to_html
from transfer_lab.reporting.render.markdown import to_markdown
from transfer_lab.reporting.sections.mistakes import mistakes
from transfer_lab.reporting.sections.pictured import pictured
from transfer_lab.similarity.take_thumbnails import take
from transfer_lab.similarity.thumbnails import depicted, thumbnails
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import RecordStore

from .invented import CORNERS, Grid, experiment

LETTERS, COUNT = "БГДЖЗИКЛ", 80
OPTIONS = {"train_per_class": 1, "test_per_class": COUNT // len(LETTERS)}
DOMAINS = {
    "cyrillic": {"kind": "cyrillic", "options": OPTIONS | {"letters": LETTERS}},
    "latin": {"kind": "latin", "options": OPTIONS | {"letters": "ABCDEFGH"}},
    "textures": {"kind": "textures", "options": OPTIONS},
}
HOSTILE = '<script>alert(1)</script> "x" | `y` [z](http://w)'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RecordStore:
    """With the thumbnails and the test sets of three domains."""
    store = RecordStore(tmp_path_factory.mktemp("store"))
    for domain in depicted(asked()).values():
        take(domain, store)
    return store


def asked(**changes: object):
    known = experiment(regimes=["lp_ft", "from_scratch", "majority"], seeds=2)
    domains = {name: Choice(**content) for name, content in DOMAINS.items()}
    return known.model_copy(update={"domains": domains} | changes)


@pytest.fixture
def grid(store: RecordStore, tmp_path: Path) -> Grid:
    made = Grid(asked()).finish().predict(tmp_path / "runs", n=COUNT, classes=len(LETTERS))
    made.gallery = Gallery(thumbnails(made.experiment, store), store.root / IMAGES)
    return made


@pytest.fixture(scope="module")
def tested() -> np.ndarray:
    return build_domain(asked().domains["cyrillic"], 32).make_images("test")


def pixels(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).transpose(2, 0, 1)


def shown(one: Thumbnail, images: np.ndarray) -> int:
    """The index of the image that a thumbnail shows: no other is as near."""
    apart = np.abs(images.astype(float) - pixels(one.file)).mean(axis=(1, 2, 3))
    nearest, second = np.argsort(apart)[:2]
    assert apart[nearest] < 16 and apart[second] > 1.5 * apart[nearest]
    return int(nearest)


def answers(grid: Grid, wanted) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and what the wanted cells' runs answered, read from their files."""
    files = [np.load(grid.locate(cell.run.id)) for cell in grid.cells if wanted(cell)]
    return files[0]["label"], np.stack([file["predicted"] for file in files])


def confusions(grid: Grid) -> Iterator[tuple[Mistakes, np.ndarray, np.ndarray]]:
    """Each block with the labels and the answers of the arm that it names."""
    for block in mistakes(grid.study()).blocks:
        if isinstance(block, Mistakes):
            scenario, regime = re.fullmatch(r"(\w+): (\w+) on cnn", block.caption).groups()
            yield (
                block,
                *answers(grid, lambda c, s=scenario, r=regime: (c.scenario, c.regime) == (s, r)),
            )


def test_the_head_shows_target_and_sources_by_their_role(grid, store):
    block = pictured(grid.study())
    titles = ["Target: cyrillic", "Similar source: latin", "Dissimilar source: textures"]
    assert [shelf.title for shelf in block.shelves] == titles
    for (_, items), name in zip(block.shelves, ("cyrillic", "latin", "textures"), strict=True):
        domain = build_domain(grid.experiment.domains[name], 32)
        images, labels = domain.make_images("test"), domain.labels("test")
        assert 1 < len(items) <= 6
        for one in items:
            at = shown(one, images)
            assert one.caption == domain.classes[labels[at]]
            assert at == np.flatnonzero(labels == labels[at])[0]
            assert name in one.alt and one.caption in one.alt


def test_pairs_are_counted_over_all_seeds(grid):
    seen = 0
    for block, labels, given in confusions(grid):
        wanted = {}
        for true in range(len(LETTERS)):
            for answer in range(len(LETTERS)):
                if true != answer:
                    wanted[true, answer] = int((given[:, labels == true] == answer).sum())
        images = COUNT // len(LETTERS) * len(given)
        told = [
            re.fullmatch(r"letter (.) taken for letter (.): (\d+) of (\d+)", one.text).groups()
            for one in block.items
        ]
        for true, answer, count, of in told:
            assert wanted.pop((ord(true) - 65, ord(answer) - 65)) == int(count)
            assert int(of) == images
        counts = [int(count) for *_, count, _ in told]
        assert counts == sorted(counts, reverse=True)
        assert max(wanted.values()) <= counts[-1]
        seen += 1
    assert seen == len(CORNERS)


def test_the_images_of_a_pair_are_one_that_was_mistaken_so_and_one_of_the_other_class(grid, tested):
    for block, labels, given in confusions(grid):
        for one in block.items:
            first, second = (shown(image, tested) for image in one.images)
            true, answer = re.match(r"letter (.) taken for letter (.)", one.text).groups()
            assert labels[first] == ord(true) - 65 and labels[second] == ord(answer) - 65
            assert (given[:, first] == labels[second]).any()
            assert str(first) in one.images[0].alt


def test_the_matrix_has_a_pixel_a_cell_as_opaque_as_its_share(grid):
    for block, labels, given in confusions(grid):
        cells = np.asarray(Image.open(io.BytesIO(block.matrix.file)).convert("RGBA"))
        assert cells.shape == (len(LETTERS), len(LETTERS), 4)
        for true in range(len(LETTERS)):
            share = np.bincount(given[:, labels == true].ravel(), minlength=len(LETTERS))
            share = share / share.sum()
            np.testing.assert_allclose((cells[true, :, 3] / 255) ** 2, share, atol=0.01)
        assert block.matrix.classes == tuple(f"letter {chr(65 + n)}" for n in range(len(LETTERS)))


def test_beyond_forty_classes_there_is_no_matrix(store, tmp_path):
    grid = Grid(asked()).finish().predict(tmp_path, n=90, classes=45)
    blocks = [block for block in mistakes(grid.study()).blocks if isinstance(block, Mistakes)]
    assert blocks and all(block.matrix is None and block.items for block in blocks)


def test_a_class_without_test_images_takes_no_colour():
    cells = np.asarray(Image.open(io.BytesIO(matrix(np.array([[3, 1], [0, 0]])))).convert("RGBA"))
    assert cells[1, :, 3].tolist() == [0, 0]


def test_the_most_missed_images_are_told_with_class_answer_and_count(grid, tested):
    (block,) = [b for b in mistakes(grid.study()).blocks if isinstance(b, Thumbnails)]
    labels, given = answers(grid, lambda cell: cell.regime != "majority")
    missed = (given != labels).sum(axis=0)
    (shelf,) = block.shelves
    assert f"most of {len(given)} runs" in shelf.title
    places = [shown(one, tested) for one in shelf.items]
    assert 0 < len(places) <= 12
    assert [missed[at] for at in places] == sorted(missed, reverse=True)[: len(places)]
    for one, at in zip(shelf.items, places, strict=True):
        true, answer, count = re.fullmatch(
            r"letter (.), not letter (.) \((\d+)\)", one.caption
        ).groups()
        assert ord(true) - 65 == labels[at] and int(count) == missed[at] > len(given) / 2
        wrong = np.bincount(given[:, at][given[:, at] != labels[at]])
        assert wrong[ord(answer) - 65] == wrong.max()


def test_images_that_few_runs_miss_are_not_shown(grid):
    for cell in grid.cells:
        arrays = dict(np.load(grid.locate(cell.run.id)))
        np.savez(grid.locate(cell.run.id), **arrays | {"predicted": arrays["label"]})
        known = grid.records[cell.run.id]
        grid.records[cell.run.id] = known.model_copy(update={"test_accuracy": 1.0})
    blocks = mistakes(grid.study()).blocks
    assert not [block for block in blocks if isinstance(block, Thumbnails)]
    assert all("rightly" in b.caption and not b.items for b in blocks if isinstance(b, Mistakes))


def test_page_and_files_are_the_same_every_time(grid, tmp_path):
    pages = [grid.write(tmp_path / name) for name in ("a", "b")]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    for name in ("domains.png", "mistakes-1.png", "missed-1.png"):
        first, second = (page.parent / "figures" / name for page in pages)
        assert first.read_bytes() == second.read_bytes()


def test_the_page_holds_each_image_once_a_place_and_grows_little(grid, tmp_path):
    with_images = grid.write(tmp_path / "with").read_text()
    found = re.findall(r'<img alt="([^"]+)"[^>]* src="data:image/webp;base64,([^"]+)"', with_images)
    study = grid.study()
    head, section = pictured(study), mistakes(study)
    every = [
        one
        for rows in sheets((Section("", (head, *section.blocks)),)).values()
        for row in rows
        for one in row
    ]
    assert [(html.unescape(alt), base64.b64decode(data)) for alt, data in found] == [
        (one.alt, one.file) for one in every
    ]
    assert all(len(one.file) < 4000 for one in every)
    grid.gallery = Gallery()
    without = grid.write(tmp_path / "without").read_text()
    assert 0 < len(with_images) - len(without) < 300_000


def test_markdown_has_one_file_a_sheet_and_stale_ones_go(grid, tmp_path):
    grid.write(tmp_path)
    text = (tmp_path / "report.md").read_text()
    files = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"domains.png", "mistakes-4.png", "missed-1.png"} <= files
    named = set(re.findall(r"\]\(figures/([^)]+)\)", text))
    assert {"domains.png"} <= named <= files
    assert "- Target: cyrillic: Б, " in text
    grid.gallery = Gallery()
    grid.write(tmp_path)
    assert not (tmp_path / "figures" / "domains.png").exists()


def test_a_sheet_has_a_row_a_shelf(grid, tmp_path):
    grid.write(tmp_path)
    shelves = pictured(grid.study()).shelves
    width, height = Image.open(tmp_path / "figures" / "domains.png").size
    assert width == 78 * max(len(shelf.items) for shelf in shelves) - 6
    assert height == 78 * len(shelves) - 6


def test_hostile_names_stay_text():
    one = thumbnail(np.zeros((3, 8, 8), np.uint8), HOSTILE, HOSTILE)
    block = Mistakes("m.png", HOSTILE, (), None)
    names = (HOSTILE, "b")
    both = replace(block, matrix=_matrix(names))
    shelf = Thumbnails("t.png", HOSTILE, (Shelf(HOSTILE, (one,)),))
    answer = Section("y", (shelf, Fold("z", (both,))), folded=False)
    sections = (Section("x", ()), answer)
    page = to_html(sections, {}, {}, {})
    assert (
        "<script>alert" not in page
        and '"x"'
        not in page.partition("</style>")[2].replace("&#34;x&#34;", "").partition("<script")[0]
    )
    text = to_markdown(sections)
    assert "<script>" not in text and "[z](" not in text
    assert set(sheets(sections)) == {"t.png"}


def _matrix(names: tuple[str, ...]):
    from transfer_lab.reporting.blocks import Matrix

    return Matrix(matrix(np.eye(len(names), dtype=int)), names)


@pytest.mark.parametrize("how", ["missing", "cut off", "no array", "other shape", "other count"])
def test_without_the_test_set_words_remain(grid, store, tmp_path, how):
    known = thumbnails(grid.experiment, store)
    path = tmp_path / f"{known['cyrillic'].array}.npy"
    match how:
        case "cut off":
            whole = (store.root / IMAGES / path.name).read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
        case "no array":
            path.write_text("no array")
        case "other shape":
            np.save(path, np.zeros((COUNT, 32, 32), np.uint8))
        case "other count":
            np.save(path, np.zeros((COUNT - 1, 3, 32, 32), np.uint8))
    grid.gallery = Gallery(known, tmp_path)
    blocks = mistakes(grid.study()).blocks
    told = [block for block in blocks if isinstance(block, Mistakes)]
    assert len(told) == len(CORNERS)
    assert all(block.items and not any(one.images for one in block.items) for block in told)
    assert not [block for block in blocks if isinstance(block, Thumbnails)]
    assert pictured(grid.study())


def test_images_of_another_test_set_than_the_predictions_are_not_shown(grid, tmp_path):
    other = Grid(asked()).finish().predict(tmp_path / "other", n=COUNT - 8, classes=len(LETTERS))
    other.gallery = grid.gallery
    blocks = mistakes(other.study()).blocks
    assert not [block for block in blocks if isinstance(block, Thumbnails)]
    assert not any(sheets((Section("", blocks),)).values())


def test_without_predictions_there_is_no_section_and_nothing_fails(grid, tmp_path):
    for cell in grid.cells:
        grid.locate(cell.run.id).write_bytes(b"no archive")
    assert mistakes(grid.study()) is None
    assert "Target: cyrillic" in grid.write(tmp_path).read_text()


def test_where_one_seed_is_damaged_the_others_are_told(grid):
    best = next(confusions(grid))[0].caption
    scenario, regime = re.fullmatch(r"(\w+): (\w+) on cnn", best).groups()
    cell = next(c for c in grid.cells if (c.scenario, c.regime) == (scenario, regime))
    grid.locate(cell.run.id).unlink()
    block = next(b for b in mistakes(grid.study()).blocks if isinstance(b, Mistakes))
    assert all(one.text.endswith(f"of {COUNT // len(LETTERS)}") for one in block.items)


def test_more_scenarios_than_are_pictured_are_folded(grid, tmp_path):
    places = grid.experiment.scenarios
    many = {
        f"{name}_{n}": place.model_copy(update={"per_class": place.per_class + n})
        for n in range(3)
        for name, place in places.items()
    }
    more = (
        Grid(asked(scenarios=many))
        .finish()
        .predict(tmp_path / "more", n=COUNT, classes=len(LETTERS))
    )
    more.gallery = grid.gallery
    blocks = mistakes(more.study()).blocks
    (fold,) = [block for block in blocks if isinstance(block, Fold)]
    assert len(fold.blocks) == 4 and fold.title == "4 further scenarios"
    assert len([block for block in blocks if isinstance(block, Mistakes)]) == 8


def test_large_photographs_leave_as_small_ones_only():
    image = np.random.default_rng(0).integers(0, 256, (3, 300, 300), np.uint8)
    one = thumbnail(image, "a", "b")
    assert one.side == 64 and pixels(one.file).shape == (3, 64, 64)


def test_torch_is_not_loaded():
    code = (
        "import sys, transfer_lab.reporting.collect, transfer_lab.reporting.sections.order;"
        "import transfer_lab.reporting.figures.thumbnails; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
