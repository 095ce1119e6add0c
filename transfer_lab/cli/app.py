"""The `transfer-lab` command. Starts, refuses and reports without importing torch."""

from __future__ import annotations

import atexit
import gc
import sys
from pathlib import Path
from typing import Annotated

import typer

from transfer_lab import __version__
from transfer_lab.cli import photos
from transfer_lab.cli.options import (
    AsJson,
    Download,
    Engine,
    ExperimentPath,
    GpusPerRun,
    Jobs,
    Overrides,
    Precision,
    ReportFormat,
    ReportsFolder,
    RunsFolder,
    Threads,
    TrackerNames,
    Wandb,
    Wide,
)
from transfer_lab.system.files import REPORTS, RUNS, DiskFullError
from transfer_lab.system.output import lasting_streams, plain
from transfer_lab.system.workers import Workers

app = typer.Typer(
    name="transfer-lab",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
    help="""From a folder of photos to a decision and a model, in three commands:

    - `transfer-lab advise photos/` says what to do, what to expect and which photos to look at

    - `transfer-lab train photos/ -o model/` trains the model

    - `transfer-lab predict model/ new_photos/` names new photos

    photos/ has a folder for each class. Nothing is uploaded, downloaded or changed.

    Which transfer-learning regime is best, and when? The grid measures it: an experiment is one
    YAML file, scenarios x backbones x regimes x seeds under one budget.

    - `transfer-lab copy four_scenarios` writes `experiments/four_scenarios.yaml`, which a checkout
      has; `transfer-lab experiments` lists the others

    - `transfer-lab plan experiments/four_scenarios.yaml` says what would run

    - `transfer-lab run experiments/four_scenarios.yaml` trains what is missing, then reports

    Finished runs are stored by content: stop at any time and call `run` again to go on.

    Exit codes: 0 all done, 1 some runs failed, 2 refused before training, 130 interrupted; those of
    the photo commands stand in their own help.""",
)


_GRID = "The grid: regimes measured and compared"
_PHOTOS = "From photos to a model"

app.command(rich_help_panel=_PHOTOS)(photos.advise)
app.command(rich_help_panel=_PHOTOS)(photos.train)
app.command(rich_help_panel=_PHOTOS)(photos.predict)
app.command("try", rich_help_panel=_PHOTOS)(photos.try_model)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"transfer-lab {__version__}")
        raise typer.Exit


@app.command(rich_help_panel=_GRID)
def experiments() -> None:
    """List the experiments that come with transfer-lab, and what each takes."""
    from transfer_lab.experiment.shipped import FOLDER, shipped

    for name, one in shipped().items():
        print(f"{name:16} {one.title}\n{'':16} {one.takes}")
    print(f"\n`transfer-lab copy NAME` writes one into {FOLDER}/, to run and to change.")


@app.command(rich_help_panel=_GRID)
def copy(
    name: Annotated[str, typer.Argument(help="One that `transfer-lab experiments` lists.")],
    place: Annotated[
        Path | None,
        typer.Argument(
            metavar="DEST", help="A folder, or a file.yaml.", show_default="experiments/"
        ),
    ] = None,
) -> None:
    """Copy an experiment that comes with transfer-lab, to run and to change; overwrites nothing."""
    from transfer_lab.experiment import shipped
    from transfer_lab.experiment.yaml_source import ConfigError

    try:
        found = shipped.find(name)
        copied = found.copy(place)
    except shipped.NotCopiedError as error:
        raise ConfigError([str(error)]) from error
    print(f"written: {copied}, which takes: {found.takes}")
    print(f"next:    {found.command(copied)}")


@app.command(rich_help_panel=_GRID)
def plan(
    experiment: ExperimentPath,
    overrides: Overrides = None,
    runs: RunsFolder = RUNS,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Also show what every regime freezes, stage by stage, and list every cell.",
        ),
    ] = False,
    wide: Wide = False,
    as_json: AsJson = False,
    jobs: Jobs = None,
    threads: Threads = 1,
    precision: Precision = None,
    download: Download = False,
) -> None:
    """Check an experiment fully and say what would run and what that takes, without running it.

    Time is estimated from stored runs of the same kind, else from a short calibration, for the
    workers that are asked for. JSON has the keys `schema` (1), `experiment`, `runs_folder`, `runs`
    (`total`, `to_train`, `stored_or_not_needed`, `at_most_later`), `older_protocols` (protocol to
    records), `estimate` (null if nothing is to be trained; `low_seconds`, `high_seconds`,
    `workers`, `memory_mb`, `disk_mb`, `stored_runs`, `calibration_seconds`), `estimate_at_most`
    (with all seeds that may be needed) and `cells`, each with `scenario`, `backbone`, `regime`,
    `budget`, `seed`, `fold`, `run_id` and `state` (`to train`, `stored`, `waiting` or `not
    needed`).
    """
    from transfer_lab.cli import commands

    commands.plan(
        experiment,
        overrides or [],
        runs,
        look=commands.Look(verbose, wide, as_json),
        workers=Workers(jobs, threads, precision),
        download=download,
    )


@app.command(rich_help_panel=_GRID)
def run(
    experiment: ExperimentPath,
    overrides: Overrides = None,
    jobs: Jobs = None,
    threads: Threads = 1,
    precision: Precision = None,
    engine: Engine = "local",
    gpus_per_run: GpusPerRun = None,
    runs: RunsFolder = RUNS,
    reports: ReportsFolder = REPORTS,
    wandb: Wandb = None,
    tracker: TrackerNames = None,
    download: Download = False,
) -> None:
    """Train what is not stored yet, then write the report.

    Ctrl-C stops at once; no finished run is lost, and the same command goes on from there. Failed
    runs are tried again by the next call.
    """
    from transfer_lab.cli import commands

    if wandb:
        overrides = [*(overrides or []), f"wandb.mode={wandb}"]
    if tracker:
        overrides = [*(overrides or []), f"trackers=[{','.join(tracker)}]"]
    raise typer.Exit(
        commands.run(
            experiment,
            overrides or [],
            runs,
            reports,
            workers=Workers(jobs, threads, precision, engine, gpus_per_run),
            download=download,
        )
    )


@app.command(rich_help_panel=_GRID)
def report(
    experiment: ExperimentPath,
    overrides: Overrides = None,
    runs: RunsFolder = RUNS,
    reports: ReportsFolder = REPORTS,
    format: Annotated[
        ReportFormat,
        typer.Option(help="`latex` writes the two main tables, accuracy.tex and rules.tex."),
    ] = ReportFormat.page,
) -> None:
    """Write report.md, index.html and records.csv from what is stored, finished or not."""
    from transfer_lab.cli import commands

    write = commands.latex if format is ReportFormat.latex else commands.report
    write(experiment, overrides or [], runs, reports)


@app.command(rich_help_panel=_GRID)
def status(
    experiment: ExperimentPath,
    overrides: Overrides = None,
    runs: RunsFolder = RUNS,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Say how many cells are done, failed, blocked or missing, and why; and how many are waiting
    or not needed, where seeds are trained only where they are needed.

    JSON has the keys `schema` (1), `experiment`, `runs_folder`, `counts` (`done`, `failed`,
    `blocked`, `missing`, `waiting`, `not needed`), `older_protocols` (protocol to records) and
    `cells`, each with `scenario`, `backbone`, `regime`, `budget`, `seed`, `fold`, `run_id`,
    `status` and `error`.
    """
    from transfer_lab.cli import commands

    commands.status(experiment, overrides or [], runs, commands.Look(wide=wide, json=as_json))


@app.command(rich_help_panel=_GRID)
def similarity(
    experiment: ExperimentPath,
    overrides: Overrides = None,
    jobs: Jobs = None,
    threads: Threads = 1,
    runs: RunsFolder = RUNS,
    reports: ReportsFolder = REPORTS,
    ladders: Annotated[
        bool,
        typer.Option("--ladders", help="Also draw where the axis puts images of known order."),
    ] = False,
) -> None:
    """Measure how far each source is from its target, and print it; reports show it from then on.

    `run` does so by itself once the grid is done.
    """
    from transfer_lab.cli import commands

    raise typer.Exit(
        commands.similarity(
            *(experiment, overrides or [], runs, reports),
            jobs=jobs,
            threads=threads,
            ladders=ladders,
        )
    )


@app.command(rich_help_panel=_GRID)
def data(
    place: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|NAME",
            help="`FOLDER/<class>/*` or `FOLDER/{train,test}/<class>/*`, or the name of a domain, "
            "as `digits` or `torchvision:CIFAR10`.",
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(metavar="FOLDER|NAME", help="Also count images that this holds as well."),
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=0.99,
            help="Test part of every class, where there is no test set.",
            show_default="0.3",
        ),
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where torchvision's datasets lie.", show_default="data"),
    ] = None,
    download: Download = False,
) -> None:
    """Look through a folder or a domain: classes, sizes, duplicates, and files left out."""
    from transfer_lab.cli import inspect as inspection

    how = inspection.Request(test_fraction, root, download)
    raise typer.Exit(inspection.inspect(place, source, how))


@app.command(rich_help_panel=_GRID)
def dashboard(
    experiments: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[EXPERIMENT.yaml]...",
            help="What to compare.",
            show_default="all in experiments/",
        ),
    ] = None,
    overrides: Overrides = None,
    runs: RunsFolder = RUNS,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the page is served; 0: any free port.")
    ] = 8501,
    host: Annotated[
        str,
        typer.Option(
            help="To whom: to this machine alone, or, as 0.0.0.0, to everybody who can reach it; "
            "there is no password."
        ),
    ] = "127.0.0.1",
) -> None:
    """Serve a page that follows running grids, and compares experiments and runs.

    Experiments as grids train them now, with their `--set`, are there by themselves.
    """
    from transfer_lab.reporting.dashboard.launch import launch

    launch(experiments or [], overrides or [], runs, host=host, port=port)


@app.command(rich_help_panel=_GRID)
def doctor(
    experiment: Annotated[
        Path | None, typer.Argument(metavar="[EXPERIMENT.yaml]", help="Check this file as well.")
    ] = None,
    runs: RunsFolder = RUNS,
    reports: ReportsFolder = REPORTS,
) -> None:
    """Check the installation, the folders and the store; clear what a killed run left behind."""
    from transfer_lab.cli import doctor

    raise typer.Exit(doctor.examine(experiment, runs, reports))


def _leave_garbage() -> None:
    """At its end Python looks for garbage once more: half a second where ten thousand records were
    read. Where torch is, some of what it loads complains of what is left."""
    if "torch" not in sys.modules:
        gc.freeze()


def main() -> None:
    """Entry point: a refused experiment is a readable list and exit code 2."""
    # Records by the ten thousand stay alive to the end; looking for garbage among them takes a
    # fifth of the time of `status`.
    gc.set_threshold(100_000, 20, 100)
    atexit.register(_leave_garbage)
    with lasting_streams():
        _called()


def _called() -> None:
    from transfer_lab.experiment.yaml_source import ConfigError

    try:
        app()
    except ConfigError as error:
        for problem in error.problems:
            print(plain(problem), file=sys.stderr)
        raise SystemExit(2) from None
    except DiskFullError as error:  # as where a report is to be written
        print(plain(str(error)), file=sys.stderr)
        raise SystemExit(1) from None
