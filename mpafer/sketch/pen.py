"""SVG shapes in face units: 100 x 100, y downwards, the face's axis at x = 50; a side is -1 (left) or +1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]  # x0, y0, x1, y1
SIDES = (-1, 1)


@dataclass(frozen=True)
class Palette:
    """Colours (any SVG paint) of one drawing, and the width of its contours relative to the default."""

    skin: str
    shade: str  # creases and shadows on the skin
    line: str  # contours
    hair: str
    iris: str
    lip: str
    white: str = "#fbfaf7"  # eyes and teeth
    inside: str = "#4a1512"  # open mouth
    tear: str = "#8fd0f5"
    width: float = 1.0


class Pen:
    """Collects SVG shapes drawn with one palette."""

    def __init__(self, palette: Palette):
        self.palette = palette
        self.shapes: list[str] = []

    def path(self, d: str, fill: str = "none", stroke: str = "", width: float = 0.0, opacity: float = 1.0) -> None:
        if opacity <= 0.02:
            return
        pen = f' stroke="{stroke}" stroke-width="{width * self.palette.width:.2f}"' if stroke else ""
        see = f' opacity="{min(opacity, 1):.2f}"' if opacity < 1 else ""
        self.shapes.append(f'<path d="{d}" fill="{fill}"{pen}{see}/>')

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: str, opacity: float = 1, extra: str = "") -> None:
        where = f'cx="{x:.2f}" cy="{y:.2f}" rx="{rx:.2f}" ry="{ry:.2f}"'
        self.shapes.append(f'<ellipse {where} fill="{fill}" opacity="{opacity:.2f}" {extra}/>')

    def crease(self, d: str, strength: float, width: float = 1.0) -> None:
        """A fold of the skin; its strength in [0, 1] shows as opacity."""
        self.path(d, stroke=self.palette.shade, width=width, opacity=strength)

    def svg(self) -> str:
        return "".join(self.shapes)


def curve(start: Sequence[float], *pieces: Sequence[float]) -> str:
    """An SVG path: a start point, then line (2 numbers), quadratic (4) and cubic (6) pieces."""
    parts = [f"M{start[0]:.2f} {start[1]:.2f}"]
    for piece in pieces:
        command = {2: "L", 4: "Q", 6: "C"}[len(piece)]
        parts.append(command + " ".join(f"{v:.2f}" for v in piece))
    return "".join(parts)
