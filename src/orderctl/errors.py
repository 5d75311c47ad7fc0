"""The errors that the command line shows as a message instead of a traceback."""


class OrderctlError(Exception):
    """Something an engineer can act on: the message says what happened and what to do."""


class UsageError(OrderctlError):
    """The command was called the wrong way: exit status 2."""
