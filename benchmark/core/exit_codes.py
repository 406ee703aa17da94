"""The exit codes of the command line, and the one line that goes with a bad one."""

import sys

from data.errors import printable

FINE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
"""All went well; a check or a run failed; the input cannot be used; stopped by a signal."""


def complain(message: object, code: int) -> int:
    """Print a message as one line on stderr and return the exit code."""
    print(f"error: {printable(str(message))}", file=sys.stderr)
    return code
