"""Random views of images: a little moved, or so changed that only their class is the same."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

_CHANGES = 2
"""Of a strongly changed image, as in RandAugment with N = 2."""


class RandomViews:
    """Weak and strong views of uint8 batches (n, 3, size, size), as FixMatch has them: decided for
    each image on its own, one sequence of decisions from the seed.

    Weak: moved by up to an eighth of the side, and mirrored if `flip`. Strong: that, then two
    changes out of RandAugment's (Cubuk et al. 2020), each of a random strength, then a grey square
    of up to half the side (DeVries & Taylor 2017, "Cutout").
    """

    def __init__(self, seed: int, *, flip: bool = False):
        self.flip = flip
        self.generator = torch.Generator().manual_seed(seed)

    def weak(self, images: torch.Tensor) -> torch.Tensor:
        """Moved, and mirrored; what comes in at an edge repeats it."""
        maps = _identity(len(images))
        maps[:, :, 2] = self._uniform(len(images), 2) / 4  # of coordinates that run from -1 to 1
        if self.flip:
            maps[:, 0, 0] = 1 - 2 * torch.randint(2, (len(images),), generator=self.generator)
        return _bytes(_moved(_floats(images), maps, nearest=True))

    def strong(self, images: torch.Tensor) -> torch.Tensor:
        """Weak views, strongly changed."""
        views = _floats(self.weak(images))
        for _ in range(_CHANGES):
            chosen = torch.randint(len(_ALL), (len(views),), generator=self.generator)
            strengths = self._uniform(len(views))
            for number, change in enumerate(_ALL):
                of = (chosen == number).nonzero().flatten()
                if len(of):
                    some = of.to(views.device)
                    views[some] = change(views[some], strengths[of]).clamp(0, 1)
        return _bytes(self._cut_out(views))

    def _cut_out(self, views: torch.Tensor) -> torch.Tensor:
        count, size = len(views), views.shape[-1]
        half = torch.rand(count, 1, generator=self.generator) * size / 4
        places = torch.arange(size) + 0.5
        rows, columns = (
            (places - torch.rand(count, 1, generator=self.generator) * size).abs() < half
            for _ in range(2)
        )
        hidden = rows[:, None, :, None] & columns[:, None, None, :]
        return torch.where(hidden.to(views.device), 0.5, views)

    def _uniform(self, *shape: int) -> torch.Tensor:
        return 2 * torch.rand(*shape, generator=self.generator) - 1


Change = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes images (n, 3, size, size) in 0 to 1 and how strongly each is to be changed, -1 to 1."""


def _mapped(row: int, column: int, reach: float) -> Change:
    """A shear or a shift: one entry of the affine map, by up to `reach`."""

    def change(images: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
        maps = _identity(len(images))
        maps[:, row, column] += reach * strengths
        return _moved(images, maps)

    return change


def _turned(images: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    angles = strengths * torch.pi / 6
    maps = _identity(len(images))
    maps[:, 0, 0] = maps[:, 1, 1] = angles.cos()
    maps[:, 0, 1], maps[:, 1, 0] = -angles.sin(), angles.sin()
    return _moved(images, maps)


def _blended(other: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    """Towards another version of the image, or away from it."""

    def change(images: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
        by = 0.9 * _as_column(strengths, images)
        return images + by * (other(images) - images)

    return change


def _solarised(images: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    """What is lighter than a threshold is inverted."""
    return torch.where(images > _as_column(strengths.abs(), images), 1 - images, images)


def _posterised(images: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    """4 to 8 bits a channel."""
    levels = 2 ** _as_column((8 - 4 * strengths.abs()).round(), images)
    return (images * 255 * levels / 256).floor() * (256 / levels) / 255


def _stretched(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    """The darkest value of each channel to black, the lightest to white."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return (images - low) / (high - low).clamp(min=1 / 255)


def _unchanged(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return images


_ALL: tuple[Change, ...] = (
    _unchanged,
    _stretched,
    _blended(torch.zeros_like),  # brightness
    _blended(lambda images: images.mean((1, 2, 3), keepdim=True)),  # contrast
    _blended(lambda images: images.mean(1, keepdim=True)),  # colour
    _blended(lambda images: F.avg_pool2d(F.pad(images, [1] * 4, "replicate"), 3, 1)),  # sharpness
    _solarised,
    _posterised,
    _turned,
    *(_mapped(row, column, 0.3) for row, column in ((0, 1), (1, 0), (0, 2), (1, 2))),
)


def _identity(count: int) -> torch.Tensor:
    return torch.eye(2, 3).repeat(count, 1, 1)


def _moved(images: torch.Tensor, maps: torch.Tensor, *, nearest: bool = False) -> torch.Tensor:
    grid = F.affine_grid(maps.to(images.device), list(images.shape), align_corners=False)
    mode = "nearest" if nearest else "bilinear"
    return F.grid_sample(images, grid, mode=mode, padding_mode="border", align_corners=False)


def _as_column(values: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    return values.to(images.device)[:, None, None, None]


def _floats(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255


def _bytes(images: torch.Tensor) -> torch.Tensor:
    return (images * 255).round().to(torch.uint8)
