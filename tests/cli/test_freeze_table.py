"""`plan -v` shows what is frozen, in the units people mean."""

from __future__ import annotations

from pathlib import Path

from transfer_lab.cli.freeze_table import frozen_maps
from transfer_lab.experiment.loading import load_experiment

TEXT = """\
name: maps
image_size: 64
scenarios:
  small_similar: {source: latin, target: digits, per_class: 4}
backbones:
  vgg16: {cut: 8}
  cnn: {filters: 4}
regimes:
  majority:
  from_scratch:
  first_8_layers: {kind: partial_finetune, k: 3, on: [vgg16]}
  anew: {kind: partial_finetune, k: 2, reinit: true}
  lp_ft:
seeds: [1]
"""


def maps(tmp_path: Path) -> list[list[str]]:
    path = tmp_path / "maps.yaml"
    path.write_text(TEXT)
    return [text.splitlines() for text in frozen_maps(load_experiment(path).experiment)]


def rows(table: list[str]) -> dict[str, list[str]]:
    """Column -> its values, cut where the header's rule says."""
    rule = table[2]
    edges = [i for i in range(len(rule)) if rule[i] == "-" and (i == 0 or rule[i - 1] == " ")]
    cuts = list(zip(edges, [*edges[1:], None], strict=True))
    body = [line for line in table[3:] if line[:1].isdigit()]
    return {table[1][a:b].strip(): [line[a:b].strip() for line in body] for a, b in cuts}


def test_vgg16_cut_at_8_freezes_the_first_8_layers_of_keras(tmp_path):
    vgg16, _ = maps(tmp_path)
    columns = rows(vgg16)
    assert vgg16[0].startswith("vgg16(cut=8), images of 64 x 64")
    assert columns["in Keras"][:4] == ["layers[:4]", "layers[:7]", "layers[:8]", "layers[:11]"]
    assert columns["first_8_layers"] == ["frozen"] * 3 + ["learns"] * 4
    convolutions = [c.partition(" Conv2d")[0] for c in columns["layers"][:3]]
    assert sum(map(int, convolutions)) == 5
    assert columns["parameters"][0] == f"{(27 + 1) * 64 + (9 * 64 + 1) * 64:,}"
    assert columns["output"][0] == "64 x 32 x 32"


def test_phases_are_joined_controls_use_nothing_and_random_stages_are_named(tmp_path):
    _, cnn = maps(tmp_path)
    columns = rows(cnn)
    assert columns["lp_ft"] == ["frozen → learns"] * 3
    assert columns["majority"] == ["unused"] * 3
    assert columns["anew"] == ["frozen", "frozen", "learns"]
    assert "anew: stages 3 to 3 start at random" in cnn
    assert "in Keras" not in columns
    assert "first_8_layers" not in columns
