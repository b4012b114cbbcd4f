"""The command `python -m mpafer.plug`: see `mpafer.dassl.plug`."""

from mpafer.common.errors import clear_errors
from mpafer.dassl.plug import main, parse_args

if __name__ == "__main__":
    arguments = parse_args()
    with clear_errors(foreign=True):
        main(arguments)
