"""The command `mpafer`: one file a verb, imported when it is asked for. Light to import."""

from __future__ import annotations

from importlib import import_module

import click

VERBS = (
    "demo", "run", "train", "compare", "ablate", "sweep", "cross", "report", "predict", "app", "align", "export",
    "check", "methods", "datasets", "plug",
)  # fmt: skip


class Verbs(click.Group):
    """A verb is the ``command`` of the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"mpafer.cli.{cmd_name}").command
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mpafer")
def main() -> None:
    """MPA-FER: multimodal prompt alignment for facial expression recognition, and its rivals, over a frozen CLIP."""
