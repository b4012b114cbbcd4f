"""Contact sheet of the drawn faces: `python -m mpafer.sketch.sheet --out docs/sketchfer.png`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .identity import Identity, sample_identity
from .render import SIZE, render
from .style import Style, sample_style
from .units import CLASSES, PROTOTYPES, sample_expression

MARGIN = 64


def contact_sheet(columns: int, seed: int, family: str) -> Image.Image:
    """A row for each class: its clean prototype, then samples of `family`."""
    sheet = Image.new("RGB", (MARGIN + SIZE * (columns + 1), SIZE * len(CLASSES)), "white")
    write = ImageDraw.Draw(sheet)
    rng = np.random.default_rng([seed, 99])
    for row, name in enumerate(CLASSES):
        faces = [render(PROTOTYPES[name], Identity(), Style())]
        for _ in range(columns):
            faces.append(render(sample_expression(rng, name), sample_identity(rng), sample_style(rng, family)))
        write.text((4, SIZE * row + SIZE // 2), name, fill="black")
        for column, face in enumerate(faces):
            sheet.paste(Image.fromarray(face.image), (MARGIN + SIZE * column, SIZE * row))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/sketchfer.png"))
    parser.add_argument("--columns", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--family", default="sketchfer")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    # 256 colours keep the file small; the faces themselves are stored as JPEG.
    contact_sheet(args.columns, args.seed, args.family).quantize(128).save(args.out, optimize=True)


if __name__ == "__main__":
    main()
