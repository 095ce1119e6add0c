"""The replays of published listings: what each does, what refuses it, and the page that says so."""

import csv
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from docs.quoted_numbers import ROOT
from examples.listings import __main__ as script
from examples.listings import frozen_in_the_optimiser, never_copied
from examples.listings.dropout_never_added import as_published, repaired
from examples.listings.result import PUBLISHED, REPAIRED
from examples.listings.task import Task
from transfer_lab.regimes.linear_probe import LinearProbe

REGIMES = [
    pytest.param(cls, checks, id=cls.__name__)
    for listing in script.LISTINGS
    for cls, checks in listing.regimes.items()
]


@cache
def tiny():
    sizes = {"per_class": 2, "source_per_class": 3, "test_per_class": 5}
    return Task.rendered(**sizes, epochs=1, source_epochs=1)


@cache
def counted(listing):
    return listing.replay(tiny(), 0).counted


@pytest.mark.slow
@pytest.mark.parametrize(("cls", "checks"), REGIMES)
def test_the_mistake_as_a_regime_of_ones_own_is_refused_by_name(cls, checks):
    told = script.refusal(cls, checks)
    assert all(name.replace("_", " ") in told for name in checks)


@pytest.mark.slow
def test_a_regime_without_a_mistake_is_no_proof():
    class Probe(LinearProbe):
        """The lab's own."""

        head_alone = True

    with pytest.raises(AssertionError, match="is not refused"):
        script.refusal(Probe, ())


def test_no_weight_is_copied_as_published_and_all_below_the_head_are_repaired():
    found = counted(never_copied.PYTORCH)
    assert (found["equal"], found["moved"]) == (0, 0)
    assert found["carried"] == found["body"] == 6
    assert counted(never_copied.KERAS)["equal"] == 0


def test_the_loss_without_a_softmax_is_the_cross_entropy_of_probabilities():
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    ours = never_copied.without_softmax(logits.softmax(1), labels)
    assert torch.allclose(ours, F.cross_entropy(logits, labels))


def test_frozen_parameters_are_held_and_stay_until_an_option_moves_them():
    found = counted(frozen_in_the_optimiser.LISTING)
    assert found["frozen"] == 10 < found["held"]
    assert found["moved"] == found["kept"] == 0
    assert found["decayed"] == 10
    assert found["statistics"] == 6
    assert found["restless"] > 0


def test_dropout_is_in_the_repaired_head_alone():
    inputs, heads = torch.randn(4, 8), (as_published(8, 3), repaired(8, 3))
    same = [torch.equal(head(inputs), head(inputs)) for head in heads]
    assert same == [True, False]
    assert sum(isinstance(module, nn.Dropout) for module in heads[1]) == 3


def test_the_page_has_every_listing_with_its_arms_and_checks(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script, "refusal", lambda cls, checks: f"{cls.__name__} is refused")
    page = script.main(["--seeds", "2", "--out", str(tmp_path)], tiny()).read_text()
    first = page.partition("\n## ")[0]
    for listing in script.LISTINGS:
        assert f"| **{listing.name}** |" in first
        assert all(f"\n| {arm} |" in page for arm in listing.arms)
        assert (listing.arms[0], listing.arms[-1]) == (PUBLISHED, REPAIRED)
        assert all(f"{cls.__name__} is refused" in page for cls in listing.regimes)
    assert (tmp_path / "figures" / "accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_the_kept_page_is_of_these_listings():
    folder = ROOT / "reports" / "listings"
    page = (folder / "report.md").read_text()
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    for listing in script.LISTINGS:
        assert f"| **{listing.name}** |" in page
        arms = {r["name"] for r in rows if (r["listing"], r["of"]) == (listing.name, "accuracy")}
        assert arms == set(listing.arms)
