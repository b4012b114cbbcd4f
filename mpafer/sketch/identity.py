"""The person: the permanent features of a face, independent of its expression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SKINS = ("#f6dcc8", "#eec3a0", "#dba67c", "#c68a5c", "#a8724a", "#8a5a38", "#6d452c")
HAIRS = ("#1d1712", "#3a2618", "#6b4426", "#a8743a", "#d9b468", "#a33c1c", "#8d8d8d", "#e8e6e0")
IRISES = ("#4a2f1b", "#6b4d2a", "#3d6b8e", "#5b8a5a", "#7a7f86")
LIPS = ("#c4706a", "#b35a5c", "#a04a4a", "#c98a7c", "#8e4340")
HAIR_STYLES = ("bald", "short", "side", "fringe", "long", "curly", "bun")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "round", "square")


@dataclass(frozen=True)
class Identity:
    """Lengths are in face units, 100 to the image; the sizes at the end are 1 for an average person."""

    skin: str = SKINS[1]
    hair: str = HAIRS[1]
    iris: str = IRISES[0]
    lip: str = LIPS[0]
    hair_style: str = "short"
    beard: str = "none"
    glasses: str = "none"
    earrings: bool = False
    freckles: bool = False
    age: float = 0.2  # [0, 1]; draws lines that no action unit made
    face_width: float = 30.0  # half the width
    jaw: float = 0.5  # [0, 1] pointed to square
    eye_gap: float = 13.0  # from the middle of the face to an eye
    eye_y: float = 45.0
    mouth_y: float = 72.0
    brow_tilt: float = 0.0  # slope at rest
    mouth_curve: float = 0.0  # curvature at rest: some people look stern or merry
    eye_size: float = 1.0
    eye_height: float = 1.0
    brow_weight: float = 1.0
    nose_size: float = 1.0
    mouth_width: float = 1.0
    lip_weight: float = 1.0


def sample_identity(rng: np.random.Generator) -> Identity:
    """A random person."""

    def spread(sd: float) -> float:
        return float(np.clip(rng.normal(1, sd), 1 - 2 * sd, 1 + 2 * sd))

    def pick(values: tuple[str, ...], p: list[float] | None = None) -> str:
        return str(rng.choice(values, p=p))

    hair_style = pick(HAIR_STYLES)
    beardless = hair_style in ("long", "bun", "fringe")
    return Identity(
        skin=pick(SKINS),
        hair=pick(HAIRS),
        iris=pick(IRISES),
        lip=pick(LIPS),
        hair_style=hair_style,
        beard="none" if beardless else pick(BEARDS, [0.5, 0.16, 0.12, 0.1, 0.12]),
        glasses=pick(GLASSES, [0.78, 0.11, 0.11]),
        earrings=bool(beardless and rng.random() < 0.4),
        freckles=bool(rng.random() < 0.12),
        age=float(rng.beta(1.2, 2.5)),
        face_width=30 * spread(0.06),
        jaw=float(rng.uniform(0, 1)),
        eye_gap=13 * spread(0.06),
        eye_y=45 + float(rng.uniform(-1.5, 1.5)),
        mouth_y=72 + float(rng.uniform(-1.5, 1.5)),
        brow_tilt=float(rng.normal(0, 0.7)),
        mouth_curve=float(rng.normal(0, 0.6)),
        eye_size=spread(0.1),
        eye_height=spread(0.1),
        brow_weight=spread(0.25),
        nose_size=spread(0.13),
        mouth_width=spread(0.1),
        lip_weight=spread(0.22),
    )
