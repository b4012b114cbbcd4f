"""`mpafer train`: one run, with CoOp's flags."""

from __future__ import annotations

import click

from mpafer.common.errors import clear_errors


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Train and test one run, with CoOp's flags."""
    from mpafer.runs.train import main, parse_args

    parsed = parse_args(arguments, prog=context.command_path)
    with clear_errors():
        main(parsed)
