"""The accuracy matrix: regimes by scenarios, one table a backbone."""

from __future__ import annotations

from transfer_lab.reporting.blocks import Block, Cell, Paragraph, Section, Table
from transfer_lab.reporting.ranking import rule_regime
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import (
    RULE_MARK,
    accuracy_cell,
    regime_name,
)

SEES_MORE = (
    " Regimes that see more than labelled images of the target and source weights say what; they "
    "are no rivals of the rules and win nowhere but where the target has no labels."
)


def accuracy(study: Study) -> Section:
    """Mean test accuracy and its interval in every place of the grid."""
    legend = (
        "Mean test accuracy in percent ± the half-width of its 95 % interval, which holds the "
        "error of the seeds and of the test set (see Protocol), and the number of seeds n; "
        "(k of n) where only k of the n planned seeds are done; far below: so many of these "
        "trainings failed (see Flags). Bold: the best trained regime of "
        f"the column. {RULE_MARK}: what rule_av prescribes. Controls cannot win. A dash is a "
        "number that was not measured, with the reason."
    )
    if not all(map(study.is_comparable, study.trained)):
        legend += SEES_MORE
    tables: list[Block] = [_table(study, backbone) for backbone in study.backbones]
    return Section("Accuracy", (Paragraph(legend), *tables))


def _table(study: Study, backbone: str) -> Table:
    best = {s: study.best(s, backbone, study.contenders(s, backbone)) for s in study.scenarios}
    ruled = {s: rule_regime(study, s, backbone) for s in study.scenarios}
    rows = tuple(
        (
            (regime_name(study, regime),),
            *(
                _entry(study, (s, backbone, regime), regime == best[s], regime == ruled[s])
                for s in study.scenarios
            ),
        )
        for regime in study.regimes_on(backbone)
    )
    head = ("regime", *study.scenarios)
    return Table(f"Test accuracy (%), {backbone}", head, rows, about=(("backbone", backbone),))


def _entry(study: Study, place: tuple[str, str, str], best: bool, ruled: bool) -> Cell:
    summary = study.summary(*place)
    mark = f"{RULE_MARK} " if ruled else ""
    return accuracy_cell(summary, mark=mark, strong=best)
