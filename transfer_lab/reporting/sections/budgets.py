"""Whether the answer depends on the budget: the same grid under further ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from transfer_lab.experiment.budget import MAIN
from transfer_lab.experiment.plan import spends_budget
from transfer_lab.reporting.blocks import (
    Block,
    Bullets,
    Cell,
    Fold,
    Note,
    Paragraph,
    Section,
    Table,
    cell,
)
from transfer_lab.reporting.decision import rule_standings
from transfer_lab.reporting.hypotheses import JUDGED, spots
from transfer_lab.reporting.regrets import REFERENCE, served
from transfer_lab.reporting.sections.budget_winners import Budgets, accuracies, changes, winners
from transfer_lab.reporting.sections.flags import capped
from transfer_lab.reporting.sections.rules import costs
from transfer_lab.reporting.sections.time import CONDITIONS
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import amount, whole
from transfer_lab.stats.rules_of_thumb import RULES

if TYPE_CHECKING:
    import pandas as pd

    from transfer_lab.store.curves import Curve

TITLE = "Budgets"
LEAD = "Whether the answer depends on how long a run may learn."
LEGEND = (
    "Exploratory. Each budget is looked at as the main one is: winners have the highest mean test "
    "accuracy (by validation: the regime that validation accuracy would have picked), differences "
    "are paired by seed and test image, and every regime is compared with the best of its backbone "
    "under the same budget. That the order of two regimes changes with the budget is said only "
    "where each is ruled out under the budget under which the other leads. "
    "Verdicts on rules are corrected within each budget's family of hypotheses, and only those of "
    "the main budget are the family that the experiment fixes; that a verdict is undecided under "
    "one budget and not under another is no finding that the two differ. Arms still falling: "
    "regimes in a place where the validation loss still falls at the end in more than half of the "
    "seeds, as under Flags. A budget with patience differs from the others in three things at "
    "once: when a run ends, that the rate stays at its peak instead of falling to zero, and that "
    "the model of the best validation is kept; few validation images make it end early. Source "
    "runs are the same under all budgets; regimes that learn nothing are not run again."
)


def budgets(study: Study) -> Section | None:
    """Winners and rules under every budget; none if there is only one."""
    if not study.experiment.budgets:
        return None
    studies = {MAIN: study} | study.further
    blocks: list[Block] = [_budgets(study, studies), *_caveats(study, studies)]
    if sum(not one.done.empty for one in studies.values()) < 2:
        nothing = Paragraph("Nothing to compare yet: fewer than two budgets have finished runs.")
        return Section(TITLE, (*blocks, nothing), LEAD)
    blocks += [winners(studies, backbone) for backbone in study.backbones]
    blocks.append(Bullets(tuple(changes(studies))))
    blocks += _rules(studies)
    blocks.append(accuracies(studies))
    return Section(TITLE, (*blocks, Note(LEGEND)), LEAD)


def _budgets(study: Study, studies: Budgets) -> Table:
    rows = tuple(_budget(name, one) for name, one in studies.items())
    head = (
        *("budget", "a run learns for", "runs done", "epochs taken", "fit of all runs (s)"),
        *("arms still falling", "runs with a phase at its cap"),
    )
    return Table("What a run may spend, and did", head, rows, texts=2)


def _budget(name: str, study: Study) -> tuple[Cell, ...]:
    runs = _learnt(study)
    arms = {place for place, _ in study.with_curves if not study.is_control(place.regime)}
    shares = runs["fit_seconds"] / runs["together"].fillna(1)  # of a pass that fitted several
    patient = study.experiment.fit.patience is not None  # it ends when nothing falls any more
    return (
        cell(name),
        cell(study.experiment.fit.length),
        cell(whole(len(runs))),
        cell(_range(runs["epochs"])),
        cell(amount(shares.sum())),
        cell(f"{len(capped(study))} of {len(arms)}" if arms and not patient else "–"),
        cell(_at_cap(_patient(study))),
    )


def _learnt(study: Study) -> pd.DataFrame:
    """The finished runs of regimes that spend a budget, each once."""
    learning = [name for name in study.regimes if spends_budget(study.experiment, name)]
    return study.done[study.done["regime"].isin(learning)].drop_duplicates("run_id")


def _range(values: pd.Series) -> str:
    if values.empty:
        return "–"
    low, high = whole(values.min()), whole(values.max())
    return low if low == high else f"{low} to {high}"


def _at_cap(runs: pd.DataFrame) -> str:
    return f"{(runs['stopped'] == 'cap').sum()} of {len(runs)}" if len(runs) else "–"


def _caveats(study: Study, studies: Budgets) -> Iterator[Block]:
    """What makes budgets less comparable than the tables look."""
    for name, one in studies.items():
        runs = _patient(one)
        if told := _by_regime(runs, runs["stopped"] == "cap"):
            yield Paragraph(
                f"A phase reached its share of the cap of {name} before it had converged: {told}."
            )
        first = runs["run_id"].map(lambda run_id, own=one: _best_at_first(own.curves.get(run_id)))
        if told := _by_regime(runs, first):
            yield Paragraph(
                f"Kept under {name} the model of the first validation of the last phase, since "
                f"none was better: {told}. On few validation images a fixed number of epochs may "
                "end better."
            )
    done = study.cells[study.cells["status"] == "done"]
    mixed = [name for name in CONDITIONS if done[name].nunique() > 1]
    if mixed:
        warning = f"Seconds are not comparable: the records differ in {', '.join(mixed)}."
        yield Paragraph(warning, warning=True)
    if lacking := _without_predictions(studies):
        yield Paragraph(
            f"Of the runs under further budgets {lacking:,} have no predictions that can be read: "
            "comparisons with these rest on accuracies alone, and their intervals are too wide."
        )


def _patient(study: Study) -> pd.DataFrame:
    """The finished runs that waited for convergence."""
    runs = _learnt(study)
    return (
        runs.dropna(subset=["stopped"]) if "stopped" in runs else runs.iloc[:0].assign(stopped="")
    )


def _by_regime(runs: pd.DataFrame, hits: pd.Series) -> str:
    """'lp_ft (4 of 12 runs); ...': the regimes with hits."""
    counts = hits.astype(bool).groupby(runs["regime"], sort=False).agg(["sum", "size"])
    told = (f"{regime} ({n} of {of} runs)" for regime, n, of in counts.itertuples() if n)
    return "; ".join(told)


def _best_at_first(curve: Curve | None) -> bool:
    """Whether the last phase's validation was best when it was first looked at."""
    if curve is None:
        return False
    columns = (curve[name].tolist() for name in ("phase", "val_accuracy", "val_loss"))
    rows = [row for row in zip(*columns, strict=True) if not math.isnan(row[1] + row[2])]
    own = [(accuracy, -loss) for phase, accuracy, loss in rows if phase == rows[-1][0]]
    return len(own) > 1 and own[0] == max(own)


def _without_predictions(studies: Budgets) -> int:
    usual, *further = studies.values()
    usual.measured.read_all()
    before = usual.predictions.problems.total()
    for study in further:
        study.measured.read_all()
    return usual.predictions.problems.total() - before


def _rules(studies: Budgets) -> list[Block]:
    """What following each rule costs, and what is judged of it, under every budget."""
    places = {name: found for name, study in studies.items() if (found := list(spots(study)))}
    if not places:
        return []
    told = {name: rule_standings(studies[name]) for name in places}
    rows = []
    for rule, prescribes in RULES.items():
        for name, here in places.items():
            judged = [found.verdict for (r, _), found in told[name].items() if r == rule]
            number = cell(f"{len(served(studies[name], prescribes, here))} of {len(here)}")
            row = (*costs(studies[name], rule, here), number)
            rows.append((cell(rule), cell(name), _counts(judged), *row))
    head = (
        *("rule", "budget", "verdicts", "points behind the best", "worst (points)"),
        *(f"against {REFERENCE} (points)", "places served"),
    )
    table = Table("Following each rule under every budget", head, tuple(rows), texts=3)
    return [table, *_differing(told), Fold("Verdicts by budget", (_verdicts(told),))]


def _counts(verdicts: list[str]) -> Cell:
    counts = Counter(verdicts)
    return cell(", ".join(f"{number} {verdict}" for verdict, number in counts.items()) or "–")


def _by_place(told: dict[str, dict]) -> dict[tuple[str, str], dict[str, str]]:
    """Verdicts by rule and place, under each budget that has one there."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name, judged in told.items():
        for asked, one in judged.items():
            found.setdefault(asked, {})[name] = one.verdict
    return found


def _differing(told: dict[str, dict]) -> list[Block]:
    """The verdicts that are others under another budget."""
    lines = tuple(
        f"{rule} in {scenario}: "
        + ", ".join(f"{verdict} under {name}" for name, verdict in found.items())
        for (rule, scenario), found in _by_place(told).items()
        if len(set(found.values())) > 1
    )
    if not lines:
        return [Paragraph("No verdict on a rule differs between the budgets.")]
    return [Paragraph("Verdicts that differ between the budgets:"), Bullets(lines)]


def _verdicts(told: dict[str, dict]) -> Table:
    found = _by_place(told)
    rows = tuple(
        (
            cell(rule),
            cell(scenario),
            *(cell(found[rule, scenario].get(name, "–")) for name in told),
        )
        for rule, scenario in sorted(found, key=lambda asked: JUDGED.index(asked[0]))
    )
    head = ("rule", "scenario", *told)
    return Table("Verdict on each rule under every budget", head, rows, texts=len(head))
