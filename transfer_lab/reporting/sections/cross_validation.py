"""What a report says of its folds, where there are some."""

from __future__ import annotations

from transfer_lab.reporting.study import Study


def tested(study: Study) -> str:
    """What runs are tested on; nothing with a fixed test set."""
    experiment = study.experiment
    if not experiment.folds:
        return ""
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


def of_folds(study: Study) -> tuple[str, ...]:
    """What intervals hold with cross-validation, and what for; nothing otherwise."""
    folds = study.experiment.folds
    if not folds:
        return ()
    return (
        "Intervals of scores are Student's t over the folds of all seeds. Folds have most of their "
        "training images in common, so the variance s² over J of them is multiplied by 1 / J + "
        f"1 / {folds - 1} instead of 1 / J, with J - 1 degrees of freedom (Nadeau and Bengio "
        "2003): a correction that mostly covers as often as it says, and no guarantee. The folds' "
        "spread holds the error of their test images. Where a number of seeds n is said of a "
        "score, it is that of folds. Intervals of times and of other columns are not corrected.",
        "They generalise to new images like these, of as many to learn from. More seeds divide the "
        "same images again and cannot replace more images. They do not hold what another source "
        "run, other targets, other options or another budget would change.",
        "Comparisons are paired by scenario, seed and fold. Folds that one side lacks are left out "
        "of a comparison.",
    )
