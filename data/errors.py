"""The error for what a user gave and can mend."""


class InputError(ValueError):
    """Something that the user supplied cannot be used.

    The message says what, where, and what would be valid; the command line prints it on one line
    and exits with code 2.
    """
