"""The errors that the command line shows as a message instead of a traceback."""


class OrderctlError(Exception):
    """Something an engineer can act on: the message says what happened and what to do."""


class UsageError(OrderctlError):
    """What was typed cannot be meant: exit status 2."""
