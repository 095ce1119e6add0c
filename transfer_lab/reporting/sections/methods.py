"""What every method adds to what is left without it: a row a place, folded by family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from transfer_lab.experiment.catalog import Family
from transfer_lab.reporting.blocks import Bullets, Cell, Fold, Note, Paragraph, Section, Table, cell
from transfer_lab.reporting.methods import Gain, gains, twin
from transfer_lab.reporting.methods import methods as by_family
from transfer_lab.reporting.sections.rules import signed
from transfer_lab.reporting.sections.time import mixed_conditions
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import points
from transfer_lab.stats.hypotheses import LEVEL

TITLE = "Methods, each against itself switched off"
NEGATIVE = "negative transfer"
SIDES = {1: "ahead", -1: "behind"}
WORDS: dict[Family, str] = {
    "weights": "weights and penalties on them",
    "instances": "examples of the source",
    "features": "a common feature space",
    "unlabelled": "unlabelled images of the target",
}
LEAD = "What a method is worth: how far it is ahead of the same regime without it."
LEGEND = (
    "What a method is worth is what it is ahead of its twin: the same regime without the method, "
    "with the same options but for the method's own, in the same scenario, on the same backbone "
    "and seeds, paired by test image where predictions are stored. Ahead, or behind: "
    "the 95 % interval of the difference lies above, or below, zero; behind with images of the "
    "source is negative transfer. Each kind of method is a "
    "family of hypotheses of its own, apart from that of the rules: one for each method, scenario "
    "and backbone of which records are there, that it makes no difference; p is two-sided and "
    f"after Holm's correction over the family, bold up to {LEVEL:g}. Images and seconds: how many "
    "times those of the twin, by means over seeds; images that were learnt from, those beside the "
    "target's included; seconds of a target when nothing is stored yet, with the search for "
    "options. What a teacher took is in neither."
)


def methods(study: Study) -> Section | None:
    """A fold a family; no section where the grid has no method that can be switched off."""
    families = by_family(study)
    if not families:
        return None
    found = {family: gains(study, among) for family, among in families.items()}
    lines = tuple(_summary(family, families[family], rows) for family, rows in found.items())
    harmed = tuple(_harm(gain) for rows in found.values() for gain in rows if gain.side < 0)
    start = "Behind what they are without the method, by single intervals, before correction:"
    said = [Paragraph(start), Bullets(harmed)] if harmed else []
    folds = tuple(_fold(study, family, rows) for family, rows in found.items())
    warned = mixed_conditions(study)
    return Section(TITLE, (*warned, Bullets(lines), *said, *folds, Note(LEGEND)), LEAD)


def _summary(family: Family, among: Sequence[str], rows: Sequence[Gain]) -> str:
    """'features (a common feature space): coral; in 4 places: 1 ahead, 3 not separated'."""
    known = [gain for gain in rows if gain.lead]
    start = f"{family} ({WORDS[family]}): {', '.join(among)}; "
    if not known:
        return f"{start}not measured beside a twin"
    counts = Counter(map(_found, known))
    sure = sum(gain.side != 0 and gain.p <= LEVEL for gain in known)
    told = ", ".join(f"{number} {word}" for word, number in counts.most_common())
    places = "1 place" if len(known) == 1 else f"{len(known)} places"
    return f"{start}in {places}: {told}; {sure} still ahead or behind after correction"


def _harm(gain: Gain) -> str:
    scenario, backbone, regime = gain.place
    lead = signed(gain.lead.interval(), gain.measure)
    return (
        f"{regime} in {scenario} on {backbone}: {_found(gain)}, {lead} {gain.measure.steps} "
        f"against {gain.twin.regime} (p = {_p(gain.p)} after correction)"
    )


def _fold(study: Study, family: Family, rows: Sequence[Gain]) -> Fold:
    head = (
        *("regime", "switched off", "scenario", "backbone", "found"),
        f"ahead ({study.measure.steps})",
        *("p", "images (times)", "seconds (times)"),
    )
    caption = f"Methods against themselves switched off: {family}"
    shown = tuple(_row(gain) for gain in rows if twin(study, gain.place.regime).regime)
    alone = tuple(_alone(study, rows))
    blocks = (Table(caption, head, shown, texts=5),) if shown else ()
    blocks += (Bullets(alone),) if alone else ()
    return Fold(f"{family}: {WORDS[family]}", blocks)


def _alone(study: Study, rows: Sequence[Gain]) -> Iterator[str]:
    """The methods without a twin, and why."""
    for method in dict.fromkeys(gain.place.regime for gain in rows):
        if why := twin(study, method).why:
            yield f"{method}: {why}"


def _row(gain: Gain) -> tuple[Cell, ...]:
    scenario, backbone, regime = gain.place
    start = (cell(regime), cell(gain.twin.regime or "–"), cell(scenario), cell(backbone))
    if gain.lead is None:
        return (*start, cell("–", f"({gain.twin.why or 'not measured'})"), *(cell("–"),) * 4)
    sure = gain.side != 0 and gain.p <= LEVEL
    return (
        *start,
        cell(_found(gain), strong=sure),
        cell(signed(gain.lead.interval(), gain.measure)),
        cell(_p(gain.p) if gain.lead.known else "–", strong=sure),
        cell(_times(gain.images)),
        cell(_times(gain.seconds)),
    )


def _found(gain: Gain) -> str:
    if not gain.lead.known:
        return "interval unknown"
    if gain.equal:
        return f"equal within {points(100 * gain.margin, gain.measure)}"
    if gain.side < 0 and gain.of_source:
        return NEGATIVE
    return SIDES.get(gain.side, "not separated")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"
