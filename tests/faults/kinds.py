"""Every kind of file that a store holds, and what is promised where one is damaged.

Whoever lets a store hold another kind adds it here; a test fails until then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transfer_lab.grid.calibration import FILE as CALIBRATION
from transfer_lab.store import layout, locks

_RUN, _ID = "[0-9a-f]{16}", "[0-9a-f]{16,24}"


@dataclass(frozen=True)
class Kind:
    """`pattern`: of paths below the store. `named`: whether `doctor` names a damaged one and ends
    with another code than 0. `cache`: whether results are only read from it where runs are trained
    again, which the tests then make them be."""

    name: str
    pattern: str
    named: bool = True
    cache: bool = False

    def files(self, store: Path) -> list[Path]:
        """Those that lie there."""
        found = (p for p in store.rglob("*") if p.is_file() or p.is_symlink())
        return sorted(p for p in found if re.fullmatch(self.pattern, _below(p, store)))


def _below(path: Path, store: Path) -> str:
    return path.relative_to(store).as_posix()


def _of_run(name: str) -> str:
    return f"{_RUN}/{re.escape(name)}"


def _in(folder: str, suffix: str) -> str:
    return f"{re.escape(folder)}/{_ID}{re.escape(suffix)}"


KINDS = (
    Kind("record", _of_run(layout.RECORD)),
    Kind("curve", _of_run(layout.CURVE)),
    Kind("predictions", _of_run(layout.PREDICTIONS)),
    Kind("changes of stages", _of_run(layout.STAGE_DRIFT)),
    Kind("trials", _of_run(layout.TRIALS)),
    Kind("weights", _of_run(layout.WEIGHTS), cache=True),
    Kind("images", _in(layout.IMAGES, ".npy"), cache=True),
    Kind("notes of images", _in(layout.IMAGES, ".json"), cache=True),
    Kind("frozen outputs", _in(layout.ACTIVATIONS, ".rows"), named=False, cache=True),
    Kind("sums of outputs", _in(layout.ACTIVATIONS, ".sums"), named=False, cache=True),
    Kind("notes of outputs", _in(layout.ACTIVATIONS, ".json"), named=False, cache=True),
    Kind("similarities", _in(layout.SIMILARITY, ".json")),
    Kind("overlaps", _in(layout.OVERLAPS, ".json")),
    Kind("thumbnails", _in(layout.THUMBNAILS, ".json")),
    # What no result and no report is made from: a damaged one is passed over.
    Kind("kept model", f"{_RUN}/{layout.MODEL}/[^/]+", named=False),  # it has checksums of its own
    Kind("traceback", f"{_RUN}/({layout.TRACE}|{layout.ONE_PASS_TRACE})", named=False),
    Kind("lease", _of_run(locks.NAME), named=False),
    Kind("running grid", f"{layout.RUNNING}/[^/]+\\.json", named=False),
    Kind("calibration", re.escape(CALIBRATION), named=False),
    Kind("being written", r"(.+/)?\.tmp-[^/]*", named=False),
    Kind("set aside", _of_run(layout.RECORD) + r"\.damaged-\d+", named=False),
)


def kind_of(path: Path, store: Path) -> Kind:
    """The one kind that a file is of; raises LookupError where it is none's or several's."""
    found = [kind for kind in KINDS if re.fullmatch(kind.pattern, _below(path, store))]
    if len(found) != 1:
        raise LookupError(
            f"{_below(path, store)}: {len(found)} kinds of files have this name; each kind that a "
            f"store holds has a damage case of its own: add it to {Path(__file__).name}"
        )
    return found[0]


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) * 2 // 3] ^= 1
    path.write_bytes(content)


def foreign(path: Path) -> None:
    """What another file of the folder holds, or another program's."""
    others = [p for p in path.parent.parent.rglob(f"*{path.suffix}") if p != path and p.is_file()]
    content = others[0].read_bytes() if others else b""
    path.write_bytes(content if content != path.read_bytes() and content else b'{"other": [1]}')


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def unreadable(path: Path) -> None:
    """A link to itself: no user can open it, not even root."""
    path.unlink()
    path.symlink_to(path.name)


DAMAGES: tuple[Callable[[Path], None], ...] = (empty, flip, foreign, folder, unreadable)


def leave_the_rest(store: Path) -> None:
    """The files that a grid in one process does not leave, as others do."""
    run = next(path.parent for path in store.glob(f"*/{layout.RECORD}"))
    (run / layout.TRACE).write_text("Traceback (most recent call last):\n")
    (run / layout.ONE_PASS_TRACE).write_text("Traceback (most recent call last):\n")
    (run / layout.MODEL).mkdir()
    (run / layout.MODEL / "model.json").write_text("{}")
    (run / locks.NAME).write_text("")
    (run / ".tmp-abc.json").write_text("{")
    (run / f"{layout.RECORD}.damaged-1").write_text("{")
    (store / layout.RUNNING).mkdir(exist_ok=True)
    (store / layout.RUNNING / "host-1.json").write_text("{}")
    (store / CALIBRATION).write_text('{"0": [1.0, 1.0, 1.0]}')
