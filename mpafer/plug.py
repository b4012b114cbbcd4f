"""The command `python -m mpafer.plug`: see `mpafer.dassl.plug`."""

from mpafer.common.errors import UserError, user_message
from mpafer.dassl.plug import main, parse_args

if __name__ == "__main__":
    arguments = parse_args()
    try:
        main(arguments)
    except UserError as error:  # all else may be the checkout's, and keeps its traceback
        raise SystemExit(f"error: {user_message(error)}") from error
