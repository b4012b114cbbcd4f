"""Facial action units, and how the eight expressions are made of them (after MPA-FER's Table 1)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import numpy as np

CLASSES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "contempt")
# RAF-DB's training counts; contempt, which RAF-DB lacks, is made twice as frequent as fear.
CLASS_COUNTS = (1290, 281, 717, 4772, 1982, 705, 2524, 562)


@dataclass(frozen=True)
class ActionUnits:
    """What the face does, each unit in [0, 1]; the `one_*` units act on one side of the face."""

    inner_brow_raise: float = 0.0
    outer_brow_raise: float = 0.0
    brow_lower: float = 0.0
    one_brow_raise: float = 0.0  # this side's brow rises while the other one is lowered
    upper_lid_raise: float = 0.0
    lid_tighten: float = 0.0
    lid_droop: float = 0.0
    nose_wrinkle: float = 0.0
    cheek_raise: float = 0.0
    corner_up: float = 0.0
    corner_down: float = 0.0
    one_corner_up: float = 0.0
    jaw_drop: float = 0.0
    lips_part: float = 0.0
    lips_press: float = 0.0
    tears: float = 0.0
    forehead_lines: float = 0.0
    nostril_flare: float = 0.0
    chin_raise: float = 0.0
    chin_retract: float = 0.0

    def vector(self) -> np.ndarray:
        """The units as float32 [20], in the order of UNITS."""
        return np.array(list(asdict(self).values()), dtype=np.float32)

    @classmethod
    def from_vector(cls, values: np.ndarray) -> ActionUnits:
        """The inverse of `vector`; values [20] are clipped to [0, 1] and rounded as on disk."""
        return cls(*(round(float(v), 3) for v in np.clip(values, 0, 1)))


UNITS = tuple(field.name for field in fields(ActionUnits))

PROTOTYPES: dict[str, ActionUnits] = {
    "surprise": ActionUnits(
        upper_lid_raise=1.0, jaw_drop=0.9, lips_part=0.7, inner_brow_raise=0.9, outer_brow_raise=0.9,
        forehead_lines=0.3,
    ),
    "fear": ActionUnits(
        inner_brow_raise=0.9, outer_brow_raise=0.5, brow_lower=0.5, upper_lid_raise=0.6, lips_part=0.9,
        corner_down=0.3, chin_retract=0.9, forehead_lines=0.4,
    ),
    "disgust": ActionUnits(
        nose_wrinkle=1.0, brow_lower=0.7, lid_tighten=0.7, lips_press=0.6, corner_down=0.35, cheek_raise=0.3
    ),
    "happiness": ActionUnits(
        corner_up=1.0, cheek_raise=0.9, lid_tighten=0.3, outer_brow_raise=0.3, inner_brow_raise=0.2,
        lips_part=0.5,
    ),
    "sadness": ActionUnits(
        tears=0.8, corner_down=0.9, lid_droop=0.9, forehead_lines=0.7, inner_brow_raise=0.8, brow_lower=0.2
    ),
    "anger": ActionUnits(brow_lower=1.0, lid_tighten=0.7, lips_press=0.9, nostril_flare=0.9, corner_down=0.1),
    "neutral": ActionUnits(),
    "contempt": ActionUnits(one_corner_up=0.9, one_brow_raise=0.9, lid_tighten=0.5, chin_raise=0.8),
}  # fmt: skip

# Expressions that people mix up: blends go towards these, and wrong labels are among them.
NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "surprise": ("fear", "happiness"),
    "fear": ("surprise", "sadness"),
    "disgust": ("anger", "contempt", "sadness"),
    "happiness": ("neutral", "surprise", "contempt"),
    "sadness": ("neutral", "fear", "disgust"),
    "anger": ("disgust", "neutral"),
    "neutral": ("sadness", "contempt", "happiness"),
    "contempt": ("neutral", "happiness", "disgust"),
}


def sample_expression(rng: np.random.Generator, name: str) -> ActionUnits:
    """A face of a class: its prototype at random intensity, with missing cues, a share of a neighbour, and noise."""
    units = PROTOTYPES[name].vector()
    if rng.random() < 0.3:
        other = PROTOTYPES[str(rng.choice(NEIGHBOURS[name]))].vector()
        share = rng.uniform(0.1, 0.4)
        units = (1 - share) * units + share * other
    intensity = 0.35 + 0.8 * rng.beta(2.2, 1.6)
    units = units * intensity * rng.uniform(0.65, 1.25, len(UNITS))
    units = np.where(rng.random(len(UNITS)) < 0.12, units * 0.25, units)  # some cues are missing
    return ActionUnits.from_vector(units + sample_fidget(rng))


def sample_fidget(rng: np.random.Generator) -> np.ndarray:
    """Units [20] that move without an emotion: people talk, squint and frown."""
    fidget = np.where(rng.random(len(UNITS)) < 0.12, rng.uniform(0, 0.35, len(UNITS)), 0)
    if rng.random() >= 0.3:
        fidget[UNITS.index("tears")] = 0
    return fidget + np.abs(rng.normal(0, 0.03, len(UNITS)))


def confuse(rng: np.random.Generator, name: str, rate: float) -> str:
    """`name`, or with probability `rate` one of its neighbours: an annotator's error."""
    return str(rng.choice(NEIGHBOURS[name])) if rng.random() < rate else name
