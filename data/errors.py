"""The error for what a user gave and can mend."""


class InputError(ValueError):
    """Something that the user supplied cannot be used.

    The message says what, where, and what would be valid; the command line prints it on one line
    and exits with code 2.
    """


def printable(text: str) -> str:
    """Return text on one line, with escapes for what would not be shown as it is.

    Those are line ends, control characters, marks that change the direction of writing, and bytes
    of file names that are not UTF-8.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
