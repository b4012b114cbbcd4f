"""Older form of `mpafer report`: `python -m mpafer.report`."""

from mpafer.cli.report import command

if __name__ == "__main__":
    command(prog_name="python -m mpafer.report")
