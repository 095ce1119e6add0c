"""How the numbers were obtained, and what intervals and tests cover and do not, in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.choices import Weights
from transfer_lab.experiment.packaged import packaged_as
from transfer_lab.experiment.plan import searched_in
from transfer_lab.experiment.spec import PROTOCOL, PerClass
from transfer_lab.reporting.blocks import (
    Bullets,
    Cell,
    Fold,
    Note,
    Section,
    Table,
    cell,
)
from transfer_lab.reporting.clusters import said as over_targets
from transfer_lab.reporting.decision import rule_standings
from transfer_lab.reporting.measures import ACCURACY
from transfer_lab.reporting.sections.called import called
from transfer_lab.reporting.sections.cross_validation import of_folds, tested
from transfer_lab.reporting.sections.tuning import tried, words
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.subsets import said as overlap
from transfer_lab.reporting.wording import points, whole
from transfer_lab.stats.hypotheses import LEVEL

BY_IMAGE = {
    "accuracy": "correctness",
    "balanced_accuracy": "correctness, weighted so that every class counts the same,",
    "macro_f1": "the influence of an answer (the measure's first derivative)",
    "log_loss": "the logarithm of the probability that is given to the right class",
}
"""What a measure is the mean of."""


def protocol(study: Study) -> Section:
    """The rules that every cell obeys, the scenarios and the options."""
    experiment = study.experiment
    rules = (
        f"Protocol {PROTOCOL}.",
        *filter(None, (tested(study),)),
        f"Every regime has the same budget: {_budget(experiment.fit)}. {_end(experiment.fit)}",
        *_further(study),
        _selection(study),
        *_starts(study),
    )
    options = _options(study)
    tables = (_scenarios(study), *called(study), Fold(options.caption, (options,)))
    always = Note("", "Rules that every experiment obeys", _always(study))
    cover = Note("", "What intervals and tests cover", inference(study))
    return Section("Protocol", (Bullets(rules), *tables, always, cover))


def _always(study: Study) -> tuple[str, ...]:
    """What holds of every experiment alike."""
    beside = " from what is left beside each fold" if study.experiment.folds else ""
    fixed = (
        "Every target has one fixed test set, the same for all sizes, regimes, backbones and "
        "seeds. A run reads it once, after training, and selects nothing on it."
    )
    return (
        "The protocol's number is part of every run's id and is raised whenever the code changes "
        "results, so that no two protocols stand in one report.",
        *(() if tested(study) else (fixed,)),
        f"Each seed draws its own stratified subset of the target{beside}; the small ones lie "
        "within the large ones, and validation images count towards n.",
    )


def _budget(fit: Fit) -> str:
    return (
        f"{fit.length}, batches of {fit.batch_size}, {100 * fit.val_fraction:g} % of the labelled "
        f"images for validation{_augmentation(fit)}"
    )


def _end(fit: Fit) -> str:
    if not fit.patience:
        return "The last epoch is the result; there is no early stopping."
    return (
        "Validation comes after every epoch, or after as many as ten steps take; it is better with "
        "a higher accuracy, or the same and a lower loss. The model of the best one is the result, "
        "so its validation accuracy is a little too high; times are those of all epochs. Since "
        "the end is not known, the lab's own recipe warms up over ten steps and stays at its peak "
        "rate, and a regime of several phases ends each of them so, with its share of the epochs "
        "as the cap."
    )


def _further(study: Study) -> tuple[str, ...]:
    """The further budgets under which the same grid was run."""
    told = [
        f"Further budget {name}: {_budget(fit)}. {_end(fit)}"
        for name, fit in study.experiment.budgets.items()
    ]
    if told:
        told.append(
            "Source runs have their own budget, the same under all of these. Every section but "
            "Budgets, the list of failed and missing cells and the provenance are about the first "
            "budget alone."
        )
    return tuple(told)


def _selection(study: Study) -> str:
    """Who chose the options: the experiment's author, or validation among equally many trials."""
    trials = tried(study)
    if not trials:
        return (
            "Learning rates and other options are those written in the experiment file, listed "
            "below. They are untuned: rates set by hand."
        )
    (count,) = {len(found) for found in trials.values()}
    if study.experiment.search:
        return _searches(study, count)
    return (
        f"Every regime that learns has {count} trials in each place of the grid and with each "
        "seed, all from the same initial weights. A trial learns from the training images alone; "
        "the best validation accuracy chooses (among equals the lower validation loss, then the "
        "first listed). One model then learns anew, from training and validation images, with the "
        "chosen options and the same budget, and is the one that is tested. Source runs are not "
        "tuned."
    )


def _searches(study: Study, count: int) -> str:
    """That validation at another seed has chosen for the whole grid."""
    experiment = study.experiment
    assert experiment.search is not None
    named = (name for regime in tried(study) for name in searched_in(experiment, regime))
    epochs = experiment.search.epochs
    shorter = "" if epochs is None else f", for no more than {epochs} epoch{'s' * (epochs > 1)}"
    where = " and ".join(dict.fromkeys(named)) + shorter
    return (
        f"Every regime that learns has {count} trials on each backbone, tried once, at seed "
        f"{experiment.search.seed}, which no run of the grid has, in {where}: from the same "
        "initial weights each learns from the training images, and the best mean validation "
        "accuracy chooses (among equals the lower mean validation loss, then the first listed). "
        "No search reads a test image. What it chose holds in every scenario and at every seed; "
        "the runs there learn from training images alone. Source runs are not tuned."
    )


def _starts(study: Study) -> tuple[str, ...]:
    """What the backbones start from: source runs, ready-made weights, nothing."""
    choices = study.experiment.backbones
    told = [_source_runs(study)] if any(c.pretrained == "run" for c in choices.values()) else []
    told += [
        f"{name} is pretrained by {_pretraining(choice.source_regime)} instead, with the same "
        "budget."
        for name, choice in choices.items()
        if choice.source_regime
    ]
    for name, choice in choices.items():
        start = choice.pretrained
        if isinstance(start, Weights):
            told.append(f"{name} starts from ready-made weights ({_whose(start)}).")
        elif start == "none":
            told.append(f"{name} has no source: only what needs none is run on it.")
    return (*told, *_places(study))


def _places(study: Study) -> Iterator[str]:
    """What scenarios have that is neither one source nor one target."""
    for name, place in study.experiment.scenarios.items():
        if place.via:
            between = ", then on ".join(place.via)
            yield (
                f"Between source and target of {name} the whole network is fine-tuned on "
                f"{between}, each time as a source run with the budget of such runs."
            )
        if place.control == "self":
            yield (
                f"In {name} the target is its own source: the source run learns from the very "
                "images of the target's run of that seed, none of those that validate."
            )


def _whose(weights: Weights) -> str:
    if weights.sha256 is None:
        return "the file published under this name"
    content = f"SHA-256 {weights.sha256}"
    if weights.origin != "package":
        return content
    held = packaged_as(weights.sha256)
    return f"{held.source}; package {held.distribution}, {held.licence}, {content}"


def _augmentation(fit: Fit) -> str:
    if fit.augment is None:
        return ""
    how = ["flipped left to right for one half"] if fit.augment.flip else []
    how += [f"shifted by up to {100 * fit.augment.shift:g} %"] if fit.augment.shift else []
    return f"; training images are randomly {' and '.join(how)}, anew at every epoch"


def _source_runs(study: Study) -> str:
    pretrain = study.experiment.pretrain
    whose = (
        "each seed has its own source run"
        if pretrain.per_seed
        else f"one source run, with seed {pretrain.seed}, is shared by all seeds, so that the "
        "intervals hold for that source run"
    )
    return (
        f"Pretraining is {_pretraining(pretrain.regime)} on the source domain "
        f"({_per_class(pretrain.per_class)}; {_budget(pretrain.fit)}); for every backbone and "
        f"source, {whose}.{' ' + _end(pretrain.fit) if pretrain.patience else ''}"
    )


def _pretraining(kind: str) -> str:
    """What a source run does, in words."""
    if kind == "from_scratch":
        return "training from scratch"
    known = kind in REGIMES and REGIMES[kind].pretext
    return f"{kind} (without labels, from scratch)" if known else kind


def _per_class(per_class: PerClass) -> str:
    return "all its images" if per_class == "all" else f"{per_class} images per class"


def _scenarios(study: Study) -> Table:
    domains = study.experiment.domains
    first = study.done.drop_duplicates("scenario").set_index("scenario").to_dict("index")
    rows, told = [], set[str]()
    for name in study.scenarios:
        place, known = study.experiment.scenarios[name], first.get(name, {})
        rows.append(
            (
                cell(name),
                _domain(study.source(name), domains, told),
                _domain(place.target, domains, told),
                cell(place.per_class),
                _whole(known.get("n_train"), known.get("n_val")),
                _whole(known.get("n_test")),
                _whole(known.get("num_classes")),
            )
        )
    head = ("scenario", "source", "target", "per class", "labelled", "test", "classes")
    return Table("Scenarios", head, tuple(rows), texts=3)


def _domain(name: str, domains: dict, told: set[str]) -> Cell:
    """The domain, and its options where it is named for the first time."""
    label = domains[name].label if name in domains and name not in told else ""
    told.add(name)
    return cell(name, "" if label in ("", name) else f"({label})")


def _whole(*values: float | None) -> Cell:
    known = [value for value in values if value is not None and not math.isnan(value)]
    return cell(whole(sum(known)) if known else "–")


def _options(study: Study) -> Table:
    """The options as they are written; those of a search for the whole grid stand under Tuning."""
    trials = {} if study.experiment.search else tried(study)
    rows = tuple(
        (
            cell(regime),
            cell(study.experiment.regimes[regime].label),
            *([cell("; ".join(map(words, trials.get(regime, ()))) or "–")] if trials else []),
        )
        for regime in study.regimes
    )
    head = ("regime", "as configured", *(["tried in its place"] if trials else []))
    return Table("Regimes and their options", head, rows, texts=len(head))


def inference(study: Study) -> tuple[str, ...]:
    """One sentence or a few for each question a statistician asks."""
    return (
        *(of_folds(study) or _of_one_test_set(study)),
        *over_targets(study),
        *_conclusions(study),
    )


def _of_one_test_set(study: Study) -> tuple[str, ...]:
    """What intervals hold, and what for."""
    return (
        *_errors(study),
        "They generalise to new seeds and to new test images in the same mix of classes. They do "
        "not hold what another source run, other targets, other options or another budget would "
        "change" + _sizes(study) + ".",
        *overlap(study),
        *over_targets(study),
        "Comparisons are paired: by scenario and seed, and by test image. Seeds that one side "
        "lacks are left out of a comparison.",
    )


def _conclusions(study: Study) -> tuple[str, ...]:
    """What is tested, and what is not."""
    margin = points(study.experiment.margin, study.measure)
    return (
        _family(study),
        "Best, may be as good, ruled out and at most so many points behind are multiple "
        "comparisons with the best (Hsu 1984) of a scenario, or of a scenario and backbone: of all "
        "arms that are compared there at once, with 95 % confidence, however one was picked, that "
        "the true best is not ruled out and no bound is wrong. One-sided, by Bonferroni over the "
        "comparisons with the best. Variances over seeds of paired differences are moderated: each "
        "is averaged with what those of all pairs of this grid have in common, by degrees of "
        "freedom (empirical Bayes, Smyth 2004), and so are those of single accuracies in what to "
        "expect.",
        f"Equal means shown to differ by less than {margin}, by two one-sided tests (TOST) at "
        f"{100 * LEVEL:g} %; a difference that was not found is not called equal.",
        "Everything else is exploratory: the frontier of time and accuracy, regrets, "
        "probabilities, classes, claims. It is not corrected for how many things were looked at.",
    )


def _errors(study: Study) -> tuple[str, ...]:
    """What intervals of scores hold, where all is known by image and where it is not."""
    looks, measure = study.experiment.looks, study.measure
    seeds = f"{looks.start} to {looks.at_most}" if looks else len(study.experiment.seeds)
    what = "accuracies" if measure is ACCURACY else f"{measure.title}, which leads here,"
    return (
        f"Intervals of {what} hold two errors. That of the seeds ({seeds}: subset, "
        "initialisation, order of training) is Student's t. That of the test set is what all seeds "
        f"share by being tested on the same images: {BY_IMAGE[measure.name]} by seed and image is "
        "taken as a crossed two-way layout within classes, and the images' variance is the mean "
        "square of the images less that of the rest, which the spread of the seeds holds already. "
        "The two half-widths are added in quadrature (Howe 1974), which covers at least as often "
        "as it says also with two or three seeds. The errors are taken as normal: not to be "
        "trusted within a few images of 0 or 100 %.",
        f"{_without_images(study)}{_unread(study)}. Intervals of times and of other columns are "
        "Student's t over seeds.",
    )


def _without_images(study: Study) -> str:
    if study.measure is ACCURACY:
        return (
            "Where predictions by image cannot be read, the test set's variance is p (1 - p) / n "
            "for each arm by itself, which bounds it from above"
        )
    return "Where that is not stored by image, intervals hold the error of the seeds alone"


def _family(study: Study) -> str:
    told = rule_standings(study)
    judged = [one for one in told.values() if one.followed]
    distinct = len({(one.scenario, *one.followed.items()) for one in judged})
    counts = Counter(judged.verdict for judged in told.values())
    said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    outcome = f" Here that is {distinct} hypotheses; the rules' verdicts: {said}." if told else ""
    return (
        "The family of tests is set by the experiment file and not by test accuracies: "
        "one hypothesis for each scenario and published rule (rule_av, rule_cs231n) of which "
        "records are there, on the mean over the backbones, with Bonferroni's correction over "
        "rivals and Holm's over hypotheses, separately for refuting, for supporting and for being "
        f"behind, at {100 * LEVEL:g} % each. Refuted means that a rival is shown to be more than "
        f"{points(study.experiment.margin, study.measure)} ahead, which is the experiment's margin."
        + outcome
    )


def _unread(study: Study) -> str:
    study.measured.read_all()
    problems = study.predictions.problems
    if not problems:
        return "; here all were read"
    reasons = ", ".join(f"{whole(count)} {reason}" for reason, count in sorted(problems.items()))
    return f"; here: {reasons}"


def _sizes(study: Study) -> str:
    known = study.done.dropna(subset=["n_test"]).groupby("target", sort=False)["n_test"].max()
    if known.empty:
        return ""
    parts = (
        f"{whole(count)} of {target} (95 % half-width of one accuracy of 50 %, at most: "
        f"± {100 * 1.959964 * (0.25 / count) ** 0.5:.1f} points)"
        for target, count in known.items()
    )
    return f". Test images: {'; '.join(parts)}"
