"""Further budgets: the same grid again, each written as what it changes of the first one."""

import pytest
from pydantic import ValidationError

from tests.builders import TINY_YAML, experiment
from tests.experiment.test_loading import at, loaded, problems, tiny
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.experiment.spec import Fit

BUDGETS = """\
budgets:
  longer: {epochs: 5}
  steps: {epochs: 1, min_steps: 9}
  converged: {epochs: 50, patience: 3}
"""
THREE = TINY_YAML + BUDGETS


def test_what_an_entry_does_not_name_is_that_of_fit():
    assert loaded(THREE).budgets == {
        "longer": Fit(epochs=5, batch_size=8),
        "steps": Fit(epochs=1, min_steps=9, batch_size=8),
        "converged": Fit(epochs=50, batch_size=8, patience=3),
    }


def test_what_fit_names_can_be_taken_back():
    text = TINY_YAML.replace("batch_size: 8}\npre", "batch_size: 8, augment: {flip: true}}\npre")
    budgets = loaded(text + "budgets: {kept: {epochs: 4}, plain: {augment: null}}\n").budgets
    assert budgets["kept"].augment.flip
    assert budgets["plain"] == Fit(epochs=2, batch_size=8)


def test_without_a_fit_the_defaults_are_changed():
    text = TINY_YAML.replace("fit: {epochs: 2, batch_size: 8}\n", "")
    assert loaded(text + "budgets: {short: {epochs: 1}}\n").budgets["short"] == Fit(epochs=1)


def test_assignments_reach_fit_and_entries_alike():
    made = loaded(THREE, "fit.batch_size=4", "budgets.longer.epochs=7")
    assert made.budgets["longer"] == Fit(epochs=7, batch_size=4)


def place(cell) -> tuple:
    return (cell.scenario, cell.backbone, cell.regime, cell.seed)


def test_the_grid_is_planned_under_each_budget_again_for_all_that_learns():
    asked = experiment(budgets={"longer": {"epochs": 20}, "short": {"epochs": 1}})
    cells = plan(asked)
    main = [cell for cell in cells if cell.budget is None]
    learning = [c for c in main if REGIMES[asked.regimes[c.regime].kind].spends_budget]
    assert {c.regime for c in main} - {c.regime for c in learning} == {"majority"}
    assert cells[: len(main)] == tuple(main)
    for name, fit in asked.budgets.items():
        own = [cell for cell in cells if cell.budget == name]
        assert [place(cell) for cell in own] == [place(cell) for cell in learning]
        assert {cell.run.fit for cell in own} == {fit}
    assert len(cells) == len(main) + 2 * len(learning)


def test_further_budgets_leave_cells_and_runs_of_the_first_one_as_they_are():
    alone, among = plan(loaded()), plan(loaded(THREE))
    assert among[: len(alone)] == alone
    assert [c.run.id for c in among[: len(alone)]] == [c.run.id for c in alone]


def test_a_name_is_no_part_of_a_run_and_equal_budgets_share_their_runs():
    named = experiment(budgets={"a": {"epochs": 3}, "b": {"epochs": 3}})
    first, second = ([c.run.id for c in plan(named) if c.budget == name] for name in "ab")
    assert first == second
    as_main = experiment(fit={"epochs": 3})
    assert {c.run.id for c in plan(as_main) if c.regime != "majority"} == set(first)


def test_all_budgets_start_from_the_same_source_runs():
    runs = runs_of(plan(loaded(THREE)))
    parents = {run.parent.id for run in runs.values() if run.parent}
    assert parents == {c.run.parent.id for c in plan(loaded()) if c.run.parent}


def test_a_budget_without_patience_is_hashed_as_before_there_was_any():
    assert Fit(patience=None).canonical == Fit().canonical
    assert "patience" not in Fit().model_dump()
    assert Fit(patience=2).model_dump()["patience"] == 2


def first(word: str) -> str:
    return f"  small_similar: {{source: latin, target: cyrillic, per_class: {word}}}"


@pytest.mark.parametrize(
    ("text", "needle", "field", "message"),
    [
        (THREE.replace("{epochs: 5}", "{epoch: 5}"), "epoch: 5", "budgets.longer.epoch", "epochs"),
        (THREE.replace("{epochs: 5}", "{epochs: 0}"), "epochs: 0", "budgets.longer.epochs", "(it "),
        (THREE.replace("{epochs: 5}", "5"), "longer: 5", "budgets.longer", "dictionary"),
        (THREE.replace("{epochs: 5}", ""), "longer:", "budgets.longer", "the same as fit"),
        (THREE.replace("{epochs: 5}", "{epochs: 2}"), "longer:", "budgets.longer", "same as fit"),
        (
            THREE.replace("{epochs: 5}", "{epochs: 1, min_steps: 9}"),
            "steps: {",
            "budgets.steps",
            "the same as longer",
        ),
        (THREE.replace("longer:", "fit:"), "fit: {epochs: 5", "budgets.fit", "another name"),
        (THREE.replace("longer:", "to long:"), "to long", "budgets.to long", "match pattern"),
        (TINY_YAML + "budgets: 3\n", "budgets: 3", "budgets", "dictionary"),
        (
            THREE.replace("{epochs: 5}", "{augment: {flop: true}}"),
            "flop",
            "budgets.longer.augment.flop",
            "did you mean 'flip'",
        ),
        (
            tiny("fit: {epochs: 2,", "fit: {epochs: few,") + BUDGETS,
            "epochs: few",
            "fit.epochs",
            "'few'",
        ),
        (
            tiny("fit: {epochs: 2,", "fit: {epochs: 2, val_fraction: 0,") + BUDGETS,
            "patience: 3",
            "budgets.converged.patience",
            "val_fraction is 0",
        ),
        (
            tiny("fit: {epochs: 2,", "fit: {epochs: 2, patience: 2, val_fraction: 0,"),
            "patience: 2",
            "fit.patience",
            "val_fraction is 0",
        ),
        (
            tiny("pretrain: {", "pretrain: {patience: 2, val_fraction: 0, "),
            "patience: 2",
            "pretrain.patience",
            "val_fraction is 0",
        ),
        (
            tiny("pretrain: {", "pretrain: {patience: 2, per_class: 1, "),
            "per_class: 1",
            "pretrain.per_class",
            "leaves none for validation",
        ),
        (
            THREE.replace(first("4"), first("1")),
            "per_class: 1",
            "scenarios.small_similar.per_class",
            "which patience watches",
        ),
        (
            THREE + "tune: {lr: [0.1, 0.2]}\n",
            "patience: 3",
            "budgets.converged.patience",
            "leave out patience or `tune`",
        ),
        (
            tiny("fit: {", "fit: {patience: 2, ") + "tune: {lr: [0.1, 0.2]}\n",
            "patience: 2",
            "fit.patience",
            "leave out patience or `tune`",
        ),
        (
            TINY_YAML + "budgets: {blind: {val_fraction: 0}}\ntune: {lr: [0.1, 0.2]}\n",
            "val_fraction: 0",
            "budgets.blind.val_fraction",
            "trials are chosen by validation images",
        ),
    ],
)
def test_a_mistake_is_named_once_where_it_was_written(text, needle, field, message):
    told = problems(text)
    (line,) = (line for line in told if f": {field}: " in line)
    assert message in line
    assert len(told) == 1
    assert line.startswith(f"{at(text, needle).partition(':')[0]}:")


def test_patience_in_fit_is_inherited_and_a_blind_budget_refused_for_it():
    text = tiny("fit: {", "fit: {patience: 2, ")
    made = loaded(text + "budgets: {longer: {epochs: 9}, fixed: {patience: null}}\n")
    assert made.budgets["longer"].patience == 2
    assert made.budgets["fixed"].patience is None
    (told,) = problems(text + "budgets: {blind: {val_fraction: 0}}\n")
    assert "budgets.blind.patience" in told and "val_fraction is 0" in told


def test_source_runs_may_have_patience_beside_trials():
    made = loaded(tiny("pretrain: {", "pretrain: {patience: 2, ") + "tune: {lr: [0.1, 0.2]}\n")
    assert made.pretrain.fit == Fit(epochs=2, batch_size=8, patience=2)


def test_trials_go_with_further_budgets_that_end_as_planned():
    made = loaded(TINY_YAML + "budgets: {longer: {epochs: 9}}\ntune: {lr: [0.1, 0.2]}\n")
    assert all(cell.run.tune for cell in plan(made) if cell.budget)


@pytest.mark.parametrize("patience", [0, -1, 1.5, True, "3"])
def test_patience_is_a_count(patience):
    with pytest.raises(ValidationError, match="patience"):
        Fit(patience=patience)
