"""The face itself: action units and an identity in, SVG shapes and the boxes of its parts out."""

from __future__ import annotations

from dataclasses import dataclass

from .hair import draw_beard, draw_freckles, draw_glasses, draw_hair
from .identity import Identity
from .lower import draw_head, draw_mouth, draw_nose
from .pen import Box, Palette, Pen
from .units import ActionUnits
from .upper import draw_brows, draw_eyes, draw_forehead

REGIONS = ("brows", "eyes", "nose", "mouth", "chin", "forehead")


@dataclass(frozen=True)
class Drawing:
    """SVG fragments from back to front, and region -> box in face units. Pose moves features over head."""

    back: str
    head: str
    features: str
    front: str
    regions: dict[str, Box]


def draw_face(au: ActionUnits, who: Identity, palette: Palette) -> Drawing:
    """Draw `who` doing `au`."""
    back, head, features, front = (Pen(palette) for _ in range(4))
    boxes = {"chin": draw_head(back, head, au, who)}
    draw_freckles(features, who)
    draw_beard(features, au, who)
    boxes["forehead"] = draw_forehead(features, au, who)
    boxes["nose"] = draw_nose(features, au, who)
    boxes["eyes"] = draw_eyes(features, au, who)
    boxes["brows"] = draw_brows(features, au, who)
    boxes["mouth"] = draw_mouth(features, au, who)
    draw_glasses(features, who)
    draw_hair(back, front, who)
    return Drawing(back.svg(), head.svg(), features.svg(), front.svg(), {name: boxes[name] for name in REGIONS})
