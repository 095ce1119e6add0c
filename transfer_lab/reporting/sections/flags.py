"""What makes a number on the page worth less than it looks: looked for, and where found."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from transfer_lab.experiment.choices import Weights
from transfer_lab.reporting.accuracies import PLACE, rows_of
from transfer_lab.reporting.blocks import Cell, Line, Note, Paragraph, Section, Table, cell
from transfer_lab.reporting.sections.majority import CONSTANT, networks, not_above
from transfer_lab.reporting.sections.time import CONDITIONS
from transfer_lab.reporting.sections.training_curves import shape
from transfer_lab.reporting.sections.tuning import tried
from transfer_lab.reporting.study import Place, Study
from transfer_lab.similarity.overlap import Counted, pairs
from transfer_lab.stats.outliers import FAR, SPREADS

TITLE = "Flags"
LEAD = "What makes a number worth less than it looks: looked for, and where found."
SEEN_BEFORE = (
    "The images that ready-made weights were trained on are not here: whether the target's are "
    "among them is not known."
)
FEW_SEEDS = 3
_NAMED = 8


class Flag(NamedTuple):
    """Something to look for: what it is called, what it means, and where it is found (None: the
    records do not tell)."""

    name: str
    meaning: str
    find: Callable[[Study], Iterable[str] | None]


def flags(study: Study) -> Section | None:
    """Every flag that is up, and the names of those that were looked for and not found."""
    if study.done.empty:
        return None
    known = raised(study)
    rows = tuple(
        (cell(flag.name), _lines(places), cell(flag.meaning))
        for flag, places in known.items()
        if places
    )
    down = [flag.name for flag, places in known.items() if not places]
    untold = [flag.name for flag in FLAGS if flag not in known]
    texts = (("Looked for and not found", down), ("Not told by these records", untold))
    said = tuple(Note(f"{text}: {', '.join(names)}.", text) for text, names in texts if names)
    table = Table("Flags", ("flag", "where", "what it means"), rows, texts=3)
    return Section(
        TITLE, (*((table,) if rows else ()), *said, *_damaged(study), *_seen_before(study)), LEAD
    )


def raised(study: Study) -> dict[Flag, list[str]]:
    """Where each flag is up, nowhere or in some places; not those that the records do not tell."""
    found = {flag: flag.find(study) for flag in FLAGS}
    return {flag: list(places) for flag, places in found.items() if places is not None}


def _lines(places: list[str]) -> Cell:
    shown = tuple(Line(place) for place in places[:_NAMED])
    rest = len(places) - _NAMED
    return (*shown, Line("", f"and {rest} more")) if rest > 0 else shown


def _name(place: Place) -> str:
    return " / ".join(place)


def _below_majority(study: Study) -> Iterable[str]:
    return (f"{_name(place)} ({networks(study, place, rows)})" for place, rows in not_above(study))


def _constant(study: Study) -> Iterable[str]:
    done = study.done[study.done["commonest_prediction"] >= CONSTANT]
    names = rows_of(done, "scenario", "backbone", "regime")
    hits = Counter(Place(*place) for place in names)
    for place, count in hits.items():
        # A control on frozen random features that gives one answer compares with nothing.
        if study.experiment.regimes[place.regime].kind != "majority":
            yield f"{_name(place)} ({count} of {study.summary(*place).planned} seeds)"


def capped(study: Study) -> dict[Place, tuple[int, int]]:
    """Trained arms whose validation loss still falls at the end of the budget in more than half
    of their seeds: in how many, of how many."""
    counts: dict[Place, Counter[bool]] = defaultdict(Counter)
    for place, run_id in study.with_curves:
        curve = study.curves[run_id]
        losses = [v for v in curve["val_loss"].tolist() if v == v] if "val_loss" in curve else []
        counts[place][shape(losses) == "falling"] += 1
    return {
        place: (found[True], found.total())
        for place, found in counts.items()
        if 2 * found[True] > found.total() and not study.is_control(place.regime)
    }


def _capped(study: Study) -> Iterable[str]:
    for place, (hits, seeds) in capped(study).items():
        yield f"{_name(place)} ({hits} of {seeds} seeds)"


def _mixed(study: Study) -> Iterable[str]:
    for name in CONDITIONS:
        values = sorted({f"{v:g}" if isinstance(v, float) else str(v) for v in _known(study, name)})
        if len(values) > 1:
            yield f"{name}: {', '.join(values)}"


def _known(study: Study, column: str) -> Iterable[object]:
    return study.done[column].dropna().unique()


def _copies(study: Study) -> Iterable[str]:
    found = study.done[study.done["test_copies"] > 0].groupby("target", sort=False)
    for target, copies in found["test_copies"].max().items():
        yield f"{target}: {copies:,.0f} test images"


def _set_aside(study: Study) -> Iterable[str]:
    found = study.done[study.done["set_aside"] > 0].groupby("target", sort=False)
    for target, files in found["set_aside"].max().items():
        yield f"{target}: {files:,.0f} files"


def _shared_images(study: Study) -> list[str] | None:
    """Sources that hold images of their target; nothing is said where a pair was not counted."""
    planned = pairs(study.experiment)
    known = [(pair, study.overlaps.get(pair.overlap.id)) for pair in planned]
    found = [
        f"{pair.source} → {pair.target}: {_shared(counts)}"
        for pair, counts in known
        if counts and counts.test + counts.train
    ]
    told = known and all(counts for _, counts in known)
    return found if found or told else None


def _shared(counts: Counted) -> str:
    return (
        f"{counts.test:,} of {counts.test_images:,} test images ({counts.test_learnt:,} in the "
        "source's training pool, of which source runs learn all or a part), "
        f"{counts.train:,} of {counts.train_images:,} in the training pool"
    )


def _damaged(study: Study) -> Iterator[Paragraph]:
    """Files that belong to a finished run and are not what it wrote."""
    known = [f"{name} of {run_id} ({why})" for (run_id, name), why in study.left_out.items()]
    if known:
        more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
        yield Paragraph(
            f"Damaged and left out: {', '.join(known[:_NAMED])}{more}. What they would show is "
            "missing here; `run` makes them anew."
        )


def _seen_before(study: Study) -> Iterable[Paragraph]:
    starts = (choice.pretrained for choice in study.experiment.backbones.values())
    if any(isinstance(start, Weights) for start in starts):
        yield Paragraph(SEEN_BEFORE)


def _shared_names(study: Study) -> list[str] | None:
    """Scenarios whose target has classes of the same names as the source run's."""
    columns = ["scenario", "run_id", "init_id"]
    starts = study.done.dropna(subset=["init_id"]).drop_duplicates("scenario")[columns]
    found, untold = [], False
    for scenario, run_id, source in starts.itertuples(index=False, name=None):
        target, known = study.predictions.classes(run_id), study.predictions.classes(source)
        untold |= not (target and known)
        common = [name for name in target if name in set(known)]
        if common:
            few = ", ".join(common[:3]) + ", ..." * (len(common) > 3)
            found.append(f"{scenario}: {len(common)} of {len(target)} ({few})")
    return None if untold and not found else found


def _untuned(study: Study) -> Iterable[str]:
    return () if tried(study) else ("every regime",)


def _one_source_run(study: Study) -> Iterable[str]:
    starts = study.done.dropna(subset=["init_id"]).groupby(["backbone", "source"], sort=False)
    for (backbone, source), rows in starts:
        if rows["seed"].nunique() > 1 and rows["init_id"].nunique() == 1:
            yield f"{backbone} from {source}"


def _failed(study: Study) -> Iterator[str]:
    arms = [Place(*names) for names in study.done.groupby(list(PLACE), sort=False).groups]
    trained = [arm for arm in arms if not study.is_control(arm.regime)]
    failed = {arm: n for arm in trained if (n := study.summary(*arm).far_below)}
    for arm, count in failed.items():
        scores = sorted(one.accuracy for one in study.accuracies.tested(arm).values())
        low = " ".join(f"{100 * score:.1f}" for score in scores[:count])
        rest = " ".join(f"{100 * score:.1f}" for score in scores[count:])
        yield f"{_name(arm)} ({count} of {len(scores)} seeds: {low} against {rest} %)"
    if failed:
        all_seeds = sum(len(study.accuracies.tested(arm)) for arm in trained)
        yield f"{sum(failed.values())} of all {all_seeds:,} trainings"


def _few_seeds(study: Study) -> Iterable[str]:
    for place, rows in study.done.groupby(["scenario", "backbone", "regime"], sort=False):
        if len(rows) < FEW_SEEDS and not study.is_control(place[-1]):
            yield f"{_name(Place(*place))} ({len(rows)})"


def _no_predictions(study: Study) -> Iterable[str]:
    study.measured.read_all()
    for reason, count in sorted(study.predictions.problems.items()):
        yield f"{count:,} runs: {reason}"


FLAGS = (
    Flag(
        "not above the majority class",
        "networks that are not shown to be better than a constant answer (see Against the majority "
        "class)",
        _below_majority,
    ),
    Flag(
        "constant answer", f"one class is {100 * CONSTANT:.0f} % or more of the answers", _constant
    ),
    Flag(
        "failed trainings",
        "a seed's accuracy is far below those of its arm's other seeds: a gap of more than "
        f"{100 * FAR:g} points, and of more than {SPREADS} times the median standard deviation "
        "over seeds of the scenario's trained arms. Means hold them, but their intervals cover "
        "less than they say: where every fifth training fails by 30 points, 58, 67 and 85 % with "
        "3, 5 and 8 seeds",
        _failed,
    ),
    Flag(
        "stopped by the budget",
        "in more than half of the seeds the validation loss still falls at the end (by more than "
        "5 % of its whole fall in the last fifth of the epochs): with more epochs its place may "
        "change",
        _capped,
    ),
    Flag(
        "mixed conditions",
        "records were made under different conditions: times are not comparable, and accuracies "
        "of different commits or precisions may not be",
        _mixed,
    ),
    Flag(
        "copies in the test set",
        "test images that the training pool holds too: accuracies may be too high",
        _copies,
    ),
    Flag(
        "files that cannot be read",
        "left out of the training pool and the test set",
        _set_aside,
    ),
    Flag(
        "source and target share images",
        "exact copies, pixel for pixel as the network sees them (at the experiment's image size): "
        "what is transferred may have been learnt from the images it is tested on",
        _shared_images,
    ),
    Flag(
        "source and target share class names",
        "what is transferred has seen these classes, or others of the same name",
        _shared_names,
    ),
    Flag(
        "untuned",
        "options are those of the experiment file: another learning rate may change the order, "
        "and intervals do not hold that",
        _untuned,
    ),
    Flag(
        "one source run",
        "all seeds start from the same weights: intervals hold for that source run, and another "
        "one could do better or worse",
        _one_source_run,
    ),
    Flag("fewer than three seeds", "intervals are very wide, or there are none", _few_seeds),
    Flag(
        "no predictions by image",
        "comparisons rest on the records alone: of accuracies the test set's error is bounded from "
        "above, and intervals of differences are too wide; of other measures it is left out",
        _no_predictions,
    ),
)
"""In the order in which they are shown."""
