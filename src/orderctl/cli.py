"""The entry point: from here on Ctrl-C and errors end in a message, not in a traceback."""

import contextlib
import signal
import sys
from io import TextIOWrapper
from types import FrameType
from typing import NoReturn

from orderctl.errors import OrderctlError
from orderctl.processes import ENDING_SIGNALS

_SIGNALLED = 128


class Ended(BaseException):
    """Ctrl-C, or another signal that ends a program; what was started is stopped on its way up."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def main() -> None:
    """Run the command line."""
    for number in ENDING_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as it is under nohup
            signal.signal(number, _end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that lacks a character shows another for it.
            stream.reconfigure(errors="replace")
    try:
        # Loading takes a moment too, in which Ctrl-C may come.
        from orderctl.app import app  # noqa: PLC0415

        _listen()
        app()
    except OrderctlError as error:
        _say_error(error)
        sys.exit(1)
    except Ended as end:
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        _say_end(end)
        sys.exit(_SIGNALLED + end.number)
    except Exception as fault:  # a defect; whoever typed sees no traceback
        _say_unexpected(fault)
        sys.exit(1)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise Ended(number)


def _listen() -> None:
    from orderctl import console  # noqa: PLC0415

    console.listen()


def _say_unexpected(fault: Exception) -> None:
    from orderctl import console  # noqa: PLC0415

    console.unexpected(fault)


def _say_error(error: OrderctlError) -> None:
    from orderctl import console  # noqa: PLC0415

    console.error(str(error))


def _say_end(end: Ended) -> None:
    by = "Ctrl-C" if end.number == signal.SIGINT else signal.Signals(end.number).name
    below_the_c = "\n" if sys.stderr.isatty() else ""  # a terminal shows ^C where the cursor was
    with contextlib.suppress(OSError):  # the terminal may be what has gone
        sys.stderr.write(f"{below_the_c}Stopped by {by}.\n")
