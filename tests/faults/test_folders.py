"""Folders of images that hold what is no image: nothing hangs, nothing vanishes unsaid."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.photos import CLASSES, fill
from transfer_lab.cli.inspect import inspect
from transfer_lab.system import image_folder
from transfer_lab.system.image_folder import DataUnavailable, list_files


@pytest.fixture(autouse=True)
def _at_most_a_minute():
    """What hangs is a failure and not a test run without an end."""

    def over(*_):
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def set_aside(root: Path) -> dict[str, str]:
    listing = list_files(root)
    assert len(listing.files) == 30 and listing.classes == CLASSES
    return {path.name: reason for path, reason in listing.set_aside}


def test_a_pipe_called_as_an_image_is_set_aside_and_not_waited_for(tmp_path):
    os.mkfifo(fill(tmp_path) / "bay" / "pipe.jpg")
    assert "no regular file" in set_aside(tmp_path)["pipe.jpg"]


def test_a_device_called_as_an_image_is_set_aside(tmp_path):
    try:
        os.mknod(fill(tmp_path) / "bay" / "zero.jpg", 0o666 | 0o020000, os.makedev(1, 5))
    except OSError:
        pytest.skip("devices cannot be made here")
    assert set_aside(tmp_path)["zero.jpg"]


def test_a_link_to_a_device_leads_out_of_the_folder(tmp_path):
    (fill(tmp_path) / "bay" / "zero.jpg").symlink_to("/dev/zero")
    assert "leads out" in set_aside(tmp_path)["zero.jpg"]


def test_a_loop_of_links_is_set_aside(tmp_path):
    first, second = (fill(tmp_path) / "bay" / f"{name}.jpg" for name in ("one", "other"))
    first.symlink_to(second)
    second.symlink_to(first)
    assert set(set_aside(tmp_path)) == {"one.jpg", "other.jpg"}


def test_a_folder_called_as_an_image_is_walked_into(tmp_path):
    (fill(tmp_path) / "bay" / "folder.jpg").mkdir()
    assert set_aside(tmp_path) == {}


def refused(monkeypatch, name: str, place: Path) -> None:
    """A call of the system that this place denies, also to root."""
    real = getattr(image_folder.os, name)

    def denied(path, *args, **how):
        if Path(path) == place:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **how)

    monkeypatch.setattr(image_folder.os, name, denied)


def test_a_subfolder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    inner = fill(tmp_path) / "bay" / "more"
    inner.mkdir()
    refused(monkeypatch, "scandir", inner)
    assert "Permission denied" in set_aside(tmp_path)["more"]


def test_a_root_that_may_be_listed_and_not_entered_is_refused_by_name(tmp_path, monkeypatch):
    root = fill(tmp_path / "root")

    def denied(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(image_folder.Path, "is_symlink", denied)
    with pytest.raises(DataUnavailable, match=r"root.*cannot read the folder \(Permission denied"):
        list_files(root)


def test_classes_that_are_one_by_their_letters_are_refused(tmp_path):
    composed, apart = "caf\u00e9", "cafe\u0301"
    for name in (composed, apart):
        fill(tmp_path, classes=(name,))
    fill(tmp_path, classes=("wood",))
    with pytest.raises(DataUnavailable, match="put together in different ways"):
        list_files(tmp_path)


def test_classes_that_differ_in_case_alone_are_said(tmp_path, capsys):
    fill(tmp_path, classes=("Cat", "cat", "dog"))
    assert list_files(tmp_path).classes == ("Cat", "cat", "dog")
    assert inspect(str(tmp_path)) == 1
    assert "'Cat', 'cat'" in capsys.readouterr().out
