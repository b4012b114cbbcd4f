"""A drawing becomes pixels: pose, scene and occlusion as SVG (resvg), then light, blur and noise on those."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import resvg_py
from PIL import Image, ImageFilter

from .face import Drawing, draw_face
from .identity import Identity
from .pen import Box
from .style import Style, hsv, mix, palette_of
from .units import ActionUnits

SIZE = 100


@dataclass(frozen=True)
class Rendering:
    """`image` is uint8 [size, size, 3]; `boxes` maps a region to (x0, y0, x1, y1) in its pixels."""

    image: np.ndarray
    boxes: dict[str, Box]


def render(au: ActionUnits, who: Identity, style: Style, size: int = SIZE) -> Rendering:
    """Draw a face; the same arguments give the same pixels."""
    palette = palette_of(style, who)
    drawing = draw_face(au, who, palette)
    head, features = head_matrix(style), features_matrix(style)
    body = (
        f'<g transform="{svg_matrix(head)}" stroke-linecap="round">{drawing.back}{drawing.head}'
        f'<g transform="{svg_matrix(features)}">{drawing.features}</g>{drawing.front}'
        f"{cover(style, palette.skin)}</g>"
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="{size}" height="{size}">'
        f"{scene(style)}{body}</svg>"
    )
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    image = Image.open(io.BytesIO(bytes(png))).convert("RGB")
    return Rendering(develop(image, style), region_boxes(drawing, head, features, size))


def develop(image: Image.Image, style: Style) -> np.ndarray:
    """Light, tone, blur, mosaic and noise, applied to the finished drawing: pixels uint8 [size, size, 3]."""
    size = image.width
    if style.grey:
        image = image.convert("L").convert("RGB")
    if style.blur:
        image = image.filter(ImageFilter.GaussianBlur(style.blur * size / SIZE))
    if style.pixel > 1:
        small = max(size // style.pixel, 8)
        image = image.resize((small, small), Image.Resampling.BOX).resize((size, size), Image.Resampling.NEAREST)
    pixels = np.asarray(image, dtype=np.float32)
    if style.light:
        angle = np.deg2rad(style.light_angle)
        y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
        ramp = x * np.cos(angle) + y * np.sin(angle)
        pixels = pixels * (1 - style.light * (0.5 + 0.5 * np.clip(ramp, -1, 1)))[..., None]
    pixels = ((pixels - 128) * style.contrast + 128) * style.exposure
    rng = np.random.default_rng(style.seed)
    pixels = pixels + rng.normal(0, style.noise, pixels.shape).astype(np.float32)
    return np.clip(pixels, 0, 255).round().astype(np.uint8)


def head_matrix(style: Style) -> np.ndarray:
    """The affine map [3, 3] from face units to the 100 x 100 image."""
    angle = np.deg2rad(style.roll)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    flip = -1 if style.mirror else 1
    zoom = np.diag([style.scale * flip, style.scale, 1])
    return shift(50 + style.dx, 52 + style.dy) @ turn @ zoom @ shift(-50, -54)


def features_matrix(style: Style) -> np.ndarray:
    """Yaw and pitch: the features slide over the head and are foreshortened; in face units."""
    squeeze = np.diag([1 - 0.1 * abs(style.yaw), 1 - 0.06 * abs(style.pitch), 1])
    return shift(50 + 4.5 * style.yaw, 54 + 2.5 * style.pitch) @ squeeze @ shift(-50, -54)


def shift(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=float)


def svg_matrix(m: np.ndarray) -> str:
    return "matrix(" + " ".join(f"{v:.4f}" for v in m[:2].T.ravel()) + ")"


def region_boxes(drawing: Drawing, head: np.ndarray, features: np.ndarray, size: int) -> dict[str, Box]:
    """The regions' boxes after the pose, as the bounding boxes of their turned corners, inside the image."""
    boxes = {}
    for name, (x0, y0, x1, y1) in drawing.regions.items():
        matrix = head if name == "chin" else head @ features
        corners = matrix @ np.array([[x0, x1, x1, x0], [y0, y0, y1, y1], [1, 1, 1, 1]])
        low, high = corners[:2].min(1), corners[:2].max(1)
        edges = np.clip(np.concatenate([low, high]) * size / 100, 0, size).round(1).tolist()
        boxes[name] = (edges[0], edges[1], edges[2], edges[3])
    return boxes


def scene(style: Style) -> str:
    """The background, as SVG."""
    sheet, ink = style.paper, style.ink
    if style.medium == "night":
        sheet, ink = mix(ink, "#05060c", 0.4), mix(ink, sheet, 0.4)
    elif style.medium == "comic":
        sheet = mix(sheet, ink, 0.25)
    elif style.medium == "chalk":
        sheet, ink = hsv(style.hue, 0.45, 0.36), sheet
    tint = mix(sheet, ink, 0.45 if style.medium != "pencil" else 0.2)
    shapes = {
        "plain": "",
        "window": f'<path d="M6 8H40V60H6ZM23 8V60M6 34H40" fill="none" stroke="{tint}" stroke-width="3"/>',
        "trees": f'<path d="M-4 70L12 20L28 70ZM70 64L84 14L102 64Z" fill="{tint}"/>',
        "stripes": f'<path d="M8 0V100M32 0V100M68 0V100M92 0V100" stroke="{tint}" stroke-width="8"/>',
        "crowd": f'<path d="M0 60a9 11 0 0 1 22 0v40h-22zM80 52a9 11 0 0 1 22 0v48h-22z" fill="{tint}"/>',
    }
    return f'<rect width="100" height="100" fill="{sheet}"/>{shapes[style.scene]}'


def cover(style: Style, skin: str) -> str:
    """An object in front of the face, as SVG."""
    x, y, r, edge = style.cover_x, style.cover_y, style.cover_size, mix(skin, style.ink, 0.6)
    if style.cover == "hand":
        finger = f'width="{r * 0.45:.1f}" height="{2 * r:.1f}" rx="{r * 0.22:.1f}" fill="{skin}" stroke="{edge}"'
        rects = (f'<rect x="{x - r + k * r * 0.5:.1f}" y="{y - r:.1f}" {finger}/>' for k in range(4))
        return f'<g stroke-width="0.7">{"".join(rects)}</g>'
    if style.cover == "bar":
        look = f'fill="{style.ink}" transform="rotate({style.light_angle:.0f} {x:.0f} {y:.0f})"'
        return f'<rect x="{x - 40:.1f}" y="{y - r / 3:.1f}" width="80" height="{r * 0.7:.1f}" {look}/>'
    if style.cover == "strands":
        lines = "".join(f"M{x + k * 3:.1f} 8Q{x + k * 3 + 9:.1f} 40 {x + k * 4 - 6:.1f} 75" for k in range(4))
        return f'<path d="{lines}" fill="none" stroke="{style.ink}" stroke-width="1.3"/>'
    return ""
