"""The study's scenes in the open, each a composition of things outdoors and in town."""

from __future__ import annotations

from transfer_lab.data.scenery import outdoors, town
from transfer_lab.data.scenery.clutter import outside
from transfer_lab.data.scenery.sheet import BOTTOM, LEFT, RIGHT, Scene, Sheet, part_of, shade


def coast(s: Sheet) -> None:
    """Sea up to a level horizon, a slanting beach with surf, perhaps a headland or a sail."""
    air, horizon = outdoors.sky(s), s.between(0.3, 0.55)
    if s.chance(0.5):
        high, reach = s.between(0.06, 0.2), s.between(0.25, 0.7)
        head = s.against(air, 0.1, 0.3)
        s.polygon(
            (
                (LEFT, horizon - high),
                (0.4 * reach, horizon - 0.7 * high),
                (reach, horizon),
                (LEFT, horizon),
            ),
            head,
        )
    sea = outdoors.water(s, horizon, BOTTOM, air)
    if s.chance(0.3):
        where = (s.between(0.3, 0.8), horizon + s.between(0.02, 0.1))
        outdoors.boat(s, *where, s.between(0.08, 0.18), sea, sail=True)
    low, high = s.between(0.85, 1.05), s.between(0.62, 0.8)
    bends = [
        (LEFT + 0.2 * k, low + (high - low) * k / 8 + s.between(-0.03, 0.03)) for k in range(9)
    ]
    foam = shade(sea, 0.25) if max(sea) < 180 else shade(sea, -0.2)
    for back in (0.14, 0.07):
        s.line([(x, y - back * s.between(0.7, 1.2)) for x, y in bends], 0.012, foam)
    s.polygon([*bends, (RIGHT, BOTTOM), (LEFT, BOTTOM)], s.against(sea, 0.15))
    s.line(bends, 0.03, foam)


def mountain(s: Sheet) -> None:
    """Steep peaks with lit and dark sides over lower ground, which may be a lake or a wood."""
    air, foot = outdoors.sky(s), s.between(0.6, 0.85)
    if s.chance(0.6):
        far = outdoors.skyline(s, foot, s.between(0.25, 0.4), s.count(2, 4), rough=1)
        outdoors.ridge(s, far, s.against(air, 0.06, 0.15))
    rock = s.against(air, 0.15)
    for _ in range(s.count(1, 3)):
        outdoors.peak(s, s.between(0, 1), foot + 0.05, s.between(0.35, 0.65), rock)
    if s.chance(0.25):
        outdoors.water(s, foot, BOTTOM, rock)
        return
    near = outdoors.meadow(s, foot + 0.05, rock)
    leaf = s.against(near, 0.12)
    for _ in range(s.one_of(0, 0, 3, 7)):
        x, y = s.between(0, 1), s.between(foot, 1)
        outdoors.tree(s, x, y + 0.05, s.between(0.08, 0.2), leaf, "conifer")


def forest(s: Sheet) -> None:
    """Many trunks, near ones wider, under leaves that leave little of the sky."""
    back = s.colour(0.2, 0.85)
    s.box(LEFT, LEFT, RIGHT, BOTTOM, back)
    floor = outdoors.ground(s, s.between(0.6, 0.85), back)
    bark = s.against(back, 0.2)
    for near in sorted(s.between(0, 1) for _ in range(s.count(7, 14))):
        x, foot, lean = s.between(-0.1, 1.1), 0.7 + 0.35 * near, s.between(-0.06, 0.06)
        tone = shade(bark, 0.12 * (near - 0.5))
        s.line(((x, foot), (x + lean, LEFT)), 0.015 + 0.06 * near * near, tone)
        if s.chance(0.4):
            tip = (x + s.between(-0.25, 0.25), s.between(0, 0.35))
            s.line(((x + lean * 0.3, s.between(0.3, 0.5)), tip), 0.012 + 0.015 * near, tone)
    leaf = s.against(back, 0.1, 0.3)
    for _ in range(s.count(6, 14)):
        r = s.between(0.06, 0.16)
        x, y = s.between(0, 1), s.between(-0.1, 0.28)
        s.ellipse(x, y, r * 1.2, r * 0.8, shade(leaf, s.between(-0.08, 0.08)))
    for _ in range(s.count(0, 4)):
        s.ellipse(s.between(0, 1), s.between(0.85, 1.05), 0.15, 0.08, s.against(floor, 0.1, 0.2))


def highway(s: Sheet) -> None:
    """A wide road of several lanes over open land to the horizon, with traffic and a gantry."""
    to = (s.between(0.3, 0.7), s.between(0.35, 0.52))
    air = outdoors.sky(s)
    if s.chance(0.5):
        far = outdoors.skyline(s, to[1], s.between(0.04, 0.12), s.count(2, 3), rough=0)
        outdoors.ridge(s, far, s.against(air, 0.08, 0.2))
    land = outdoors.ground(s, to[1], air)
    if s.chance(0.4):
        for _ in range(s.count(2, 5)):
            x = to[0] + s.one_of(-1, 1) * s.between(0.2, 0.5)
            outdoors.tree(s, x, to[1] + 0.05, s.between(0.08, 0.2), s.against(land, 0.12))
    tar, half = s.against(land, 0.18), s.between(0.75, 1.25)
    middle = to[0] + s.between(-0.15, 0.15)
    road = outdoors.lane(s, to, middle - half, middle + half, tar)
    paint, lanes = s.against(tar, 0.25), s.count(3, 5)
    for k in range(1, lanes):
        outdoors.dashes(s, road, k / lanes, paint)
    for edge in (0.02, 0.98):
        outdoors.dashes(s, road, edge, paint, solid=True)
    if s.chance(0.3):
        steel, up = s.against(air, 0.25), s.between(0.14, 0.26)
        s.box(to[0] - 0.3, to[1] - up, to[0] + 0.3, to[1] - up + 0.02, steel)
        s.line(((to[0] - 0.3, to[1] - up), (to[0] - 0.3, to[1] + 0.12)), 0.02, steel)
        s.line(((to[0] + 0.3, to[1] - up), (to[0] + 0.3, to[1] + 0.12)), 0.02, steel)
        s.box(to[0] - 0.12, to[1] - up - 0.02, to[0] + 0.16, to[1] - up + 0.08, steel)
    for near in sorted(s.between(0.12, 0.75) for _ in range(s.count(0, 4))):
        x, y = part_of(road, (s.count(1, lanes) - 0.5) / lanes, near, 1, 1)[0]
        outdoors.car(s, x, y, 2 * half / lanes * near * 0.75, tar)


def street(s: Sheet) -> None:
    """Rows of houses on both sides that run to a vanishing point, with pavements and lamps."""
    air, to = outdoors.sky(s), (s.between(0.35, 0.65), s.between(0.45, 0.6))
    tar = outdoors.ground(s, to[1], air)
    pavement = s.against(tar, 0.1, 0.3)
    s.polygon((to, (RIGHT, 0.95), (RIGHT, BOTTOM), (LEFT, BOTTOM), (LEFT, 0.95)), pavement)
    half = s.between(0.35, 0.6)
    road = outdoors.lane(s, to, to[0] - half, to[0] + half, tar)
    if s.chance(0.5):
        outdoors.dashes(s, road, 0.5, s.against(tar))
    for side in (-1, 1):
        near, height = 1.0, s.between(0.5, 0.95)
        while near > 0.12:
            far = near * s.between(0.5, 0.72)
            top = height * s.between(0.75, 1.2)
            x0, x1 = to[0] + side * 0.75 * near, to[0] + side * 0.75 * far
            y0, y1 = to[1] - top * near, to[1] + 0.35 * near
            wall = outdoors.panel(x0, x1, y0, y1, to)
            town.facade(s, wall, air, s.count(3, 5), s.count(2, 4) if near > 0.4 else 2)
            near = far
    if s.chance(0.5):
        side = s.one_of(-1, 1)
        for near in (0.3, 0.55, 1.0):
            x, y = to[0] + 0.62 * side * near, to[1] + 0.4 * near
            town.lamp_post(s, x, y, 0.7 * near, -0.15 * side * near, s.against(air, 0.3))
    for near in sorted(s.between(0.2, 0.8) for _ in range(s.count(0, 3))):
        x, y = part_of(road, s.one_of(0.2, 0.8), near, 1, 1)[0]
        outdoors.car(s, x, y, 0.5 * half * near, tar)


def tall_building(s: Sheet) -> None:
    """One to three towers that fill the height of the picture, others behind them."""
    air, foot = outdoors.sky(s), s.between(0.85, 1.15)
    for _ in range(s.count(0, 4)):
        x, wide = s.between(-0.1, 1), s.between(0.1, 0.2)
        s.box(x, s.between(0.45, 0.75), x + wide, BOTTOM, s.against(air, 0.08, 0.2))
    if s.chance(0.6):
        outdoors.ground(s, foot, air)
    n = s.one_of(1, 1, 2, 3)
    for k in range(n):
        middle = (k + s.between(0.3, 0.7)) / n
        half = s.between(0.12, 0.22) if n == 1 else s.between(0.1, 0.17)
        town.tower(s, middle - half, middle + half, s.between(-0.1, 0.25), foot, air)
    for _ in range(s.one_of(0, 0, 2, 4)):
        outdoors.tree(s, s.between(0, 1), foot + 0.05, s.between(0.12, 0.25), s.against(air, 0.2))


def open_country(s: Sheet) -> None:
    """Fields and low rolling hills under a wide sky, with a few trees, a fence or a farm."""
    behind, y = outdoors.sky(s), s.between(0.4, 0.6)
    for _ in range(s.count(2, 4)):
        top = outdoors.skyline(s, y + 0.05, s.between(0.04, 0.13), s.count(1, 3), rough=0)
        behind = s.against(behind, 0.06, 0.25)
        outdoors.ridge(s, top, behind)
        y += s.between(0.08, 0.2)
        for _ in range(s.one_of(0, 1, 2, 4)):
            leaf = s.against(behind, 0.1, 0.3)
            outdoors.tree(s, s.between(0, 1), y, s.between(0.05, 0.16), leaf)
    if s.chance(0.3):
        to = (s.between(0.2, 0.8), y - 0.1)
        outdoors.rows_to(s, to, -5, 6, s.between(0.2, 0.35), shade(behind, 0.08))
    if s.chance(0.2):
        town.house(s, s.between(0.1, 0.9), y, s.between(0.1, 0.18), behind)
    if s.chance(0.35):
        outdoors.fence(s, s.between(0.8, 1), s.between(0.1, 0.18), s.against(behind))


def suburb(s: Sheet) -> None:
    """Houses with pitched roofs side by side behind lawns, hedges and a drive."""
    air, foot = outdoors.sky(s), s.between(0.62, 0.78)
    if s.chance(0.5):
        for _ in range(s.count(2, 5)):
            outdoors.tree(s, s.between(0, 1), foot, s.between(0.3, 0.5), s.against(air, 0.12, 0.3))
    lawn = outdoors.ground(s, foot - 0.04, air)
    n = s.one_of(1, 2, 2, 3)
    for k in range(n):
        x, wide = (k + s.between(0.4, 0.6)) / n, s.between(0.7, 0.9) / max(n, 1.4)
        town.house(s, x, foot + s.between(-0.02, 0.02), wide, air)
    if s.chance(0.6):
        x, half = s.between(0.2, 0.8), s.between(0.03, 0.07)
        lower = ((x + 4 * half, BOTTOM), (x - 3 * half, BOTTOM))
        s.polygon(((x - half, foot), (x + half, foot), *lower), s.against(lawn, 0.12))
    if s.chance(0.5):
        outdoors.fence(s, s.between(0.85, 1), s.between(0.1, 0.16), s.against(lawn))
    for _ in range(s.count(0, 3)):
        r = s.between(0.04, 0.09)
        s.ellipse(s.between(0, 1), foot + s.between(0.02, 0.2), 1.4 * r, r, s.against(lawn, 0.1))


def industry(s: Sheet) -> None:
    """Chimneys, sheds and tanks along level ground."""
    air, foot = outdoors.sky(s), s.between(0.68, 0.9)
    for _ in range(s.count(1, 3)):
        town.chimney(s, s.between(0.05, 0.9), foot, s.between(0.35, 0.65), air)
    if s.chance(0.85):
        x = s.between(-0.2, 0.35)
        town.works(s, x, x + s.between(0.5, 0.9), foot, air)
    for _ in range(s.count(0, 3)):
        town.tank(s, s.between(0.05, 0.95), foot + 0.02, s.between(0.12, 0.24), air)
    yard = outdoors.ground(s, foot, air)
    if s.chance(0.35):
        outdoors.fence(s, s.between(0.9, 1), s.between(0.1, 0.18), s.against(yard))


def bridge(s: Sheet) -> None:
    """A bridge over water from side to side, hung from masts or on arches."""
    air, deck = outdoors.sky(s), s.between(0.42, 0.58)
    shore = deck + s.between(0.08, 0.16)
    if s.chance(0.6):
        top = outdoors.skyline(s, shore, s.between(0.05, 0.15), s.count(2, 4), rough=0)
        outdoors.ridge(s, top, s.against(air, 0.08, 0.2))
    sea = outdoors.water(s, shore, BOTTOM, air)
    steel = s.against(air, 0.28)
    if s.chance(0.55):
        first, gap = s.between(0.1, 0.35), s.between(0.4, 0.65)
        town.cables(s, [first, first + gap], deck - s.between(0.25, 0.38), deck, steel)
    else:
        start, wide = LEFT + s.between(-0.1, 0.1), s.between(1.5, 1.8)
        foot = shore + s.between(0.05, 0.12)
        town.arches(s, start, start + wide, deck, foot, s.count(4, 7), (steel, shade(sea, 0.03)))
    s.box(LEFT, deck, RIGHT, deck + s.between(0.03, 0.06), steel)
    if s.chance(0.3):
        outdoors.boat(s, s.between(0.1, 0.9), s.between(0.75, 0.9), 0.15, sea, sail=s.chance(0.5))


def railway(s: Sheet) -> None:
    """Rails on sleepers to a vanishing point, between masts with wires, perhaps a platform."""
    air, to = outdoors.sky(s), (s.between(0.3, 0.7), s.between(0.38, 0.52))
    land = outdoors.ground(s, to[1], air)
    if s.chance(0.5):
        far = outdoors.skyline(s, to[1] + 0.02, s.between(0.05, 0.12), s.count(2, 4), rough=0)
        s.polygon([*far, (RIGHT, to[1] + 0.02), (LEFT, to[1] + 0.02)], s.against(air, 0.1, 0.2))
    if s.chance(0.4):
        side = s.one_of(-1, 1)
        stone = outdoors.panel(to[0] + 1.2 * side, to[0] + 0.1 * side, 0.9, 1.2, to)
        s.polygon(stone, s.against(land, 0.12))
    bed, steel = s.against(land, 0.12, 0.3), s.colour()
    for shift in s.one_of((0,), (-0.5, 0.5), (-0.1, 0.9)):
        foot = to[0] + shift * s.between(1.2, 1.6)
        track = outdoors.lane(s, to, foot - 0.55, foot + 0.55, bed)
        steel, edge = s.against(bed, 0.3), 0.07
        while edge < 1:
            s.polygon(part_of(track, 0.12, edge, 0.88, edge * 1.13), shade(steel, 0.1))
            edge *= 1.32
        for rail in (0.27, 0.73):
            s.polygon(part_of(track, rail - 0.025, 0, rail + 0.025, 1), steel)
    if s.chance(0.75):
        for side in s.one_of((-0.75,), (0.75,), (-0.8, 0.8)):
            town.wires(s, to, side, s.against(air, 0.3))


SCENES: dict[str, Scene] = {
    scene.__name__: outside(scene)
    for scene in (
        coast,
        mountain,
        forest,
        highway,
        street,
        tall_building,
        open_country,
        suburb,
        industry,
        bridge,
        railway,
    )
}
