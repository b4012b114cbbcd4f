"""Older form of `mpafer predict`: `python -m mpafer.predict`."""

from mpafer.cli.predict import command

if __name__ == "__main__":
    command(prog_name="python -m mpafer.predict")
