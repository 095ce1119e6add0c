"""How numbers read: the same in every section and in both formats."""

from __future__ import annotations

from transfer_lab.evidence.intervals import Interval
from transfer_lab.report.blocks import Line
from transfer_lab.report.study import Study, Summary

RULE_MARK = "†"


def percent(accuracy: Interval) -> str:
    """'34.1 ± 1.2', in percent; the mean alone where one seed gives no interval."""
    if accuracy.half is None:
        return f"{100 * accuracy.mean:.1f}"
    return f"{100 * accuracy.mean:.1f} ± {100 * accuracy.half:.1f}"


def points(difference: float) -> str:
    """A difference of accuracies, '2.3 points'."""
    return f"{100 * difference:.1f} points"


def amount(value: float) -> str:
    """Seconds with about three digits."""
    return f"{value:.{_decimals(value)}f}"


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


def absent(summary: Summary) -> Line:
    """A dash and the reason; a number that was not measured is never a zero."""
    return Line("–", f"({summary.gap})")


def regime_name(study: Study, regime: str) -> Line:
    """The regime as a row header; controls are told apart."""
    if study.is_control(regime):
        return Line(regime, "(control)", "emphasis")
    return Line(regime)


def _decimals(value: float) -> int:
    return 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
