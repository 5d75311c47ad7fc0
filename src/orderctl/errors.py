"""The one family of errors the command line shows as a message instead of a traceback."""


class OrderctlError(Exception):
    """Something an engineer can act on: the message says what happened and what to do."""
