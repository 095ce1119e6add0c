"""How the photo commands end where they do not come to their end: a plain sentence, and a code."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text

from transfer_lab.advice.album.handed_over import RefusedError
from transfer_lab.cli.steps import console
from transfer_lab.reporting.wording import one_line
from transfer_lab.system.files import FULL

REFUSED, INTERRUPTED = 2, 130
_OF_THE_PLACE = (*FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR)


@dataclass
class Ended:
    """The exit code of a command that was stopped."""

    code: int = REFUSED


@contextlib.contextmanager
def told(kept: str = "") -> Iterator[Ended]:
    """What is refused, and places that cannot be written, become a sentence; so does Ctrl-C, with
    what is `kept` of the work."""
    ended = Ended()
    try:
        yield ended
    except (RefusedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _OF_THE_PLACE:
            raise
        complain(_sentence(error))
    except KeyboardInterrupt:
        ended.code = INTERRUPTED
        complain(f"stopped{kept and '; '}{kept}")


def complain(text: str) -> None:
    """A sentence where errors are read, without anything that steers a terminal."""
    console(error=True).print(Text(one_line(text)), soft_wrap=True)


def _sentence(error: RefusedError | OSError) -> str:
    if not isinstance(error, OSError):
        return str(error)
    place = f"{error.filename}: " if error.filename else ""
    out = "free some room" if error.errno in FULL else "choose another place"
    return f"{place}{error.strerror}; {out}"
