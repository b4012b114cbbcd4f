"""Methods and data sets of other people: files that are imported beside ours, and files that could not be.

A file outside the repository enters its classes by `@register_method` and `@register_dataset`, as ours do. It is named
by ``--import`` (a module, or the path of a .py file), which keeps it in MPAFER_IMPORT for the processes of a run, or an
installed package names it as an entry point of the group ``mpafer``.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from mpafer.common.errors import OptionError

logger = logging.getLogger(__name__)
VARIABLE = "MPAFER_IMPORT"  # names, with os.pathsep between
BROKEN: dict[str, str] = {}  # module -> why it could not be imported


def import_all(package: str, path: Iterable[str]) -> None:
    """Import every module of a package; one that cannot be imported is named and stops none of the others."""
    for module in iter_modules(path):
        if not module.name.startswith("_"):
            name = f"{package}.{module.name}"
            _try(name, partial(import_module, name))


def keep_imports(names: Sequence[str]) -> None:
    """Have these modules and files imported, by this process and by those that it starts."""
    if names:
        os.environ[VARIABLE] = os.pathsep.join(names)


def kept_imports() -> list[str]:
    """The modules and files to import."""
    return [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]


@cache
def load_extensions() -> None:
    """Import what entry points and MPAFER_IMPORT name, once.

    Raises:
        OptionError: MPAFER_IMPORT names no module and no file. Other errors of such a file are its own.
    """
    for entry in sorted(entry_points(group="mpafer")):
        _try(entry.value, entry.load)
    for name in kept_imports():
        import_named(name)


def import_named(name: str) -> None:
    """Import a module by its name, or a .py file; the current folder is searched last, so it hides nothing.

    Raises:
        OptionError: there is none.
    """
    path = Path(name).expanduser().resolve()
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        raise OptionError(f"--import {name}: no such file")
    module, folder = (path.stem, path.parent) if is_file else (name, Path.cwd())
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    try:
        imported = import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # of something that it needs
        raise OptionError(f"--import {name}: no such module, here or installed") from error
    origin = getattr(imported, "__file__", None) or ""
    if is_file and Path(origin).resolve() != path:
        raise OptionError(f"--import {name}: another module is called {module} ({origin}): rename the file")


def enter(registry: dict[str, Any], kind: type) -> None:
    """Enter a class under its name.

    Raises:
        OptionError: another module's class has this name already.
    """
    other = registry.get(kind.__name__, kind)
    if other.__module__ != kind.__module__:
        raise OptionError(
            f"{kind.__module__}: {other.__module__} has a {kind.__name__} already; give yours another name"
        )
    registry[kind.__name__] = kind


def broken_note() -> str:
    """The end of an error message on an unknown name: what could not be imported, and may have had it."""
    return "".join(f"; {name} could not be imported: {why}" for name, why in BROKEN.items())


def _try(name: str, load: Callable[[], object]) -> None:
    try:
        load()
    except Exception as error:
        BROKEN[name] = f"{type(error).__name__}: {error}"
        logger.warning("%s could not be imported, what it has is missing: %s", name, BROKEN[name])
