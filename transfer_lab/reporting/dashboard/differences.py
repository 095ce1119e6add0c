"""Differences of two arms, paired by seed and by test image, of one experiment or of two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from transfer_lab.reporting.accuracies import Place
from transfer_lab.reporting.blocks import Block, Cell, Line, Paragraph, Picture, Table, cell
from transfer_lab.reporting.dashboard.lab import Lab, Shown
from transfer_lab.reporting.dashboard.selection import Query, Selection
from transfer_lab.reporting.dashboard.wire import Told, told
from transfer_lab.reporting.figures.pens import PALETTE
from transfer_lab.reporting.figures.spec import Axis, Figure, Panel, Pen, Series
from transfer_lab.reporting.wording import absent, bounded, gap, percent
from transfer_lab.stats.estimates import Estimate

LEGEND = (
    "How far one arm is ahead of another in test accuracy, in points, with its 95 % interval: "
    "paired by seed and, where the predictions are stored, by test image, variances moderated as "
    "in the report. An interval that leaves zero out tells the two apart; it is not corrected for "
    "looking at many pairs. How far behind the best an arm is at most is, for all arms at once."
)
_APART = "these were tested on other images"


class Arm(NamedTuple):
    """A regime on a backbone in one of the studies that are looked at."""

    name: str
    shown: Shown
    backbone: str
    regime: str

    def place(self, scenario: str) -> Place:
        """Where it stands in a scenario."""
        return Place(scenario, self.backbone, self.regime)


def differences(lab: Lab, shown: list[Shown], selection: Selection, query: Query) -> Told:
    """All arms that are looked at, or the one asked for, against another one."""
    arms = {arm.name: arm for one in shown for arm in _arms(one, selection, several=len(shown) > 1)}
    second = _asked(query, "second", arms) or _reference(arms)
    first = _asked(query, "first", arms)
    content: Told = {"legend": LEGEND, "arms": [*arms], "blocks": []}
    if second is None:
        return content
    others = [first] if first else [arm for arm in arms.values() if arm is not second]
    known = {scenario for arm in others for scenario in arm.shown.study.scenarios}
    scenarios = [name for name in selection.scenarios(second.shown.study) if name in known]
    blocks = _blocks(lab, others, second, scenarios, single=first is not None)
    return content | {
        "first": first.name if first else "",
        "second": second.name,
        "blocks": [told(block) for block in blocks],
    }


def lead(arm: Arm, over: Arm, scenario: str) -> Estimate | None:
    """How far an arm is ahead of another in a scenario; None where no seed is common to both, or
    they were tested on other images."""
    study, other = arm.shown.study, over.shown.study
    one, two = arm.place(scenario), over.place(scenario)
    if study is other:
        return study.leads().lead(one, two) or study.measured.lead(one, two)
    if not same_test_set(arm.shown, over.shown, scenario):
        return None
    found = study.measured.crossed([study.measured.tested(one), other.measured.tested(two)])
    return found.contrast([1, -1]) if found else None


def same_test_set(one: Shown, other: Shown, scenario: str) -> bool:
    """Whether a scenario of this name aims at the same domain in both."""
    targets = []
    for experiment in (one.planned.experiment, other.planned.experiment):
        place = experiment.scenarios.get(scenario)
        targets.append(place and experiment.domains[place.target].canonical)
    return targets[0] is not None and targets[0] == targets[1]


def _arms(shown: Shown, selection: Selection, *, several: bool) -> Iterator[Arm]:
    """Those of which a run has finished, by names that say of which study where there are some."""
    done = shown.study.done[["backbone", "regime"]].itertuples(index=False, name=None)
    measured = set(done)
    for backbone in selection.backbones(shown.study):
        for regime in selection.regimes(shown.study):
            if (backbone, regime) in measured:
                name = f"{regime} on {backbone}" + (f", {shown.name}" if several else "")
                yield Arm(name, shown, backbone, regime)


def _asked(query: Query, name: str, arms: Mapping[str, Arm]) -> Arm | None:
    return next((arms[asked] for asked in query.get(name, ()) if asked in arms), None)


def _reference(arms: Mapping[str, Arm]) -> Arm | None:
    """What others are compared with at first: the best in the first scenario."""
    best, high = next(iter(arms.values()), None), -1.0
    for arm in arms.values():
        study = arm.shown.study
        found = study.accuracy(*arm.place(study.scenarios[0]))
        if found and found.mean > high and not study.is_control(arm.regime):
            best, high = arm, found.mean
    return best


def _blocks(
    lab: Lab, arms: Sequence[Arm], second: Arm, scenarios: Sequence[str], *, single: bool
) -> Iterator[Block]:
    found = {(arm.name, s): lead(arm, second, s) for arm in arms for s in scenarios}
    if not scenarios:
        yield Paragraph("The two experiments have no scenario of the same name.")
        return
    if any(found.values()):
        caption = f"Ahead of {second.name} (points)"
        alt = "Dots with intervals of differences, a panel for each scenario"
        yield Picture("differences", caption, alt, _figure(arms, scenarios, found))
    if single:
        yield _pair(lab, arms[0], second, scenarios, found)
    else:
        yield _all(arms, second, scenarios, found)


Found = Mapping[tuple[str, str], Estimate | None]


def _pair(lab: Lab, arm: Arm, second: Arm, scenarios: Sequence[str], found: Found) -> Table:
    rows = tuple(
        (
            cell(scenario),
            cell(_verdict(found[arm.name, scenario])),
            _mean(lab, arm, scenario),
            _mean(lab, second, scenario),
            _gap(arm, second, scenario, found),
        )
        for scenario in scenarios
    )
    head = ("scenario", "what it says", arm.name, second.name, "difference")
    return Table(f"{arm.name}, against {second.name}", head, rows, texts=2)


def _all(arms: Sequence[Arm], second: Arm, scenarios: Sequence[str], found: Found) -> Table:
    rows = tuple(
        (cell(arm.name), *(_gap(arm, second, scenario, found) for scenario in scenarios))
        for arm in arms
    )
    return Table(f"Ahead of {second.name}", ("arm", *scenarios), rows)


def _mean(lab: Lab, arm: Arm, scenario: str) -> Cell:
    """Accuracy, and how far behind the best of all compared in its study it is at most."""
    study, place = arm.shown.study, arm.place(scenario)
    summary = study.summary(*place)
    if summary.accuracy is None:
        return (absent(summary),)
    mean = cell(f"{percent(summary.accuracy)} %", f"(n={summary.accuracy.n})")
    standing = lab.answers(study).over_all(scenario).of(place)
    if standing is None or standing.at_most is None:
        return mean
    told = f"at most {bounded(standing.at_most)} points behind the best"
    return (*mean, Line("", "ruled out" if standing.ruled_out else told))


def _gap(arm: Arm, second: Arm, scenario: str, found: Found) -> Cell:
    known = found[arm.name, scenario]
    if known is None:
        alike = arm.shown.study is second.shown.study
        alike = alike or same_test_set(arm.shown, second.shown, scenario)
        return cell("–", "(no seed in common)" if alike else f"({_APART})")
    return cell(gap(known), f"(n={known.seeds:g})", strong=_is_told_apart(known))


def _is_told_apart(known: Estimate) -> bool:
    half = known.half()
    return half is not None and abs(known.mean) > half


def _verdict(known: Estimate | None) -> str:
    if known is None:
        return "no data"
    if not known.known:
        return "interval unknown"
    if not _is_told_apart(known):
        return "not told apart"
    return "the first is ahead" if known.mean > 0 else "the second is ahead"


def _figure(arms: Sequence[Arm], scenarios: Sequence[str], found: Found) -> Figure:
    panels = []
    for scenario in scenarios:
        series = tuple(
            _dot(arm, known) for arm in arms if (known := found[arm.name, scenario]) is not None
        )
        if series:
            panels.append(Panel(scenario, series, uprights=((0.0, ":"),)))
    return Figure(
        panels=tuple(panels),
        x=Axis("points"),
        y=Axis(names=tuple(arm.name for arm in arms)),
    )


def _dot(arm: Arm, known: Estimate) -> Series:
    return Series(
        kind="row",
        x=[100 * known.mean],
        y=[arm.name],
        error=[100 * (known.half() or 0)],
        pen=Pen(PALETTE[0]),
        marker="o",
        text=[(arm.name, gap(known), f"n={known.seeds:g}")],
    )
