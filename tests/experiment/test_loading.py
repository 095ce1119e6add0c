"""An experiment file is valid, or every problem is named at its line and column."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import ENVIRONMENT, TINY_YAML, write_tiny
from transfer_lab.experiment.choices import Architecture, Regime
from transfer_lab.experiment.loading import ExperimentFile, load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Experiment, Fit, Pretrain
from transfer_lab.experiment.yaml_source import ConfigError

BROKEN = """\
name: bro ken
image_size: 4
domains:
  latin: {letters: ABCD}
  letters: {kind: latn}
scenarios:
  small_similar: {source: latin, target: cyrilic, per_class: few}
  small_dissimilar: {source: latin, target: latin, per_class: 5}
  odd: {source: latin, target: greek, per_class: 5}
backbones: [mlp, vgg61]
regimes:
  liner_probe: {}
  from_scratch: {lr: 0.1}
  from_scratch: {lr: 0.2}
seeds: [0, 0]
fit:
  epoch: 3
  batch_size: 1
wandb: {mode: sometimes}
"""

HOSTILE = {
    "a list that holds itself": "name: &x [*x]",
    "a mapping that holds itself": "fit: &x {epochs: *x}",
    "a list as a key": "[a]: 1",
    "a mapping as a key": "? {a: b}\n: 1",
    "a date that does not exist": "title: 2001-99-99",
    "an integer of five thousand digits": "image_size: " + "9" * 5000,
    "a text tagged as an integer": "image_size: !!int many",
    "a text tagged as a float": "image_size: !!float many",
    "a text tagged as a boolean": "title: !!bool maybe",
    "eight hundred nested lists": "title: " + "[" * 800 + "]" * 800,
    "unfinished nested lists": "[" * 1200,
    "a foreign tag": "title: !!python/object:os.system {}",
    "two documents": "name: a\n---\nname: b",
    "a null byte": "name: \0",
    "a tab as indentation": "fit:\n\tepochs: 1",
    "another YAML version": "%YAML 3.0\n---\nname: a",
    "a merge with a number": "fit: {<<: 3}",
    "an alias of nothing": "fit: *nothing",
    "a set": "!!set {name}",
    "a null key": "~: 1",
    "a number as a key": "1: 2",
    "half a surrogate pair": 'name: "\\ud800"',
}


def problems(text: str, *overrides: str) -> list[str]:
    """Each problem with `file:` taken off: `line:col: field: message`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.yaml")
        path.write_text(text)
        try:
            load_experiment(path, overrides)
        except ConfigError as error:
            return [line.removeprefix(f"{path}:") for line in error.problems]
    return []


def loaded(text: str = TINY_YAML, *overrides: str) -> Experiment:
    with tempfile.TemporaryDirectory() as folder:
        return load_experiment(write_tiny(Path(folder), text), overrides).experiment


def at(text: str, needle: str, *, part: str | None = None) -> str:
    """`line:col` of the only place of `needle`, or of `part` within it."""
    assert text.count(needle) == 1
    offset = text.index(needle) + (needle.index(part) if part else 0)
    line = text.count("\n", 0, offset) + 1
    return f"{line}:{offset - text.rfind(chr(10), 0, offset)}"


def tiny(old: str, new: str) -> str:
    assert TINY_YAML.count(old) == 1
    return TINY_YAML.replace(old, new)


def test_the_tiny_experiment_is_valid():
    assert problems(TINY_YAML) == []
    assert len(plan(loaded())) == 12


@pytest.mark.parametrize(
    ("needle", "part", "field", "message"),
    [
        ("name: bro ken", None, "name", "bro ken"),
        ("image_size: 4", None, "image_size", "greater than or equal to 8"),
        ("letters: {kind: latn}", None, "domains.letters", "did you mean 'latin'?"),
        ("target: cyrilic", None, "scenarios.small_similar.target", "did you mean 'cyrillic'?"),
        ("per_class: few", None, "scenarios.small_similar.per_class", "'few'"),
        ("small_dissimilar: {", None, "scenarios.small_dissimilar", "nothing is transferred"),
        ("odd: {", None, "scenarios.odd.size", "is missing"),
        ("odd: {", None, "scenarios.odd.similarity", "is missing"),
        ("[mlp, vgg61]", "vgg61", "backbones.1", "did you mean 'vgg16'?"),
        ("liner_probe: {}", None, "regimes.liner_probe", "did you mean 'linear_probe'"),
        ("from_scratch: {lr: 0.2}", None, "regimes.from_scratch", "the same key twice"),
        ("seeds: [0, 0]", None, "seeds", "the same seed twice"),
        ("epoch: 3", None, "fit.epoch", "did you mean 'epochs'?"),
        ("batch_size: 1", None, "fit.batch_size", "greater than or equal to 2"),
        ("mode: sometimes", None, "wandb.mode", "'sometimes'"),
    ],
)
def test_every_problem_is_named_at_its_line_and_column(needle, part, field, message):
    place = at(BROKEN, needle, part=part)
    told = [p for p in problems(BROKEN) if p.startswith(f"{place}: {field}: ")]
    assert len(told) == 1
    assert message in told[0]


def test_all_problems_come_at_once_one_a_place_in_the_order_of_the_file():
    told = problems(BROKEN)
    assert len(told) == len(set(told)) == 15
    lines = [int(line.partition(":")[0]) for line in told]
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    ("group", "wrong", "right"),
    [
        ("regimes", "lp_fft", "lp_ft"),
        ("backbones", "cnm", "cnn"),
        ("domains", "digts", "digits"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(group, wrong, right):
    text = tiny(f"{group}:\n", f"{group}:\n  {wrong}: {{}}\n")
    (told,) = problems(text)
    assert told.startswith(f"{at(text, wrong)}: {group}.{wrong}: ")
    assert f"did you mean '{right}'?" in told


def test_a_name_like_no_other_is_answered_with_all_of_them():
    (told,) = problems(tiny("mlp: {width: 8, depth: 2}", "zzzzzz: {}"))
    assert "cnn, cnn_published, minilm, mlp, mlp_published, tfidf, timm, torchvision, vgg16" in told


def test_a_misspelt_domain_is_named_at_every_scenario_that_uses_it():
    text = TINY_YAML.replace("target: cyrillic", "target: cyrilic")
    told = problems(text)
    assert [p.split(": ")[1] for p in told] == [
        "scenarios.small_similar.target",
        "scenarios.small_dissimilar.target",
    ]


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("name: tiny\n", "nmae: tiny\n", "nmae", "did you mean 'name'?"),
        (
            "source: latin",
            "sauce: latin",
            "scenarios.small_similar.sauce",
            "'source' or 'sources'?",
        ),
        ("fit: {", "fit: {batchsize: 3, ", "fit.batchsize", "did you mean 'batch_size'?"),
        ("pretrain: {", "pretrain: {perclass: 3, ", "pretrain.perclass", "mean 'per_class'?"),
        ("seeds:", "wandb: {proyect: x}\nseeds:", "wandb.proyect", "did you mean 'project'?"),
    ],
)
def test_a_misspelt_key_is_answered_with_the_nearest_of_its_level(old, new, field, message):
    told = [p for p in problems(tiny(old, new)) if f": {field}: unknown key" in p]
    assert len(told) == 1
    assert message in told[0]


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("image_size: 12", "image_size: big", "image_size"),
        ("image_size: 12", "image_size: 12.5", "image_size"),
        ("image_size: 12", "image_size: [12]", "image_size"),
        ("name: tiny", "name: 12", "name"),
        ("name: tiny", "name: ../tiny", "name"),
        ("seeds: [0, 1]", "seeds: 3", "seeds"),
        ("seeds: [0, 1]", "seeds: [0, -1]", "seeds.1"),
        ("seeds: [0, 1]", "seeds: [0, 1.5]", "seeds.1"),
        ("{source: latin, target: cyrillic, per_class: 4}", "latin", "scenarios.small_similar"),
        ("{source: latin,", "{source: 3,", "scenarios.small_similar.source"),
        ("mlp: {width: 8, depth: 2}", "mlp: 3", "backbones.mlp"),
        ("mlp: {width: 8, depth: 2}", "mlp: {kind: 3}", "backbones.mlp.kind"),
        ("linear_probe: {}", "linear_probe: {lr: 2001-01-01}", "regimes.linear_probe.lr"),
        ("fit: {epochs: 2, batch_size: 8}", "fit: 3", "fit"),
        ("fit: {epochs: 2,", "fit: {epochs: 0,", "fit.epochs"),
        ("fit: {epochs: 2,", "fit: {epochs: true,", "fit.epochs"),
        ("fit: {epochs: 2,", "fit: {val_fraction: 1, epochs: 2,", "fit.val_fraction"),
        ("pretrain: {", "pretrain: {per_class: 0, ", "pretrain.per_class"),
        ("pretrain: {", "pretrain: {per_class: most, ", "pretrain.per_class"),
        ("pretrain: {", "pretrain: {options: 3, ", "pretrain.options"),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_named(old, new, field):
    text = tiny(old, new)
    told = problems(text)
    assert [p.split(": ")[1] for p in told] == [field]


@pytest.mark.parametrize("group", ["scenarios", "backbones", "regimes", "seeds"])
@pytest.mark.parametrize("empty", ["{}", "[]"])
def test_an_empty_grid_is_refused(group, empty):
    told = problems(TINY_YAML, f"{group}={empty}")
    assert [p.split(": ")[1] for p in told] == [group]


def test_the_far_domain_of_the_axis_is_no_source():
    (line,) = set(problems(TINY_YAML + "similarity: {far: greek}\n"))
    assert "similarity.far: greek is the source of scenario small_dissimilar" in line
    same = TINY_YAML.replace("domains:\n", "domains:\n  same: {kind: latin, letters: ABCD, "
                             "train_per_class: 8, test_per_class: 6}\n")  # fmt: skip
    assert "is the source" in problems(same + "similarity: {far: same}\n")[0]


def test_the_far_domain_needs_no_options_and_its_name_is_checked():
    asked = loaded(TINY_YAML + "similarity: {far: textures, images: 50}\n")
    assert asked.domains["textures"].kind == "textures"
    (line,) = problems(TINY_YAML + "similarity: {far: texture}\n")
    assert "similarity.far: no domain named 'texture'; did you mean 'textures'" in line
    (line,) = problems(TINY_YAML + "similarity: {image: 50}\n")
    assert "did you mean 'images'" in line


def test_source_and_target_must_differ():
    text = tiny("source: greek", "source: cyrillic")
    (told,) = problems(text)
    assert told.startswith(at(text, "small_dissimilar"))
    assert "source and target are the same domain" in told


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("seeds: [0, 1]\n", "seeds: [2]\n"),
        ("  mlp: {width: 8, depth: 2}\n", "  mlp: {width: 9}\n"),
        ("fit: {epochs: 2, batch_size: 8}\n", "fit: {epochs: 3}\n"),
    ],
)
def test_a_key_that_stands_twice_is_named_at_its_second_place(first, second):
    text = tiny(first, first + second)
    (told,) = problems(text)
    assert told.startswith(at(text, second, part=second.strip()))
    assert f"it first stands in line {at(text, first).split(':')[0]}" in told


def test_all_duplicate_keys_are_named_at_once():
    text = tiny("seeds: [0, 1]\n", "seeds: [0, 1]\nseeds: [2]\nname: again\n")
    assert len(problems(text)) == 2


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "~", "3", "[name, tiny]", "tiny"])
def test_what_is_not_a_mapping_is_refused(text):
    (told,) = problems(text)
    assert "an experiment is a mapping of keys to values" in told


def test_what_is_not_yaml_is_refused_at_the_place_where_it_breaks():
    text = tiny("seeds: [0, 1]", "seeds: [0, 1}")
    (told,) = problems(text)
    assert told.startswith(at(text, "seeds: [0, 1}", part="}"))
    assert "not valid YAML" in told


def test_files_that_cannot_be_read_are_named(tmp_path):
    binary = tmp_path / "weights.yaml"
    binary.write_bytes(b"\x80\x81\xff" * 9)
    large = tmp_path / "large.yaml"
    large.write_text("# " + "x" * 2_000_000)
    for path, reason in [
        (tmp_path / "absent.yaml", "No such file"),
        (tmp_path, "Is a directory"),
        (binary, "not a text file"),
        (large, "larger than"),
    ]:
        with pytest.raises(ConfigError) as caught:
            load_experiment(path)
        (told,) = caught.value.problems
        assert told.startswith(f"{path}: ")
        assert reason in told


@pytest.mark.parametrize("written", ["1e-3", "1e-03", "1.0e-3", "0.001"])
def test_numbers_with_an_exponent_are_numbers(written):
    text = tiny("linear_probe: {}", f"linear_probe: {{lr: {written}}}")
    assert loaded(text).regimes["linear_probe"].options["lr"] == 0.001


@pytest.mark.parametrize("word", ["no", "yes", "on", "off"])
def test_words_that_older_yaml_read_as_booleans_are_texts(word):
    assert loaded(tiny("seeds:", f"title: {word}\nseeds:")).title == word
    letters = tiny("letters: ABCD", f"letters: {word}")
    assert loaded(letters).domains["latin"].options["letters"] == word


def test_anchors_and_merge_keys_mean_what_they_stand_for():
    text = tiny("linear_probe: {}", "linear_probe: &base {lr: 0.5}")
    text = text.replace("majority: {}", "probe2: {<<: *base, kind: linear_probe}")
    found = loaded(text.replace("from_scratch: {}", "from_scratch: {lr: 0.5}")).regimes
    assert found["linear_probe"].options == found["probe2"].options == {"lr": 0.5}
    assert found["probe2"].kind == "linear_probe"


def test_overriding_one_user_of_an_anchor_leaves_the_others_alone():
    text = tiny("from_scratch: {}", "from_scratch: &base {lr: 0.5}")
    text = text.replace("linear_probe: {}", "linear_probe: *base")
    found = loaded(text, "regimes.linear_probe.lr=0.7").regimes
    assert found["linear_probe"].options == {"lr": 0.7}
    assert found["from_scratch"].options == {"lr": 0.5}


def test_set_overrides_values_at_any_depth():
    found = loaded(
        TINY_YAML,
        "fit.epochs=20",
        "seeds=[3, 4]",
        "backbones.mlp.width=16",
        "scenarios.small_similar.per_class=all",
        "title=a=b",
        "seeds=[5]",
    )
    assert found.fit == Fit(epochs=20, batch_size=8)
    assert found.seeds == (5,)
    assert found.backbones["mlp"].options == {"width": 16, "depth": 2}
    assert found.scenarios["small_similar"].per_class == "all"
    assert found.title == "a=b"


def test_set_makes_a_missing_parent():
    bare = TINY_YAML[: TINY_YAML.index("fit:")]
    found = loaded(bare, "fit.epochs=3", "pretrain.options.lr=0.5", "wandb.mode=offline")
    assert found.fit == Fit(epochs=3)
    assert found.pretrain == Pretrain(options={"lr": 0.5})
    assert found.wandb.mode == "offline"


def test_set_fills_in_an_empty_entry():
    text = tiny("linear_probe: {}", "linear_probe:")
    assert loaded(text, "regimes.linear_probe.lr=0.5").regimes["linear_probe"].options["lr"] == 0.5


def test_set_into_a_short_list_does_not_drop_the_rest_of_the_list():
    text = tiny("  mlp: {width: 8, depth: 2}\n", "  [mlp, cnn]\n")
    try:
        found = loaded(text, "backbones.mlp.width=8")
    except ConfigError as error:
        (told,) = error.problems
        assert "--set backbones.mlp.width=8" in told
    else:
        assert set(found.backbones) == {"mlp", "cnn"}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("fit.epoch=2", "fit.epoch: unknown key; did you mean 'epochs'?"),
        ("ft.epochs=2", "ft: unknown key; did you mean 'fit'?"),
        ("fit.epochs=many", "fit.epochs: "),
        ("regimes.liner_probe={}", "did you mean 'linear_probe'"),
        ("fit.epochs", "write it as key=value"),
        ("=3", "write it as key=value"),
        ("fit..epochs=3", "write it as key=value"),
        ("fit.epochs=[1", ""),
        ("fit.epochs=", "fit.epochs: "),
        ("fit.epochs=2001-99-99", ""),
        ("fit.epochs=&x [*x]", "levels"),
    ],
)
def test_a_wrong_override_is_named_as_it_was_written(assignment, message):
    (told,) = problems(TINY_YAML, assignment)
    assert told.startswith(f"--set {assignment}: ")
    assert message in told


def test_lists_and_empty_options_are_short_forms_of_mappings():
    short = tiny("  mlp: {width: 8, depth: 2}\n", "  [mlp, cnn]\n")
    short = short.replace("from_scratch: {}", "from_scratch:")
    found = loaded(short)
    assert found.backbones == {"mlp": Architecture(kind="mlp"), "cnn": Architecture(kind="cnn")}
    assert found.regimes["from_scratch"] == Regime(kind="from_scratch")


def test_kind_gives_one_class_several_names():
    text = tiny("linear_probe: {}", "slow: {kind: linear_probe, lr: 0.1}\n  fast: {kind: lp_ft}")
    found = loaded(text).regimes
    assert found["slow"] == Regime(kind="linear_probe", options={"lr": 0.1})
    assert found["fast"] == Regime(kind="lp_ft")


def test_a_scenarios_name_says_its_size_and_similarity_unless_it_says_so_itself():
    text = tiny(
        "scenarios:\n",
        "scenarios:\n"
        "  far: {source: greek, target: latin, per_class: 2, size: large, similarity: similar}\n"
        "  large_similar: {source: greek, target: latin, per_class: 2, size: small}\n",
    )
    found = loaded(text).scenarios
    sides = {name: (place.size, place.similarity) for name, place in found.items()}
    assert sides == {
        "far": ("large", "similar"),
        "large_similar": ("small", "similar"),
        "small_similar": ("small", "similar"),
        "small_dissimilar": ("small", "dissimilar"),
    }


@pytest.mark.parametrize(
    "domains", ["", "domains: {}\n", "domains:\n", "domains: [latin, greek]\n"]
)
def test_domains_without_options_need_no_declaration(domains):
    rest = TINY_YAML[TINY_YAML.index("scenarios:") :]
    found = loaded("name: t\nimage_size: 12\n" + domains + rest)
    assert set(found.domains) == {"latin", "greek", "cyrillic"}
    assert len(plan(found)) == 12


def test_a_domain_may_have_a_name_of_its_own():
    text = tiny("  latin: {letters: ABCD,", "  few: {kind: latin, letters: ABCD,")
    found = loaded(text.replace("source: latin", "source: few"))
    assert found.domains["few"].kind == "latin"


def test_what_a_file_leaves_out_is_named_and_what_may_be_left_out_is_not():
    missing = {line.split(": ")[1] for line in problems("title: nothing else\n")}
    required = {name for name, field in Experiment.model_fields.items() if field.is_required()}
    assert missing == required - {"domains"}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_yaml_is_a_config_error(text):
    assert problems(text)


def test_aliases_that_multiply_do_not_take_the_parser_with_them():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 6)]
    start = time.process_time()
    assert problems("\n".join(lines))
    assert time.process_time() - start < 1


SYNTAX = ["{", "}", "[", "]", ": ", ",", "\n", "  ", "- ", "? ", "'", '"', "#", "|\n", "%", "\0"]
WORDS = ["&a ", "*a", "<<: ", "!!int ", "~", "-1", "1e9", ".nan", "true", "all", "mlp", "kind: "]
PIECES = st.sampled_from(SYNTAX + WORDS)


@st.composite
def damaged_experiments(draw):
    """The tiny experiment with up to six slices of it replaced."""
    text = TINY_YAML
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + "".join(draw(st.lists(PIECES, max_size=4))) + text[end:]
    return text


@settings(max_examples=100)
@given(st.text(st.characters(codec="utf-8"), max_size=60) | damaged_experiments())
def test_any_text_is_an_experiment_or_a_config_error(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.yaml")
        path.write_bytes(text.encode())
        try:
            found = load_experiment(path)
        except ConfigError as error:
            assert error.problems
            assert all(line.startswith(str(path)) for line in error.problems)
        else:
            assert isinstance(found, ExperimentFile)
            plan(found.experiment)


def test_refusing_helping_and_reporting_start_without_torch(tmp_path):
    write_tiny(tmp_path)
    (tmp_path / "bad.yaml").write_text(BROKEN)
    (tmp_path / "runs").mkdir()
    code = """
import sys
from transfer_lab.cli.app import main
for words in (["--help"], ["run", "bad.yaml"], ["plan", "bad.yaml"], ["status", "tiny.yaml"],
              ["report", "tiny.yaml"]):
    sys.argv = ["transfer-lab", *words]
    try:
        main()
        code = None
    except SystemExit as end:
        code = end.code
    heavy = {"torch", "lightning", "torchvision", "wandb"} & set(sys.modules)
    print("told", words[0], code, sorted(heavy))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("told ")]
    assert told == [
        "told --help 0 []",
        "told run 2 []",
        "told plan 2 []",
        "told status 0 []",
        "told report 0 []",
    ], done.stderr
    assert "bad.yaml:1:1: name: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("seeds: 3", "a list of seeds is needed: write [0, 1, 2] for 3 seeds (it is 3)"),
        ("seeds: 1", "a list of seeds is needed: write [0] for one seed (it is 1)"),
        ("seeds: 5000", "a list of seeds is needed, as [0, 1, 2] (it is 5000)"),
        ("seeds: few", "a list of seeds is needed, as [0, 1, 2] (it is 'few')"),
    ],
)
def test_a_number_of_seeds_is_told_how_to_write_them(given, told):
    (problem,) = problems(tiny("seeds: [0, 1]", given))
    assert problem.endswith(f"seeds: {told}")


@pytest.mark.parametrize(
    ("network", "hint"),
    [
        ("resnet50", "did you mean 'torchvision:resnet50' or 'timm:resnet50'?"),
        ("swin_t", "did you mean 'torchvision:swin_t'?"),
        ("vgg61", "did you mean 'vgg16'"),
    ],
)
def test_a_network_that_a_library_has_is_told_with_the_library(network, hint):
    (problem,) = problems(tiny("mlp: {width: 8, depth: 2}", f"{network}: {{}}"))
    assert f"no backbone named '{network}'; {hint}" in problem


def test_a_dataset_that_a_library_has_is_told_with_the_library():
    (problem,) = problems(tiny("source: greek", "source: CIFAR10"))
    assert problem.endswith("no domain named 'CIFAR10'; did you mean 'torchvision:CIFAR10'?")


def test_a_name_twice_in_a_short_list_is_refused():
    text = tiny("  mlp: {width: 8, depth: 2}\n", "  [mlp, cnn, mlp]\n")
    (told,) = problems(text)
    assert "backbones.2: the same name twice" in told


def test_a_wrong_item_is_not_told_twice_as_a_list_that_is_too_short():
    (told,) = problems(TINY_YAML, "seeds=[no]")
    assert "seeds.0" in told
