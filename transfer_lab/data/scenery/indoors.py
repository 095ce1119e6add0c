"""Rooms and what stands in them, each drawn on a sheet."""

from __future__ import annotations

from typing import NamedTuple

from transfer_lab.data.scenery.sheet import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Colour,
    Quad,
    Sheet,
    shade,
    upright,
)


class Room(NamedTuple):
    """A room seen from inside: the corners of its back wall, its surfaces, its colours."""

    x0: float
    y0: float
    x1: float
    y1: float
    wall: Colour
    floor: Colour

    @property
    def left(self) -> Quad:
        """The left wall, its upper left corner nearest to the camera."""
        return (LEFT, TOP), (self.x0, self.y0), (self.x0, self.y1), (LEFT, BOTTOM)

    @property
    def right(self) -> Quad:
        """The right wall, its upper left corner the farthest."""
        return (self.x1, self.y0), (RIGHT, TOP), (RIGHT, BOTTOM), (self.x1, self.y1)

    @property
    def ceiling(self) -> Quad:
        """The ceiling; its lower edge is that of the back wall."""
        return (LEFT, TOP), (RIGHT, TOP), (self.x1, self.y0), (self.x0, self.y0)

    @property
    def ground(self) -> Quad:
        """The floor; its upper edge is that of the back wall."""
        return (self.x0, self.y1), (self.x1, self.y1), (RIGHT, BOTTOM), (LEFT, BOTTOM)


def room(s: Sheet, *, deep: float = 0.0) -> Room:
    """An empty room, often with a window, a door or a picture; a deep one has a small back wall."""
    half, high = s.between(0.26, 0.48) * (1 - deep), s.between(0.22, 0.34) * (1 - deep)
    x, y = s.between(0.4, 0.6), s.between(0.36, 0.5)
    wall = s.colour(0.3, 0.9)
    floor = s.against(wall, 0.12, 0.35)
    here = Room(x - half, y - high, x + half, y + high, wall, floor)
    s.box(LEFT, TOP, RIGHT, BOTTOM, wall)
    s.polygon(here.ceiling, shade(wall, s.between(0.04, 0.15) * s.one_of(-1, 1)))
    s.polygon(here.left, shade(wall, s.between(-0.15, -0.04)))
    s.polygon(here.right, shade(wall, s.between(-0.12, 0.08)))
    s.polygon(here.ground, floor)
    return here


def hang_something(s: Sheet, here: Room) -> None:
    """A window, a picture or nothing on the back wall of any room."""
    x0, wide = here.x0 + 0.02, here.x1 - here.x0 - 0.04
    size, at = wide * s.between(0.2, 0.4), s.between(0, 0.6)
    x, y = x0 + at * wide, here.y0 + s.between(0.04, 0.12)
    kind = s.one_of("window", "picture", "picture", "nothing")
    if kind == "window":
        window(s, (x, y, x + size, y + size * s.between(0.7, 1.1)), here.wall)
    elif kind == "picture":
        frame = s.against(here.wall, 0.15)
        s.box(x, y, x + size, y + 0.6 * size, frame)
        s.box(x + 0.02, y + 0.02, x + size - 0.02, y + 0.6 * size - 0.02, s.against(frame, 0.1))


def window(s: Sheet, box: tuple[float, float, float, float], wall: Colour) -> None:
    """A window with bars."""
    glass = s.against(wall, 0.2)
    s.box(*box, shade(wall, -0.12))
    s.cells(upright(*box), 2, 2, glass, fill=0.82)


def block(s: Sheet, box: tuple[float, float, float, float], back: float, colour: Colour) -> None:
    """A solid thing from the front and a little from above: its front is the box."""
    x0, y0, x1, _ = box
    inset = 0.6 * back
    top = ((x0 + inset, y0 - back), (x1 - inset, y0 - back), (x1, y0), (x0, y0))
    s.polygon(top, shade(colour, 0.12))
    s.box(*box, colour)


def bed(s: Sheet, x: float, y: float, wide: float, floor: Colour) -> None:
    """A bed from its foot: headboard, pillows, blanket. (x, y) is the middle of its foot."""
    long, wood = wide * s.between(0.5, 0.8), s.against(floor, 0.2)
    head, half, far = y - long, wide / 2, 0.38 * wide
    s.box(x - far, head - 0.3 * wide, x + far, head + 0.1, wood)
    sheet = s.against(wood, 0.2)
    fall = 0.22 * wide
    s.polygon(((x - far, head), (x + far, head), (x + half, y - fall), (x - half, y - fall)), sheet)
    blanket = s.against(sheet, 0.12)
    cut, edge = head + 0.35 * (long - fall), far + 0.35 * (half - far)
    s.polygon(
        ((x - edge, cut), (x + edge, cut), (x + half, y - fall), (x - half, y - fall)), blanket
    )
    s.box(x - half, y - fall, x + half, y, shade(blanket, -0.12))
    for side in s.one_of((-0.5, 0.5), (-0.5, 0.5), (0,)):
        pillow = x + side * far
        s.ellipse(pillow, head + 0.04 * wide, 0.17 * wide, 0.07 * wide, s.against(sheet, 0.1, 0.2))


def sofa(s: Sheet, x: float, y: float, wide: float, behind: Colour) -> None:
    """A sofa from the front, its feet at y."""
    cloth, high = s.against(behind, 0.2), wide * s.between(0.36, 0.46)
    half, arm = wide / 2, 0.13 * wide
    s.box(x - half + 0.03, y - high, x + half - 0.03, y, cloth)
    seats, light = s.one_of(2, 3), shade(cloth, 0.12)
    seat = upright(x - half + arm, y - 0.55 * high, x + half - arm, y - 0.25 * high)
    s.cells(seat, 1, seats, light, fill=0.92)
    back = upright(x - half + arm, y - high, x + half - arm, y - 0.58 * high)
    s.cells(back, 1, seats, shade(cloth, 0.06), fill=0.9)
    for left in (x - half, x + half - arm):
        s.box(left, y - 0.72 * high, left + arm, y, shade(cloth, -0.1))


def table(s: Sheet, x: float, y: float, wide: float, behind: Colour) -> None:
    """A table from the front, its feet at y."""
    wood, high, half = s.against(behind, 0.2), wide * s.between(0.3, 0.45), wide / 2
    for leg in (-0.46, -0.3, 0.3, 0.46):
        foot = y if abs(leg) > 0.4 else y - 0.25 * high
        s.line(((x + leg * wide, y - high), (x + leg * wide, foot)), 0.05 * wide, shade(wood, -0.1))
    block(s, (x - half, y - high, x + half, y - 0.85 * high), 0.3 * high, wood)


def lamp(s: Sheet, x: float, y: float, high: float, behind: Colour) -> None:
    """A lamp with a shade that stands at y."""
    tone = s.against(behind, 0.2)
    s.line(((x, y), (x, y - high)), 0.015, tone)
    half = s.between(0.04, 0.08)
    top = y - high - 1.2 * half
    s.polygon(
        (
            (x - 0.6 * half, top),
            (x + 0.6 * half, top),
            (x + half, y - high),
            (x - half, y - high),
        ),
        s.against(behind, 0.25),
    )


def hanging_lamp(s: Sheet, x: float, y: float, behind: Colour) -> None:
    """A lamp that hangs from the ceiling down to y."""
    tone, half = s.against(behind, 0.2), s.between(0.04, 0.08)
    s.line(((x, TOP), (x, y)), 0.01, tone)
    s.polygon(((x, y - half), (x + half, y + 0.3 * half), (x - half, y + 0.3 * half)), tone)


def cupboards(s: Sheet, box: tuple[float, float, float, float], n: int, behind: Colour) -> Colour:
    """A row of cupboard doors with handles."""
    wood = s.against(behind, 0.12, 0.35)
    s.box(*box, wood)
    door = shade(wood, s.one_of(-0.1, 0.1))
    s.cells(upright(*box), 1, n, door, fill=(0.85, 0.82))
    handle = s.against(door, 0.25)
    x0, y0, x1, y1 = box
    for k in range(n):
        x = x0 + (k + 0.78) * (x1 - x0) / n
        s.line(((x, y0 + 0.35 * (y1 - y0)), (x, y0 + 0.6 * (y1 - y0))), 0.008, handle)
    return wood


def desk(s: Sheet, x: float, y: float, wide: float, behind: Colour) -> None:
    """A desk with a screen and perhaps a chair before it, its feet at y."""
    wood, high, half = s.against(behind, 0.18), 0.42 * wide, wide / 2
    top = y - high
    block(s, (x - half, top, x + half, top + 0.05), 0.08, wood)
    for side in (x - half, x + half - 0.22 * wide):
        s.box(side, top + 0.04, side + 0.22 * wide, y, shade(wood, -0.1))
    case, at, wide_screen = s.against(behind, 0.25), x + s.between(-0.1, 0.1) * wide, 0.36 * wide
    s.box(at - 0.03 * wide, top - 0.12 * wide, at + 0.03 * wide, top - 0.03, case)
    foot = top - 0.1 * wide
    s.box(at - wide_screen / 2, foot - 0.62 * wide_screen, at + wide_screen / 2, foot, case)
    inner = 0.42 * wide_screen
    s.box(at - inner, foot - 0.55 * wide_screen, at + inner, foot - 0.02, s.against(case, 0.25))
    if s.chance(0.6):
        chair(s, x + s.between(-0.15, 0.15) * wide, y + 0.06, 0.4 * wide, wood)


def chair(s: Sheet, x: float, y: float, high: float, behind: Colour) -> None:
    """A chair from behind, its feet at y."""
    cloth = s.against(behind, 0.2)
    s.box(x - 0.26 * high, y - 1.1 * high, x + 0.26 * high, y - 0.5 * high, cloth)
    s.line(((x, y - 0.5 * high), (x, y - 0.1 * high)), 0.08 * high, cloth)
    s.line(((x - 0.25 * high, y), (x, y - 0.15 * high), (x + 0.25 * high, y)), 0.07 * high, cloth)


def shelves(s: Sheet, quad: Quad, rows: int, wood: Colour, goods: tuple[int, float, float]) -> None:
    """Boards with goods on them in any perspective; goods: how many a board, how wide, how high."""
    s.polygon(quad, wood)
    n, wide, high = goods
    inside = s.against(wood, 0.12, 0.2)
    s.cells(quad, rows, 1, inside, fill=(0.97, 0.8))
    for share in (0.5, 0.5):
        s.cells(quad, rows, n, s.against(inside, 0.12), fill=(wide, high), keep=share)
