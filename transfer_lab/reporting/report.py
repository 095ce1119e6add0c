"""The report: records in, Markdown and one self-contained page out. No torch."""

from __future__ import annotations

from pathlib import Path

from transfer_lab.experiment.spec import Experiment
from transfer_lab.reporting.blocks import pictures, sheets
from transfer_lab.reporting.figures.pens import pens
from transfer_lab.reporting.kept import store_archives
from transfer_lab.reporting.paper import accuracy_table, rules_table
from transfer_lab.reporting.render.csv import measured_frame, stacked, to_csv
from transfer_lab.reporting.render.html import to_html
from transfer_lab.reporting.render.latex import to_latex
from transfer_lab.reporting.render.markdown import to_markdown
from transfer_lab.reporting.searches import searches_frame
from transfer_lab.reporting.sections.order import sections as sections_of
from transfer_lab.reporting.study import StoredResults, Study
from transfer_lab.reporting.taxonomies import taxonomy_frame
from transfer_lab.store.layout import STAGE_DRIFT, TRIALS
from transfer_lab.system.files import write_atomically
from transfer_lab.system.output import plain

SIMILARITY, TAXONOMY = "similarity.csv", "taxonomy.csv"


def write(experiment: Experiment, stored: StoredResults, out: Path, command: str) -> Path:
    """Write report.md, index.html, records.csv and figures/ into `out`, and trials.csv, cka.csv,
    similarity.csv, taxonomy.csv and models/ if there is what they hold; returns the page's path."""
    from transfer_lab.reporting.figures.mpl import png
    from transfer_lab.reporting.figures.thumbnails import sheet

    study = Study.of(experiment, stored, command)
    sections = sections_of(study)
    images = {picture.name: png(picture.figure) for picture in pictures(sections)}
    files = images | {name: sheet(rows) for name, rows in sheets(sections).items()}
    for stale in out.glob("figures/*.png"):
        if stale.name not in files:
            stale.unlink()
    for name, image in files.items():
        _store(out / "figures" / name, image)
    _store(out / "records.csv", to_csv(stored.frame))
    tables = {
        TRIALS: stacked(study.trials) if study.trials else searches_frame(study),
        STAGE_DRIFT: stacked(study.changes),
        SIMILARITY: measured_frame(experiment, study.similarities),
        TAXONOMY: taxonomy_frame(study),
    }
    for name, table in tables.items():
        (out / name).unlink(missing_ok=True)
        if not table.empty:
            _store(out / name, to_csv(table))
    store_archives(study, out)
    _store(out / "report.md", _encoded(to_markdown(sections_of(study, brief=True))))
    colours = {regime: pen.colour for regime, pen in pens(study).items()}
    # The page comes last: where it is new, all that it stands for is there.
    _store(out / "index.html", _encoded(to_html(sections, images, study.facets, colours)))
    return out / "index.html"


def write_latex(experiment: Experiment, stored: StoredResults, out: Path) -> tuple[Path, ...]:
    """Write the tables of accuracies and of the rules' verdicts as LaTeX; returns the files."""
    study = Study.of(experiment, stored)
    tables = [table for table in (accuracy_table(study), rules_table(study)) if table]
    made = {out / f"{table.name}.tex": to_latex(table, experiment.name) for table in tables}
    for path, text in made.items():
        _store(path, _encoded(text))
    return tuple(made)


def _store(path: Path, content: bytes) -> None:
    write_atomically(path, lambda handle: handle.write(content))


def _encoded(text: str) -> bytes:
    # An error that quotes a file name may hold half a surrogate pair, which UTF-8 cannot.
    return plain(text).encode("utf-8", errors="replace")
