"""What is printed: no text of others moves the cursor, and no stream that is gone or speaks another
alphabet costs anything."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

_SEQUENCE = re.compile(
    "(?:\x1b\\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # names of windows, links
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"  # colours, the cursor
    "|\x1b[ -/]*[0-~]?"
)
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
"""What has no shape of its own and changes how the rest is shown, but for tab and new line."""


def plain(text: str) -> str:
    """The text without what a terminal obeys: names of classes and files are anybody's."""
    if _CONTROL.search(text) is None:
        return text
    return _CONTROL.sub("", _SEQUENCE.sub("", text))


class LastingStream:
    """A text stream that never raises: what it cannot encode is replaced, and once it is closed,
    broken or full it is silent."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            known = self._stream.encoding or "ascii"
            return self.write(text.encode(known, "replace").decode(known))
        except (OSError, ValueError):
            self._fall_silent()
            return len(text)

    def flush(self) -> None:
        """Hand on what was written, if anybody takes it."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._fall_silent()

    def __getattr__(self, name: str) -> Any:
        """All else as the stream has it."""
        return getattr(self._stream, name)

    def _fall_silent(self) -> None:
        """What is still waiting to be written must not be tried again when the process ends."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)


@contextlib.contextmanager
def lasting_streams() -> Iterator[None]:
    """Within this the standard streams never raise."""
    before = sys.stdout, sys.stderr
    ours = [stream and LastingStream(stream) for stream in before]
    sys.stdout, sys.stderr = ours
    try:
        yield
    finally:
        for stream in filter(None, ours):
            stream.flush()
        sys.stdout, sys.stderr = before
