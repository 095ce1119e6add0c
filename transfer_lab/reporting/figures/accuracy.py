"""The figure of accuracies: a dot and an interval for each regime and backbone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from transfer_lab.reporting.figures.pens import marker, panel_title, pens
from transfer_lab.reporting.figures.scores import score_axis
from transfer_lab.reporting.figures.spec import Axis, Figure, Key, Panel, Pen, Series
from transfer_lab.reporting.ranking import prescribed
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import accuracy_text


def figure(study: Study, look: Mapping[str, Pen] | None = None) -> Figure:
    """Panels are scenarios, rows are regimes, markers are backbones."""
    look = look or pens(study)
    backbones = study.backbones if len(study.backbones) > 1 else ()
    return Figure(
        panels=tuple(
            Panel(
                panel_title(study, scenario),
                tuple(_series(study, scenario, look)),
                shaded=study.of_kind(prescribed(study, scenario)),
            )
            for scenario in study.scenarios
        ),
        x=score_axis(study.measure),
        y=Axis(names=study.regimes),
        keys=tuple(Key("backbone", name, marker=marker(study, name)) for name in backbones),
        abreast=len(study.backbones),
        height=0.7 + 0.105 * len(study.regimes) * (1 + len(study.backbones)),
        margin=0.2,
        key_columns=3,
    )


def _series(study: Study, scenario: str, look: Mapping[str, Pen]) -> Iterator[Series]:
    """Of each measured place the strokes of its seeds, and their mean."""
    for number, backbone in enumerate(study.backbones):
        for regime in study.regimes:
            place = Place(scenario, backbone, regime)
            summary = study.summary(*place)
            if not (found := summary.accuracy):
                continue
            same = {"pen": look[regime], "beside": number}
            facets = {"regime": regime, "backbone": backbone}
            seeds = study.by_seed(*place)
            yield Series(
                kind="seeds",
                x=[study.measure.shown(score) for score in seeds.values()],
                y=[regime] * len(seeds),
                text=[(regime, backbone, f"{_one(study, v)}, seed {n}") for n, v in seeds.items()],
                facets=facets | {"seed": [str(seed) for seed in seeds]},
                **same,
            )
            yield Series(
                kind="row",
                x=[study.measure.shown(found.mean)],
                y=[regime],
                error=[study.measure.scale * (found.half or 0)],
                marker=marker(study, backbone),
                text=[(regime, backbone, accuracy_text(summary, unit=True))],
                facets=facets,
                **same,
            )


def _one(study: Study, score: float) -> str:
    measure = study.measure
    return f"{measure.digits(measure.shown(score))} {measure.unit}"
