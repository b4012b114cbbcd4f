"""`mpafer methods`: what there is to run."""

from __future__ import annotations

from sys import modules
from textwrap import fill

import click
from tabulate import tabulate

from mpafer.cli import options
from mpafer.common.errors import clear_errors


@click.command()
@options.imports
@click.option("--words", is_flag=True, help="Instead: the words that prompts may have with the tiny CLIP.")
def command(words: bool) -> None:
    """The methods, whether they learn, their config node and their configs."""
    with clear_errors():
        if words:
            from mpafer.clip.words import PUNCTUATION, known_words

            print(fill(" ".join(known_words()), 100), PUNCTUATION, sep="\n")
            return
        from mpafer.run_config import methods
        from mpafer.runs.catalog import configs, method_names

        rows = []
        for name in method_names():
            method = methods()[name]
            learns = "yes" if method.learns else "no"
            rows.append([name, _title(method), learns, f"TRAINER.{method.node}", " ".join(configs(name))])
        print(tabulate(rows, ["method", "what it is", "learns", "options", "configs"]))


def _title(method: type) -> str:
    """The first sentence of its file, or of its class where the file has none."""
    text = modules[method.__module__].__doc__ or method.__doc__ or ""
    return text.strip().partition("\n")[0].partition(". ")[0].removesuffix(".")
