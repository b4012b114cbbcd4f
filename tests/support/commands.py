"""Commands run inside the tests' own process, which need not import torch anew."""

from __future__ import annotations

import contextlib
import io
import logging
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from mpafer.engine.checkpoint import rng_state, set_rng_state
from mpafer.engine.log import Tee


@contextlib.contextmanager
def own_process_state(*words: str) -> Iterator[io.StringIO]:
    """Inside, sys.argv is ``words`` and the buffer gets what is printed.

    What a command changes in its process is undone at the end: streams, module path, logging, random numbers.
    """
    generators, printed = rng_state(), io.StringIO()
    root, ours = logging.getLogger(), logging.getLogger("mpafer")
    level = ours.level
    with (
        patch.object(sys, "argv", list(words)),
        patch.object(sys, "path", list(sys.path)),
        patch.object(root, "handlers", []),
        contextlib.redirect_stdout(printed),
    ):
        try:
            yield printed
        finally:
            if isinstance(sys.stdout, Tee):
                sys.stdout.file.close()
            ours.setLevel(level)
            set_rng_state(generators)


def run_command(command: str, *words: str) -> str:
    """Run a script, or a module by its dotted name, as Python would start it; returns what it printed.

    Raises:
        SystemExit: it ended with an error's one line, which is the message, or with click's status.
    """
    script = command.endswith(".py")
    with own_process_state(command, *words) as printed:
        sys.path.insert(0, str(Path(command).parent if script else Path.cwd()))
        start = runpy.run_path if script else runpy.run_module
        try:
            start(command, run_name="__main__")
        except SystemExit as ended:
            if ended.code:
                raise
    return printed.getvalue()


def invoke(*words: str, **environment: str) -> str:
    """Run ``mpafer WORDS`` in this process with nothing else of its variables set; returns what it printed.

    Raises:
        SystemExit: it did not end well: with its message, or what it printed.
    """
    from click.testing import CliRunner

    from mpafer.cli import main

    own = dict.fromkeys(("DATA", "OUT", "SEEDS", "TAG", "JOBS", "CFG", "METHODS", "METHOD", "SHOTS", "SPLIT"))
    with own_process_state("mpafer", *words):
        result = CliRunner().invoke(main, list(words), env={**own, **environment}, catch_exceptions=False)
    if result.exit_code:
        raise SystemExit(result.output + (str(result.exit_code) if isinstance(result.exit_code, str) else ""))
    return result.output
