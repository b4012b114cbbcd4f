"""Write configs/dassl: the YAML files of the data sets and of MPAFER, each in one piece.

    python tools/flat_configs.py

A checkout on Dassl reads its YAML with yacs, which does not know our key `_BASE_`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mpafer.common.config import Values, read_file

CONFIGS = Path(__file__).parent.parent / "configs"
SOURCES = ("datasets", "trainers/MPAFER")  # of our methods only MPAFER is registered in Dassl


class _Dumper(yaml.SafeDumper):
    """Lists on one line, tuples as the text that yacs decodes."""


_Dumper.add_representer(list, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, True))
_Dumper.add_representer(tuple, lambda dumper, value: dumper.represent_str(str(value)))


def flat_text(source: Path) -> str:
    """The text of the flat copy of a file under configs/."""
    header = f"# Made from configs/{source.relative_to(CONFIGS).as_posix()} by tools/flat_configs.py; change that one."
    return f"{header}\n{yaml.dump(_tree(read_file(source)), Dumper=_Dumper, sort_keys=False)}"


def _tree(values: Values) -> dict[str, Any]:
    """Nested dictionaries of dotted keys."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *nodes, leaf = key.split(".")
        place = tree
        for node in nodes:
            place = place.setdefault(node, {})
        place[leaf] = value
    return tree


def flat_files() -> dict[Path, str]:
    """Path -> text of every file of configs/dassl."""
    sources = [path for folder in SOURCES for path in sorted((CONFIGS / folder).glob("*.yaml"))]
    return {CONFIGS / "dassl" / source.relative_to(CONFIGS): flat_text(source) for source in sources}


def main() -> None:
    for path, text in flat_files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
