"""Sky, land, water and what grows, stands or moves there, each drawn on a sheet."""

from __future__ import annotations

import math

from transfer_lab.data.scenery.sheet import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Colour,
    Point,
    Quad,
    Sheet,
    part_of,
    shade,
    upright,
)


def sky(s: Sheet) -> Colour:
    """The whole sheet as sky, lighter or darker towards the horizon, with clouds or a sun."""
    colour, slope = s.colour(0.35, 0.95), s.between(-0.2, 0.2)
    for band in range(5):
        s.box(LEFT, TOP + 0.25 * band, RIGHT, BOTTOM, shade(colour, slope * (band - 2) / 4))
    if s.chance(0.25):
        radius = s.between(0.03, 0.07)
        s.ellipse(s.between(0, 1), s.between(0, 0.35), radius, radius, s.against(colour))
    if s.chance(0.45):
        cloud = shade(colour, s.between(0.05, 0.2) * s.one_of(-1, 1))
        for _ in range(s.count(1, 3)):
            x, y, wide = s.between(0, 1), s.between(0, 0.35), s.between(0.08, 0.2)
            for shift in (-0.6, 0, 0.5):
                high = wide * s.between(0.2, 0.4)
                s.ellipse(x + shift * wide, y, wide * s.between(0.5, 0.8), high, cloud)
    return colour


def ground(s: Sheet, horizon: float, behind: Colour) -> Colour:
    """Level ground from the horizon down, with a few streaks or specks."""
    colour = s.against(behind, 0.12, 0.4)
    s.box(LEFT, horizon, RIGHT, BOTTOM, colour)
    other = shade(colour, s.between(0.04, 0.1) * s.one_of(-1, 1))
    for _ in range(s.count(0, 6)):
        x, far = s.between(0, 1), s.between(0.05, 1)
        y, wide = horizon + (1 - horizon) * far, 0.25 * far * s.between(0.3, 1)
        s.ellipse(x, y, wide, wide * s.between(0.08, 0.3), other)
    return colour


def skyline(s: Sheet, y: float, height: float, peaks: int, *, rough: float) -> list[Point]:
    """Points of a ridge from left to right: peaks of about `height` above y; rough 0 is smooth."""
    steps = 6 * peaks
    phase, waves = s.between(0, 6.3), s.between(0.7, 1.3)
    tops = [s.between(0.35, 1) for _ in range(peaks + 2)]
    points = []
    for k in range(steps + 1):
        at = phase / 6.3 + k / 6
        near, part = int(at), at % 1
        level = tops[near] + (tops[min(near + 1, peaks + 1)] - tops[near]) * part
        tooth = abs(2 * part - 1) if rough else 0.5 + 0.5 * math.cos(6.283 * part * waves)
        jag = rough * s.between(-0.12, 0.12)
        points.append((LEFT + (RIGHT - LEFT) * k / steps, y - height * (level * tooth + jag)))
    return points


def ridge(s: Sheet, top: list[Point], colour: Colour) -> None:
    """Land below a skyline."""
    s.polygon([*top, (RIGHT, BOTTOM), (LEFT, BOTTOM)], colour)


def peak(s: Sheet, x: float, y: float, high: float, colour: Colour) -> None:
    """A mountain with its lit side, its dark side and perhaps snow."""
    left, right = s.between(0.5, 0.9) * high, s.between(0.5, 0.9) * high
    top, foot = (x, y - high), s.between(-0.2, 0.2) * high
    kinks = [(x - left * t + s.between(-0.04, 0.04), y - high * (1 - t)) for t in (0.8, 0.5, 0.25)]
    down = [(x + right * t + s.between(-0.04, 0.04), y - high * (1 - t)) for t in (0.25, 0.5, 0.8)]
    s.polygon([(x - left, y), *kinks, top, *down, (x + right, y)], colour)
    edge = [(x + foot * t + s.between(-0.04, 0.04), y - high * (1 - t)) for t in (0.3, 0.6, 1)]
    s.polygon([top, *down, (x + right, y), *reversed(edge)], shade(colour, -0.14))
    if s.chance(0.7):
        cut, snow = s.between(0.2, 0.4), s.against(colour)
        zigzag = [
            (x - left * cut, y - high * (1 - cut)),
            (x - left * cut * 0.4, y - high * (1 - cut * 0.7)),
            (x, y - high * (1 - cut * 1.1)),
            (x + right * cut * 0.4, y - high * (1 - cut * 0.7)),
            (x + right * cut, y - high * (1 - cut)),
        ]
        s.polygon([top, *reversed(zigzag)], snow)


def tree(s: Sheet, x: float, y: float, high: float, colour: Colour, kind: str = "") -> None:
    """A tree whose foot is at (x, y): round, conifer, palm or bare."""
    kind = kind or s.one_of("round", "round", "conifer")
    bark, wide = shade(colour, -0.25), high * s.between(0.04, 0.08)
    lean = x + high * s.between(-0.08, 0.08)
    s.line(((x, y), (lean, y - 0.7 * high)), wide, bark)
    if kind == "round":
        for _ in range(3):
            dx, dy = s.between(-0.15, 0.15) * high, s.between(-0.12, 0.12) * high
            r = high * s.between(0.18, 0.28)
            tone = shade(colour, s.between(-0.05, 0.08))
            s.ellipse(lean + dx, y - 0.72 * high + dy, r, r, tone)
    elif kind == "conifer":
        wide = high * s.between(0.18, 0.28)
        for part in (0, 0.25, 0.5):
            low, half = y - high * (0.15 + part), wide * (1 - part)
            s.polygon(((x - half, low), (x + half, low), (x, low - 0.5 * high)), colour)
    elif kind == "palm":
        for angle in range(0, 360, 60):
            way = math.radians(angle + s.between(-20, 20))
            tip = (lean + 0.33 * high * math.cos(way), y - high * (0.7 + 0.2 * math.sin(way)))
            bend = ((lean + tip[0]) / 2, min(tip[1], y - 0.7 * high) - 0.06 * high)
            s.line(((lean, y - 0.7 * high), bend, tip), 0.06 * high, colour)
    else:
        for way in (-0.3, -0.12, 0.15, 0.3):
            fork, tip = y - high * s.between(0.3, 0.6), y - high * s.between(0.8, 1)
            s.line(((x, fork), (x + way * high, tip)), wide / 2, bark)


def water(s: Sheet, y0: float, y1: float, behind: Colour) -> Colour:
    """Water from y0 down to y1, with waves that are wider the nearer they are."""
    colour = s.against(behind, 0.08, 0.35)
    s.box(LEFT, y0, RIGHT, y1, colour)
    crest = shade(colour, s.between(0.08, 0.25) * s.one_of(-1, 1))
    for _ in range(s.count(8, 18)):
        near = s.between(0, 1)
        x, y, wide = s.between(-0.1, 1.1), y0 + (y1 - y0) * near, 0.03 + 0.12 * near
        path = ((x - wide, y), (x - wide / 2, y - 0.01), (x, y), (x + wide, y - 0.006))
        s.line(path, 0.006 + 0.008 * near, crest)
    return colour


def boat(s: Sheet, x: float, y: float, long: float, behind: Colour, *, sail: bool) -> None:
    """A boat afloat at (x, y), under sail or with bare masts."""
    hull, high = s.against(behind, 0.25), long * s.between(0.9, 1.5)
    s.polygon(
        (
            (x - long / 2, y),
            (x + long / 2, y),
            (x + 0.32 * long, y + 0.2 * long),
            (x - 0.36 * long, y + 0.2 * long),
        ),
        hull,
    )
    s.line(((x, y), (x, y - high)), 0.05 * long, hull)
    if sail:
        cloth = s.against(behind, 0.25)
        s.polygon(((x, y - high), (x + 0.45 * long, y - 0.12 * long), (x, y - 0.12 * long)), cloth)
        s.polygon(((x, y - 0.9 * high), (x - 0.35 * long, y - 0.12 * long), (x, y)), cloth)
    else:
        s.line(((x, y - high), (x - long / 2, y)), 0.02 * long, hull)
        s.box(x - 0.25 * long, y - 0.15 * long, x + 0.1 * long, y, shade(hull, 0.15))


def lane(s: Sheet, to: Point, left: float, right: float, colour: Colour) -> Quad:
    """A way on the ground from the lower edge to its vanishing point, as a surface."""
    x, y = to
    tip = 0.006
    quad = ((x - tip, y), (x + tip, y), (right, BOTTOM), (left, BOTTOM))
    s.polygon(quad, colour)
    return quad


def dashes(s: Sheet, road: Quad, across: float, colour: Colour, *, solid: bool = False) -> None:
    """A mark along a way, at a share of its width."""
    half = 0.012
    if solid:
        s.polygon(part_of(road, across - half, 0, across + half, 1), colour)
        return
    edge = s.between(0.03, 0.06)
    while edge < 1:
        s.polygon(part_of(road, across - half, edge, across + half, edge * 1.3), colour)
        edge *= 1.75


def car(s: Sheet, x: float, y: float, wide: float, behind: Colour) -> None:
    """A car from behind, its wheels at y."""
    paint = s.against(behind, 0.2)
    dark = shade(paint, -0.3)
    s.box(x - 0.42 * wide, y - 0.2 * wide, x + 0.42 * wide, y, dark)
    s.box(x - wide / 2, y - 0.45 * wide, x + wide / 2, y - 0.08 * wide, paint)
    roof = (x - 0.36 * wide, y - 0.75 * wide, x + 0.36 * wide, y - 0.4 * wide)
    s.box(*roof, paint)
    s.box(x - 0.3 * wide, y - 0.7 * wide, x + 0.3 * wide, y - 0.47 * wide, dark)


def fence(s: Sheet, y: float, high: float, colour: Colour) -> None:
    """Posts and two rails across the picture."""
    slope, gap = s.between(-0.06, 0.06), s.between(0.07, 0.16)
    for rail in (0.35, 0.75):
        ends = ((LEFT, y - rail * high), (RIGHT, y + slope - rail * high))
        s.line(ends, 0.15 * high, colour)
    x = LEFT
    while x < RIGHT:
        foot = y + slope * (x - LEFT) / (RIGHT - LEFT)
        s.line(((x, foot), (x, foot - high)), 0.2 * high, colour)
        x += gap


def meadow(s: Sheet, y: float, behind: Colour) -> Colour:
    """A low rolling hill in front of what is behind; its foot is the lower edge."""
    colour = s.against(behind, 0.06, 0.25)
    top = skyline(s, y, s.between(0.03, 0.1), s.count(2, 3), rough=0)
    ridge(s, top, colour)
    return colour


def rows_to(s: Sheet, to: Point, first: int, last: int, gap: float, colour: Colour) -> None:
    """Stripes on the ground that meet at a vanishing point."""
    for k in range(first, last):
        x = to[0] + k * gap
        s.polygon((to, (x + 0.25 * gap, BOTTOM), (x - 0.25 * gap, BOTTOM)), colour)


def panel(x0: float, x1: float, y0: float, y1: float, to: Point) -> Quad:
    """An upright wall from x0 to x1 that runs towards a vanishing point; y0, y1 are those at x0."""
    share = (x1 - x0) / (to[0] - x0)
    far0, far1 = y0 + (to[1] - y0) * share, y1 + (to[1] - y1) * share
    return (x0, y0), (x1, far0), (x1, far1), (x0, y1)


def front(s: Sheet, x0: float, y0: float, x1: float, y1: float, behind: Colour) -> Colour:
    """A wall seen from the front."""
    colour = s.against(behind, 0.12, 0.4)
    s.polygon(upright(x0, y0, x1, y1), colour)
    return colour
