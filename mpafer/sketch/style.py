"""How a face is shown: medium, pose, light and damage, sampled from families that differ on purpose.

The tiny CLIP was pretrained on `easy`, `natural` and `wild`: painted faces in natural colours. SketchFER has
`sketchfer`: mostly ink, pencil, comic and inverted drawings with more pose and damage: a domain shift. SketchFERB has
`prints`, to test across data sets: posters of two inks and chalk on boards, less tilted, more blurred.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from .identity import HAIRS, IRISES, LIPS, SKINS, Identity
from .pen import Palette

# Family -> amount of damage, and its media with their probabilities.
FAMILIES: dict[str, tuple[float, dict[str, float]]] = {
    "easy": (0.15, {"paint": 1.0}),
    "natural": (0.45, {"paint": 1.0}),
    "wild": (1.0, {"paint": 1.0}),
    "sketchfer": (1.0, {"paint": 0.16, "ink": 0.24, "pencil": 0.2, "comic": 0.24, "night": 0.16}),
    "prints": (1.0, {"poster": 0.6, "chalk": 0.4}),
}
POSE = {"sketchfer": 1.25, "prints": 0.7}  # amount of pose relative to the damage; 1 in the other families
COVERS = ("none", "hand", "bar", "strands")
SCENES = ("plain", "window", "trees", "stripes", "crowd")


@dataclass(frozen=True)
class Style:
    """One way to show a face. Angles in degrees, offsets in percent of the image's width."""

    family: str = "easy"
    medium: str = "paint"
    roll: float = 0.0
    yaw: float = 0.0  # [-1, 1]: features slide sideways over the head
    pitch: float = 0.0  # [-1, 1]: features slide up or down
    scale: float = 1.15
    dx: float = 0.0
    dy: float = 0.0
    mirror: bool = False
    scene: str = "plain"
    paper: str = "#c9d3d8"  # background, or the sheet that is drawn on
    ink: str = "#40525c"
    hue: float = 0.0
    width: float = 1.0
    light_angle: float = 0.0
    light: float = 0.0  # [0, 1] from even to one side in the dark
    exposure: float = 1.0
    contrast: float = 1.0
    grey: bool = False
    blur: float = 0.0  # sd in pixels of a 100-pixel image
    pixel: int = 1  # side of a mosaic's tiles, in pixels
    noise: float = 0.0  # sd, of 255
    cover: str = "none"
    cover_x: float = 50.0
    cover_y: float = 60.0
    cover_size: float = 10.0
    seed: int = 0  # of the noise


def sample_style(rng: np.random.Generator, family: str) -> Style:
    """A random style of a family."""
    harm, media = FAMILIES[family]
    pose, prints = harm * POSE.get(family, 1.0), family == "prints"

    def happens(p: float) -> bool:
        return bool(rng.random() < p * harm)

    light_paper, hue = rng.uniform(0.55, 0.97), rng.random()
    return Style(
        family=family,
        medium=str(rng.choice(list(media), p=list(media.values()))),
        roll=float(rng.normal(0, 7 * pose)),
        yaw=float(np.clip(rng.normal(0, 0.55 * pose), -1, 1)),
        pitch=float(np.clip(rng.normal(0, 0.45 * pose), -1, 1)),
        scale=float(rng.normal(1.17, 0.06 * pose)),
        dx=float(rng.normal(0, 2.2 * pose)),
        dy=float(rng.normal(0, 2.2 * pose)),
        mirror=bool(rng.random() < 0.5),
        scene=str(rng.choice(SCENES)) if happens(0.9) else "plain",
        paper=hsv(hue, rng.uniform(0, 0.3), light_paper),
        ink=hsv(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.08, 0.45)),
        hue=float(rng.random()),
        width=float(rng.uniform(1 - 0.3 * harm, 1 + 0.5 * harm)),
        light_angle=float(rng.uniform(0, 360)),
        light=float(rng.uniform(0, 0.65)) if happens(0.5) else 0.0,
        exposure=float(np.exp(rng.normal(0.03, 0.16 * harm))),
        contrast=float(np.exp(rng.normal(0, 0.2 * harm))),
        grey=happens(0.5 if prints else 0.25),
        blur=float(rng.uniform(0.3, 1.4)) if happens(0.7 if prints else 0.45) else 0.0,
        pixel=int(rng.integers(2, 4)) if family == "sketchfer" and happens(0.15) else 1,
        noise=float(rng.uniform(3, 22)) if happens(0.5) else 2.0,
        cover=str(rng.choice(COVERS[1:])) if happens(0.22) else "none",
        cover_x=float(rng.uniform(25, 75)),
        cover_y=float(rng.uniform(25, 90)),
        cover_size=float(rng.uniform(6, 11)),
        seed=int(rng.integers(2**31)),
    )


def palette_of(style: Style, who: Identity) -> Palette:
    """The colours of `who` in a medium."""
    paper, ink, width = style.paper, style.ink, style.width
    if style.medium == "paint":
        shade, line = mix(who.skin, "#3a1408", 0.42), mix(who.skin, "#200a05", 0.78)
        return Palette(who.skin, shade, line, who.hair, who.iris, mix(who.lip, who.skin, 0.15), width=width)
    if style.medium == "ink":
        hair = mix(ink, paper, HAIRS.index(who.hair) / len(HAIRS))
        return Palette(paper, ink, ink, hair, mix(ink, paper, 0.3), mix(ink, paper, 0.7), paper, ink,
                       mix(paper, "#4aa3df", 0.45), 1.15 * width)  # fmt: skip
    if style.medium == "pencil":
        soft, paper = mix(ink, "#505050", 0.6), mix(paper, "#c8c4ba", 0.4)
        hair = mix(soft, paper, 0.2 + 0.6 * HAIRS.index(who.hair) / len(HAIRS))
        skin, shade, iris, lip = (
            mix(paper, soft, 0.08),
            *(mix(soft, paper, share) for share in (0.15, 0.2, 0.55)),
        )
        inside, tear = mix(soft, "#202020", 0.4), mix(paper, "#ffffff", 0.7)
        return Palette(skin, shade, soft, hair, iris, lip, paper, inside, tear, 0.9 * width)
    if style.medium == "comic":
        hue = style.hue
        skin = hsv(hue, 0.55, 0.95 - 0.5 * SKINS.index(who.skin) / len(SKINS))
        hair = hsv(hue + 0.3 + 0.4 * HAIRS.index(who.hair) / len(HAIRS), 0.85, 0.7)
        lip = hsv(hue + 0.1 * LIPS.index(who.lip), 0.85, 0.55)
        black, shade, iris = "#101010", mix(skin, "#101010", 0.5), hsv(hue + 0.5, 0.7, 0.4)
        return Palette(skin, shade, black, hair, iris, lip, "#ffffe8", black, "#e8ffff", 1.4 * width)
    if style.medium == "poster":  # two inks on a sheet
        deep, bright = hsv(style.hue, 0.8, 0.3), hsv(style.hue + 0.45, 0.6, 0.95)
        skin = mix(paper, bright, 0.25 + 0.5 * SKINS.index(who.skin) / len(SKINS))
        hair = mix(deep, bright, 0.6 * HAIRS.index(who.hair) / len(HAIRS))
        return Palette(skin, mix(skin, deep, 0.5), deep, hair, deep, mix(bright, deep, 0.5), paper, deep, paper,
                       1.6 * width)  # fmt: skip
    if style.medium == "chalk":
        board, chalk = hsv(style.hue, 0.45, 0.4), mix(paper, "#ffffff", 0.6)
        hair = mix(board, chalk, 0.1 + 0.5 * HAIRS.index(who.hair) / len(HAIRS))
        return Palette(mix(board, chalk, 0.12), mix(chalk, board, 0.35), chalk, hair, mix(chalk, board, 0.2),
                       mix(board, chalk, 0.4), mix(board, chalk, 0.25), mix(board, "#000000", 0.35), chalk,
                       1.2 * width)  # fmt: skip
    dark, glow = mix(ink, "#05060c", 0.5), hsv(style.hue, 0.35, 0.95)  # night
    hair = mix(dark, glow, 0.15 + 0.5 * HAIRS.index(who.hair) / len(HAIRS))
    iris = mix(glow, dark, 0.2 + 0.1 * IRISES.index(who.iris))
    return Palette(mix(dark, glow, 0.1), mix(glow, dark, 0.25), glow, hair, iris, mix(dark, glow, 0.45), dark,
                   mix(glow, "#ffffff", 0.3), "#ffffff", width)  # fmt: skip


def hsv(hue: float, saturation: float, value: float) -> str:
    """A colour as '#rrggbb'; hue wraps around at 1."""
    return "#" + "".join(f"{round(255 * c):02x}" for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def mix(a: str, b: str, share: float) -> str:
    """The colour `share` of the way from a to b."""
    pairs = ((int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(p + (q - p) * share):02x}" for p, q in pairs)
