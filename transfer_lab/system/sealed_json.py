"""JSON with its checksum: what a damaged file cannot pass for."""

from __future__ import annotations

import hashlib
import json

canonical = json.JSONEncoder(sort_keys=True).encode
"""JSON with sorted keys, as `json.dumps(..., sort_keys=True)` writes it."""

_HEAD, _MIDDLE, _END = b'{"sha256": "', b'", "record": ', b"}"
_START = len(_HEAD) + 64 + len(_MIDDLE)


def sealed(body: dict[str, object]) -> bytes:
    """The file: laid out so that its checksum is compared without parsing, since a store holds
    many."""
    return _around(canonical(body).encode())


def opened(content: bytes) -> bytes:
    """The body of a file, as JSON; ValueError where it is damaged.

    Other layouts of the same, as older stores have them, are read as well.
    """
    body = content[_START : -len(_END)]
    if content == _around(body):
        return body
    data = json.loads(content)
    if not isinstance(data, dict) or set(data) != {"sha256", "record"}:
        raise ValueError("not a record")
    if not isinstance(data["record"], dict):
        raise ValueError("the record is no mapping of columns to values")
    body = canonical(data["record"]).encode()
    if data["sha256"] != _sha256(body):
        raise ValueError("checksum does not match")
    return body


def _around(body: bytes) -> bytes:
    return _HEAD + _sha256(body).encode() + _MIDDLE + body + _END


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
