"""How the numbers were obtained, and what intervals and tests cover and do not, in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.choices import Weights
from transfer_lab.experiment.packaged import packaged_as
from transfer_lab.experiment.spec import PROTOCOL, PerClass
from transfer_lab.reporting.blocks import (
    Block,
    Bullets,
    Cell,
    Paragraph,
    Section,
    Table,
    cell,
)
from transfer_lab.reporting.hypotheses import verdicts
from transfer_lab.reporting.sections.tuning import tried, words
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.taxonomies import taxonomies
from transfer_lab.reporting.wording import whole
from transfer_lab.stats.hypotheses import LEVEL, MARGIN

TAXONOMY = (
    "Texts on transfer learning name scenarios by two schemes that contradict one another. By "
    "labels: inductive where the target has some, transductive where the source alone has, "
    "unsupervised where none has. By domain and task: other images of the same classes are "
    "transductive, the same images in other classes inductive, and other images of other classes "
    "unsupervised, whatever labels there are. Homogeneous: the same shape of inputs, which all "
    "images here have, and classes of the same names."
)


def protocol(study: Study) -> Section:
    """The rules that every cell obeys, the scenarios and the options."""
    experiment = study.experiment
    rules = (
        f"Protocol {PROTOCOL}: the number is part of every run's id and is raised whenever the "
        "code changes results, so that no two protocols stand in one report.",
        _tested(study),
        "Each seed draws its own stratified subset of the target"
        + (" from what is left beside each fold" if experiment.folds else "")
        + "; the small ones lie within the large ones, and validation images count towards n.",
        f"Every regime has the same budget: {_budget(experiment.fit)}. {_end(experiment.fit)}",
        *_further(study),
        _selection(study),
        *_starts(study),
        *inference(study),
    )
    tables = (_scenarios(study), *_taxonomy(study), _options(study))
    return Section("Protocol", (Bullets(rules), *tables))


def _tested(study: Study) -> str:
    """What runs are tested on."""
    experiment = study.experiment
    if not experiment.folds:
        return (
            "Every target has one fixed test set, the same for all sizes, regimes, backbones and "
            "seeds. A run reads it once, after training, and selects nothing on it."
        )
    grouped = [
        name
        for name in dict.fromkeys(place.target for place in experiment.scenarios.values())
        if experiment.domains[name].options.get("groups")
    ]
    groups = f", and the groups of {', '.join(grouped)}" if grouped else ""
    return (
        f"{cross_validation(study)}: each seed divides all images of a target, its test set "
        f"included, into {experiment.folds} folds in the same mix of classes; copies of an image"
        f"{groups} are never divided. A run is tested on one fold and learns from the rest, the "
        "same for all regimes and backbones. It reads its fold once, after training, and selects "
        "nothing on it."
    )


def cross_validation(study: Study) -> str:
    """'5-fold cross-validation, repeated with 3 seeds'."""
    count = len(study.experiment.seeds)
    again = f", repeated with {count} seeds" if count > 1 else ", with one seed"
    return f"{study.experiment.folds}-fold cross-validation{again}"


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
    return (
        f"Every regime that learns has {count} trials in each place of the grid and with each "
        "seed, all from the same initial weights. A trial learns from the training images alone; "
        "the best validation accuracy chooses (among equals the lower validation loss, then the "
        "first listed). One model then learns anew, from training and validation images, with the "
        "chosen options and the same budget, and is the one that is tested. Source runs are not "
        "tuned."
    )


def _starts(study: Study) -> tuple[str, ...]:
    """What the backbones start from: source runs, ready-made weights, nothing."""
    choices = study.experiment.backbones.values()
    told = [_source_runs(study)] if any(c.pretrained == "run" for c in choices) else []
    told += [
        f"{choice.label} is pretrained by {_pretraining(choice.source_regime)} instead, with the "
        "same budget."
        for choice in choices
        if choice.source_regime
    ]
    for choice in choices:
        start = choice.pretrained
        if isinstance(start, Weights):
            told.append(f"{choice.label} starts from ready-made weights ({_whose(start)}).")
        elif start == "none":
            told.append(f"{choice.label} has no source: only what needs none is run on it.")
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
    rows = []
    for name, place in study.experiment.scenarios.items():
        known = first.get(name, {})
        rows.append(
            (
                cell(name),
                _domain(study.source(name), domains),
                _domain(place.target, domains),
                cell(place.per_class),
                _whole(known.get("n_train"), known.get("n_val")),
                _whole(known.get("n_test")),
                _whole(known.get("num_classes")),
            )
        )
    head = ("scenario", "source", "target", "per class", "labelled", "test", "classes")
    return Table("Scenarios", head, tuple(rows), texts=3)


def _taxonomy(study: Study) -> tuple[Block, ...]:
    """What the articles call the scenarios of which both lists of classes are stored."""
    found = taxonomies(study)
    if not found:
        return ()
    rows = tuple((cell(scenario), *map(cell, names)) for scenario, names in found.items())
    head = ("scenario", "by labels", "by domain and task", "inputs and classes")
    return Paragraph(TAXONOMY), Table("What the scenarios are called", head, rows, texts=4)


def _domain(name: str, domains: dict) -> Cell:
    label = domains[name].label if name in domains else ""
    return cell(name, "" if label in ("", name) else f"({label})")


def _whole(*values: float | None) -> Cell:
    known = [value for value in values if value is not None and not math.isnan(value)]
    return cell(whole(sum(known)) if known else "–")


def _options(study: Study) -> Table:
    trials = tried(study)
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
    return (*_errors(study), *_conclusions(study))


def _errors(study: Study) -> tuple[str, ...]:
    """What intervals of accuracies hold."""
    if folds := study.experiment.folds:
        return (
            "Intervals of accuracies are Student's t over the folds of all seeds. Folds have most "
            "of their training images in common, so the variance s² over J of them is multiplied "
            f"by 1 / J + 1 / {folds - 1} instead of 1 / J, with J - 1 degrees of freedom (Nadeau "
            "and Bengio 2003): a correction that mostly covers as often as it says, and no "
            "guarantee. The folds' spread holds the error of their test images. Intervals of times "
            "and of other columns are not corrected.",
            "They generalise to new images like these, of as many to learn from. More seeds divide "
            "the same images again and cannot replace more images. They do not hold what another "
            "source run, other targets, other options or another budget would change.",
            "Comparisons are paired by scenario, seed and fold. Folds that one side lacks are left "
            "out of a comparison.",
        )
    seeds = len(study.experiment.seeds)
    return (
        f"Intervals of accuracies hold two errors. That of the seeds ({seeds}: subset, "
        "initialisation, order of training) is Student's t. That of the test set is what all seeds "
        "share by being tested on the same images: correctness by seed and image is taken as a "
        "crossed two-way layout within classes, and the images' variance is the mean square of the "
        "images less that of the rest, which the spread of the seeds holds already. The two "
        "half-widths are added in quadrature (Howe 1974), which covers at least as often as it "
        "says also with two or three seeds. The errors are taken as normal: not to be trusted "
        "within a few images of 0 or 100 %.",
        "Where predictions by image cannot be read, the test set's variance is p (1 - p) / n for "
        "each arm by itself, which bounds it from above" + _unread(study) + ". Intervals of times "
        "and of other columns are Student's t over seeds.",
        "They generalise to new seeds and to new test images in the same mix of classes. They do "
        "not hold what another source run, other targets, other options or another budget would "
        "change" + _sizes(study) + ".",
        "Comparisons are paired: by scenario and seed, and by test image. Seeds that one side "
        "lacks are left out of a comparison.",
    )


def _conclusions(study: Study) -> tuple[str, ...]:
    """What is tested, and what is not."""
    return (
        _family(study),
        f"Equal means shown to differ by less than {100 * MARGIN:g} point, by two one-sided tests "
        f"(TOST) at {100 * LEVEL:g} %; a difference that was not found is not called equal.",
        "Everything else is exploratory: best and runner-up, the frontier of time and accuracy, "
        "regrets, probabilities, classes, claims. It is not corrected for how many things were "
        "looked at, and what is best was picked by the test accuracies that are shown.",
    )


def _family(study: Study) -> str:
    told = verdicts(study)
    distinct = len({(spot, id(judged)) for (_, spot), judged in told.items()})
    counts = Counter(judged.verdict for judged in told.values())
    said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    outcome = f" Here that is {distinct} hypotheses; the rules' verdicts: {said}." if told else ""
    return (
        "The family of tests is set by the experiment file and not by test accuracies: "
        "one hypothesis for each scenario, backbone and published rule (rule_av, rule_cs231n) of "
        "which records are there, with Bonferroni's correction over rivals and Holm's over "
        f"hypotheses, separately for refuting and for supporting, at {100 * LEVEL:g} % each."
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
