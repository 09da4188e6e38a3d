"""Run a command, and end when all processes that it has started are gone.

Who waits for this process has the processor time of all of them. A command's fork server, and the
runs that are forked off it, outlive the command, which does not wait for them: without this their
time is counted nowhere. Linux only.
"""

import ctypes
import os
import subprocess
import sys
from contextlib import suppress
from typing import Final

_ADOPT_ORPHANS: Final = 36  # PR_SET_CHILD_SUBREAPER of Linux' prctl


def main(command: list[str]) -> int:
    """Run the command and return its exit code."""
    if ctypes.CDLL(None, use_errno=True).prctl(_ADOPT_ORPHANS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "orphans cannot be adopted")
    code = subprocess.run(command, check=False).returncode
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
