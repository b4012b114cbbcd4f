"""The upper face: forehead, brows and eyes. Each function draws one and returns its box in face units."""

from __future__ import annotations

from .identity import Identity
from .pen import SIDES, Box, Pen, curve
from .units import ActionUnits


def draw_forehead(pen: Pen, au: ActionUnits, who: Identity) -> Box:
    strength = max(au.forehead_lines, 0.3 * who.age)
    for i, y in enumerate((22.5, 26.0, 29.5)):
        half = 13 - 1.5 * i
        wave = curve((50 - half, y + 1), (50 - half / 2, y - 1.2, 50, y), (50 + half / 2, y - 1.2, 50 + half, y + 1))
        pen.crease(wave, strength, 1.0)
    return 50 - who.face_width * 0.75, 17, 50 + who.face_width * 0.75, 32


def draw_brows(pen: Pen, au: ActionUnits, who: Identity) -> Box:
    colours, xs, ys = pen.palette, [], []
    base = who.eye_y - 9.5
    for side in SIDES:
        lone = -5.0 if side > 0 else 2.6
        inner_y = (
            base + 0.6 - 5.2 * au.inner_brow_raise + 4.6 * au.brow_lower + who.brow_tilt + lone * au.one_brow_raise
        )
        outer_y = (
            base + 1.0 - 4.2 * au.outer_brow_raise + 0.6 * au.brow_lower - who.brow_tilt + lone * au.one_brow_raise
        )
        arch = 2.0 + 1.2 * au.outer_brow_raise + (1.0 * au.one_brow_raise if side > 0 else 0) - 1.2 * au.brow_lower
        inner_x = 50 + side * (who.eye_gap - 7.2 - 1.6 * au.brow_lower)
        outer_x = 50 + side * (who.eye_gap + 7.5)
        middle = (inner_y + outer_y) / 2 - arch * 2
        thick = 1.5 * who.brow_weight
        pen.path(
            curve(
                (inner_x, inner_y - thick),
                (50 + side * (who.eye_gap + 1), middle - thick, outer_x, outer_y),
                (50 + side * who.eye_gap, middle + thick, inner_x, inner_y + thick),
            )
            + "Z",
            colours.hair if who.hair != "#e8e6e0" else colours.shade,
            colours.line,
            0.35,
        )
        pen.crease(
            curve((50 + side * 2.0, base - 2), (50 + side * 1.2, base + 2, 50 + side * 2.4, base + 5.5)),
            max(au.brow_lower, 0.15 * who.age),
            1.1,
        )
        xs += [inner_x, outer_x]
        ys += [inner_y, outer_y, middle + arch]
    return min(xs) - 1.5, min(ys) - 3, max(xs) + 1.5, max(ys) + 3


def draw_eyes(pen: Pen, au: ActionUnits, who: Identity) -> Box:
    colours, y = pen.palette, who.eye_y
    up = who.eye_height * (3.5 + 3.0 * au.upper_lid_raise - 1.9 * au.lid_tighten - 1.7 * au.lid_droop)
    down = who.eye_height * (2.6 + 0.9 * au.upper_lid_raise - 1.5 * au.lid_tighten - 1.0 * au.cheek_raise)
    up, down = max(up, 0.7), max(down, 0.4)
    half = 6.6 * who.eye_size
    iris = 3.2 * who.eye_size
    for side in SIDES:
        x = 50 + side * who.eye_gap
        outer, inner = x + side * half, x - side * half
        outer_y = y - 0.4 + 2.0 * au.lid_droop
        # A quadratic's apex is half as far away as its control point; drooping pulls the outer lid down.
        upper = (x + side * 0.8, y - 2 * up, inner, y + 0.5)
        lower = (x, y + 2 * down, outer, outer_y)
        shape = curve((outer, outer_y), upper, lower) + "Z"
        name = "eyer" if side > 0 else "eyel"
        pen.shapes.append(f'<clipPath id="{name}"><path d="{shape}"/></clipPath>')
        pen.path(shape, colours.white)
        clip = f'clip-path="url(#{name})"'
        gaze = y - 0.2 + 0.8 * au.lid_droop
        pen.ellipse(x, gaze, iris, iris, colours.iris, 1, clip)
        pen.ellipse(x, gaze, iris * 0.5, iris * 0.5, colours.line, 1, clip)
        pen.ellipse(x + 0.9, gaze - 0.9, 0.6, 0.6, colours.white, 1, clip)
        pen.path(curve((outer, outer_y), upper), stroke=colours.line, width=1.5)
        pen.path(curve((inner, y + 0.5), lower), stroke=colours.line, width=0.6)
        lid = y - up - 1.4 + 0.8 * au.upper_lid_raise
        crease = curve((outer, outer_y - 1.6), (x + side, lid - up * 0.5, inner, y - 1.2))
        pen.crease(crease, 0.45 + 0.55 * au.lid_droop, 0.8)
        bag = y + down + 2.4
        pouch = curve((inner, bag - 0.8), (x, bag + 2.6, outer, bag - 1.4))
        pen.crease(pouch, max(0.9 * au.cheek_raise, 0.7 * au.lid_tighten, 0.4 * who.age), 0.9)
        for k in (-1.2, 0.6, 2.4):  # crow's feet
            foot = curve((outer + side * 1.2, outer_y + k * 0.7), (outer + side * 4.6, outer_y + k * 1.7))
            pen.crease(foot, max(au.cheek_raise, 0.3 * who.age), 0.8)
        draw_tears(pen, au, x + side * 1.0, y + down + 0.5)
        pen.ellipse(x + side * 2, 60, 7, 4.4, "#e0665a", 0.3 * au.cheek_raise)
    reach = who.eye_gap + half + 4.5
    return 50 - reach, y - up - 3, 50 + reach, y + down + 4.5


def draw_tears(pen: Pen, au: ActionUnits, x: float, y: float) -> None:
    if au.tears < 0.08:
        return
    colours, size, fall = pen.palette, 1.0 + 1.2 * au.tears, 4 + 13 * au.tears
    pen.path(
        curve((x, y), (x + 1, y + fall / 2, x, y + fall)),
        stroke=colours.tear,
        width=1.5,
        opacity=0.4 + 0.5 * au.tears,
    )
    pen.ellipse(x, y + fall, size, size * 1.1, colours.tear, 0.95, f'stroke="{colours.line}" stroke-width="0.3"')
