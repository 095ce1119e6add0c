"""Every method beside itself switched off: its twin, how far it is ahead of that, at what cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from pydantic import JsonValue

from transfer_lab.experiment.catalog import Family, Off
from transfer_lab.experiment.choices import regime_entry
from transfer_lab.experiment.plan import fixed_options
from transfer_lab.reporting.costs import cold
from transfer_lab.reporting.measures import ACCURACY, Measure
from transfer_lab.reporting.study import Place, Study
from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.hypotheses import MARGIN, holm

FAMILIES: tuple[Family, ...] = ("weights", "instances", "features", "unlabelled")


class Twin(NamedTuple):
    """The regime that is a method switched off, or why there is none."""

    regime: str | None
    why: str = ""


@dataclass(frozen=True)
class Gain:
    """What a method adds in one place to what is left without it.

    `lead`: how far it is ahead of its twin, paired; None where that was not measured. `p`: of no
    difference, two-sided, after Holm's correction over the places of all methods of its family.
    `images` and `seconds`: how many times as many as its twin's; None where they are not known.
    """

    place: Place
    twin: Twin
    lead: Estimate | None = None
    p: float | None = None
    images: float | None = None
    seconds: float | None = None
    of_source: bool = False
    """Whether the method learns from images of the source, so that its harm is the source's."""
    margin: float = MARGIN
    """By how much they may differ and still count as equal."""
    measure: Measure = ACCURACY
    """Of what the lead is."""

    @property
    def equal(self) -> bool:
        """Whether the two are shown to differ by less than the margin."""
        return self.lead is not None and self.lead.equal_within(self.margin)

    @property
    def side(self) -> int:
        """1 where the 95 % interval of the lead lies above zero, -1 below, 0 otherwise."""
        half = self.lead.half() if self.lead else None
        if half is None or abs(self.lead.mean) <= half:
            return 0
        return 1 if self.lead.mean > 0 else -1


def methods(study: Study) -> dict[Family, tuple[str, ...]]:
    """The regimes that can be switched off, and are not, by family; what starts at random is there
    for another comparison."""
    found: dict[Family, list[str]] = defaultdict(list)
    for name in study.trained:
        entry, options = (
            regime_entry(study.experiment.regimes[name]),
            fixed_options(study.experiment, name),
        )
        if options.get("start") == "random":
            continue
        if entry.off and not _is_off(options, entry.off):
            found[entry.method_family].append(name)
    return {family: tuple(found[family]) for family in FAMILIES if family in found}


def twin(study: Study, method: str) -> Twin:
    """The regime of the grid that is the method switched off: of the twin's kind with the same
    options but for the method's own, or of the method's kind with the options that do so."""
    experiment = study.experiment
    off = regime_entry(experiment.regimes[method]).off
    options = fixed_options(experiment, method)
    itself = options | dict(off.options)
    for name in _variants(study, method) if off.options else ():
        if fixed_options(experiment, name) == itself:
            return Twin(name)
    kept = {name: value for name, value in options.items() if name not in dict(off.options)}
    found = {n: _apart(kept, fixed_options(experiment, n), off) for n in study.of_kind(off.twin)}
    if not found:
        return Twin(None, f"its twin {off.twin} is not in this grid")
    name, differing = min(found.items(), key=lambda item: len(item[1]))
    if not differing:
        return Twin(name)
    listed = ", ".join(sorted(differing))
    return Twin(None, f"its twin {name} is in this grid with other options ({listed})")


def _variants(study: Study, method: str) -> Iterator[str]:
    """Other regimes of the method's kind, with the same teacher if there is one."""
    regimes = study.experiment.regimes
    own = regimes[method]
    for name, choice in regimes.items():
        if name != method and (choice.kind, choice.teacher) == (own.kind, own.teacher):
            yield name


def gains(study: Study, among: tuple[str, ...]) -> list[Gain]:
    """A gain for every place in which one of these methods, all of one family, is planned."""
    found = [_gain(study, place, twin(study, place.regime)) for place in _places(study, among)]
    known = [number for number, gain in enumerate(found) if gain.lead]
    adjusted = holm([_p(found[number].lead) for number in known])
    for number, p in zip(known, adjusted, strict=True):
        found[number] = replace(found[number], p=p)
    return found


def _places(study: Study, among: tuple[str, ...]) -> Iterator[Place]:
    for method in among:
        for scenario in study.scenarios:
            for backbone in study.backbones:
                if method in study.planned(scenario, backbone):
                    yield Place(scenario, backbone, method)


def _gain(study: Study, place: Place, found: Twin) -> Gain:
    if found.regime is None:
        return Gain(place, found)
    if found.regime not in study.planned(place.scenario, place.backbone):
        return Gain(place, Twin(None, f"{found.regime} is not planned here"))
    other = place._replace(regime=found.regime)
    lead = study.measured.lead(place, over=other)
    if lead is None:
        return Gain(place, found)
    images, seconds = _cost(study, place, other)
    entry = regime_entry(study.experiment.regimes[place.regime])
    own = bool({"source", "sources"} & {*entry.sees})
    known = {"images": images, "seconds": seconds, "of_source": own, "margin": study.margin}
    known["measure"] = study.measure
    return Gain(place, found, lead, **known)


def _cost(study: Study, place: Place, other: Place) -> tuple[float | None, float | None]:
    """How many times the twin's images and seconds the method took, by means over seeds."""
    own, twins = (
        rows.assign(cold=cold(rows))[["images_seen", "cold"]].mean().tolist()
        for rows in (study.finished(place), study.finished(other))
    )
    ratios = (
        mine / theirs if mine == mine and theirs > 0 else None
        for mine, theirs in zip(own, twins, strict=True)
    )
    images, seconds = ratios
    return images, seconds


def _p(lead: Estimate) -> float:
    """Of no difference, two-sided; 1 where the errors are not known."""
    return min(1.0, 2 * min(lead.p_above(), lead.negative.p_above()))


def _is_off(options: Mapping[str, JsonValue], off: Off) -> bool:
    return bool(off.options) and options | dict(off.options) == options


def _apart(
    method: Mapping[str, JsonValue], other: Mapping[str, JsonValue], off: Off
) -> frozenset[str]:
    """Options in which a twin differs: those it was given, and those that both must have alike."""
    asked = {*other, *({*off.alike} & {*method})}
    return frozenset(n for n in asked if _given(method, n) != _given(other, n))


def _given(options: Mapping[str, JsonValue], name: str) -> JsonValue:
    """An option's value; to freeze no stage is to say nothing of `k`."""
    value = options.get(name)
    return None if name == "k" and value == 0 else value
