"""Scenes in the open that are not in the study, made of the same kinds of things."""

from __future__ import annotations

from transfer_lab.data.scenery import outdoors, town
from transfer_lab.data.scenery.clutter import outside
from transfer_lab.data.scenery.sheet import (
    BOTTOM,
    LEFT,
    RIGHT,
    Scene,
    Sheet,
    part_of,
    shade,
    upright,
)


def desert(s: Sheet) -> None:
    """Dunes with a lit and a dark side, perhaps a cactus."""
    behind, y = outdoors.sky(s), s.between(0.42, 0.6)
    sand = s.against(behind, 0.12, 0.35)
    for _ in range(s.count(2, 4)):
        x, high, half = s.between(0, 1), s.between(0.08, 0.22), s.between(0.4, 0.8)
        sand = shade(sand, s.between(-0.07, 0.07))
        foot = y + high
        s.box(LEFT, foot, RIGHT, BOTTOM, sand)
        s.polygon(
            ((x - half, foot), (x - 0.3 * half, foot - 0.6 * high), (x, y), (x + half, foot)), sand
        )
        bend = (x + 0.12, y + 0.5 * high)
        s.polygon(((x, y), bend, (x + 0.05, foot + 0.05), (x + half, foot)), shade(sand, -0.14))
        y += s.between(0.1, 0.2)
    for _ in range(s.one_of(0, 0, 1, 2)):
        x, y, high = s.between(0.1, 0.9), s.between(0.75, 0.95), s.between(0.15, 0.35)
        plant, wide = s.against(sand, 0.2), 0.16 * high
        s.line(((x, y), (x, y - high)), wide, plant)
        for side in (-1, 1):
            arm = x + side * 0.3 * high
            s.line(
                ((x, y - 0.4 * high), (arm, y - 0.4 * high), (arm, y - 0.75 * high)), wide, plant
            )


def harbour(s: Sheet) -> None:
    """Boats with bare masts side by side at a quay, houses or cranes behind."""
    air, quay = outdoors.sky(s), s.between(0.4, 0.55)
    for _ in range(s.count(0, 5)):
        if s.chance(0.7):
            town.house(s, s.between(0, 1), quay, s.between(0.15, 0.28), air)
        else:
            x, steel = s.between(0.1, 0.9), s.against(air, 0.25)
            s.line(((x, quay), (x, quay - 0.3), (x + 0.25, quay - 0.35)), 0.025, steel)
            s.line(((x + 0.22, quay - 0.34), (x + 0.22, quay - 0.15)), 0.01, steel)
    sea = outdoors.water(s, quay, BOTTOM, air)
    s.box(LEFT, quay, RIGHT, quay + s.between(0.03, 0.07), s.against(sea, 0.15))
    for y in sorted(s.between(quay + 0.1, 0.9) for _ in range(s.count(3, 6))):
        long = 0.14 + 0.3 * (y - quay)
        outdoors.boat(s, s.between(0, 1), y, long, sea, sail=False)


def canyon(s: Sheet) -> None:
    """Layered cliffs on both sides of a gap, with a river or a path at the bottom."""
    air, bottom = outdoors.sky(s), s.between(0.6, 0.8)
    middle, floor = s.between(0.4, 0.6), outdoors.ground(s, bottom, air)
    if s.chance(0.6):
        s.polygon(
            ((middle, bottom), (middle + 0.3, BOTTOM), (middle - 0.3, BOTTOM)), s.against(floor)
        )
    for side in (-1, 1):
        rock, top = s.against(air, 0.15), s.between(0.05, 0.3)
        inner, step = s.between(0.05, 0.16), s.between(0.06, 0.14)
        for k in range(5):
            y = top + k * (1.05 - top) / 5
            edge = middle + side * (inner + step * (5 - k) * 0.5 + s.between(-0.02, 0.03))
            low = y + (1.1 - top) / 5
            out = middle + side * 1.2
            tone = shade(rock, (0.08, -0.07, 0.03, -0.1, 0)[k])
            s.polygon(((out, y), (edge, y), (edge - side * 0.03, low), (out, low)), tone)


def island(s: Sheet) -> None:
    """An island with palms alone in the water."""
    air, horizon = outdoors.sky(s), s.between(0.4, 0.55)
    sea = outdoors.water(s, horizon, BOTTOM, air)
    x, y = s.between(0.3, 0.7), horizon + s.between(0.08, 0.22)
    half, land = s.between(0.22, 0.4), s.against(sea, 0.18)
    s.ellipse(x, y, half, half * s.between(0.18, 0.3), land)
    if s.chance(0.4):
        s.ellipse(x, y - 0.04, 0.6 * half, 0.3 * half, shade(land, -0.1))
    leaf = s.against(air, 0.2)
    for _ in range(s.count(1, 4)):
        at = x + s.between(-0.6, 0.6) * half
        outdoors.tree(s, at, y, s.between(0.25, 0.45), leaf, "palm")


def waterfall(s: Sheet) -> None:
    """Water that falls over a cliff into a pool."""
    air, brink, pool = outdoors.sky(s), s.between(0.1, 0.3), s.between(0.65, 0.82)
    rock = s.against(air, 0.12, 0.35)
    outdoors.ridge(s, outdoors.skyline(s, brink + 0.05, 0.1, 3, rough=1), rock)
    for _ in range(s.count(3, 8)):
        x, y = s.between(0, 1), s.between(brink, pool)
        s.line(((x, y), (x + s.between(-0.05, 0.05), y + 0.15)), 0.015, shade(rock, -0.1))
    fall = s.against(rock, 0.25)
    sea = outdoors.water(s, pool, BOTTOM, rock)
    for _ in range(s.one_of(1, 1, 2)):
        x, half = s.between(0.2, 0.8), s.between(0.05, 0.14)
        foot = ((x + 1.4 * half, pool + 0.02), (x - 1.4 * half, pool + 0.02))
        s.polygon(((x - half, brink), (x + half, brink), *foot), fall)
        for share in (-0.5, 0.1, 0.6):
            at = x + share * half
            s.line(((at, brink), (at + 0.3 * share * half, pool)), 0.012, shade(fall, -0.12))
        s.ellipse(x, pool + 0.02, 1.9 * half, 0.05, shade(sea, 0.2))
    for side in s.one_of((), (0.05,), (0.95,), (0.02, 0.98)):
        outdoors.tree(s, side, pool + 0.2, s.between(0.3, 0.6), s.against(rock, 0.12))


def vineyard(s: Sheet) -> None:
    """Rows of vines that meet at the horizon."""
    air, to = outdoors.sky(s), (s.between(0.1, 0.9), s.between(0.32, 0.5))
    if s.chance(0.6):
        far = outdoors.skyline(s, to[1] + 0.02, s.between(0.06, 0.15), 2, rough=0)
        outdoors.ridge(s, far, s.against(air, 0.08, 0.25))
    soil = outdoors.ground(s, to[1], air)
    leaf, gap, n = s.against(soil, 0.15), s.between(0.28, 0.45), 7
    outdoors.rows_to(s, to, -n, n + 1, gap, shade(leaf, -0.06))
    for k in range(-n, n + 1):
        near = s.between(0.12, 0.2)
        while near < 0.9:
            x, y = to[0] + k * gap * near, to[1] + (BOTTOM - to[1]) * near
            if -0.2 < x < 1.2:
                r = 0.3 * gap * near
                s.ellipse(x, y - 0.5 * r, r, r, leaf)
            near *= 1.5
    if s.chance(0.3):
        town.house(s, s.between(0.1, 0.9), to[1] + 0.02, s.between(0.1, 0.2), air)


def runway(s: Sheet) -> None:
    """A runway with its marks, an aircraft on it or over it, a terminal far away."""
    air, to = outdoors.sky(s), (s.between(0.35, 0.65), s.between(0.42, 0.56))
    if s.chance(0.6):
        x = s.between(0, 0.6)
        hall = upright(x, to[1] - s.between(0.05, 0.1), x + 0.4, to[1])
        town.facade(s, hall, air, 1, 6)
    land = outdoors.ground(s, to[1], air)
    tar, half = s.against(land, 0.15), s.between(0.4, 0.7)
    strip = outdoors.lane(s, to, to[0] - half, to[0] + half, tar)
    paint = s.against(tar, 0.3)
    s.cells(part_of(strip, 0.08, 0.5, 0.92, 0.66), 1, s.count(6, 8), paint, fill=(0.55, 1))
    outdoors.dashes(s, strip, 0.5, paint)
    x, y = s.one_of((to[0], to[1] + 0.06), (s.between(0.2, 0.8), s.between(0.12, 0.35)))
    span, hull = s.between(0.25, 0.5), s.against(air, 0.25)
    s.polygon(
        ((x - span / 2, y - 0.03), (x, y - 0.01), (x + span / 2, y - 0.03), (x, y + 0.03)), hull
    )
    s.ellipse(x, y, 0.09 * span, 0.09 * span, hull)
    s.polygon(((x, y - 0.28 * span), (x + 0.03, y), (x - 0.03, y)), shade(hull, -0.1))
    s.line(((x - 0.15 * span, y - 0.2 * span), (x + 0.15 * span, y - 0.2 * span)), 0.016, hull)


def castle(s: Sheet) -> None:
    """Battlements and round or pointed towers with a gate, on a hill."""
    air, foot = outdoors.sky(s), s.between(0.65, 0.8)
    stone, x0, x1 = s.against(air, 0.18), s.between(0.02, 0.25), s.between(0.75, 0.98)
    top = foot - s.between(0.18, 0.28)
    town.battlements(s, x0, x1, top, foot + 0.1, stone)
    for x in (x0, x1, *s.one_of((), (s.between(0.35, 0.65),))):
        half, high = s.between(0.05, 0.09), top - s.between(0.08, 0.25)
        dark = shade(stone, s.between(-0.08, 0.08))
        town.battlements(s, x - half, x + half, high, foot + 0.1, dark)
        if s.chance(0.4):
            s.polygon(
                ((x - 1.2 * half, high), (x, high - 2.5 * half), (x + 1.2 * half, high)),
                s.against(air, 0.2),
            )
        s.box(x - 0.012, high + 0.06, x + 0.012, high + 0.13, shade(stone, -0.25))
    gate, half = s.between(0.4, 0.6), s.between(0.04, 0.07)
    dark = s.against(stone, 0.25)
    s.box(gate - half, foot - 0.08, gate + half, foot + 0.1, dark)
    s.ellipse(gate, foot - 0.08, half, half, dark)
    outdoors.meadow(s, foot + 0.06, stone)


def lighthouse(s: Sheet) -> None:
    """A striped tower with its lantern on a rock in the sea."""
    air, horizon = outdoors.sky(s), s.between(0.55, 0.75)
    sea = outdoors.water(s, horizon, BOTTOM, air)
    x, half, top = s.between(0.2, 0.8), s.between(0.05, 0.09), s.between(0.1, 0.25)
    foot, rock = horizon + s.between(0, 0.08), s.against(sea, 0.15)
    wide = s.between(0.2, 0.5)
    s.polygon(
        (
            (x - wide, foot + 0.12),
            (x - 0.6 * wide, foot),
            (x + 0.5 * wide, foot - 0.02),
            (x + wide, foot + 0.12),
        ),
        rock,
    )
    wall = s.against(air, 0.2)
    quad = ((x - 0.65 * half, top), (x + 0.65 * half, top), (x + half, foot), (x - half, foot))
    s.polygon(quad, wall)
    if s.chance(0.75):
        s.cells(quad, s.count(2, 4), 1, s.against(wall, 0.25), fill=(1, 0.5))
    s.box(x - 0.8 * half, top - 0.02, x + 0.8 * half, top, shade(wall, -0.2))
    s.box(x - 0.4 * half, top - 0.09, x + 0.4 * half, top - 0.02, s.against(wall, 0.25))
    s.polygon(((x - 0.6 * half, top - 0.09), (x, top - 0.14), (x + 0.6 * half, top - 0.09)), wall)


def windmills(s: Sheet) -> None:
    """Wind turbines or old mills on low hills."""
    air, y = outdoors.sky(s), s.between(0.6, 0.8)
    land = outdoors.meadow(s, y, air)
    blade, old = s.against(air, 0.25), s.chance(0.4)
    for _ in range(s.one_of(1, 2, 3, 4)):
        x, high = s.between(0.08, 0.92), s.between(0.25, 0.5)
        foot, half = y + s.between(0, 0.08), high * (0.16 if old else 0.03)
        hub = foot - high
        s.polygon(
            ((x - 0.6 * half, hub), (x + 0.6 * half, hub), (x + half, foot), (x - half, foot)),
            blade,
        )
        tone = shade(blade, -0.15) if old else blade
        town.rotor(s, x, hub, high * s.between(0.5, 0.7), 4 if old else 3, tone)
    if s.chance(0.3):
        outdoors.fence(s, s.between(0.9, 1), 0.12, s.against(land))


def camp(s: Sheet) -> None:
    """Tents between trees, perhaps a fire."""
    air, foot = outdoors.sky(s), s.between(0.5, 0.68)
    land = outdoors.ground(s, foot, air)
    for _ in range(s.count(2, 8)):
        outdoors.tree(s, s.between(0, 1), foot + 0.04, s.between(0.2, 0.5), s.against(air, 0.12))
    for y in sorted(s.between(foot + 0.08, 0.92) for _ in range(s.count(1, 4))):
        x, half = s.between(0.1, 0.9), 0.08 + 0.35 * (y - foot)
        cloth, high = s.against(land, 0.2), half * s.between(0.9, 1.3)
        back = s.one_of(-1, 1) * half
        roof = (
            (x, y - high),
            (x + back, y - 1.05 * high),
            (x + 1.9 * back, y - 0.12),
            (x + back, y),
        )
        s.polygon(roof, shade(cloth, -0.12))
        s.polygon(((x - half, y), (x, y - high), (x + half, y)), cloth)
        s.polygon(
            ((x - 0.3 * half, y), (x, y - 0.8 * high), (x + 0.3 * half, y)), shade(cloth, -0.3)
        )
    if s.chance(0.3):
        x, y = s.between(0.2, 0.8), s.between(0.85, 0.98)
        s.polygon(((x - 0.05, y), (x, y - 0.12), (x + 0.05, y)), s.against(land, 0.3))


SCENES: dict[str, Scene] = {
    scene.__name__: outside(scene)
    for scene in (
        desert,
        harbour,
        canyon,
        island,
        waterfall,
        vineyard,
        runway,
        castle,
        lighthouse,
        windmills,
        camp,
    )
}
