"""Parts that belong to the person and not to the expression: hair, beard, glasses, freckles."""

from __future__ import annotations

from .identity import Identity
from .lower import chin_bottom
from .pen import SIDES, Pen, curve
from .units import ActionUnits


def draw_hair(back: Pen, front: Pen, who: Identity) -> None:
    colours, half, style = back.palette, who.face_width + 2.5, who.hair_style
    if style == "bald":
        return
    if style == "long":
        back.path(
            f"M{50 - half - 4} 100Q{48 - half} 4 50 4Q{52 + half} 4 {54 + half} 100Z",
            colours.hair,
            colours.line,
            0.8,
        )
    if style == "bun":
        back.ellipse(50, 5, 11, 8, colours.hair, 1, f'stroke="{colours.line}" stroke-width="0.8"')
    if style == "curly":
        for k in range(9):
            x = 50 + half * (k - 4) / 4
            front.ellipse(x, 11 + 1.5 * (k - 4) ** 2, 8, 7.5, colours.hair)
        return
    hairline = {"short": 19, "side": 17, "fringe": 31, "long": 17, "bun": 16}[style]
    dip = {"side": 16, "fringe": 2}.get(style, 5)
    left, right = 50 - half, 50 + half
    front.path(
        curve(
            (left, 48),
            (left - 3, 6, 50, 5.5),
            (right + 3, 6, right, 48),
            (right - 2, hairline + dip, 50 + half * 0.5, hairline),
            (50 - half * 0.2, hairline - 4, 50 - half * 0.55, hairline + dip * 0.5),
            (left + 2, hairline + dip, left, 48),
        )
        + "Z",
        colours.hair,
        colours.line,
        0.8,
    )


def draw_beard(pen: Pen, au: ActionUnits, who: Identity) -> None:
    """Drawn under the mouth: the lips stay visible."""
    colours, half, bottom, y = pen.palette, who.face_width * 0.86, chin_bottom(au), who.mouth_y
    if who.beard in ("full", "stubble"):
        cheek = curve((50 - half, 62), (50 - half * 0.9, bottom, 50, bottom), (50 + half * 0.9, bottom, 50 + half, 62))
        inner = curve((50 + half, 62), (50 + 14, 70, 50 + 11, 66), (50, 63, 50 - 11, 66), (50 - 14, 70, 50 - half, 62))
        pen.path(
            cheek + inner.replace("M", "L", 1) + "Z",
            colours.hair,
            opacity=0.85 if who.beard == "full" else 0.22,
        )
    if who.beard in ("moustache", "goatee"):
        lip = y - 3.2 - 0.8 * au.lips_part
        shape = ((50, lip - 4), (62, lip - 4, 63, lip + 3 - 3 * au.corner_up), (56, lip + 0.5, 50, lip + 0.5))
        pen.path(
            curve(*shape, (44, lip + 0.5, 37, lip + 3 - 3 * au.corner_up), (38, lip - 4, 50, lip - 4)),
            colours.hair,
        )
    if who.beard == "goatee":
        pen.ellipse(50, bottom - 4, 6.5, 4.5, colours.hair)


def draw_glasses(pen: Pen, who: Identity) -> None:
    if who.glasses == "none":
        return
    y, radius = who.eye_y + 0.5, 8.4
    for side in SIDES:
        x = 50 + side * who.eye_gap
        corner = radius if who.glasses == "round" else 1.5
        pen.shapes.append(
            f'<rect x="{x - radius:.2f}" y="{y - radius * 0.85:.2f}" width="{2 * radius:.2f}" '
            f'height="{1.7 * radius:.2f}" rx="{corner}" fill="{pen.palette.white}" fill-opacity="0.12" '
            f'stroke="{pen.palette.line}" stroke-width="1.3"/>'
        )
        pen.path(
            curve((x + side * radius, y - 1), (50 + side * who.face_width, y - 2)),
            stroke=pen.palette.line,
            width=1.1,
        )
    bridge = who.eye_gap - radius
    pen.path(curve((50 - bridge, y - 1), (50, y - 3, 50 + bridge, y - 1)), stroke=pen.palette.line, width=1.2)


def draw_freckles(pen: Pen, who: Identity) -> None:
    if not who.freckles:
        return
    for side in SIDES:
        for dx, dy in ((0, 0), (3, 1.5), (6, -0.5), (4.5, 4), (1, 3.6), (7.5, 2.6)):
            pen.ellipse(50 + side * (9 + dx), 57 + dy, 0.55, 0.55, pen.palette.shade, 0.8)
