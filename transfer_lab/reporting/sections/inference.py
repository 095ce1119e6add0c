"""What the intervals and tests of the page cover, and what they do not, in words."""

from __future__ import annotations

from collections import Counter

from transfer_lab.reporting.hypotheses import verdicts
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import whole
from transfer_lab.stats.hypotheses import LEVEL, MARGIN


def inference(study: Study) -> tuple[str, ...]:
    """One sentence or a few for each question a statistician asks."""
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
