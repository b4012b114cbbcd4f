"""Older form of `mpafer plug`: `python -m mpafer.plug`."""

from mpafer.cli.plug import command

if __name__ == "__main__":
    command(prog_name="python -m mpafer.plug")
