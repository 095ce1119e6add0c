"""Imports go down only, what must start fast is free of torch, and files stay small."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "transfer_lab"
PACKAGE = ROOT.name
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}
MODULES[""] = MODULES.pop("__init__")

REGISTRIES = {"data", "backbones", "regimes"}
"""Rooms of what is registered by name: none knows another's implementations."""

MAY_IMPORT = {
    "system": set(),
    "stats": set(),
    "experiment": {"system"},
    "data": {"experiment", "system"},
    "store": {"experiment", "system"},
    "backbones": {"experiment", "system"},
    "regimes": {"backbones", "experiment"},
    "similarity": {"backbones", "data", "experiment", "store", "system"},
    "training": {"backbones", "data", "experiment", "regimes", "similarity", "store", "system"},
    "reporting": {"experiment", "similarity", "stats", "store", "system"},
    "grid": {
        *("backbones", "data", "experiment", "regimes", "similarity", "store", "system"),
        "training",
    },
    "advice": {
        *("backbones", "data", "experiment", "regimes", "reporting", "similarity", "stats"),
        *("store", "system", "training"),
    },
    "testing": {"backbones", "data", "regimes", "training"},
    "api": {"advice", "experiment", "grid", "reporting", "store", "system"},
    "cli": {
        *(
            "",
            "advice",
            "backbones",
            "data",
            "experiment",
            "grid",
            "regimes",
            "reporting",
            "similarity",
        ),
        *("store", "system"),
    },
    "__main__": {"cli"},
    "": {"advice", "api", "experiment"},
}
"""Room -> the rooms that it may import, now or later in a function."""

FLOORS = 7

HEAVY = {"torch", "torchvision", "lightning", "torchmetrics", "wandb", "timm", "ray"}
ROOMS_WITHOUT_TORCH = {"cli", "experiment", "reporting", "stats", "system"}
STARTS_WITHOUT_TORCH = {
    *("", "api", "grid.engines", "grid.engines.local", "grid.engines.ray", "grid.announcing"),
    "grid.progress",
    *("grid.scheduler", "grid.similarity", "grid.train", "similarity.axis", "similarity.overlap"),
    *("similarity.pairs", "similarity.thumbnails", "store.curves", "store.locks"),
    *("store.records", "store.results", "store.running", "store.stage_drift", "store.trials"),
}
"""What a command loads before it knows whether there is anything to train."""
TRACKERS = {f"reporting.trackers.{name}" for name in ("wandb", "tensorboard", "mlflow", "csv")}
"""What hands copies to libraries, some of them heavy, when there is something to copy."""
LOADS_TORCH_ITSELF = {"cli.freeze_table", "system.device"}
FUNCTION_LINES, FILE_LINES = 60, 400
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "misc", "common", "manager", "core"}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(), str(MODULES[module]))


def named(node: ast.stmt) -> set[str]:
    """Full dotted names that one import statement may stand for."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports hide what a module depends on"
        return {f"{node.module}.{alias.name}" for alias in node.names}
    return set()


def in_package(name: str) -> str | None:
    """`transfer_lab.a.b.C` -> `a.b`: the module of the package that a name stands in."""
    head, _, rest = name.partition(".")
    if head != PACKAGE:
        return None
    while rest and rest not in MODULES:
        rest = rest.rpartition(".")[0]
    return rest


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of the package that are imported anywhere in the module."""
    names = {name for node in ast.walk(tree(module)) for name in named(node)}
    found = frozenset(place for name in names if (place := in_package(name)) is not None)
    return found - {module}


@cache
def imports_at_start(module: str) -> frozenset[str]:
    """Full names imported when the module is: not in functions, not for type checkers alone."""
    found, left = set(), list(tree(module).body)
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            left += node.orelse
            continue
        found |= named(node)
        left += ast.iter_child_nodes(node)
    return frozenset(found)


def loaded_with(module: str) -> set[str]:
    """Every module of the package that importing this one loads, itself included."""
    found, left = set(), [module]
    while left:
        here = left.pop()
        if here in found:
            continue
        found.add(here)
        left += [".".join(here.split(".")[:n]) for n in range(here.count(".") + 1)]
        left += [m for name in imports_at_start(here) if (m := in_package(name)) is not None]
    return found


def room(module: str) -> str:
    """`training.fit` -> `training`: the package that a module stands in, or a module at the top."""
    return module.partition(".")[0]


def functions() -> list[tuple[str, ast.FunctionDef]]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [(m, node) for m in MODULES for node in ast.walk(tree(m)) if isinstance(node, kinds)]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_stands_in_a_room_and_imports_only_what_that_may(module):
    assert room(module) in MAY_IMPORT, "a new room needs a row: say what it may import"
    wanted = {room(found) for found in imports(module)} - {room(module)}
    assert wanted <= MAY_IMPORT[room(module)]


def test_the_table_names_no_room_that_is_gone():
    assert set(MAY_IMPORT) == {room(module) for module in MODULES}


def test_a_newcomer_finds_thirteen_rooms_at_most_and_each_says_what_belongs_there():
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert len(rooms) <= 13
    for name in rooms:
        assert "mports" in ast.get_docstring(tree(name)), f"{name}: say what it may import"


def test_imports_between_rooms_go_one_way_over_few_floors():
    floors: dict[str, int] = {}
    rooms = MAY_IMPORT.keys() - {"", "__main__"}
    while left := rooms - floors.keys():
        ready = {name for name in left if MAY_IMPORT[name] - {""} <= floors.keys()}
        assert ready, f"each of {sorted(left)} imports another of them"
        floors |= {
            name: 1 + max((floors[below] for below in MAY_IMPORT[name] - {""}), default=0)
            for name in ready
        }
    assert max(floors.values()) <= FLOORS


def test_no_two_modules_import_one_another_however_indirectly():
    # The package itself hands out its library's functions, and nothing in it asks for them.
    left = {module: imports(module) - {""} for module in MODULES if module}
    while free := {module for module, wanted in left.items() if not wanted & left.keys()}:
        left = {module: wanted for module, wanted in left.items() if module not in free}
    assert not left, "each of these imports another of them"


def test_imports_between_the_rooms_of_advice_go_one_way():
    """A file at its top is a room of its own."""
    within = {m: ".".join(m.split(".")[:2]) for m in MODULES if m.startswith("advice.")}
    left = {place: set() for place in within.values()}
    for module, place in within.items():
        left[place] |= {within[m] for m in imports(module) if m in within} - {place}
    while free := {place for place, wanted in left.items() if not wanted & left.keys()}:
        left = {place: wanted for place, wanted in left.items() if place not in free}
    assert not left, "each of these imports another of them"


@pytest.mark.parametrize("kind", sorted(REGISTRIES))
def test_domains_backbones_and_regimes_do_not_know_one_anothers_implementations(kind):
    for module in MODULES:
        if room(module) == kind:
            foreign = {m for m in imports(module) if room(m) in REGISTRIES - {kind}}
            shared = {"backbones.base", "backbones.conv_as_matmul"}
            assert foreign <= (shared if kind == "regimes" else set())


def test_only_the_command_line_knows_the_command_line():
    knowing = {m for m in MODULES if {room(found) for found in imports(m)} & {"cli", "__main__"}}
    assert {room(module) for module in knowing} == {"__main__", "cli"}


def torch_free() -> set[str]:
    rooms = {m for m in MODULES if room(m) in ROOMS_WITHOUT_TORCH} - LOADS_TORCH_ITSELF
    return rooms | STARTS_WITHOUT_TORCH


@pytest.mark.parametrize("module", sorted(torch_free()))
def test_what_must_start_fast_loads_nothing_heavy(module):
    for loaded in loaded_with(module):
        heavy = {name.partition(".")[0] for name in imports_at_start(loaded)} & HEAVY
        assert not heavy, f"{module} loads {loaded}"


@pytest.mark.parametrize("package", ["reporting", "stats"])
def test_report_and_statistics_never_load_anything_heavy(package):
    for module in MODULES:
        if room(module) == package and module not in TRACKERS:
            reached = {n.partition(".")[0] for node in ast.walk(tree(module)) for n in named(node)}
            assert not reached & HEAVY


def test_the_check_for_heavy_imports_finds_them_where_they_are():
    roots = {n.partition(".")[0] for m in loaded_with("grid.worker") for n in imports_at_start(m)}
    assert {"torch", "lightning", "torchmetrics"} <= roots


def test_no_function_is_longer_than_its_budget():
    lengths = {
        f"{module}.{node.name}": node.end_lineno - node.lineno + 1 for module, node in functions()
    }
    assert {name: n for name, n in lengths.items() if n > FUNCTION_LINES} == {}


def test_no_file_is_longer_than_its_budget():
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: n for module, n in lengths.items() if n > FILE_LINES} == {}


def test_no_module_has_a_name_that_says_nothing():
    for module in MODULES:
        words = set(module.replace(".", "_").split("_"))
        assert not words & NAMES_THAT_SAY_NOTHING


def test_every_module_says_what_it_is_for():
    assert [module for module in MODULES if not ast.get_docstring(tree(module))] == []


def test_the_package_knows_nothing_of_its_benchmarks():
    for module in MODULES:
        names = {name for node in ast.walk(tree(module)) for name in named(node)}
        assert not {name for name in names if name.partition(".")[0] in {"benchmarks", "tests"}}


def test_the_benchmarks_keep_to_the_same_budgets():
    for path in (ROOT.parent / "benchmarks").glob("*.py"):
        text = path.read_text()
        found = ast.walk(ast.parse(text))
        lengths = [n.end_lineno - n.lineno + 1 for n in found if isinstance(n, ast.FunctionDef)]
        assert max(lengths, default=0) <= FUNCTION_LINES, path
        assert len(text.splitlines()) <= FILE_LINES, path
