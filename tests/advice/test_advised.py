"""Which model `train` makes of an advice, of a regime and a size that are named."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.advice.invented import advice
from transfer_lab.advice.advice import Recommendation
from transfer_lab.advice.advised import Advised
from transfer_lab.advice.challengers.field import SMALL
from transfer_lab.advice.features.networks import Network
from transfer_lab.advice.listening import Silent

LITE0 = "timm:tf_efficientnet_lite0"
NETWORK = Network(LITE0, "lite0", 224, "Apache-2.0", "", "0" * 64)
TUNED = Recommendation(
    backbone=LITE0,
    regime="partial_finetune",
    image_size=SMALL,
    options={"k": 4},
    left_default=True,
    paired_lead=8.0,
    se=2.0,
)


class Heard(Silent):
    """What it was told."""

    def __init__(self):
        self.said: list[str] = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """What is trained of an advice, and what is said of it."""

    class StoppedError(Exception):
        pass

    def train(recommendation=None, network=NETWORK, **how):
        asked, heard = [], Heard()

        def final_fit(session, wanted, listen):
            asked.append(wanted)
            raise StoppedError

        monkeypatch.setattr("transfer_lab.advice.final_fit.final_fit", final_fit)
        found = advice(recommendation=recommendation) if recommendation else advice()
        session = SimpleNamespace(advice=found, network=network)
        session.complete = lambda listen: session
        with pytest.raises(StoppedError):
            Advised(session, tmp_path).train(tmp_path / "model", listen=heard, **how)
        return asked[0], heard.said

    return train


def test_a_regime_that_is_named_learns_at_the_size_that_the_race_tries(trained):
    for regime, size in (("last-layer", 224), ("last-blocks", SMALL), ("everything", SMALL)):
        wanted, said = trained(regime=regime)
        assert wanted.image_size == size
        assert ("160 px" in " ".join(said) and "--image-size" in said[0]) == (size != 224)


def test_a_network_of_one_size_keeps_it(trained):
    fixed = Network(LITE0, "fixed", 224, "", "", "0" * 64, any_size=False)
    assert trained(network=fixed, regime="everything")[0].image_size == 224


def test_a_size_that_is_named_is_taken_and_nothing_is_said_of_it(trained):
    assert trained(regime="last-blocks", image_size=224)[0].image_size == 224
    wanted, said = trained(TUNED, image_size=192)
    assert (wanted.regime, wanted.image_size, wanted.options) == ("partial_finetune", 192, {"k": 4})
    assert not wanted.left_default and wanted.paired_lead is None and said == []


def test_who_names_what_was_advised_gets_what_was_advised(trained):
    for how in ({}, {"regime": "last-blocks"}, {"image_size": SMALL}):
        assert trained(TUNED, **how)[0] == TUNED
