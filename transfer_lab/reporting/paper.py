"""The two main tables for a paper: accuracies, and what was found of the rules. Study in, tabulars
out."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_lab.reporting.blocks import Line
from transfer_lab.reporting.decision import RuleStanding, rule_standings
from transfer_lab.reporting.hypotheses import JUDGED
from transfer_lab.reporting.ranking import rule_regime
from transfer_lab.reporting.render.latex import NOTHING, Tabular, escape, number, numbers
from transfer_lab.reporting.study import Place, Study, Summary
from transfer_lab.reporting.wording import one_line, points, regime_name
from transfer_lab.stats.intervals import Interval

_RULED, _FEWER = r"\textdagger{}", "*"


def accuracy_table(study: Study) -> Tabular:
    """Mean accuracies: rows are regimes, groups of columns scenarios, columns networks."""
    study = in_percent(study)
    columns = [(s, b) for s in study.scenarios for b in study.backbones]
    planned = {regime for spot in columns for regime in study.planned(*spot)}
    regimes = [regime for regime in study.regimes if regime in planned]
    known = {
        place: study.summary(*place)
        for place in (Place(*spot, regime) for regime in regimes for spot in columns)
    }
    best = {Place(*s, study.best(*s, study.contenders(*s)) or "") for s in columns}
    ruled = {Place(*s, rule_regime(study, *s) or "") for s in columns}
    rows = tuple(
        (
            _named(regime_name(study, regime)),
            *(
                _entry(known[place], place in best, place in ruled)
                for place in (Place(*spot, regime) for spot in columns)
            ),
        )
        for regime in regimes
    )
    measured = [one.accuracy for one in known.values() if one.accuracy]
    return Tabular(
        name="accuracy",
        caption=f"Mean test {study.measure.title} (%) and the half-width of its 95 % interval",
        columns=f"l*{{{len(columns)}}}{{{_column(measured)}}}",
        groups=(("", 1), *((s, len(study.backbones)) for s in study.scenarios)),
        head=("regime", *(backbone for _, backbone in columns)),
        rows=rows,
        notes=(_MEAN.format(study.measure.title), *_LEGEND, *_gaps(known)),
    )


def in_percent(study: Study) -> Study:
    """The study, led by accuracy where what leads is no share."""
    return study if study.measure.unit == "%" else study.by_accuracy


_MEAN = "Mean test {} in percent; the uncertainty is the half-width of the 95 % interval,"
_LEGEND = (
    "which holds the error of the seeds and of the test set. Bold: the best trained regime of",
    "its column. Dagger: what rule_av prescribes. Star: fewer seeds than planned.",
)


def rules_table(study: Study) -> Tabular | None:
    """What was found of each rule in each scenario; None where no rule can be judged."""
    study = in_percent(study)
    found = rule_standings(study)
    told = [one for one in found.values() if one.verdict != "no data"]
    if not told:
        return None
    rules = [name for name in JUDGED if any(one.rule == name for one in told)]
    scenarios = [s for s in study.scenarios if any(one.scenario == s for one in told)]
    losses = [100 * one.at_most for one in told if one.at_most is not None]
    loss = numbers(len(f"{max(losses, default=0):.0f}"), 0)
    return Tabular(
        name="rules",
        caption="What each rule of thumb prescribes, what was found of it, and what it loses at "
        "most (points)",
        columns=f"l*{{{len(rules)}}}{{ll{loss}}}",
        groups=(("", 1), *((name, 3) for name in rules)),
        head=("scenario", *("prescribes", "verdict", "loses at most") * len(rules)),
        rows=tuple(
            (escape(s), *(cell for name in rules for cell in _standing(found.get((name, s)))))
            for s in scenarios
        ),
        notes=(
            "Loses at most: no regime is further ahead of the rule on the mean over networks, in",
            "points of accuracy, with 95 % confidence. Refuted: another one is ahead by more than",
            f"the margin of {points(study.experiment.margin)}.",
        ),
    )


def _named(name: Line) -> str:
    text = escape(name.text)
    text = rf"\emph{{{text}}}" if name.weight == "emphasis" else text
    return f"{text} {escape(name.note)}".rstrip()


def _entry(summary: Summary, is_best: bool, is_ruled: bool) -> str:
    mark = _RULED if is_ruled else ""
    if summary.accuracy is None:
        return rf"{{\textendash\textsuperscript{{{mark}}}}}" if mark else NOTHING
    mark += "" if summary.complete else _FEWER
    text = number(summary.accuracy.mean, summary.accuracy.half)
    text = rf"\bfseries {text}" if is_best else text
    return rf"{text}\textsuperscript{{{mark}}}" if mark else text


def _column(measured: list[Interval]) -> str:
    halves = [one.half for one in measured if one.half is not None]
    spread = len(str(round(1000 * max(halves)))) if halves else 0
    whole = max((len(f"{100 * one.mean:.1f}") - 2 for one in measured), default=2)
    return numbers(whole, spread, rf"\textsuperscript{{{_RULED}{_FEWER}}}")


def _gaps(known: dict[Place, Summary]) -> Iterator[str]:
    """What is behind each dash and each star."""
    for place, summary in known.items():
        if not summary.complete and summary.planned:
            done = summary.accuracy.n if summary.accuracy else 0
            where = one_line(", ".join(place))
            yield f"{where}: {done} of {summary.planned} seeds ({summary.gap})"


def _standing(one: RuleStanding | None) -> tuple[str, str, str]:
    """What a rule prescribes, network by network where that differs, the verdict and the loss."""
    if one is None or one.verdict == "no data":
        return r"\textendash", "no data", NOTHING
    regimes = escape(", ".join(dict.fromkeys(one.followed.values())))
    loss = NOTHING if one.at_most is None else f"{max(0.0, 100 * one.at_most):.1f}"
    return regimes, escape(one.verdict), loss
