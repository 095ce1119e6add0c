"""What the scenarios of a study are called, by the class names that its runs have stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfer_lab.experiment.taxonomy import Taxonomy, has_same_images, labels_read, named, possible
from transfer_lab.reporting.study import Study

if TYPE_CHECKING:
    import pandas as pd


def taxonomies(study: Study) -> dict[str, Taxonomy]:
    """The names of each scenario of which it is known whether the classes are the same."""
    found = {}
    for scenario in study.scenarios:
        sure = possible(study.experiment, scenario)
        same = len(sure) == 1 or _same_classes(study, scenario)
        if sure and same is not None:
            found[scenario] = named(study.experiment, scenario, same)
    return found


def _same_classes(study: Study, scenario: str) -> bool | None:
    """Whether target and source have classes of the same names; None where it is not stored."""
    if study.experiment.scenarios[scenario].via:
        return None  # what its runs start from has learnt the classes of a domain between
    rows = study.done[(study.done["scenario"] == scenario) & study.done["init_id"].notna()]
    for run_id, source in rows[["run_id", "init_id"]].head(1).itertuples(index=False, name=None):
        target, known = study.predictions.classes(run_id), study.predictions.classes(source)
        if target and known:
            return {*target} == {*known}
    return None


def taxonomy_frame(study: Study) -> pd.DataFrame:
    """A row for each scenario that has names; empty where none has."""
    import pandas as pd

    experiment = study.experiment
    rows = [
        {
            "scenario": scenario,
            "source": experiment.scenarios[scenario].source,
            "target": experiment.scenarios[scenario].target,
            "same_images": has_same_images(experiment, scenario),
            "same_classes": names.spaces == "homogeneous",
            "labels": labels_read(experiment, scenario),
            **names._asdict(),
        }
        for scenario, names in taxonomies(study).items()
    ]
    return pd.DataFrame(rows)
