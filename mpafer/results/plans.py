"""Which variant of which ablation a run is: noted beside its seeds, in plans.json, when the ablation starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from mpafer.common.errors import DataError
from mpafer.common.files import atomic_file

PLANS = "plans.json"


def note_plan(ablation: str, plan: str, folders: Mapping[str, str | Path]) -> None:
    """Note in each experiment's folder which variant of which plan it is; an experiment may be part of several.

    Args:
        ablation: its name.
        plan: tells it from the same ablation with other settings; data set and folder of the plain run do.
        folders: variant -> folder of its seeds.
    """
    for variant, folder in folders.items():
        file = Path(folder) / PLANS
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f".{PLANS}.lock")):  # two ablations may share a run
            plans = read_plans(file.parent)
            plans[ablation] = plans.get(ablation, {}) | {plan: variant}
            with atomic_file(file) as out:
                out.write(json.dumps(plans, indent=1, ensure_ascii=False, sort_keys=True).encode())


def read_plans(folder: Path) -> dict[str, dict[str, str]]:
    """The plans that an experiment is part of: ablation -> plan -> variant."""
    file = folder / PLANS
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text("utf-8"))
        return {str(name): {str(plan): str(label) for plan, label in notes.items()} for name, notes in content.items()}
    except (ValueError, AttributeError) as error:
        raise DataError(
            f"{file} is damaged ({error!r}): remove it and start the ablation again, which notes it anew"
        ) from error
