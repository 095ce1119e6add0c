"""What people build: houses, towers, works, bridges, lamps, each drawn on a sheet."""

from __future__ import annotations

import math

from transfer_lab.data.scenery.outdoors import front
from transfer_lab.data.scenery.sheet import Colour, Point, Sheet, shade, upright


def tower(s: Sheet, x0: float, x1: float, top: float, foot: float, behind: Colour) -> None:
    """A block with many floors of windows, from below or straight on."""
    wall = s.against(behind, 0.15, 0.45)
    lean = (x1 - x0) * s.between(0, 0.12)
    quad = ((x0 + lean, top), (x1 - lean, top), (x1, foot), (x0, foot))
    s.polygon(quad, wall)
    rows, columns = s.count(7, 12), s.count(3, 5)
    style, glass = s.one_of("windows", "bands", "piers"), s.against(wall, 0.15)
    if style == "windows":
        s.cells(quad, rows, columns, glass, fill=(0.6, 0.5), keep=s.one_of(1.0, 0.75))
    elif style == "bands":
        s.cells(quad, rows, 1, glass, fill=(0.88, 0.45))
    else:
        s.cells(quad, 3, columns, glass, fill=(0.5, 0.94))
    if s.chance(0.4):
        middle = (x0 + x1) / 2
        s.line(((middle, top), (middle, top - s.between(0.04, 0.15))), 0.012, wall)


def facade(s: Sheet, quad, behind: Colour, rows: int, columns: int) -> None:
    """A wall with windows and a door or shop front below, in any perspective."""
    wall = s.against(behind, 0.1, 0.4)
    s.polygon(quad, wall)
    keep = s.one_of(1.0, 0.85)
    s.cells(quad, rows, columns, s.against(wall, 0.15), fill=(0.5, 0.55), keep=keep)


def house(s: Sheet, x: float, y: float, wide: float, behind: Colour) -> None:
    """A house with a pitched roof, its foot at y."""
    high, roof_high = wide * s.between(0.38, 0.55), wide * s.between(0.28, 0.45)
    x0, x1, eaves = x - wide / 2, x + wide / 2, y - high
    wall = front(s, x0, eaves, x1, y, behind)
    roof, out = s.against(behind, 0.2), 0.08 * wide
    ridge_at = s.one_of((x, x), (x - 0.3 * wide, x + 0.3 * wide))
    peak = eaves - roof_high
    s.polygon(
        ((x0 - out, eaves), (ridge_at[0], peak), (ridge_at[1], peak), (x1 + out, eaves)), roof
    )
    if s.chance(0.5):
        at = x + s.one_of(-0.25, 0.25) * wide
        s.box(at, peak - 0.04 * wide, at + 0.09 * wide, peak + 0.25 * roof_high, shade(roof, -0.1))
    glass = s.against(wall, 0.2)
    door = s.one_of(0.2, 0.5, 0.8)
    for share in (0.2, 0.5, 0.8):
        middle, half = x0 + share * wide, 0.08 * wide
        low = y if share == door else y - 0.35 * high
        s.box(middle - half, eaves + 0.25 * high, middle + half, low, glass)


def lamp_post(s: Sheet, x: float, y: float, high: float, reach: float, colour: Colour) -> None:
    """A street lamp that reaches over the road."""
    path = ((x, y), (x, y - high), (x + reach, y - high - 0.02))
    s.line(path, 0.02 * max(high, 0.3), colour)
    s.ellipse(x + reach, y - high - 0.01, 0.08 * high, 0.035 * high, colour)


def chimney(s: Sheet, x: float, y: float, high: float, behind: Colour) -> None:
    """A works chimney with its smoke."""
    brick, half = s.against(behind, 0.2), high * s.between(0.05, 0.09)
    top, drift = y - high, s.between(0.03, 0.12)
    s.polygon(((x - 0.65 * half, top), (x + 0.65 * half, top), (x + half, y), (x - half, y)), brick)
    if s.chance(0.6):
        band = upright(x - 0.68 * half, top + 0.06 * high, x + 0.68 * half, top + 0.16 * high)
        s.polygon(band, s.against(brick))
    if s.chance(0.8):
        smoke = shade(behind, s.between(0.12, 0.25) * s.one_of(-1, 1))
        for k in range(5):
            size = 0.02 + 0.016 * k
            s.ellipse(x + drift * k, top - 0.02 - 0.04 * k, size * 1.3, size, smoke)


def works(s: Sheet, x0: float, x1: float, y: float, behind: Colour) -> None:
    """A long shed with a saw-tooth or flat roof and a band of windows."""
    high, teeth = s.between(0.12, 0.22), s.count(3, 5)
    wall, step = front(s, x0, y - high, x1, y, behind), (x1 - x0) / teeth
    if s.chance(0.75):
        for k in range(teeth):
            left = x0 + k * step
            tooth = ((left, y - high), (left, y - high - 0.45 * step), (left + step, y - high))
            s.polygon(tooth, wall)
    panes = upright(x0, y - 0.8 * high, x1, y - 0.35 * high)
    s.cells(panes, 1, teeth * 2, s.against(wall), fill=0.7)


def tank(s: Sheet, x: float, y: float, wide: float, behind: Colour) -> None:
    """A round storage tank."""
    high = wide * s.between(0.6, 1.2)
    steel = front(s, x - wide / 2, y - high, x + wide / 2, y, behind)
    s.ellipse(x, y - high, wide / 2, 0.16 * wide, shade(steel, 0.12))
    s.box(x + 0.2 * wide, y - high, x + wide / 2, y, shade(steel, -0.1))


def arches(s: Sheet, x0: float, x1: float, deck: float, foot: float, n: int, colours) -> None:
    """A wall of arches from the deck down: what is seen through them is the second colour."""
    stone, through = colours
    s.box(x0, deck, x1, foot, stone)
    step = (x1 - x0) / n
    for k in range(n):
        middle, half = x0 + (k + 0.5) * step, 0.38 * step
        spring = deck + 0.25 * (foot - deck) + half * 0.6
        curve = [
            (middle + half * math.cos(a), spring - 0.8 * half * math.sin(a))
            for a in (0, 0.6, 1.2, 1.94, 2.54, math.pi)
        ]
        s.polygon([(middle + half, foot), *curve, (middle - half, foot)], through)


def cables(s: Sheet, masts: list[float], top: float, deck: float, colour: Colour) -> None:
    """Masts with cables that hang between them, or run straight down to the deck."""
    hang, gap = s.chance(0.6), masts[1] - masts[0]
    for x in masts:
        s.line(((x, top), (x, deck + 0.18)), 0.035, colour)
    for x in [masts[0] - gap, *masts] if hang else masts:
        if hang:
            curve = [(x + gap * t, deck - (deck - top) * (2 * t - 1) ** 2) for t in _FIFTHS]
            s.line(curve, 0.014, colour)
            for t in _FIFTHS[1:-1]:
                at = x + gap * t
                s.line(((at, deck - (deck - top) * (2 * t - 1) ** 2), (at, deck)), 0.006, colour)
        else:
            for reach in (-0.5, -0.33, -0.16, 0.16, 0.33, 0.5):
                s.line(((x, top + 0.02), (x + reach * gap, deck)), 0.009, colour)


_FIFTHS = (0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1)


def wires(s: Sheet, to: Point, side: float, colour: Colour) -> None:
    """Masts along a line that runs to a vanishing point, smaller the farther away."""
    far, head = 1.0, s.between(0.5, 0.8)
    while far > 0.08:
        x, y = to[0] + side * far, to[1] + 0.42 * far
        s.line(((x, y), (x, y - head * far)), 0.022 * far, colour)
        top = y - 0.9 * head * far
        s.line(((x, top), (x - 0.6 * side * far, top - 0.03 * far)), 0.014 * far, colour)
        far *= 0.55
    for up in (0.38, 0.5):
        s.line((to, (to[0] + 0.6 * side, to[1] - up * 1.2)), 0.006, colour)


def battlements(s: Sheet, x0: float, x1: float, top: float, foot: float, colour: Colour) -> None:
    """A wall with teeth."""
    s.box(x0, top, x1, foot, colour)
    tooth = s.between(0.025, 0.04)
    x = x0
    while x + tooth <= x1 + 1e-9:
        s.box(x, top - tooth, x + tooth, top, colour)
        x += 2 * tooth


def rotor(s: Sheet, x: float, y: float, reach: float, blades: int, colour: Colour) -> None:
    """Blades around a hub, at any angle."""
    start = s.between(0, 6.3)
    for k in range(blades):
        way = start + 2 * math.pi * k / blades
        cos, sin = math.cos(way), math.sin(way)
        wide = 0.12 * reach
        tip = (x + reach * cos, y + reach * sin)
        root = (x + 0.25 * reach * cos - wide * sin, y + 0.25 * reach * sin + wide * cos)
        s.polygon(
            ((x, y), root, (tip[0] - 0.5 * wide * sin, tip[1] + 0.5 * wide * cos), tip), colour
        )
