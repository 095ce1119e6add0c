"""Examples on a device: the same batches; as from the host if there is no room."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.toys import Blocks, Leaky, drawn
from transfer_lab.data import device_cache as residence
from transfer_lab.data.augmentation import Augmentation
from transfer_lab.data.batches import batches
from transfer_lab.data.device_cache import SHARE, DeviceCache, OnHost
from transfer_lab.experiment.budget import Augment, Fit
from transfer_lab.regimes.lp_ft import LPFT
from transfer_lab.regimes.partial_finetune import PartialFinetune
from transfer_lab.store.feature_cache import FeatureCache
from transfer_lab.training import frozen_features as activations
from transfer_lab.training.fit import fit_and_test
from transfer_lab.training.frozen_features import FrozenFeatures

CPU, META = torch.device("cpu"), torch.device("meta")
INPUTS = np.random.default_rng(0).integers(0, 256, (40, 3, 4, 4), np.uint8)
INDEX = np.random.default_rng(1).permutation(40)[:25]
LABELS = torch.arange(25) % 5
SIZE = 25 * (48 + 8)
"""Bytes of the examples: 48 of an image and 8 of its label."""


class Memory:
    """A device's unused memory, and how often it was asked for."""

    def __init__(self, size: float):
        self.size, self.asked = size, 0

    def __call__(self, device):
        self.asked += 1
        return self.size


def roomy(device=CPU, size=1e12):
    return DeviceCache(device, Memory(size))


def loader(room=None, inputs=INPUTS, **more):
    return batches(inputs, LABELS, batch_size=4, index=INDEX, room=room, **more)


def passes(found, count=3):
    return [batch for _ in range(count) for batch in found]


def same(one, other):
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a, b) for x, y in pairs for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("inputs", [INPUTS, INPUTS / np.float32(7), torch.from_numpy(INPUTS)])
@pytest.mark.parametrize("seed", [None, 5])
def test_batches_and_their_order_are_those_of_the_host(seed, inputs, monkeypatch):
    monkeypatch.setattr(residence, "_BLOCK", 300)  # copied in several blocks
    placed = loader(roomy(), inputs, shuffle_seed=seed)
    assert same(passes(placed), passes(loader(None, inputs, shuffle_seed=seed)))
    assert placed.dataset.examples.copies is not None


def test_on_a_device_only_the_numbers_of_the_examples_are_sent_there():
    read = []

    class Watched(OnHost):
        def inputs_of(self, rows):
            read.append(len(rows))
            return super().inputs_of(rows)

    place = roomy(META).place(Watched(INPUTS, INDEX, LABELS))
    for start in (0, 4, 8) * 3:
        inputs, labels = place.take(torch.arange(start, start + 4))
        assert inputs.device == labels.device == META
        assert (inputs.shape, inputs.dtype) == ((4, 3, 4, 4), torch.uint8)
    assert sum(read) == 1 + len(INDEX)  # one, to learn what a row is, and then all, once


@pytest.mark.parametrize(("spare", "fits"), [(0, True), (-1, False)])
def test_examples_may_take_a_share_of_the_memory_and_no_byte_more(spare, fits):
    placed = loader(roomy(META, (SIZE + spare) / SHARE))
    devices = {part.device for batch in placed for part in batch}
    assert devices == ({META} if fits else {CPU})
    assert fits or same(passes(placed), passes(loader()))


@pytest.mark.parametrize(("spare", "fit"), [(0, 2), (-1, 1)])
def test_all_examples_of_a_phase_together_take_the_share_and_no_byte_more(spare, fit):
    """Also where what the first ones took is not seen, as under another process's allocator."""
    room = roomy(META, (2 * SIZE + spare) / SHARE)
    both = [loader(room), loader(room)]
    for placed in both:
        passes(placed)
    assert sum(placed.dataset.examples.copies is not None for placed in both) == fit
    assert room._unused.asked == 1


def test_who_found_no_room_takes_none_from_the_next(monkeypatch):
    room = roomy(META, SIZE / SHARE)
    large = batches(np.repeat(INPUTS, 2, 2), LABELS, batch_size=4, index=INDEX, room=room)
    small = loader(room)
    passes(large), passes(small)
    assert large.dataset.examples.copies is None
    assert small.dataset.examples.copies is not None


def test_a_cleared_room_has_its_share_again_of_what_is_unused_then():
    memory = Memory(SIZE / SHARE)
    room = DeviceCache(META, memory)
    passes(loader(room))
    room.clear()
    again, more = loader(room), loader(room)
    passes(again), passes(more)
    assert memory.asked == 2
    assert again.dataset.examples.copies is not None
    assert more.dataset.examples.copies is None


def test_the_memory_is_looked_at_when_the_first_batch_is_read_and_once():
    memory = Memory(0)
    placed = loader(DeviceCache(CPU, memory))
    assert memory.asked == 0
    passes(placed)
    assert memory.asked == 1


def test_where_another_process_was_faster_examples_are_read_from_the_host(monkeypatch):
    def full(*shape, device=None, **more):
        if device is not None:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return empty(*shape, **more)

    placed, empty = loader(roomy()), torch.empty
    monkeypatch.setattr(torch, "empty", full)
    assert same(passes(placed), passes(loader()))
    assert placed.dataset.examples.copies is None


def test_a_cleared_room_holds_nothing_and_its_loaders_go_on():
    room = roomy()
    placed = loader(room)
    before = passes(placed)
    room.clear()
    assert placed.dataset.examples.copies is None
    assert same(before, passes(placed))
    assert placed.dataset.examples.copies is None


def test_no_examples_need_no_room():
    empty = batches(INPUTS, LABELS[:0], batch_size=4, index=INDEX[:0], room=roomy())
    assert list(empty) == []


def test_random_changes_are_decided_alike_wherever_the_images_lie():
    images = torch.from_numpy(INPUTS)
    setting = Augment(flip=True, shift=0.3)
    here, there = (Augmentation(setting, seed=3) for _ in range(2))
    assert there(images.to(META)).device == META
    here(images)
    assert torch.equal(here.generator.get_state(), there.generator.get_state())
    with_room = loader(roomy(), shuffle_seed=1, changes=[Augmentation(setting, 4)])
    without = loader(shuffle_seed=1, changes=[Augmentation(setting, 4)])
    assert same(passes(with_room), passes(without))


@pytest.fixture
def rooms(monkeypatch):
    """As on a GPU with memory to spare, but that the device is the CPU; gives all rooms."""
    made = []

    def begun(self, *args, **more):
        plain(self, *args, **more)
        self._room = roomy()
        made.append(self._room)

    plain = FrozenFeatures.__init__
    monkeypatch.setattr(activations.FrozenFeatures, "__init__", begun)
    return made


FIT = Fit(epochs=4, batch_size=8)
WAYS = {"images": (None, None), "changed images": (Augment(flip=True, shift=0.2), None)}
WAYS["outputs"] = (None, "rows")


def fitted(cls, way, folder, **options):
    augment, rows = WAYS[way]
    torch.manual_seed(0)
    regime = cls(Leaky(), 4, **options)
    domain = Blocks()
    domain.draw(per_class=16, val_fraction=0.25, batch_size=8, seed=0, augment=augment)
    store = FeatureCache(folder if rows else None)
    fit_and_test(regime, domain, FIT, reuse_prefix=bool(rows or augment), rows=store)
    return regime.state_dict()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("cls", "options"), [(LPFT, {}), (PartialFinetune, {"k": 1})])
def test_a_fit_ends_at_the_same_weights(cls, options, way, tmp_path, request):
    expected = fitted(cls, way, tmp_path, **options)
    rooms = request.getfixturevalue("rooms")
    taken, copies = [], DeviceCache.copies
    request.getfixturevalue("monkeypatch").setattr(
        DeviceCache, "copies", lambda room, found: taken.append(found) or copies(room, found)
    )
    found = fitted(cls, way, tmp_path, **options)
    assert all(torch.equal(value, expected[key]) for key, value in found.items())
    phases = 2 if cls is LPFT else 1
    assert len(taken) == 2 * phases  # training and validation examples, once a phase
    assert all(room._guests == [] for room in rooms)


def test_a_fit_that_fails_gives_the_memory_back(rooms):
    regime = LPFT(Leaky(), 4)
    regime.training_step = lambda *_: (_ for _ in ()).throw(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        fit_and_test(regime, drawn(), FIT)
    assert all(room._guests == [] for room in rooms)


def test_on_the_cpu_there_is_no_room_and_nothing_is_copied():
    data = FrozenFeatures(drawn(), Leaky().eval(), 0)
    assert isinstance(data.train_dataloader().dataset.examples, OnHost)
