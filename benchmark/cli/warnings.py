"""What a command says on stderr although it has done its work."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from data.errors import InputError, printable


@contextmanager
def only_a_warning() -> Iterator[None]:
    """Do not give up a finished result for what cannot be noted beside it."""
    try:
        yield
    except InputError as error:
        print(f"warning: {printable(str(error))}", file=sys.stderr)


def warn_of_gaps() -> None:
    """Say which metrics cannot be computed here, and what would mend it."""
    from benchmark.metrics import missing_metrics

    for name, reason in missing_metrics().items():
        print(f"warning: {name} is missing: {printable(reason)}", file=sys.stderr)
