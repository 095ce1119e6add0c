"""Where another way is clearly better than the default: what is advised, promised and trained, and
what is true of photographs that nobody has seen."""

from __future__ import annotations

import numpy as np
import pytest

from tests.advice.bands import CLASSES, NATIVE, draw_bands, write_network
from transfer_lab.advice.advice import Advice
from transfer_lab.advice.advise import advise
from transfer_lab.advice.advised import Advised
from transfer_lab.advice.challengers import race as racing
from transfer_lab.advice.challengers.field import SMALL
from transfer_lab.advice.promise.promise import promise
from transfer_lab.advice.promise.resampling import fold_masks

PER_CLASS, NEW = 25, 40


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("place")
    draw_bands(root / "photos", per_class=PER_CLASS)
    draw_bands(root / "new", per_class=NEW, first=500)
    return root


@pytest.fixture(scope="module")
def seen(place):
    """The session, and what the race has shown."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transfer_lab.advice.challengers.field.another", lambda network: None)
        shown, race = [], racing.race
        patch.setattr(
            racing, "race", lambda *known, **how: shown.append(race(*known, **how)) or shown[0]
        )
        # So long that a busy machine changes nothing.
        session = advise(place / "photos", backbone=write_network(place), budget=36_000)
    return session, shown[0]


def test_the_default_is_left_for_who_is_clearly_better(seen):
    session, outcome = seen
    found = session.advice.recommendation
    assert found.left_default and found.regime in ("partial_finetune", "full_finetune")
    assert found.image_size == SMALL < NATIVE
    assert found.paired_lead > 30 and found.paired_lead >= 2 * found.se
    (winner,) = (one for one in session.advice.alternatives if one.regime == found.regime)
    assert winner.state == "clearly better" and session.advice.cost.fit_s == winner.fit_seconds
    assert session.oof.logits is outcome.answers.logits


def test_what_is_promised_is_told_by_folds_that_did_not_choose(seen):
    session, outcome = seen
    labels, groups = session.album.labels, session.groups
    (_, first), *_ = fold_masks(labels, groups)
    assert not np.isin(first, outcome.counted).any()  # by it the field was halved
    unused = outcome.unused._replace(logits=outcome.unused.logits[:, outcome.counted])
    at = outcome.counted
    regime = session.advice.recommendation.regime
    again = promise(unused, labels[at], groups[at], switched=True, regime=regime)
    assert session.advice.promise == again
    assert f"of {len(labels) - len(first)} images" in again.protocol


@pytest.mark.slow
def test_the_winner_is_trained_as_it_was_tried_and_its_promise_is_kept(seen, place):
    session, _ = seen
    found, said = session.advice.recommendation, session.advice.promise
    model = Advised(session, place / "photos").train(place / "model", formats=("safetensors",))
    assert model.manifest.image_size == SMALL and model.classes == tuple(sorted(CLASSES))
    kept = Advice.model_validate_json((place / "model" / "advice.json").read_bytes())
    assert kept.promise == said and kept.recommendation.regime == found.regime
    paths = sorted((place / "new").rglob("*.png"))
    named = model.predict(paths)["class"]
    right = np.mean([path.parent.name == name for path, name in zip(paths, named, strict=True)])
    error = 1.6 * np.sqrt(said.value * (1 - said.value) / len(paths))  # the truth's own
    assert said.low - error <= right <= said.high + error
