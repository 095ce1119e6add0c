"""The options and arguments that commands share, with what `--help` says of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from transfer_lab.system.workers import EngineName, Numbers


class ReportFormat(StrEnum):
    """What `report` writes: the page with all that belongs to it, or tables for a paper."""

    page = "page"
    latex = "latex"


ExperimentPath = Annotated[
    Path, typer.Argument(metavar="EXPERIMENT.yaml", help="The experiment to work on.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="a.b=VALUE",
        help="Override one value of the file, e.g. `--set fit.epochs=20` or `--set seeds=[0,1]`. "
        "May be repeated.",
    ),
]
RunsFolder = Annotated[
    Path,
    typer.Option("--runs", metavar="DIR", help="Store of finished runs."),
]
ReportsFolder = Annotated[
    Path, typer.Option("--reports", metavar="DIR", help="Where `DIR/<experiment>/` is written.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Worker processes, one run each at a time.",
        show_default="one per core; with Ray as many as the cluster has room for",
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        min=1,
        help="Threads of a worker. Another number may change the last digits of results.",
    ),
]
Precision = Annotated[
    Numbers | None,
    typer.Option(
        help="Numbers that networks compute in; auto: bf16 where CPU or GPU have it in hardware, "
        "else fp32. Records say which, and may be of both.",
        show_default="as the experiment says; auto where it says nothing",
    ),
]
Engine = Annotated[
    EngineName,
    typer.Option(
        help="Where runs execute: worker processes on this machine, or on the Ray cluster that "
        "RAY_ADDRESS names (without it, a cluster of this machine alone).",
    ),
]
GpusPerRun = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="With `--engine ray`: the share of a GPU, and of its memory, that a run has; 0.25 "
        "lets four runs share one, 0 keeps runs on CPUs.",
        show_default="1 where the cluster has a GPU, else 0",
    ),
]
Wandb = Annotated[
    str | None,
    typer.Option(
        metavar="offline|online|disabled",
        help="Copy finished runs to Weights & Biases; overrides the experiment's `wandb.mode`.",
        show_default="as the experiment says",
    ),
]
TrackerNames = Annotated[
    list[str] | None,
    typer.Option(
        "--tracker",
        metavar="wandb|tensorboard|mlflow|csv",
        help="Copy finished runs to this tracker; may be repeated. Overrides the experiment's "
        "`trackers`.",
        show_default="as the experiment says",
    ),
]
Download = Annotated[
    bool,
    typer.Option(
        "--download",
        help="Fetch published datasets and weights that are absent. Without it nothing is fetched.",
    ),
]
Wide = Annotated[
    bool,
    typer.Option(
        "--wide", help="Tables in one piece and run ids, however wide; as when piped elsewhere."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead, for other programs.")]
