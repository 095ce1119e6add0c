"""The study's scenes in a room, each a composition of furniture."""

from __future__ import annotations

from transfer_lab.data.scenery import indoors
from transfer_lab.data.scenery.clutter import inside
from transfer_lab.data.scenery.sheet import BOTTOM, Scene, Sheet, part_of, shade, upright


def bedroom(s: Sheet) -> None:
    """A bed seen from its foot or a little aside, with bedside lamp, window or picture."""
    here = indoors.room(s)
    indoors.hang_something(s, here)
    x, wide = s.between(0.35, 0.65), s.between(0.42, 0.68)
    for side in s.one_of((), (-1,), (1,), (-1, 1)):
        at = x + side * (0.5 * wide + 0.06)
        box = (at - 0.07, 0.62, at + 0.07, 0.62 + s.between(0.12, 0.2))
        indoors.block(s, box, 0.05, s.against(here.floor, 0.15))
        if s.chance(0.7):
            indoors.lamp(s, at, 0.6, s.between(0.08, 0.14), here.wall)
    indoors.bed(s, x, s.between(0.86, 1.02), wide, here.floor)


def kitchen(s: Sheet) -> None:
    """A run of cupboards with a worktop, others above, between them tiles, a hob, a tap."""
    here = indoors.room(s)
    top, x0, x1 = s.between(0.52, 0.62), here.x0 - s.between(0, 0.3), here.x1 + s.between(0, 0.3)
    if s.chance(0.5):
        tiles = upright(x0, top - 0.2, x1, top)
        s.cells(tiles, 3, 8, shade(here.wall, s.one_of(-0.1, 0.1)), fill=0.8)
    wood = indoors.cupboards(s, (x0, top, x1, s.between(0.85, 0.95)), s.count(3, 6), here.wall)
    indoors.block(s, (x0 - 0.02, top - 0.02, x1 + 0.02, top + 0.03), 0.04, s.against(wood, 0.15))
    shelf, gap = top - s.between(0.2, 0.28), s.between(0.15, 0.4)
    hood = x0 + gap * (x1 - x0)
    for ends in ((x0, hood - 0.08), (hood + 0.1, x1)):
        if ends[1] - ends[0] > 0.1 and s.chance(0.85):
            box = (ends[0], shelf - s.between(0.18, 0.26), ends[1], shelf)
            indoors.cupboards(s, box, s.count(2, 4), here.wall)
    metal = s.against(here.wall, 0.2)
    if s.chance(0.6):
        s.polygon(
            (
                (hood - 0.03, shelf - 0.3),
                (hood + 0.05, shelf - 0.3),
                (hood + 0.1, shelf),
                (hood - 0.08, shelf),
            ),
            metal,
        )
        s.box(hood - 0.08, top + 0.06, hood + 0.1, top + 0.25, metal)
    if s.chance(0.6):
        x = s.between(0.3, 0.8)
        s.line(((x, top - 0.04), (x, top - 0.13), (x + 0.06, top - 0.13)), 0.016, metal)
    if s.chance(0.3):
        indoors.table(s, s.between(0.3, 0.7), s.between(0.95, 1.05), 0.5, here.floor)


def living_room(s: Sheet) -> None:
    """A sofa by a low table on a rug, with a lamp or a picture."""
    here = indoors.room(s)
    indoors.hang_something(s, here)
    x, y = s.between(0.3, 0.7), s.between(0.7, 0.82)
    if s.chance(0.7):
        at = x + s.one_of(-1, 1) * s.between(0.34, 0.42)
        indoors.lamp(s, at, y, s.between(0.25, 0.42), here.wall)
    indoors.sofa(s, x, y, s.between(0.45, 0.7), here.wall)
    if s.chance(0.6):
        s.ellipse(x, y + 0.14, s.between(0.25, 0.4), 0.09, s.against(here.floor, 0.1, 0.3))
    if s.chance(0.75):
        at = x + s.between(-0.15, 0.15)
        indoors.table(s, at, y + s.between(0.14, 0.22), s.between(0.25, 0.42), here.floor)
    if s.chance(0.3):
        indoors.hanging_lamp(s, s.between(0.2, 0.8), s.between(0.05, 0.2), here.wall)


def office(s: Sheet) -> None:
    """Desks with screens and chairs under strip lights, perhaps with blinds or files behind."""
    here = indoors.room(s)
    if s.chance(0.6):
        strip = s.against(here.wall, 0.1, 0.3)
        s.cells(here.ceiling, 3, s.count(2, 3), strip, fill=(0.35, 0.4))
    if s.chance(0.5):
        blind = upright(here.x0 + 0.03, here.y0 + 0.03, here.x1 - 0.03, here.y0 + 0.22)
        s.cells(blind, 7, s.count(1, 3), s.against(here.wall, 0.15), fill=(0.92, 0.5))
    else:
        indoors.hang_something(s, here)
    n = s.one_of(1, 2, 2, 3)
    for k in range(n):
        x, wide = (k + s.between(0.4, 0.6)) / n, s.between(0.55, 0.75) / max(n, 1.5) * 1.5
        indoors.desk(s, x, s.between(0.78, 0.95), wide, here.floor)


def shop(s: Sheet) -> None:
    """An aisle between shelves full of goods, or a wall of them behind a counter."""
    here = indoors.room(s, deep=s.between(0.4, 0.65))
    wood, rows = s.against(here.wall, 0.12, 0.35), s.count(3, 5)
    aisle = s.chance(0.6)
    if aisle:
        goods = (s.count(5, 7), s.between(0.6, 0.85), s.between(0.4, 0.65))
        # A side wall leaves the picture about half way to the camera.
        for wall in (part_of(here.left, 0.4, 0.25, 1, 1), part_of(here.right, 0, 0.25, 0.6, 1)):
            indoors.shelves(s, wall, rows, wood, goods)
    else:
        goods = (s.count(7, 10), s.between(0.5, 0.8), s.between(0.4, 0.65))
        wall = upright(here.x0 - 0.2, here.y0 - 0.05, here.x1 + 0.2, here.y1)
        indoors.shelves(s, wall, rows, wood, goods)
        y = s.between(0.72, 0.8)
        indoors.block(s, (-0.1, y, s.between(0.6, 1.2), BOTTOM), 0.07, s.against(here.floor))
    if s.chance(0.5):
        s.cells(here.ceiling, 3, 2, s.against(here.wall, 0.1, 0.3), fill=(0.3, 0.4))
    if s.chance(0.4):
        x = s.between(0.4, 0.6)
        sign = s.against(here.wall, 0.2)
        s.box(x - 0.14, here.y0 - 0.12, x + 0.14, here.y0 - 0.03, sign)
    if aisle and s.chance(0.4):
        x, y = s.between(0.35, 0.65), s.between(0.7, 0.9)
        indoors.block(s, (x - 0.1, y, x + 0.1, y + 0.14), 0.05, s.against(here.floor))


SCENES: dict[str, Scene] = {
    scene.__name__: inside(scene) for scene in (bedroom, kitchen, living_room, office, shop)
}
