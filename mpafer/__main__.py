"""`python -m mpafer`: the command `mpafer`."""

import sys

from mpafer.cli import main

if __name__ == "__main__":
    # the current folder is first: in a clone its `datasets`, `trainers` must never answer somebody's `import datasets`
    if sys.argv[1:2] != ["plug"] and not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    main(prog_name="mpafer")
