"""Errors a user can act on, each with the exit code the command line gives it."""


class MergeLadderError(Exception):
    """Something failed although the input was good: a full disk, a corrupt stored file. Exit code 1."""

    exit_code = 1


class InputError(MergeLadderError):
    """The input or the usage is wrong; the message names the offending thing and the remedy. Exit code 2."""

    exit_code = 2
