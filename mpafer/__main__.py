"""`python -m mpafer`: the command `mpafer`."""

import os
import sys

from mpafer.cli import main

if __name__ == "__main__":
    # the current folder is first: in a clone its `datasets`, `trainers` must never answer somebody's `import datasets`
    if sys.argv[1:2] != ["plug"] and sys.path[:1] in ([""], [os.getcwd()]):
        del sys.path[0]
    main(prog_name="mpafer")
