"""A small folder of texts, as people have them."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

WORDS = {
    "kitchen": ("bread", "butter", "oven", "flour", "kettle", "soup"),
    "weather": ("rain", "wind", "cloud", "storm", "frost", "sun"),
    "music": ("violin", "drum", "song", "choir", "piano", "chord"),
}


def fill(root: Path, per_class: int = 10) -> Path:
    """`<root>/<class>/<n>.txt`, each of two of its class's words and its number."""
    for name, words in WORDS.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(per_class):
            first, second = words[index % 6], words[(index // 6 + index) % 6]
            text = f"The {first} and the {second}, number {index}.\n"
            (root / name / f"{index}.txt").write_text(text, encoding="utf-8")
    return root


@cache
def texts(per_class: int = 10) -> str:
    """One such folder of each size for all tests that only read it."""
    root = Path(tempfile.mkdtemp(prefix="texts-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return str(fill(root, per_class))
