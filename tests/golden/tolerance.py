"""What the tolerance lies between: `python -m tests.golden.tolerance`.

How far the logits of the steady runs move, as a part of the largest, between ways of computing the
same, and with the smallest changes of what is computed.
"""

from __future__ import annotations

from tests.golden.results import EVERYWHERE, distance, read, steady, trained

WAYS = {
    "the machine's own": ({}, "steady"),
    "AVX2": ({"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}, "steady"),
    "two threads": ({}, "steady", "1", "2"),
}
CHANGES = {
    "rates 1 % higher": (EVERYWHERE, "steady", "1.01"),
}


def main() -> None:
    """Print the movement of every run, and the extremes."""
    pinned = steady(read().answers)
    for title, asked in (WAYS | CHANGES).items():
        (found,) = trained(asked)
        apart = {name: distance(found[name], pinned[name]) for name in pinned if name in found}
        print(title)
        for name, how_far in apart.items():
            print(f"  {how_far:.1e}  {name}")
        for numbers in ("fp32", "bf16"):
            known = [x for name, x in apart.items() if name.startswith(numbers)]
            if known:
                print(f"{title}: {numbers} {min(known):.1e} to {max(known):.1e}", flush=True)


if __name__ == "__main__":
    main()
