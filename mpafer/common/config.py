"""The config tree: merging files and KEY VALUE pairs with errors that name the key meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from mpafer.common.defaults import IGNORED, REFUSED
from mpafer.common.errors import DataError, MissingFileError, OptionError
from mpafer.common.options import closest
from mpafer.common.texts import read_yaml

Values = dict[str, Any]  # dotted key -> value


def dataset_title(tree: Mapping[str, Any]) -> str:
    """A run's data set as people call it: DATASET.TITLE, or else its name; "" where a tree has neither."""
    node = tree.get("DATASET", {})
    return str(node.get("TITLE") or node.get("NAME", ""))


def read_file(path: str | Path, above: tuple[Path, ...] = ()) -> Values:
    """The values of a YAML file, over those of the files that it starts from.

    Args:
        path: the file. Its key ``_BASE_`` names others, relative to it, each over the one before.
        above: the files that start from this one.

    Raises:
        MissingFileError: no such file; lists its neighbours.
        DataError: it is not YAML of keys and values, or starts from itself.
    """
    path = Path(path)
    if path.resolve() in above:
        raise DataError(f"{path} starts from itself: {' -> '.join(str(file) for file in [*above, path.resolve()])}")
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml"))) or "nothing"
        asked = f", which {above[-1]} starts from" if above else ""
        raise MissingFileError(f"no config file {path}{asked}; that folder holds: {known}")
    try:
        tree = read_yaml(path) or {}
        bases = tree.pop("_BASE_", [])
        own = {key: CfgNode._decode_cfg_value(value) for key, value in leaves(CfgNode(tree))}
    except (AttributeError, TypeError, AssertionError) as error:  # yacs: lists, dates
        raise DataError(f"{path} is not YAML with keys and values: {error}") from error
    bases = [bases] if isinstance(bases, str) else bases
    if not (isinstance(bases, list) and all(isinstance(base, str) for base in bases)):
        raise DataError(f"{path}: _BASE_ is a path or a list of paths, not {bases!r}")
    values: Values = {}
    for base in bases:
        values |= read_file(path.parent / base, (*above, path.resolve()))
    return values | own


def read_pairs(words: Sequence[str]) -> Values:
    """The values of KEY VALUE words, decoded as yacs decodes them.

    Raises:
        OptionError: a word is left over, or a flag.
    """
    if flag := next((word for word in words if word.startswith("--")), ""):
        raise OptionError(f"{flag} stands behind KEY VALUE pairs: put flags before them")
    if len(words) % 2:
        raise OptionError(f"options come as KEY VALUE pairs, but these are {len(words)} words: {' '.join(words)}")
    return {key: CfgNode._decode_cfg_value(text) for key, text in zip(words[::2], words[1::2], strict=True)}


def merge(config: CfgNode, source: str, values: Mapping[str, Any], owners: Mapping[str, str] | None = None) -> None:
    """Set values, in place; whole numbers become decimals where the tree has decimals.

    Args:
        config: the tree.
        source: file or "command line", for the message.
        values: dotted key -> value.
        owners: key or node that is not in the tree -> whose it is, in words, for the message.

    Raises:
        OptionError: an unknown key (the closest known one is named), one of another owner, or one of Dassl's that would
            change a result; a value of another type.
    """
    known = dict(leaves(config))
    for key, value in values.items():
        if value is None and any(leaf.startswith(f"{key}.") for leaf in known):
            continue  # a node without entries
        if key not in known:
            if not _ignored(key, value, source):
                whose = [text for owned, text in (owners or {}).items() if _within(key, owned)]
                raise OptionError(
                    f"{source}: {key} is {whose[0]}"
                    if whose
                    else f"{source}: no config key {key}: {closest(key, known)}"
                )
            continue
        try:
            if isinstance(known[key], float) and type(value) is int:
                value = float(value)
            config.merge_from_list([key, value])
        except (ValueError, OverflowError) as error:
            raise OptionError(f"{source}: {error}") from None


def set_value(config: CfgNode, key: str, value: Any) -> None:
    """Set a key that is in the tree, also where the tree is frozen."""
    frozen = config.is_frozen()
    config.defrost()
    config.merge_from_list([key, value])
    if frozen:
        config.freeze()


def _ignored(key: str, value: Any, source: str) -> bool:
    """Whether a key of Dassl's changes nothing here."""
    if key in REFUSED:
        only, why = REFUSED[key]
        if as_yaml_has_it(value) != as_yaml_has_it(only):
            raise OptionError(f"{source}: {key} cannot be {value!r} here, only {only!r}: {why}")
        return True
    return any(_within(key, name) for name in IGNORED)


def _within(key: str, node: str) -> bool:
    return key == node or key.startswith(f"{node}.")


def as_yaml_has_it(value: Any) -> Any:
    """A config value as it is read again: YAML has no tuples."""
    return list(value) if isinstance(value, tuple) else value


def leaves(node: CfgNode, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every entry."""
    for key, value in node.items():
        if isinstance(value, CfgNode):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
