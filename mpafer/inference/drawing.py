"""A picture with its answer drawn on it."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from mpafer.inference.answers import Answer

COLOUR, SHADE = "#FFD400", "#000000"
SIZE, BRIEF = 28, 16  # the height of the picture by that of the letters, which are no smaller than:
SMALLEST = 11


def annotate(image: Image.Image, answer: Answer, numbers: Sequence[int] = (), *, brief: bool = False) -> Image.Image:
    """A copy with a box and a label at each face, or with the label of the whole picture, and the answer's note.

    Args:
        image: upright RGB.
        answer: to it.
        numbers: of the faces, which stand before the labels; default: none.
        brief: larger letters, and labels alone, for a picture that is shown small beside its answer.
    """
    image = image.copy()
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(max(SMALLEST, min(image.size) // (BRIEF if brief else SIZE)))
    names = [f"{number} " for number in numbers] or [""] * len(answer.faces)
    for name, face in zip(names, answer.faces, strict=True):
        draw.rectangle([round(side) for side in face.box], outline=COLOUR, width=max(1, min(image.size) // 240))
        words = f"{name}{face.label}" + ("" if brief else f" {face.confidence:.0%} {' '.join(face.marks)}".rstrip())
        _write(draw, font, face.box[0], face.box[1], words, image.width)
    if not answer.faces:
        whole = f"whole image: {answer.label} {answer.confidence:.0%}" if answer.label else "no face found"
        _write(draw, font, 0, 0, whole, image.width)
    if answer.note:
        _write(draw, font, 0, image.height, answer.note, image.width)
    return image


def _write(
    draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, x: float, bottom: float, words: str,
    width: int,
) -> None:  # fmt: skip
    """Words on a dark ground that end at ``bottom``, or begin at the picture's top where there is no room."""
    left, top, right, low = draw.textbbox((0, 0), words, font=font)
    x = max(0.0, min(x, width - right))
    y = max(0.0, bottom - low - 2)
    draw.rectangle((x + left - 1, y + top - 1, x + right + 1, y + low + 1), fill=SHADE)
    draw.text((x, y), words, font=font, fill=COLOUR)
