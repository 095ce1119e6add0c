"""For notebooks and scripts: what the commands do, with results returned instead of printed.

`from transfer_lab import advise, load_model`, and for the grid
`from transfer_lab import load_experiment, run, records, report`
"""

from __future__ import annotations

import html
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from rich.console import Console

from transfer_lab.experiment.loading import ExperimentFile, checked
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Experiment
from transfer_lab.experiment.yaml_source import given, read_yaml
from transfer_lab.grid import train as grid
from transfer_lab.reporting import looks
from transfer_lab.reporting.collect import study, write_report
from transfer_lab.reporting.columns import measured
from transfer_lab.reporting.trackers.tracker import Trackers
from transfer_lab.store.records import RecordStore
from transfer_lab.system.files import REPORTS, RUNS
from transfer_lab.system.output import plain
from transfer_lab.system.workers import EngineName, Numbers, Workers

if TYPE_CHECKING:
    import pandas as pd

    from transfer_lab.advice.advised import Advised
    from transfer_lab.advice.listening import Listener
    from transfer_lab.advice.model.loading import Model

AnyExperiment = ExperimentFile | Experiment | Mapping[str, Any] | Path | str
"""An experiment, or what one is loaded from."""


def advise(
    photos: Path | str,
    *,
    backbone: str | None = None,
    budget: float | None = None,
    group_by: str | None = None,
    seed: int = 0,
    cache: Path | str | None = None,
    listen: Listener | None = None,
) -> Advised:
    """What to do with labelled photographs, what to expect of it and what it costs.

    `photos`: a folder with a folder for each class, or a table with the columns file and label.
    `backbone`: `lite0` (the default), `lite1`, `lite2`, `timm:NAME` or `torchvision:NAME` whose
    weights lie on this machine, or any of these as `NAME=FILE`. `budget`: the most that it may
    take, in seconds; 90 to 300 by how many photographs there are unless given. `group_by`:
    `folder`, `exif-day` or a regular expression, for photographs that must be tested together.
    `cache`: where features are kept; without it nothing is. `listen` is told of each step. Raises
    RefusedError for what cannot be advised on.
    """
    from transfer_lab.advice.advise import advise as look
    from transfer_lab.advice.advised import Advised
    from transfer_lab.advice.listening import SILENT

    session = look(
        Path(photos),
        backbone=backbone,
        budget=budget,
        group_by=group_by,
        seed=seed,
        cache=None if cache is None else Path(cache),
        listen=listen or SILENT,
    )
    return Advised(session, Path(photos))


def load_model(folder: Path | str) -> Model:
    """The model that `train` has written: `load_model("model").predict(paths)` is a table.

    Runs on onnxruntime where that is installed, else on torch, with the same answers. Raises
    RefusedError where the folder holds no whole model.
    """
    from transfer_lab.advice.model.loading import load_model as load

    return load(folder)


def load_experiment(
    experiment: Mapping[str, Any] | Path | str,
    set: Mapping[str, object] | None = None,
) -> ExperimentFile:
    """Read and check an experiment: a YAML file, or a mapping of the same keys.

    `set` overrides values of it, as in `{"seeds": [0, 1], "fit.epochs": 20}`. Raises ConfigError
    with everything that is wrong in its text.
    """
    source = given(experiment) if isinstance(experiment, Mapping) else read_yaml(Path(experiment))
    for name, value in (set or {}).items():
        source.set(name, value)
    return checked(source)


def run(
    experiment: AnyExperiment,
    runs: Path | str = RUNS,
    *,
    jobs: int | None = None,
    threads: int = 1,
    precision: Numbers | None = None,
    engine: EngineName = "local",
    gpus_per_run: float | None = None,
    download: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Train what is not stored yet, in the engine's workers; returns the records, one row a cell.

    Where `seeds` are `{start, at_most, until}`, more of them are trained only of arms that are
    still in question; what is not trained has the status `not needed`.

    A failed run is a row whose `status` says so, and another call tries it again. Ctrl-C (or the
    notebook's stop) loses no finished run. Raises ConfigError before any training.
    """
    file, store = _loaded(experiment), _store(runs)
    if download:
        file = grid.with_weights(file)
    workers = _checked(Workers(jobs, threads, precision, engine, gpus_per_run))
    grid.check_writable(store.root)
    cells = plan(file.experiment)
    voice = grid.Voice(Console(quiet=not progress, highlight=False), _warn)
    trackers = Trackers(file.experiment, cells, store, _warn)
    due = looks.due(file.experiment, cells, store, voice.say)
    known = (file, cells, store, trackers, workers, voice)
    try:
        grid.train_missing(*known, looks=due, download=download)
    except BaseException:
        trackers.abandon()
        raise
    if file.experiment.keep:
        from transfer_lab.advice.keeping import keep_models

        keep_models(file, cells, store, voice.say, _warn)
    command = grid.command_for(file, store.root, REPORTS)
    trackers.summarise(partial(study, file.experiment, cells, store, command))
    trackers.close()
    return measured(looks.frame([(file.experiment, cells)], store))


def records(
    experiment: AnyExperiment | Sequence[AnyExperiment], runs: Path | str = RUNS
) -> pd.DataFrame:
    """What is stored of one experiment or of several: the columns of records.csv, a row a cell."""
    several = [_loaded(one).experiment for one in _several(experiment)]
    return measured(looks.frame([(one, plan(one)) for one in several], _store(runs)))


def report(
    experiment: AnyExperiment, runs: Path | str = RUNS, reports: Path | str = REPORTS
) -> Page:
    """Write the report on what is stored; returns the path of its page, which a notebook shows."""
    file, reports = _loaded(experiment), Path(reports)
    grid.check_writable(reports)
    command = grid.command_for(file, Path(runs), reports)
    cells = plan(file.experiment)
    return Page(write_report(file.experiment, cells, _store(runs), reports, command))


if TYPE_CHECKING:
    _Path = Path
else:  # before Python 3.12 a Path of one's own derives from that of the system
    _Path = type(Path())


class Page(_Path):
    """The path of a report's page; a notebook shows the page itself."""

    def _repr_html_(self) -> str:
        page = html.escape(self.read_text(encoding="utf-8"), quote=True)
        look = 'title="report" sandbox="allow-scripts" style="width: 100%; height: 80vh; border: 0"'
        return f'<iframe {look} srcdoc="{page}"></iframe>'


def _loaded(experiment: AnyExperiment) -> ExperimentFile:
    if isinstance(experiment, Experiment):
        return ExperimentFile(experiment, given({}))
    return experiment if isinstance(experiment, ExperimentFile) else load_experiment(experiment)


def _several(experiment: AnyExperiment | Sequence[AnyExperiment]) -> Sequence[AnyExperiment]:
    if isinstance(experiment, ExperimentFile | Experiment | Path | str):
        return [experiment]
    return [experiment] if isinstance(experiment, Mapping) else experiment


def _checked(workers: Workers) -> Workers:
    """Raises ValueError for what the command line would refuse."""
    jobs, threads, precision, engine, gpus = workers
    if (jobs is not None and jobs < 1) or threads < 1:
        raise ValueError(f"jobs and threads must be 1 or more; they are {jobs} and {threads}")
    for what, value, known in (("precision", precision, Numbers), ("engine", engine, EngineName)):
        if value is not None and value not in get_args(known):
            raise ValueError(f"no {what} {value!r}; there are {', '.join(get_args(known))}")
    if gpus is not None and not 0 <= gpus <= 1:
        raise ValueError(f"gpus_per_run must be 0 to 1; it is {gpus}")
    return workers


def _store(runs: Path | str) -> RecordStore:
    return RecordStore(runs, warn=_warn)


def _warn(text: str) -> None:
    warnings.warn(plain(text), stacklevel=2)
