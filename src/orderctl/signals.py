"""The signals that end a program."""

import signal

# SIGHUP means that the terminal was closed.
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """Ctrl-C, or another signal that ends a program; `with` blocks stop what they started."""

    def __init__(self, number: int) -> None:
        """Take the signal's number."""
        super().__init__()
        self.number = number

    @property
    def by_ctrl_c(self) -> bool:
        """Whether somebody pressed Ctrl-C."""
        return self.number == signal.SIGINT
