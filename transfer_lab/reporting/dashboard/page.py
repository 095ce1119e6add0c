"""The script that Streamlit runs: `page.py RUNS [EXPERIMENT.yaml ...]`."""

from __future__ import annotations

import sys
from pathlib import Path

from transfer_lab.reporting.dashboard.launch import FOLDER, offered
from transfer_lab.reporting.dashboard.views import show

if __name__ == "__main__":
    runs, *named = map(Path, sys.argv[1:])
    show(named or offered(FOLDER), runs, chosen=bool(named))
