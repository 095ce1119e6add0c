"""What is said of an album before anything is learnt from it, and which groups it falls into."""

from pathlib import Path

import numpy as np
import pytest

from tests.advice.clusters import clouds
from tests.advice.pictures import scribbles
from transfer_lab.advice.advice import Flag
from transfer_lab.advice.album.album import Album, Photo, RefusedError
from transfer_lab.advice.audit.audit import audit, in_order, suspects_flag
from transfer_lab.advice.audit.own_groups import own_groups
from transfer_lab.advice.audit.suspects import label_suspects, unlike_the_rest
from transfer_lab.advice.features.features import Features
from transfer_lab.advice.features.looks import Look
from transfer_lab.advice.promise.resampling import out_of_fold
from transfer_lab.advice.promise.temperature import temperature

ROOT = Path("photos")
NAMES = ("beech", "elm", "oak")


def an_album(labels, folders=None, **more) -> Album:
    folders = folders or [""] * len(labels)
    photos = tuple(
        Photo(ROOT / NAMES[label] / folder / f"{place}.jpg", NAMES[label], f"{place:064}")
        for place, (label, folder) in enumerate(zip(labels, folders, strict=True))
    )
    return Album(ROOT, NAMES[: max(labels) + 1], photos, **more)


def looks(count, *, size=(640, 480), frame=(-1, -1, -1, -1)) -> list[Look]:
    draw = np.random.default_rng(3)
    w, h = size
    return [Look(w + int(draw.integers(90)), h, None, frame) for _ in range(count)]


def seen_as(features, groups=None, seen=None) -> Features:
    """Photographs of these features; those of a group are the same picture."""
    places = np.arange(len(features))
    return Features(
        values=features,
        kept=places,
        looks=tuple(seen or looks(len(features))),
        thumbnails=scribbles(places if groups is None else groups),
        seconds=0.0,
        broken=(),
        reached=len(features),
    )


def found(album, features, seen=None, *, groups=None) -> dict[str, Flag]:
    flags = audit(album, seen_as(features, groups, seen)).flags
    return {flag.kind: flag for flag in flags}


def test_an_ordinary_album_has_nothing_to_look_at():
    features, labels, _ = clouds(20, 3, 4.0)
    assert found(an_album(labels), features) == {}


def test_near_copies_are_counted_once_and_shown_together():
    features, labels, groups = clouds(15, 3, 4.0, copies=3)
    findings = audit(an_album(labels), seen_as(features, groups))
    (flag,) = findings.flags
    assert len(np.unique(findings.groups)) == len(np.unique(groups)) == 45
    assert flag.kind == "near_copies" and flag.text.startswith("90 are near-copies")
    assert len(flag.paths) == 45 and set(map(len, flag.paths)) == {3}


def test_near_copies_in_two_classes_are_told_first():
    features, labels, groups = clouds(15, 3, 4.0, copies=2)
    labels[1] = 2
    flags = found(an_album(labels), features, groups=groups)
    assert list(flags) == ["alike_in_two_classes", "near_copies"]
    assert flags["alike_in_two_classes"].text == "2 look alike but lie in different folders"
    assert flags["alike_in_two_classes"].paths == (("beech/0.jpg", "oak/1.jpg"),)


def test_groups_of_the_owner_and_near_copies_are_joined():
    features, labels, groups = clouds(10, 2, 4.0, copies=2)
    own = np.arange(len(labels)) // 4
    findings = audit(an_album(labels), seen_as(features, groups), own)
    assert len(np.unique(findings.groups)) == 10
    assert all(len(np.unique(findings.groups[own == one])) == 1 for one in range(10))
    assert len(np.unique(groups)) == 20


def test_few_photographs_uneven_classes_and_small_images():
    features, labels, _ = clouds(44, 3, 4.0)
    kept = np.concatenate([np.flatnonzero(labels < 2), np.flatnonzero(labels == 2)[:4]])
    seen = looks(len(kept))
    seen[5] = Look(640, 63, None, (-1,) * 4)
    flags = found(an_album(labels[kept]), features[kept], seen)
    assert flags["few_images"].text == 'fewer than 10 photos of "oak" (4)'
    assert flags["imbalance"].text == '"beech" has 44 photos, "oak" only 4'
    assert flags["small_images"].paths == (("beech/5.jpg",),)


def test_a_class_that_its_size_gives_away():
    features, labels, _ = clouds(20, 3, 4.0)
    album = an_album(labels)
    seen = looks(60)
    assert "told_by_size" not in found(album, features, seen)
    seen[40:] = looks(20, size=(1200, 1600))
    flags = found(album, features, seen)
    assert '"oak" can be told by the size' in flags["told_by_size"].text


def test_a_class_that_its_frame_gives_away():
    features, labels, _ = clouds(20, 3, 4.0)
    album = an_album(labels)
    framed = looks(60, frame=(0, 0, -1, -1))
    assert found(album, features, framed) == {}  # all have one
    seen = looks(60)
    seen[20:39] = looks(19, frame=(0, 0, -1, -1))
    assert (
        '"elm" can be told by an even border' in found(album, features, seen)["told_by_frame"].text
    )


def test_a_class_of_one_burst_is_said_to_be_one():
    features, labels, _ = clouds(12, 2, 4.0)
    features[labels == 1] = features[labels == 1][0]
    assert (
        'all photos of "elm" belong together' in found(an_album(labels), features)["one_burst"].text
    )


def test_what_was_set_aside_is_told_by_its_reason():
    features, labels, _ = clouds(12, 2, 4.0)
    aside = (
        (ROOT / "beech" / "a.jpg", "cannot be read (torn)"),
        (ROOT / "b.heic", "HEIC photographs are not read"),
        (ROOT / "c.heic", "HEIC photographs are not read"),
    )
    both = ((ROOT / "beech" / "x.jpg", ROOT / "elm" / "x.jpg"),)
    flags = found(an_album(labels, set_aside=aside, contradictory=both), features)
    assert list(flags) == ["two_classes", "unreadable", "set_aside"]
    assert flags["two_classes"].paths == (("beech/x.jpg", "elm/x.jpg"),)
    assert flags["unreadable"].text == "1 unreadable"
    assert flags["set_aside"].text == "2 left out: HEIC photographs are not read"


def test_a_photograph_of_something_else_is_unlike_the_rest():
    features, labels, _ = clouds(40, 3, 3.0)
    features = np.abs(features + 4)  # as a network's: what all have in common is most of it
    features[7] = 0
    features[7, ::9] = 20
    flags = found(an_album(labels), features)
    assert flags["unlike_the_rest"].paths == (("beech/7.jpg",),)
    assert not len(unlike_the_rest(np.eye(3), np.zeros(3, int)))


def test_wrong_labels_are_among_those_to_look_at_and_few_others():
    features, labels, groups = clouds(40, 3, 5.0, seed=2)
    given = labels.copy()
    wrong = np.random.default_rng(0).choice(len(labels), 6, replace=False)
    given[wrong] = (labels[wrong] + 1) % 3
    oof = out_of_fold(features, given, groups, 3)
    found, other = label_suspects(oof.logits, given, temperature(oof.logits, given))
    hit = np.isin(found, wrong)
    assert hit.sum() >= 4 and len(found) <= 8
    assert other[hit].tolist() == labels[found[hit]].tolist()
    (flag,) = suspects_flag(an_album(given), oof.logits, 1.0)
    assert flag.text.endswith("may be in the wrong folder")


def test_flags_come_in_the_order_of_how_much_they_matter():
    flags = [Flag(kind=kind, text="") for kind in ("cache", "near_copies", "two_classes")]
    assert [flag.kind for flag in in_order(flags)] == ["two_classes", "near_copies", "cache"]


LABELS = [0, 0, 0, 1, 1, 1]


def test_groups_by_folder():
    album = an_album(LABELS, ["site1", "site1", "site2", "site1", "", ""])
    groups = own_groups(album, looks(6), "folder").tolist()
    assert groups[0] == groups[1] == groups[3] and len(set(groups)) == 4


def test_groups_by_day():
    days = ["2024:05:01 10", "2024:05:01 18", "2024:05:02 10", "2024:05:02 11", None, None]
    seen = [Look(9, 9, day, (-1,) * 4) for day in days]
    groups = own_groups(an_album(LABELS), seen, "exif-day").tolist()
    assert groups[0] == groups[1] != groups[2] == groups[3] and len(set(groups)) == 4


@pytest.mark.parametrize(("by", "expected"), [("^site.", 2), ("site(.)", 2), (r"\d\.jpg", 6)])
def test_groups_by_a_pattern(by, expected):
    album = an_album(LABELS, ["site1", "site1", "site2", "site1", "site2", "site2"])
    assert len(np.unique(own_groups(album, looks(6), by))) == expected


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("folder", "no photograph lies in a folder below its class folder"),
        ("exif-day", "no photograph says when it was taken"),
        ("site", "finds nothing in 6 of 6 paths, as 0.jpg"),
        ("(", "is none of folder, exif-day"),
        ("jpg", "all photographs are of one group, jpg"),
    ],
)
def test_groups_that_are_not_there_are_refused_with_the_other_ways(by, told):
    with pytest.raises(RefusedError) as caught:
        own_groups(an_album(LABELS), looks(6), by)
    assert told in str(caught.value)
