"""Pretrain the tiny CLIP on drawn faces: `python tools/tiny_clip/pretrain.py --out FILE --minutes 40`.

Stage 1 trains the vision tower with an auxiliary head that reads action units and permanent traits from the
image feature and, more weakly, from the mean patch feature; every other batch also meets its captions.
The head is thrown away: the vision tower is *not* purely contrastive, for which a CPU takes too long.
Stage 2 freezes it and trains the text tower alone, contrastively, at logit scale 100 (LiT, arXiv 2111.07991).

The budget is wall time, and the schedules follow it: the result depends on the machine. An interrupted run goes on
from `--state`, which has the drawn faces and, every two minutes, the state of stage 1.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="the safetensors file to write")
    add("--state", type=Path, default=Path("pretrain-state"), help="folder from which an interrupted run goes on")
    add("--minutes", type=float, default=40, help="training time; drawing the faces comes before it")
    add("--images", type=int, default=80_000)
    add("--batch", type=int, default=128)
    add("--seed", type=int, default=0)
    add("--workers", type=int, default=2, help="processes that draw")
    add("--threads", type=int, default=2)
    add("--compile", action="store_true", help="a third faster; needs a C++ compiler")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    from training import pretrain  # torch is slow to import

    pretrain(args)


if __name__ == "__main__":
    main()
