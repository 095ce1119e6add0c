"""`make evidence`: measure what is not measured yet, and write the report on all that is."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.evidence import bursts, commands, probes, regimes, report
from benchmarks.evidence.records import Records
from benchmarks.evidence.tasks import named

REPORT = Path("reports/advice")
PARTS = {
    "probes": probes.draws,
    "shuffled": probes.shuffled,
    "bursts": bursts.draws,
    "commands": commands.draws,
    "regimes": regimes.draws,
}


def main() -> None:
    """Each part in turn, an hour at most unless told otherwise; what is left waits."""
    parser = argparse.ArgumentParser(prog="benchmarks.evidence", description=__doc__)
    known = [*PARTS, "report"]
    parser.add_argument("parts", nargs="*", choices=[*known, []], help="all without any")
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("EVIDENCE_DATA"),
        help="where the downloaded sets lie (default: $EVIDENCE_DATA)",
    )
    parser.add_argument("--work", type=Path, default=Path("runs/evidence"), help="for features")
    parser.add_argument("--tasks", default="", help="names, with commas; all without")
    parser.add_argument("--minutes", type=float, default=60, help="for each part")
    chosen = parser.parse_args()
    tasks = named([name for name in chosen.tasks.split(",") if name])
    for part in chosen.parts or known:
        if part in PARTS:
            jobs = PARTS[part](tasks, Path(chosen.data or "data"), chosen.work)
            done = Records(REPORT / f"{part}.jsonl").fill(jobs, 60 * chosen.minutes)
            print(f"{part}: {done} draws more", flush=True)
        else:
            report.write(REPORT)


if __name__ == "__main__":
    main()
