"""The experiments that come with the package: what each is, and a copy to run and to change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from transfer_lab.experiment.catalog import suggest

FOLDER = Path("experiments")
"""Where copies go unless told otherwise, so that the commands in their first lines hold."""
_TITLE = re.compile(r"^title: *(.+)$", re.MULTILINE)
_TAKES = re.compile(r"^# Takes: *(.+)$", re.MULTILINE)
_COMMAND = re.compile(r"^#.*?(transfer-lab run (?:.*\\\n)*.*)$", re.MULTILINE)
_MODULE = re.compile(r"\bmodule: *([\w./-]+\.py):")
_YAML = (".yaml", ".yml")


class NotCopiedError(Exception):
    """An experiment that cannot be copied; the message says why, and the way out."""


@dataclass(frozen=True)
class Shipped:
    """One experiment of the package: a YAML file whose first lines say what it is."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """The name by which it is copied, that of the file."""
        return self.path.stem

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return _first(_TITLE, self.text)

    @property
    def takes(self) -> str:
        """What has to be there, and how long it takes."""
        return _first(_TAKES, self.text)

    def command(self, place: Path) -> str:
        """The command of its first lines, for a copy."""
        words = _first(_COMMAND, self.text).replace("\\\n#", "").split()
        return " ".join(str(place) if word.endswith(_YAML) else word for word in words)

    def copy(self, place: Path | None = None) -> Path:
        """Write it, and the Python files it names beside it, into a folder or as a YAML file.

        Returns the YAML file. Raises NotCopiedError, before anything is written, where that would
        overwrite another file.
        """
        place = FOLDER if place is None else place
        target = place if place.suffix in _YAML else place / self.path.name
        wanted = {target: self.path}
        for module in _MODULE.findall(self.text):
            wanted[target.parent / module] = self.path.parent / module
        try:
            for there, here in wanted.items():
                if there.exists() and there.read_bytes() != here.read_bytes():
                    way = f"move it away, or name another place: transfer-lab copy {self.name} DEST"
                    raise NotCopiedError(f"{there}: is there already and is not overwritten; {way}")
            target.parent.mkdir(parents=True, exist_ok=True)
            for there, here in wanted.items():
                there.write_bytes(here.read_bytes())
        except OSError as error:
            reason = f"{error.filename}: cannot write there ({error.strerror})"
            raise NotCopiedError(reason) from error
        return target


def shipped() -> dict[str, Shipped]:
    """Name -> experiment. A wheel carries them inside; in a checkout they lie beside the code."""
    package = Path(str(files("transfer_lab")))
    inside = package / "experiments"
    folder = inside if inside.is_dir() else package.parent / "experiments"
    paths = sorted(folder.glob("*.yaml"))
    return {path.stem: Shipped(path, path.read_text(encoding="utf-8")) for path in paths}


def find(name: str) -> Shipped:
    """The experiment of this name; raises NotCopiedError with the nearest ones."""
    known = shipped()
    if name not in known:
        told = f"no experiment '{name}' comes with transfer-lab; {suggest(name, known)}"
        raise NotCopiedError(f"{told} (`transfer-lab experiments` lists them)")
    return known[name]


def advice(path: Path) -> str:
    """The way out where a file is absent and an experiment of its name is shipped, or nothing."""
    name = path.name if path.suffix == "" else path.stem
    if path.suffix not in ("", *_YAML) or name not in shipped():
        return ""
    copy = FOLDER / f"{name}.yaml"
    if copy.exists() and copy != path:
        return f"{copy} is there"
    return f"it comes with transfer-lab: `transfer-lab copy {name}` writes {copy}"


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1].strip() if found else ""
