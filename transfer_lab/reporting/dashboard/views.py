"""What the page shows, from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from transfer_lab.experiment.budget import under
from transfer_lab.reporting.dashboard import figures, tables
from transfer_lab.reporting.dashboard.loading import ExperimentCache, Planned, WatchedStore
from transfer_lab.reporting.dashboard.selection import AXES, Selection, values
from transfer_lab.reporting.study import Study
from transfer_lab.store.results import NOT_NEEDED

if TYPE_CHECKING:
    import pandas as pd

_RUNS_AT_ONCE = 5
LEGEND = (
    "Mean test accuracy in percent ± the half-width of the 95 % interval over seeds, and the "
    "number of seeds. Bold: the best trained regime of what is shown. †: what rule_av prescribes."
)

Tables = Mapping[str, "pd.DataFrame"]


@dataclass(frozen=True)
class Shown:
    """What the filters leave of each experiment, by its name, and how it is drawn; of each
    experiment there is a study for every budget."""

    studies: Mapping[str, Study]
    rows: Tables
    store: WatchedStore
    look: figures.Look


def show(paths: Sequence[Path], runs: Path, *, chosen: bool, every: float = 5) -> None:
    """The whole page: experiments to choose from, of which `chosen` shows all at the start."""
    st.set_page_config(page_title="transfer_lab", layout="wide")
    st.title("transfer_lab")
    store = _store(str(runs))
    known = _experiments(paths)
    planned = _choice(known, store, chosen)
    found = {name: one.table(store) for name, one in planned.items()}
    if not found:
        st.info("Choose an experiment on the left.")
        return
    seen = _fingerprint(found)
    st.fragment(_progress, run_every=every)(planned, store, seen)
    selection = _filters(found)
    studies: dict[str, Study] = {}
    for name, one in planned.items():
        studies |= selection.studies(one.experiment, found[name], name, store.predictions)
    if not studies:
        st.warning("No cell of these experiments is left by the filters.")
        return
    kept = {name: selection.rows(table) for name, table in found.items()}
    rows = {name: table for name, table in kept.items() if not table.empty}
    look = figures.look_of(one.experiment for one in planned.values())
    for tab, name in zip(st.tabs(list(_TABS)), _TABS, strict=True):
        with tab:
            _TABS[name](Shown(studies, rows, store, look))


@st.cache_resource
def _store(runs: str) -> WatchedStore:
    return WatchedStore(runs)


@st.cache_resource
def _cache() -> ExperimentCache:
    return ExperimentCache()


def _experiments(paths: Sequence[Path]) -> dict[str, Planned]:
    """The valid ones by name; the others are told with what is wrong."""
    known, refused = {}, {}
    for path in paths:
        one = _cache().get(path)
        if isinstance(one, str):
            refused[path] = one
        else:
            name = one.experiment.name
            known[name if name not in known else f"{name} ({path})"] = one
    if refused:
        with st.sidebar.expander(f"Experiments left out: {len(refused)}"):
            for problems in refused.values():
                st.code(problems, language=None, wrap_lines=True)
    return known


def _choice(known: dict[str, Planned], store: WatchedStore, chosen: bool) -> dict[str, Planned]:
    begun = list(known)
    if not chosen:  # those that were only found are shown if there is something of them
        begun = [
            n for n, one in known.items() if any(store.get(c.run.id) for c in one.cells)
        ] or begun[:1]
    wanted = st.sidebar.multiselect("Experiments", list(known), default=begun, key="experiments")
    return {name: known[name] for name in wanted}


def _filters(found: Tables) -> Selection:
    picked = {}
    for axis in AXES:
        choices = values(found.values(), axis)
        picked[axis] = frozenset(
            st.sidebar.multiselect(axis.capitalize(), choices, key=axis, placeholder="all")
        )
    return Selection(picked)


def _fingerprint(found: Tables) -> dict[str, list[str]]:
    return {
        name: (table["status"] + table["started_at"].astype(str)).tolist()
        for name, table in found.items()
    }


def _progress(planned: dict[str, Planned], store: WatchedStore, seen: dict[str, list[str]]) -> None:
    """How far each grid is; runs again by itself, and the page with it once there is news."""
    found = {name: one.table(store) for name, one in planned.items()}
    for name, table in found.items():
        counts = tables.states(table)
        rest = ", ".join(f"{n} {state}" for state, n in counts.items() if n and state != "done")
        total = sum(counts.values()) - counts.get(NOT_NEEDED, 0)
        text = f"{name}: {counts['done']} of {total} cells done"
        st.progress(counts["done"] / total, text + (f" ({rest})" if rest else ""))
    with st.expander("Newest runs"):
        for column, (name, table) in zip(st.columns(len(found)), found.items(), strict=True):
            column.caption(name)
            column.dataframe(tables.newest(table), hide_index=True)
    if _fingerprint(found) != seen:
        st.rerun(scope="app")


def _accuracy(shown: Shown) -> None:
    st.caption(LEGEND)
    for column, (name, study) in zip(
        st.columns(len(shown.studies)), shown.studies.items(), strict=True
    ):
        with column:
            st.subheader(name, anchor=False)
            for backbone in study.backbones:
                st.text(backbone)
                st.dataframe(tables.accuracy_matrix(study, backbone))
            st.plotly_chart(figures.accuracies(study, shown.look), key=f"dots {name}")


def _time(shown: Shown) -> None:
    st.plotly_chart(figures.time_and_accuracy(shown.studies, shown.look), key="time")
    for column, (name, study) in zip(
        st.columns(len(shown.studies)), shown.studies.items(), strict=True
    ):
        with column:
            st.subheader(name, anchor=False)
            for backbone in study.backbones:
                st.text(f"Fit time (s), {backbone}")
                st.dataframe(tables.time_matrix(study, backbone))


def _runs(shown: Shown) -> None:
    """Chosen runs beside each other: their curves and their records."""
    named = {
        f"{name}: {row.scenario} / {row.backbone} / {row.regime} / seed {row.seed}"
        f"{under(row.budget)}": table.loc[row.Index]
        for name, table in shown.rows.items()
        for row in table[table["status"] == "done"].itertuples()
    }
    if not named:
        st.info("No run is finished yet.")
        return
    wanted = st.multiselect("Runs", list(named), default=_one_a_regime(named), key="runs")
    column = st.radio(
        "Curve", list(figures.CURVES), format_func=figures.CURVES.get, horizontal=True, key="curve"
    )
    records = {label: named[label] for label in wanted}
    curves = {label: shown.store.curve(record["run_id"]) for label, record in records.items()}
    curves = {label: curve for label, curve in curves.items() if curve is not None}
    st.plotly_chart(figures.learning_curves(curves, column), key="curves")
    if records:
        import pandas as pd

        st.dataframe(tables.side_by_side(pd.DataFrame(records).T))


def _one_a_regime(named: Mapping[str, pd.Series]) -> list[str]:
    """The first run of each of the first regimes, to begin with."""
    first: dict[tuple[str, str], str] = {}
    for label, record in named.items():
        first.setdefault((record["experiment"], record["regime"]), label)
    return list(first.values())[:_RUNS_AT_ONCE]


def _failures(shown: Shown) -> None:
    for name, table in shown.rows.items():
        broken = tables.failures(table)
        st.subheader(name, anchor=False)
        if broken.empty:
            st.write("No cell has failed.")
        else:
            st.dataframe(broken, hide_index=True)


_TABS = {
    "Accuracy": _accuracy,
    "Time": _time,
    "Runs and curves": _runs,
    "Failures": _failures,
}
