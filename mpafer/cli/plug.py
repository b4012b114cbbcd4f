"""`mpafer plug`: the train.py of a checkout on Dassl, with ours in it."""

from __future__ import annotations

import click

from mpafer.common.errors import UserError, user_message


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run a CoOp, MaPLe or PromptSRC checkout's train.py with MPAFER and the data sets in it."""
    from mpafer.dassl.plug import main, parse_args

    parsed = parse_args(arguments, prog="mpafer plug")
    try:
        main(parsed)
    except UserError as error:  # all else may be the checkout's, and keeps its traceback
        raise SystemExit(f"error: {user_message(error)}") from error
