"""How far each source is from its target, measured, and whether the author's words agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from transfer_lab.reporting.blocks import (
    Block,
    Bullets,
    Cell,
    Code,
    Fold,
    Line,
    Note,
    Paragraph,
    Picture,
    Section,
    Table,
    cell,
)
from transfer_lab.reporting.figures.similarity_axis import figure
from transfer_lab.reporting.study import Study
from transfer_lab.similarity.axis import (
    CUT,
    SATURATED,
    Placed,
    Word,
    apart,
    cuts_that_agree,
    reversals,
    saturated,
    standing,
)
from transfer_lab.similarity.pairs import Compared, Named, comparisons

TITLE = "Similarity, measured"
LEAD = "How far each source is from its target, measured without labels."
AXIS = (
    "The axis is label-free: 0 is the distance between two halves of the source, 1 that from the "
    "source to {far}. A distance is the root of MMD² (unbiased, cubic kernel) on features that are "
    "standardised and brought to equal length; in brackets the 95 % interval over images. Features "
    "are those of fixed random filters, which belong to no backbone, and those of each backbone as "
    "its source run left it. All images are of training pools, those of the source the ones its "
    "source run learnt from. The unit is each source's own distance to the far domain, and "
    "backbone features are those of each source: places of different sources compare roughly only."
)
PHOTOGRAPHS = (
    "Of ready-made weights that come by pip, 0 is where photographs lie whose statistics the lab "
    "ships (of PACS, flowers and 15-Scene: such as these networks have learnt from), and 1 where "
    "{far} lie: how unlike those photographs the target's training images are in the network's "
    "features on average (squared Mahalanobis distance on random projections), in brackets the "
    "95 % interval over images. Images have the network's own size for this, whatever the "
    "experiment's: the place is that of the pictures, and small ones may serve the network less."
)
RULE = (
    f"The cut between similar and dissimilar is {CUT:g}, half way to the far domain, the same for "
    "every experiment and set before the first was measured. How features are scaled was settled "
    "later, on trials with rendered letters, textures and PACS: there the axis is no independent "
    "witness."
)
UNPLACED = (
    "No place on the axis: neither images of the source nor statistics of them are here. "
    '"Similar" and "dissimilar" are the author\'s words, unchecked.'
)
SATURATION = (
    f"A proxy A-distance above {SATURATED:g} is saturated: nearly every image is told apart, and "
    "such distances are not to be ordered among each other."
)
CAPTION = "Place of each target, with its 95 % interval; the dashed line is the cut."
LABEL_AWARE = (
    "These look at labels of up to {images:,} training images of the target and so foretell an "
    "outcome rather than measure a distance; they take no part in the axis. Gains are over the "
    "same backbone with random weights. LEEP is of what the source run's own head answers to them."
)


class Result(NamedTuple):
    """A comparison, its author's words for it, and what was measured."""

    named: Named
    words: tuple[Word, ...]
    found: Compared

    @property
    def placed(self) -> tuple[Placed, ...]:
        """Its place on the axis, once for each word."""
        if self.found.position is None:
            return ()
        names = (self.named.source, self.named.target)
        return tuple(Placed(*names, word, *self.found.position) for word in self.words)


def similarity(study: Study) -> Section | None:
    """Axis, words against it, and every measure; no section where nothing is compared."""
    planned = [_by_name(study, named) for named in comparisons(study.experiment)]
    if not planned:
        return None
    results = [
        Result(named, _words(study, named), found)
        for named in planned
        if (found := study.similarities.get(named.comparison.id))
    ]
    missing = [n for n in planned if n.comparison.id not in study.similarities]
    blocks = [*_axis(study, results), *_label_aware(study, results), *_missing(study, missing)]
    return Section(TITLE, tuple(blocks), LEAD)


def _by_name(study: Study, named: Named) -> Named:
    """The comparison with a backbone's space under the backbone's name in the experiment."""
    names = {choice.label: name for name, choice in study.experiment.backbones.items()}
    return named._replace(space=names.get(named.space, named.space))


def _words(study: Study, named: Named) -> tuple[Word, ...]:
    """What the scenarios of a pair call it; ready-made weights go by their own name."""
    start = named.comparison.source is None
    return tuple(
        dict.fromkeys(
            place.similarity
            for place in study.experiment.scenarios.values()
            if place.target == named.target and (start or place.path == named.source)
        )
    )


def _axis(study: Study, results: list[Result]) -> list[Block]:
    placed = [result for result in results if result.placed]
    if not placed:
        return [*([Paragraph(UNPLACED)] if results else []), *_notes(results)]
    far = study.experiment.similarity.far or "images of independent random pixels"
    learnt = [result for result in placed if result.named.comparison.source]
    measures = Fold("Label-free measures", (_label_free(results), Paragraph(SATURATION)))
    told = [AXIS] * bool(learnt) + [PHOTOGRAPHS] * (len(learnt) < len(placed))
    return [
        *_contradictions(placed),
        _picture(study, placed),
        _places(placed),
        Bullets(tuple(_sensitivity(placed))),
        Note(" ".join([*(text.format(far=far) for text in told), RULE])),
        *([measures] if learnt else []),
        *_notes(results),
    ]


def _spaces(results: list[Result]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(result.named.space for result in results))


def _in_space(results: list[Result], space: str) -> list[Placed]:
    return [p for result in results if result.named.space == space for p in result.placed]


def _contradictions(results: list[Result]) -> Iterator[Block]:
    """A warning for each word that the axis contradicts, and for each pair in the wrong order."""
    for space in _spaces(results):
        pairs = _in_space(results, space)
        for pair in pairs:
            if standing(pair) == "contradicts":
                side = "beyond" if pair.word == "similar" else "within"
                yield Paragraph(
                    f"The experiment calls {pair.source} → {pair.target} {pair.word}; measured on "
                    f"{space} it lies at {_span(pair)}, {side} the cut of {CUT:g}.",
                    warning=True,
                )
        for near, away in reversals(pairs):
            doubt = "" if apart(near, away) else " (the intervals overlap)"
            yield Paragraph(
                f'Of {near.target}, the "similar" source {near.source} ({_span(near)}) is farther '
                f'than the "dissimilar" {away.source} ({_span(away)}) on {space}{doubt}.',
                warning=True,
            )


def _span(pair: Placed) -> str:
    return f"{pair.value:.2f} [{pair.low:.2f}, {pair.high:.2f}]"


def _places(results: list[Result]) -> Table:
    spaces = _spaces(results)
    known = {(p[:3], r.named.space): p for r in results for p in r.placed}
    rows = tuple(
        (
            cell(f"{key[0]} → {key[1]}"),
            cell(key[2]),
            *(_place(known.get((key, space))) for space in spaces),
        )
        for key in dict.fromkeys(key for key, _ in known)
    )
    return Table("Place on the axis", ("source → target", "called", *spaces), rows, texts=2)


def _place(pair: Placed | None) -> Cell:
    if pair is None:
        return cell("–")
    told = standing(pair)
    lines = [Line(f"{pair.value:.2f}", f"[{pair.low:.2f}, {pair.high:.2f}]")]
    if told != "agrees":
        lines.append(Line(told, weight="strong" if told == "contradicts" else "plain"))
    return tuple(lines)


def _sensitivity(results: list[Result]) -> Iterator[str]:
    for space in _spaces(results):
        pairs = _in_space(results, space)
        agreeing = cuts_that_agree(pairs)
        if agreeing is None:
            yield f"{space}: no cut agrees with all of the author's words."
        elif agreeing[1] == float("inf"):
            yield f"{space}: every cut above {agreeing[0]:.2f} agrees with the author's words."
        else:
            low, high = agreeing
            yield f"{space}: every cut from {low:.2f} to {high:.2f} agrees with the author's words."


def _picture(study: Study, results: list[Result]) -> Picture:
    spaces = {space: _in_space(results, space) for space in _spaces(results)}
    alt = "Places of the targets on the axis from 0 (the source itself) to 1 (the far domain)"
    return Picture("similarity.png", CAPTION, alt, figure(spaces, study.backbones))


def _label_free(results: list[Result]) -> Table:
    head = (
        *("source → target", "features", "images"),
        *("MMD²", "MMD² of halves", "MMD² to far", "proxy A-distance", "A-distance to far"),
    )
    rows = tuple(
        (
            *_names(result.named),
            cell(f"{result.found.images:,}" if result.found.images else "–"),
            *(_number(getattr(result.found, n)) for n in ("mmd2", "mmd2_half", "mmd2_far")),
            *(_a_distance(getattr(result.found, n)) for n in ("proxy_a", "proxy_a_far")),
        )
        for result in results
        if result.named.comparison.source
    )
    return Table("Label-free measures, ± standard error", head, rows, texts=2)


def _label_aware(study: Study, results: list[Result]) -> Iterator[Block]:
    known = [result for result in results if result.named.comparison.backbone]
    if not known:
        return
    head = (
        *("source → target", "features", "images", "kNN (%)", "gain", "linear (%)", "gain"),
        *("LogME", "H-score", "LEEP"),
    )
    rows = tuple(
        (
            *_names(result.named),
            cell(f"{result.found.labelled_images or 0:,}"),
            _percent(result.found.neighbours),
            _number(result.found.neighbours_gain, 100, 1),
            _percent(result.found.linear),
            _number(result.found.linear_gain, 100, 1),
            *(_single(getattr(result.found, n)) for n in ("logme", "h_score", "leep")),
        )
        for result in known
    )
    table = Table("Label-aware measures, gains ± standard error in points", head, rows, texts=2)
    told = Paragraph(LABEL_AWARE.format(images=study.experiment.similarity.images))
    yield Fold("Label-aware measures", (told, table))


def _notes(results: list[Result]) -> Iterator[Block]:
    """Why a measure is not there."""
    notes = tuple(
        f"{result.named.title}: no {name}: {reason}"
        for result in results
        for name, reason in result.found.notes.items()
    )
    if notes:
        yield Fold("Measures that are not defined here", (Bullets(notes),))


def _missing(study: Study, missing: list[Named]) -> Iterator[Block]:
    if not missing:
        return
    titles = "; ".join(named.title for named in missing)
    yield Paragraph(
        f"Not measured yet: {titles}. What is on a backbone's features needs the weights of its "
        "source run. The command that measures what can be:"
    )
    command = study.command.split(" ", 2)
    yield Code(" ".join([command[0], "similarity", *command[2:]]))


def _names(named: Named) -> tuple[Cell, Cell]:
    return cell(f"{named.source} → {named.target}"), cell(named.space)


def _number(pair: tuple[float, float] | None, scale: float = 1, digits: int = 3) -> Cell:
    if pair is None:
        return cell("–")
    return cell(f"{scale * pair[0]:.{digits}f} ± {scale * pair[1]:.{digits}f}")


def _a_distance(pair: tuple[float, float] | None) -> Cell:
    if pair is None:
        return cell("–")
    return cell(f"{pair[0]:.2f} ± {pair[1]:.2f}", "saturated" if saturated(pair[0]) else "")


def _percent(value: float | None) -> Cell:
    return cell("–" if value is None else f"{100 * value:.1f}")


def _single(value: float | None) -> Cell:
    return cell("–" if value is None else f"{value:.3f}")
