"""What training and naming photographs costs on this machine."""

from __future__ import annotations

import time

import numpy as np

from transfer_lab.advice.advice import Alternative, Cost, Recommendation
from transfer_lab.advice.album.album import Album
from transfer_lab.advice.compared import Compared, Seen
from transfer_lab.advice.features.networks import find_network, load
from transfer_lab.system import host
from transfer_lab.system.decode import decode_files

_TIMED = 8
_FLOAT = 4


def cost_of(seen: Seen, compared: Compared, chosen: Recommendation) -> Cost:
    """Of what is recommended: measured for the default, and for another way what the race has
    measured of it."""
    fit = compared.default.fit_seconds
    each = seen.features.seconds / len(seen.album.photos)
    network = seen.network
    if network.name != chosen.backbone:
        network = find_network(chosen.backbone)
    backbone = load(network)
    if chosen.left_default and compared.race:
        from transfer_lab.advice.challengers.pace import frozen_seconds

        fit = _of(chosen, compared.race.alternatives).fit_seconds
        each = _decode_seconds(seen.album, chosen.image_size)
        each += frozen_seconds(backbone, len(backbone.stages), chosen.image_size)
    count = sum(tensor.numel() for tensor in backbone.state_dict().values())
    count += (backbone.num_features + 1) * len(seen.album.classes)
    return Cost(
        features_s=seen.features.seconds,
        fit_s=fit,
        predict_s_per_image=each,
        bytes=_FLOAT * count,
        machine=host.host(),
    )


def _of(chosen: Recommendation, alternatives: tuple[Alternative, ...]) -> Alternative:
    wanted = chosen.backbone, chosen.regime, chosen.image_size
    (found,) = (a for a in alternatives if (a.backbone, a.regime, a.image_size) == wanted)
    return found


def _decode_seconds(album: Album, size: int) -> float:
    """For a photograph, from a few."""
    places = np.unique(np.linspace(0, len(album.photos) - 1, _TIMED).astype(int))
    start = time.monotonic()
    for _ in decode_files([album.photos[place].path for place in places], size):
        pass
    return (time.monotonic() - start) / len(places)
