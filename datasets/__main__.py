"""Older form of `mpafer check`: `python -m mpafer.datasets check NAME --root DATA`."""

import click

from mpafer.cli.check import command

main = click.Group("datasets", commands={"check": command})

if __name__ == "__main__":
    main(prog_name="python -m mpafer.datasets")
