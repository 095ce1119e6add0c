"""How numbers read: the same in every section and in both formats."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from transfer_lab.experiment.choices import regime_entry
from transfer_lab.reporting.blocks import Cell, Line, cell
from transfer_lab.reporting.measures import ACCURACY, Measure
from transfer_lab.reporting.study import Study, Summary
from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.hypotheses import Judgement
from transfer_lab.stats.intervals import Interval

RULE_MARK = "†"

SEEN = {
    "source": "source images",
    "sources": "images of several sources",
    "unlabelled": "unlabelled images of the target",
    "teacher": "a teacher's answers",
    "boxes": "boxes of the target's objects",
    "masks": "masks of the target's objects",
}
"""What a regime sees beside labelled images of the target and source weights, by role."""


def one_line(text: str) -> str:
    """The text without line breaks, control characters and marks that reorder what is read."""
    return re.sub(
        r"[\s\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+", " ", text
    ).strip()


def percent(accuracy: Interval) -> str:
    """'34.1 ± 1.2', in percent; the mean alone where one seed gives no interval."""
    mean = f"{round(100 * accuracy.mean, 1) + 0.0:.1f}"  # never minus nought
    return mean if accuracy.half is None else f"{mean} ± {100 * accuracy.half:.1f}"


def gap(difference: Estimate, measure: Measure = ACCURACY) -> str:
    """A difference of scores with its interval, '2.3 ± 1.1 points'."""
    return f"{measure.difference(difference.interval())} {measure.steps}"


def distance(value: float, measure: Measure = ACCURACY) -> str:
    """A difference of scores, '2.3 points'."""
    return measure.apart(value)


def listed(items: Iterable[str]) -> str:
    """'a, b and c'."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def share(probability: float | None) -> str:
    """A probability as whole percent, never rounded to certainty; a dash where there is none."""
    if probability is None:
        return "–"
    if probability < 0.01:
        return "< 1 %"
    return "> 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def bounded(at_most: float | None, measure: Measure = ACCURACY) -> str:
    """'3.8': points that are lost at most, rounded up; a dash where that cannot be said."""
    return measure.at_most(at_most)


def points(margin: float, measure: Measure = ACCURACY) -> str:
    """'1 point', '0.5 points': an experiment's margin, in hundredths of the measure."""
    shown = float(f"{measure.scale * margin / 100:.12g}")
    return f"{shown:g} {measure.step if shown == 1 else measure.steps}"


def verdict_words(verdict: str, margin: float, measure: Measure = ACCURACY) -> str:
    """A verdict on a rule; `margin` as in the experiment."""
    return f"behind, by less than {points(margin, measure)}" if verdict == "behind" else verdict


def needs(told: Judgement) -> str:
    """What would decide an undecided verdict."""
    if told.verdict != "undecided":
        return ""
    if told.lacking == "images":
        return "(the test set is too small to tell, with any number of seeds)"
    if told.lacking == "a second seed":
        return "(needs at least a second seed)"
    if told.seeds_needed is None:
        return "(more than 1,000 seeds)"
    return f"(about {told.seeds_needed} seeds, if lead and spread stay)"


def amount(value: float) -> str:
    """Seconds with about three digits; a dash for a NaN."""
    return "–" if math.isnan(value) else f"{value:.{_decimals(value)}f}"


def seconds(time: Interval) -> str:
    """'12.3 ± 0.4': mean and half-width with equally many decimals."""
    if time.half is None:
        return amount(time.mean)
    return f"{amount(time.mean)} ± {time.half:.{_decimals(time.mean)}f}"


def whole(value: float) -> str:
    """A count with thousands set apart."""
    return f"{int(value):,}"


def count(n: int, planned: int) -> str:
    """'(n=5)', or '(3 of 5)' where seeds are still missing."""
    return f"(n={n})" if n == planned else f"({n} of {planned})"


def trainings(summary: Summary) -> str:
    """As `count`, and how many failed: '(n=5, 1 far below)'."""
    counted = count(summary.accuracy.n, summary.planned)
    return f"{counted[:-1]}, {summary.far_below} far below)" if summary.far_below else counted


def timed(passes: int, seeds: int, planned: int) -> str:
    """As `count`, of seeds that have a time: '(n=5, 2 passes)' where some share a pass."""
    counted = count(seeds, planned)
    if passes == seeds:
        return counted
    return f"{counted[:-1]}, {passes} pass{'es' if passes > 1 else ''})"


def absent(summary: Summary) -> Line:
    """A dash and the reason; a number that was not measured is never a zero."""
    return Line("–", f"({summary.gap})")


def seeds_of(n: int) -> str:
    """'1 seed', '3 seeds'."""
    return f"{n} seed{'' if n == 1 else 's'}"


def accuracy_cell(
    summary: Summary, *, mark: str = "", note: str = "", strong: bool = False, usual: int = 0
) -> Cell:
    """'34.1 ± 1.2' and '(n=5)', with how many of these failed, a mark before and a note behind; a
    dash and the reason where nothing was measured. The usual number of seeds is not said."""
    if summary.accuracy is None:
        line = absent(summary)
        return cell(mark + line.text, line.note)
    as_usual = summary.accuracy.n == summary.planned == usual and not summary.far_below
    number = note if as_usual else trainings(summary) + note
    return cell(mark + summary.measure.number(summary.accuracy), number, strong=strong)


def accuracy_text(summary: Summary, *, mark: str = "", unit: bool = False) -> str:
    """As `accuracy_cell`, in one line: '34.1 ± 1.2 % (n=5)'."""
    (line,) = accuracy_cell(summary, mark=mark)
    shown = f" {summary.measure.unit}" if unit and summary.accuracy else ""
    return f"{line.text}{shown} {line.note}"


def regime_name(study: Study, regime: str) -> Line:
    """The regime as a row header; controls are told apart, and what sees more than others."""
    if study.is_control(regime):
        return Line(regime, "(control)", "emphasis")
    if not study.is_comparable(regime):
        return Line(regime, f"(with {sees(study, regime)})")
    return Line(regime)


def sees(study: Study, regime: str) -> str:
    """What a regime sees beside what the rules choose among see, in words: 'source images and
    unlabelled images of the target'."""
    entry = regime_entry(study.experiment.regimes[regime])
    roles = set(entry.sees) - ({"source"} if "sources" in entry.sees else set())
    found = [words for role, words in SEEN.items() if role in roles]
    if entry.source_head:
        found.append("the source's head")
    return " and ".join(found) or "no need of labels"


def _decimals(value: float) -> int:
    return 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
