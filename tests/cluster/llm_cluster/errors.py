"""What can go wrong, told in sentences a person can act on."""


class ClusterError(Exception):
    """Something the user has to know; the message says what to do."""


class CommandError(ClusterError):
    """A program that we ran failed; the message carries the end of what it wrote."""
