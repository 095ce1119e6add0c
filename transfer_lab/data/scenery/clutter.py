"""Things that stand in any scene and tell nothing of it, as in photographs."""

from __future__ import annotations

from transfer_lab.data.scenery import indoors, outdoors, town
from transfer_lab.data.scenery.sheet import Scene, Sheet, upright


def outside(scene: Scene) -> Scene:
    """The scene with up to three stray trees, cars, boats, houses, lamps or people."""
    return _with(scene, _something_outside)


def inside(scene: Scene) -> Scene:
    """The scene with up to three stray chairs, lamps, tables, cupboards, plants or people."""
    return _with(scene, _something_inside)


def _with(scene: Scene, something: Scene) -> Scene:
    def cluttered(s: Sheet) -> None:
        scene(s)
        for _ in range(s.one_of(0, 1, 1, 2, 3)):
            something(s)

    return cluttered


def _something_outside(s: Sheet) -> None:
    kind, behind = s.one_of("tree", "tree", "house", "car", "lamp", "person", "boat"), s.colour()
    x, y, size = s.between(0, 1), s.between(0.55, 1), s.between(0.12, 0.4)
    if kind == "tree":
        outdoors.tree(s, x, y, 1.2 * size, behind, s.one_of("", "bare"))
    elif kind == "house":
        town.house(s, x, y, size, behind)
    elif kind == "car":
        outdoors.car(s, x, y, 0.7 * size, behind)
    elif kind == "lamp":
        town.lamp_post(s, x, y, 1.5 * size, s.between(-0.2, 0.2), behind)
    elif kind == "boat":
        outdoors.boat(s, x, y, 0.7 * size, behind, sail=s.chance(0.5))
    else:
        _person(s, x, y, size)


def _something_inside(s: Sheet) -> None:
    kind, behind = s.one_of("chair", "table", "lamp", "person", "plant", "cupboard"), s.colour()
    x, y, size = s.between(0, 1), s.between(0.6, 1.05), s.between(0.15, 0.4)
    if kind == "chair":
        indoors.chair(s, x, y, size, behind)
    elif kind == "table":
        indoors.table(s, x, y, size, behind)
    elif kind == "lamp":
        indoors.lamp(s, x, y, 1.2 * size, behind)
    elif kind == "plant":
        outdoors.tree(s, x, y, 1.2 * size, behind, s.one_of("round", "palm"))
    elif kind == "cupboard":
        high = s.between(0.6, 1.3) * size
        indoors.cupboards(s, (x - size / 2, y - high, x + size / 2, y), s.count(1, 3), behind)
    else:
        _person(s, x, y, 1.4 * size)


def _person(s: Sheet, x: float, y: float, high: float) -> None:
    coat = s.colour()
    half, legs = 0.13 * high, s.against(coat)
    s.cells(upright(x - half, y - 0.5 * high, x + half, y), 1, 2, legs, fill=(0.8, 1))
    s.box(x - 1.2 * half, y - 0.85 * high, x + 1.2 * half, y - 0.4 * high, coat)
    s.ellipse(x, y - 0.93 * high, 0.6 * half, 0.08 * high, s.against(coat))
