"""Source runs without labels: the task that images set themselves, and what is learnt by it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.toys import Leaky, drawn
from transfer_lab.backbones.cnn import CNN
from transfer_lab.experiment.budget import Fit
from transfer_lab.regimes.pretexts.autoencoder import Autoencoder, Denoising
from transfer_lab.regimes.pretexts.rotation import Rotation
from transfer_lab.training.fit import fit_and_test

KINDS = [Autoencoder, Denoising, Rotation]


def built(cls, **options):
    torch.manual_seed(3)
    regime = cls(Leaky(), 4, **options)
    regime.backbone.image_size = 12
    regime.meet({"target": 4})
    return regime


def images(count: int = 4) -> torch.Tensor:
    torch.manual_seed(7)
    return torch.randint(0, 256, (count, 3, 12, 12), dtype=torch.uint8)


class Corner(nn.Module):
    """Reads a turn off the corner that is bright: from the top left it goes against the clock."""

    def __init__(self, wrong: int = 0):
        super().__init__()
        self.wrong, self.shown = wrong, []

    def forward(self, batch):
        self.shown.append(batch)
        corners = [batch[:, 0, row, column] for row, column in CORNERS]
        found = torch.stack(corners, 1).float().argmax(1)
        return 50.0 * F.one_hot((found + self.wrong) % 4, 4).float()


CORNERS = [(0, 0), (-1, 0), (-1, -1), (0, -1)]


def test_rotation_asks_for_the_quarter_turn_that_an_image_was_given():
    regime, marked = built(Rotation), torch.zeros(3, 3, 12, 12, dtype=torch.uint8)
    marked[:, :, 0, 0] = 255
    regime.backbone, regime.turns = Corner(), nn.Identity()
    loss, right = regime.task(marked)
    assert loss.item() == pytest.approx(0.0, abs=1e-6) and right.item() == 1.0
    (batch,) = regime.backbone.shown
    assert len(batch) == 12, "all four turns of each image"
    for (row, column), turned in zip(CORNERS, batch.split(3), strict=True):
        assert (turned[:, :, row, column] == 255).all()
    regime.backbone = Corner(wrong=1)
    loss, right = regime.task(marked)
    assert loss.item() == pytest.approx(50.0, rel=1e-5) and right.item() == 0.0


def test_rotation_that_knows_nothing_is_right_once_in_four():
    regime = built(Rotation)
    with torch.no_grad():
        regime.turns.weight.zero_()
        regime.turns.bias.zero_()
    loss, right = regime.task(images())
    assert loss.item() == pytest.approx(torch.tensor(4.0).log().item())
    assert right.item() == 0.25


def test_an_autoencoder_that_gives_back_one_constant_loses_the_variance_around_it():
    """mean (c - x)^2 = var(x) + (c - mean x)^2, over all pixels of the normalised images."""
    regime, batch = built(Autoencoder).eval(), images()
    last = regime.decoder[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(0.3)
    wanted = regime.backbone.prepare(batch)
    expected = wanted.var(unbiased=False) + (0.3 - wanted.mean()) ** 2
    loss, right = regime.task(batch)
    torch.testing.assert_close(loss, expected)
    assert right.item() == 0.0


def test_an_autoencoder_learns_a_few_images_by_heart():
    regime, batch = built(Autoencoder), images(3)
    optimiser = torch.optim.Adam(regime.parameters(), lr=0.01)
    losses = []
    for _ in range(120):
        loss, _ = regime.task(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize("size", [16, 17, 20])
def test_what_is_given_back_has_every_pixel(size):
    torch.manual_seed(0)
    regime = Autoencoder(CNN(size, filters=2), 4)
    regime.backbone.image_size = size
    regime.meet({"target": 4})
    shown = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    assert regime.decoder(regime.backbone(shown)).shape[2] >= size
    loss, _ = regime.task(shown)
    assert torch.isfinite(loss)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_denoising_hides_that_share_of_the_pixels_in_all_channels(share):
    regime = built(Denoising, share=share)
    white = torch.full((64, 3, 40, 40), 200, dtype=torch.uint8)
    spoilt = regime.spoilt(white)
    assert spoilt.dtype == torch.uint8 and set(spoilt.unique().tolist()) == {0, 200}
    assert (spoilt == spoilt[:, :1]).all(), "a pixel is hidden in all channels or in none"
    assert (spoilt == 0).float().mean().item() == pytest.approx(share, abs=0.01)
    assert not torch.equal(spoilt[0], spoilt[1]), "each image loses others"


def test_denoising_gives_back_the_whole_image(monkeypatch):
    regime, batch = built(Denoising).eval(), images()
    monkeypatch.setattr(regime, "spoilt", torch.zeros_like)
    given = regime.decoder(regime.backbone(torch.zeros_like(batch)))
    loss, _ = regime.task(batch)
    torch.testing.assert_close(
        loss, F.mse_loss(given[..., :12, :12], regime.backbone.prepare(batch))
    )


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_a_share_that_hides_nothing_or_all_is_refused(share):
    with pytest.raises(ValueError, match="share must lie between 0 and 1"):
        built(Denoising, share=share)


@pytest.mark.parametrize("cls", KINDS)
def test_no_label_is_read(cls):
    regime = built(cls)
    regime.on_train_epoch_start()
    regime.on_validation_epoch_start()
    assert torch.isfinite(regime.training_step((images(), None), 0))
    regime.validation_step((images(), None), 0)
    assert regime.train_sums[2] == regime.val_sums[2] == 4, "images that were seen"


@pytest.mark.parametrize("cls", KINDS)
def test_the_stages_learn_and_the_head_for_classes_does_not(cls):
    torch.manual_seed(3)
    regime = cls(Leaky(), 4, lr=0.01)
    regime.backbone.image_size = 12
    regime.meet({"target": 4})
    before = {key: value.clone() for key, value in regime.state_dict().items()}
    fit_and_test(regime, drawn(), Fit(epochs=2, batch_size=8))
    after = regime.state_dict()
    kept = {key for key in before if torch.equal(before[key], after[key])}
    assert {"head.weight", "head.bias"} <= kept
    assert not [key for key in kept if key.startswith("backbone") and key.endswith("weight")]
