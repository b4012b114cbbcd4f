"""Write a run's prompts into the package, for `mpafer predict` right after installation.

python tools/ship_prompts.py RUN
"""

from __future__ import annotations

import sys
from dataclasses import asdict

from mpafer.inference.face_template import run_template
from mpafer.inference.kept import save
from mpafer.inference.predictor import SHIPPED
from mpafer.inference.saved import load_run

if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    model, _ = load_run(sys.argv[1])
    model.recipe = {**(model.recipe or {}), "template": asdict(run_template(sys.argv[1]))}
    save(model, SHIPPED)
    print(f"{SHIPPED}: {SHIPPED.stat().st_size:,} bytes")
