"""Imports go down only, what must start fast is free of torch, and files stay small."""

import ast
from collections.abc import Iterator
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

REGISTRIES = {"domains", "backbones", "regimes"}

MAY_IMPORT = {
    # vocabulary
    "": {"library", "yaml_source"},
    "choices": set(),
    "budget": {"choices"},
    "spec": {"budget", "choices"},
    "registry": set(),
    "seeding": set(),
    "host": set(),
    "folders": set(),
    "machine": set(),
    "listing": set(),
    "reach": set(),
    "copies": set(),
    "decoding": {"host"},
    "shipped": {"registry"},
    "yaml_source": {"shipped"},
    "domains": {"registry"},
    "backbones": {"registry"},
    "regimes": {"registry"},
    # what is built from it without torch
    "plan": {"spec", "regimes"},
    "size_sweeps": {"spec", "yaml_source"},
    "further_budgets": {"budget", "plan", "regimes", "size_sweeps", "spec", "yaml_source"},
    "short_forms": {"registry", "size_sweeps", "spec", "yaml_source"} | REGISTRIES,
    "pinning": {"domains", "listing", "short_forms"},
    "config": {
        *("spec", "registry", "regimes", "plan", "yaml_source", "short_forms", "pinning"),
        *("size_sweeps", "further_budgets"),
    },
    "curves": set(),
    "record_store": {"seal", "spec"},
    "outcomes": {"record_store", "spec"},
    "seal": {"choices"},
    "changes": set(),
    "trials": {"choices"},
    "leases": set(),
    "runner": {"leases", "plan", "record_store", "spec"},
    "tracking": {"record_store", "reporting.*", "spec", "wandb_copies"},
    "wandb_copies": {"record_store", "reporting.*", "spec"},
    "progress": {"record_store", "spec"},
    "comparisons": {"plan", "record_store", "spec"},
    "overlaps": {"comparisons", "plan", "record_store", "seal", "spec"},
    "comparing": {
        *("climbing", "comparisons", "engines.local", "measuring", "overlapping", "overlaps"),
        *("record_store", "reporting.ladders", "runner", "spec"),
    },
    "similarity": set(),
    "similarity.*": {"similarity.*"},
    "evidence.*": {"evidence.*", "evidence"},
    "evidence": {"evidence.*"},
    "reporting": {
        *("reporting.*", "changes", "comparisons", "curves", "overlaps", "record_store"),
        *("spec", "trials"),
    },
    "reporting.*": {
        *(
            "reporting.*",
            "comparisons",
            "overlaps",
            "evidence.*",
            "plan",
            "record_store",
            "similarity.axis",
            "spec",
        ),
        "curves",
        *REGISTRIES,
    },
    # what learns
    "domains.*": {"domains.*", "seeding", "record_store", "listing", "decoding", "spec"},
    "domains.torchvision": {
        *("domains.arrays", "domains.base", "domains.splits", "listing", "decoding"),
        *("registry", "host", "reach"),
    },
    "backbones.base": {"backbones.published"},
    "backbones.published": set(),
    "backbones.*": {"backbones.base", "backbones.published"},
    "backbones.published_study": {"backbones.mlp", "backbones.cnn"},
    "backbones.graph": {"backbones.base"},
    "backbones.torchvision": {"backbones.graph", "backbones.published"},
    "backbones.timm": {"backbones.graph", "backbones.published"},
    "small_maps": set(),
    "regimes.base": {"backbones.base", "regimes.recipes", "small_maps"},
    "regimes.*": {"regimes.*", "regimes.base", "backbones.base"},
    "counting": set(),
    "dead_units": set(),
    "metrics": set(),
    "weights": {"backbones.base", "reach", "record_store", "spec"},
    "architectures": {"backbones", "backbones.base", "spec"},
    "rows": {"record_store"},
    "arithmetic": {"machine"},
    "frozen_prefix": {"arithmetic", "backbones.base"},
    "activations": {
        *("arithmetic", "backbones.base", "domains.base", "domains.residence", "frozen_prefix"),
        *("rows", "spec"),
    },
    "stretches": set(),
    "convergence": {"regimes.base", "timing"},
    "together": {"regimes.base", "regimes.recipes", "stretches", "timing"},
    "timing": {"regimes.base", "stretches"},
    "fitting": {
        "activations",
        "arithmetic",
        "convergence",
        "counting",
        "dead_units",
        "domains.base",
        "regimes.base",
        "rows",
        "spec",
        "stretches",
        "timing",
    },
    "heads": {
        *("activations", "arithmetic", "counting", "domains.base", "fitting", "regimes.base"),
        *("rows", "spec", "timing", "together"),
    },
    "building": {
        *("architectures", "domains", "domains.base", "record_store", "regimes", "regimes.base"),
        *("seeding", "spec", "weights"),
    },
    "preflight": {
        *("architectures", "backbones.base", "budget", "domains", "domains.splits", "fitting"),
        *("further_budgets", "plan", "regimes", "registry", "spec", "weights"),
    },
    "frozen_map": {
        *("architectures", "backbones.base", "counting", "plan", "regimes", "regimes.base", "spec")
    },
    "tuning": {
        *("activations", "building", "domains.base", "fitting", "heads", "record_store", "spec"),
        *("timing", "together", "trials"),
    },
    "training": {
        *(
            "arithmetic",
            "building",
            "changes",
            "counting",
            "domains.base",
            "fitting",
            "folders",
            "heads",
            "host",
            "machine",
            "metrics",
            "record_store",
            "regimes.base",
            "rows",
        ),
        *("spec", "timing", "together", "tuning", "weights", "witness"),
    },
    "witness": {
        *("arithmetic", "backbones.base", "changes", "domains.base", "record_store"),
        *("regimes.base", "seeding", "similarity.cka", "similarity.samples"),
    },
    "climbing": {"comparisons", "measuring", "record_store", "similarity.*"},
    "measuring": {
        *("architectures", "arithmetic", "backbones.base", "comparisons", "domains", "folders"),
        *("frozen_prefix", "record_store", "seeding", "similarity.*", "spec", "weights"),
    },
    "overlapping": {
        "copies",
        "domains",
        "domains.base",
        "folders",
        "overlaps",
        "record_store",
        "spec",
    },
    "execution": {
        "domains.splits",
        "listing",
        "record_store",
        "spec",
        "timing",
        "training",
        "weights",
    },
    "engines": {"engines.errors", "engines.local", "engines.ray", "host", "machine"},
    "engines.allocator": set(),
    "engines.local": {"engines.allocator", "fitting"},
    "engines.ray_worker": {"engines.local", "host"},
    "engines.errors": set(),
    "engines.ray_cluster": {"engines.errors", "engines.ray_worker", "host"},
    "engines.ray": {
        *("engines.errors", "engines.local", "engines.ray_cluster", "engines.ray_worker"),
    },
    # what people call
    "inspection": {
        *("decoding", "domain_inspection", "domains", "listing", "registry", "yaml_source"),
    },
    "domain_inspection": {
        *("copies", "domains", "domains.base", "domains.folder", "preflight", "yaml_source"),
    },
    "doctor": {"host", "folders", "config", "record_store", "yaml_source", "preflight"},
    "grid": {
        *("config", "engines", "execution", "folders", "host", "machine", "plan", "preflight"),
        *("changes", "comparing", "curves", "outcomes", "overlaps", "progress", "trials"),
        *(
            "record_store",
            "reporting",
            "reporting.*",
            "runner",
            "spec",
            "tracking",
            "training",
            "yaml_source",
        ),
    },
    "library": {
        *("config", "folders", "grid", "machine", "plan", "record_store", "reporting.*", "spec"),
        *("outcomes", "tracking", "yaml_source"),
    },
    "commands": {
        *("config", "frozen_map", "grid", "machine", "plan", "preflight", "record_store", "runner"),
        *("comparing", "host", "outcomes", "reporting", "spec", "tracking"),
    },
    "dashboard": set(),
    "dashboard.*": {
        *("config", "dashboard.*", "plan", "record_store", "regimes", "reporting.*", "spec"),
        *("outcomes", "yaml_source"),
    },
    "cli_options": {"machine"},
    "cli": {
        "cli_options",
        *("", "commands", "dashboard.*", "doctor", "inspection", "folders", "machine"),
        *("shipped", "yaml_source"),
    },
    "__main__": {"cli"},
}
"""Module -> the modules of the package that it may import, now or later in a function."""

for allowed in MAY_IMPORT.values():
    if "spec" in allowed:
        allowed |= {"budget", "choices"}  # one vocabulary in three files

HEAVY = {"torch", "torchvision", "lightning", "torchmetrics", "wandb", "timm", "ray"}
STARTS_WITHOUT_TORCH = {
    *("comparisons", "comparing", "curves", "overlaps", "seal", "similarity.axis"),
    *("cli", "commands", "config", "doctor", "plan", "record_store", "registry", "runner", "spec"),
    *(
        "outcomes",
        "changes",
        "trials",
        "tracking",
        "progress",
        "host",
        "yaml_source",
        "engines",
        "engines.local",
        "engines.ray",
        "reporting",
        "evidence",
    ),
    *("inspection", "", "grid", "library", "dashboard.launch", "dashboard.views"),
    *REGISTRIES,
}
FUNCTION_LINES, FILE_LINES = 60, 300
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


def imports(module: str) -> set[str]:
    """Modules of the package that are imported anywhere in the module."""
    names = {name for node in ast.walk(tree(module)) for name in named(node)}
    return {found for name in names if (found := in_package(name)) is not None} - {module}


def used(module: str) -> set[str]:
    """Modules of the package that it imports when it is loaded or later, but for type checkers."""
    found = set()
    for node in running(tree(module)):
        found |= {place for name in named(node) if (place := in_package(name)) is not None}
    return found


def running(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all in it, without what only type checkers see."""
    yield node
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    for child in ast.iter_child_nodes(node):
        yield from running(child)


def imports_at_start(module: str) -> set[str]:
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
    return found


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


def row(module: str) -> str:
    return module if module in MAY_IMPORT else module.partition(".")[0] + ".*"


def functions() -> list[tuple[str, ast.FunctionDef]]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [(m, node) for m in MODULES for node in ast.walk(tree(m)) if isinstance(node, kinds)]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_stands_in_the_table_and_imports_only_what_it_may(module):
    assert row(module) in MAY_IMPORT, "a new module needs a row: say what it may import"
    allowed = MAY_IMPORT[row(module)]
    wrong = {m for m in imports(module) if m not in allowed and row(m) not in allowed}
    assert not wrong


def test_the_table_names_no_module_that_is_gone():
    rows = {row(module) for module in MODULES}
    assert set(MAY_IMPORT) <= rows
    allowed = {name for names in MAY_IMPORT.values() for name in names}
    assert allowed <= rows | set(MODULES)


def test_no_two_modules_import_one_another_however_indirectly():
    # The package itself hands out its library's functions, and nothing in it asks for them.
    left = {module: used(module) - {"", module} for module in MODULES if module}
    while free := {module for module, wanted in left.items() if not wanted & left.keys()}:
        left = {module: wanted for module, wanted in left.items() if module not in free}
    assert not left, "each of these imports another of them"


@pytest.mark.parametrize("kind", sorted(REGISTRIES))
def test_domains_backbones_and_regimes_do_not_know_one_anothers_implementations(kind):
    for module in MODULES:
        if module.startswith(f"{kind}."):
            foreign = {m for m in imports(module) if m.partition(".")[0] in REGISTRIES - {kind}}
            assert foreign <= ({"backbones.base"} if kind == "regimes" else set())


def test_only_the_command_line_knows_the_command_line():
    knowing = {m for m in MODULES if imports(m) & {"cli", "commands", "__main__"}}
    assert knowing == {"__main__", "cli"}


@pytest.mark.parametrize("module", sorted(STARTS_WITHOUT_TORCH))
def test_what_must_start_fast_loads_nothing_heavy(module):
    for loaded in loaded_with(module):
        heavy = {name.partition(".")[0] for name in imports_at_start(loaded)} & HEAVY
        assert not heavy, f"{module} loads {loaded}"


@pytest.mark.parametrize("package", ["reporting", "evidence"])
def test_report_and_evidence_never_load_anything_heavy(package):
    for module in MODULES:
        if module.partition(".")[0] == package:
            reached = {n.partition(".")[0] for node in ast.walk(tree(module)) for n in named(node)}
            assert not reached & HEAVY
            for loaded in loaded_with(module):
                roots = {name.partition(".")[0] for name in imports_at_start(loaded)}
                assert not roots & HEAVY, f"{module} loads {loaded}"


def test_the_check_for_heavy_imports_finds_them_where_they_are():
    roots = {n.partition(".")[0] for m in loaded_with("execution") for n in imports_at_start(m)}
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
