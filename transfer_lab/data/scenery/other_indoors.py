"""Scenes in a room that are not in the study, made of the same kinds of things."""

from __future__ import annotations

from transfer_lab.data.scenery import indoors
from transfer_lab.data.scenery.clutter import inside
from transfer_lab.data.scenery.sheet import LEFT, RIGHT, TOP, Scene, Sheet, part_of, shade, upright


def corridor(s: Sheet) -> None:
    """A long corridor with doors on both sides and lights along the ceiling."""
    here = indoors.room(s, deep=s.between(0.6, 0.78))
    doors, n = s.against(here.wall, 0.12, 0.35), s.count(2, 3)
    for side in (here.left, here.right):
        s.cells(part_of(side, 0, 0.3, 1, 1), 1, n, doors, fill=(0.5, 1))
    s.cells(here.ceiling, 4, 1, s.against(here.wall, 0.15, 0.4), fill=(0.25, 0.5))
    if s.chance(0.5):
        s.cells(here.ground, 5, 4, shade(here.floor, s.one_of(-0.08, 0.08)), fill=0.85)
    middle = (here.x0 + here.x1) / 2
    s.box(middle - 0.04, here.y0 + 0.05, middle + 0.04, here.y1, s.against(here.wall))


def bathroom(s: Sheet) -> None:
    """Tiled walls, a basin below a mirror, a bath."""
    here = indoors.room(s)
    tile = shade(here.wall, s.one_of(-0.1, 0.1))
    back = upright(here.x0, here.y0, here.x1, here.y1)
    s.cells(back, s.count(5, 7), s.count(6, 8), tile, fill=0.8)
    white, x = s.against(here.wall, 0.2), s.between(0.25, 0.45)
    s.ellipse(x, 0.32, 0.09, s.between(0.08, 0.13), s.against(tile, 0.2))
    s.line(((x, 0.6), (x, 0.8)), 0.05, shade(white, -0.1))
    s.polygon(((x - 0.12, 0.55), (x + 0.12, 0.55), (x + 0.06, 0.66), (x - 0.06, 0.66)), white)
    s.line(((x, 0.55), (x, 0.48), (x + 0.04, 0.48)), 0.016, s.against(tile, 0.25))
    y, x1 = s.between(0.7, 0.78), s.between(0.55, 0.68)
    bath = s.against(here.floor, 0.2)
    indoors.block(s, (x1, y, x1 + 0.6, y + 0.24), 0.08, bath)
    s.ellipse(x1 + 0.3, y - 0.04, 0.22, 0.03, shade(bath, -0.2))


def classroom(s: Sheet) -> None:
    """A board on the wall before rows of tables and chairs."""
    here = indoors.room(s)
    board, inset = s.against(here.wall, 0.2), s.between(0.03, 0.1)
    box = (here.x0 + inset, here.y0 + 0.06, here.x1 - inset, here.y0 + s.between(0.22, 0.32))
    s.box(*box, board)
    chalk = s.against(board, 0.2)
    for k in range(s.count(0, 3)):
        y, x = box[1] + 0.04 + 0.05 * k, box[0] + 0.04
        s.line(((x, y), (x + s.between(0.1, 0.25), y)), 0.01, chalk)
    seat = s.against(here.floor, 0.2)
    for row in range(s.count(2, 3)):
        y, wide, n = 0.68 + 0.15 * row, 0.16 + 0.06 * row, 4 - (row > 0)
        for k in range(n):
            x = 0.5 + (k - (n - 1) / 2) * wide * 1.5
            indoors.table(s, x, y, wide, here.floor)
            indoors.chair(s, x, y + 0.05, 0.6 * wide, seat)


def library(s: Sheet) -> None:
    """Walls of upright books, a table or a ladder before them."""
    here = indoors.room(s, deep=s.between(0, 0.3))
    wood, rows = s.against(here.wall, 0.12, 0.35), s.count(4, 6)
    wall = upright(here.x0, TOP + 0.25, here.x1, here.y1)
    indoors.shelves(s, wall, rows, wood, (s.count(11, 15), s.between(0.75, 0.95), 0.74))
    for side in s.one_of((here.left,), (here.right,), (here.left, here.right)):
        indoors.shelves(s, part_of(side, 0, 0.1, 1, 1), rows, wood, (s.count(6, 9), 0.8, 0.74))
    if s.chance(0.5):
        indoors.table(s, s.between(0.3, 0.7), s.between(0.9, 1), s.between(0.4, 0.6), here.floor)
    if s.chance(0.5):
        x, rail = s.between(0.2, 0.8), s.against(wood, 0.25)
        for shift in (0, 0.1):
            s.line(((x + shift, 0.85), (x + shift + 0.08, 0.1)), 0.018, rail)
        for k in range(6):
            y = 0.2 + 0.11 * k
            left = x + 0.08 * (0.85 - y) / 0.75
            s.line(((left, y), (left + 0.1, y)), 0.015, rail)


def cathedral(s: Sheet) -> None:
    """A nave: pillars with arches on both sides towards a tall or round window."""
    here = indoors.room(s, deep=s.between(0.45, 0.6))
    stone, hollow = s.against(here.wall, 0.1, 0.2), s.against(here.wall, 0.22)
    for side in (here.left, here.right):
        n = s.count(3, 4)
        for k in range(n):
            bay = part_of(side, k / n + 0.05, 0.3, (k + 1) / n - 0.05, 1)
            (ax, ay), (bx, by), lower_right, lower_left = bay
            rise = 0.16 * (lower_left[1] - ay)
            tip = ((ax + bx) / 2, (ay + by) / 2 - rise)
            s.polygon(((ax, ay), tip, (bx, by), lower_right, lower_left), hollow)
    middle, half = (here.x0 + here.x1) / 2, (here.x1 - here.x0) / 2
    apex = (middle, here.y0 - 0.5 * half)
    s.polygon(((here.x0, here.y0), apex, (here.x1, here.y0)), stone)
    for corner in ((LEFT, TOP), (RIGHT, TOP), (middle, TOP)):
        s.line((apex, corner), 0.025, stone)
    glass, y = s.against(here.wall, 0.25), here.y0 + 0.45 * half
    if s.chance(0.5):
        s.ellipse(middle, y, 0.55 * half, 0.55 * half, glass)
    else:
        panes = upright(middle - 0.6 * half, here.y0, middle + 0.6 * half, here.y1 - 0.3 * half)
        s.cells(panes, 1, 3, glass, fill=(0.6, 0.9))
    bench = s.against(here.floor, 0.15)
    for block in (part_of(here.ground, 0.05, 0.1, 0.4, 1), part_of(here.ground, 0.6, 0.1, 0.95, 1)):
        s.cells(block, s.count(4, 6), 1, bench, fill=(1, 0.5))


SCENES: dict[str, Scene] = {
    scene.__name__: inside(scene) for scene in (corridor, bathroom, classroom, library, cathedral)
}
