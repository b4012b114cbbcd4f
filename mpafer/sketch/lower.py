"""The head, nose and mouth. Each function draws one and returns its box in face units."""

from __future__ import annotations

from .identity import Identity
from .pen import SIDES, Box, Pen, curve
from .units import ActionUnits


def chin_bottom(au: ActionUnits) -> float:
    """The y of the chin's lowest point."""
    return 91 + 4.5 * au.jaw_drop - 5 * au.chin_retract + 1.5 * au.chin_raise


def draw_head(back: Pen, head: Pen, au: ActionUnits, who: Identity) -> Box:
    colours = head.palette
    half, bottom, jaw = who.face_width, chin_bottom(au), who.face_width * (0.3 + 0.5 * who.jaw)
    back.path("M38 80H62L66 104H34Z", colours.skin, colours.line, 0.8)  # neck
    back.ellipse(50, bottom + 1, jaw * 0.8 + 4, 4.5, colours.shade, 0.45)
    for side in SIDES:
        head.ellipse(50 + side * half, 53, 3.6, 6.5, colours.skin, 1, f'stroke="{colours.line}" stroke-width="0.8"')
        if who.earrings:
            head.ellipse(50 + side * (half + 1), 61, 1.2, 1.6, "#e3b341")
    outline = curve(
        (50, 12),
        (50 + half * 0.85, 12, 50 + half * 1.12, 34, 50 + half, 54),
        (50 + half * 0.93, 72, 50 + jaw, bottom, 50, bottom),
        (50 - jaw, bottom, 50 - half * 0.93, 72, 50 - half, 54),
        (50 - half * 1.12, 34, 50 - half * 0.85, 12, 50, 12),
    )
    head.path(outline, colours.skin, colours.line, 1.0)
    # A raised chin shows a boss with an arc over it; a retracted one a fold under it.
    top = bottom - 9 - 2 * au.chin_raise
    head.crease(curve((44, top + 2), (50, top - 3, 56, top + 2)), 0.15 + 0.85 * au.chin_raise, 0.9 + au.chin_raise)
    for dx, dy in ((-2, 4.0), (2, 4.0), (0, 5.5)):
        head.ellipse(50 + dx, top + dy, 0.7, 0.6, colours.shade, 0.6 * au.chin_raise)
    fold = bottom + 3.5
    back.crease(curve((36, fold - 4), (50, fold + 4.5, 64, fold - 4)), au.chin_retract, 1.6)
    back.crease(curve((38, fold + 1), (50, fold + 8, 62, fold + 1)), 0.7 * au.chin_retract, 1.3)
    return 36, top - 2, 64, min(bottom + 5, 100)


def draw_nose(pen: Pen, au: ActionUnits, who: Identity) -> Box:
    colours, size = pen.palette, who.nose_size
    y = 60.5 - 1.8 * au.nose_wrinkle
    wing = size * (4.6 + 2.2 * au.nostril_flare + 0.8 * au.nose_wrinkle)
    pen.crease(curve((48.2, who.eye_y + 2), (47.2, 53, 46.6, y - 3)), 0.5, 0.8)
    for side in SIDES:
        tip = 50 + side * wing
        lift = 1.2 * au.nostril_flare
        pen.path(
            curve(
                (50 + side * wing * 0.75, y - 3.6 - lift),
                (tip + side * 1.6, y - 0.5 - lift, 50 + side * wing * 0.6, y + 0.6),
            ),
            stroke=colours.line,
            width=0.9,
        )
        rx, ry = size * (1.1 + 0.9 * au.nostril_flare), 0.7 + 0.9 * au.nostril_flare
        pen.ellipse(50 + side * size * 2.3, y + 0.2, rx, ry, colours.line, 0.85)
        for k in range(3):  # the bridge folds up when the nose wrinkles
            top = who.eye_y + 2.5 + 2.6 * k
            fold = curve(
                (50 + side * 0.8, top + 0.8),
                (50 + side * 2.6, top - 1.0, 50 + side * (4.4 + 0.5 * k), top + 1.4),
            )
            pen.crease(fold, au.nose_wrinkle, 1.0)
        fold = curve((tip + side * 1.5, y - 3), (tip + side * 6.5, y + 1.5, tip + side * 7.5, y + 8))
        pen.crease(fold, max(au.nose_wrinkle, 0.55 * au.corner_up, 0.45 * who.age), 1.0)
    pen.path(curve((50 - 2 * size, y + 1), (50, y + 2.6, 50 + 2 * size, y + 1)), stroke=colours.line, width=0.8)
    return 50 - wing - 3, who.eye_y + 1, 50 + wing + 3, y + 3.5


def draw_mouth(pen: Pen, au: ActionUnits, who: Identity) -> Box:
    colours = pen.palette
    open_ = au.jaw_drop + au.lips_part > 0.12
    half = who.mouth_width * (
        10.5 + 3.0 * au.corner_up - 2.6 * au.jaw_drop - 1.0 * au.lips_press + 1.5 * au.corner_down
    )
    y = who.mouth_y + 0.8 * au.jaw_drop - 1.2 * au.chin_raise
    sag = 5.2 * au.corner_down - 5.0 * au.corner_up + who.mouth_curve
    left, right = y + sag + 0.8 * au.one_corner_up, y + sag - 6.5 * au.one_corner_up
    bow = y - 0.25 * sag + 0.9 * au.corner_up  # the middle of the closed line
    gap_up = (0.5 * au.jaw_drop + 1.5 * au.lips_part) if open_ else 0
    gap_down = (10.5 * au.jaw_drop + 2.6 * au.lips_part) if open_ else 0
    upper = who.lip_weight * (2.0 - 1.5 * au.lips_press)
    lower = who.lip_weight * (2.8 - 2.2 * au.lips_press)
    x0, x1 = 50 - half, 50 + half

    def arc(dy: float) -> tuple[float, ...]:  # cubic whose middle lies 3/4 of the way to its control points
        c = bow + dy / 0.75 - (sag - 0.5 * au.one_corner_up) * 0.33
        return 50 - half * 0.45, c, 50 + half * 0.45, c, x1, right

    def back(dy: float) -> tuple[float, ...]:
        a = arc(dy)
        return a[2], a[3], a[0], a[1], x0, left

    start = (x0, left)
    lips = curve(start, arc(-gap_up - upper), back(gap_down + lower)) + "Z"
    pen.path(lips, colours.lip, colours.line, 0.4)
    if open_:
        hole = curve(start, arc(-gap_up), back(gap_down)) + "Z"
        pen.shapes.append(f'<clipPath id="mouth"><path d="{hole}"/></clipPath>')
        pen.path(hole, colours.inside, colours.line, 0.7)
        clip = 'clip-path="url(#mouth)"'
        teeth = min(gap_up + 0.35 * gap_down, 3.4)
        pen.ellipse(50, bow - gap_up - 1.0 + teeth * 0.3, half * 0.8, teeth, colours.white, 0.95, clip)
        pen.ellipse(50, bow + gap_down + 1.5, half * 0.5, 2.6 + 2 * au.jaw_drop, "#c7584f", 0.8, clip)
    else:
        pen.path(curve(start, arc(0)), stroke=colours.line, width=1.0 + 0.7 * au.lips_press)
    for side, corner in ((-1, left), (1, right)):
        x = 50 + side * (half + 1.4)
        pull = max(au.corner_up, au.one_corner_up if side > 0 else 0)
        pen.crease(curve((x, corner - 2.5), (x + side * 2.4, corner, x, corner + 2.5)), max(pull, 0.2 * who.age), 1.1)
        pen.crease(
            curve((x - side * 0.5, corner), (x + side * 0.8, corner + 2.5, x + side * 0.8, corner + 5)),
            au.corner_down,
            1.0,
        )
        pen.crease(curve((x, corner - 2.6), (x + side * 1.6, corner, x, corner + 2.6)), au.lips_press, 1.3)
    bulge = y + gap_down + lower + 2.6
    pen.crease(curve((45, bulge), (50, bulge + 1.5, 55, bulge)), 0.3 + 0.5 * au.lips_press, 0.8)
    top, bottom = min(left, right, bow - gap_up - upper), max(left, right, bow + gap_down + lower)
    return x0 - 3.5, top - 2, x1 + 3.5, bottom + 2.5
