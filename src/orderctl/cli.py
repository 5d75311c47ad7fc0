"""The entry point. Ctrl-C and errors end in a message, never in a traceback."""

import contextlib
import itertools
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from types import FrameType
from typing import NoReturn

from orderctl.signals import ENDING_SIGNALS, Ended

_SIGNALLED = 128


def main() -> None:
    """Run the command line."""
    for number in ENDING_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, _end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A character that the terminal does not have is shown as "?".
            stream.reconfigure(errors="replace")
    try:
        status = _run_program(sys.argv[1:])
    except Ended as end:
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        _say_end(end)
        status = _SIGNALLED + end.number
    sys.exit(status)


def _run_program(arguments: Sequence[str]) -> int:
    # Imported here, so that Ctrl-C during the import ends in a message too.
    from orderctl.terminal import console  # noqa: PLC0415

    console.listen()
    return run(arguments)


def run(arguments: Sequence[str]) -> int:
    """Run one command, and return its exit status.

    Args:
        arguments: what was typed after the program's name.
    """
    from cyclopts import CycloptsError  # noqa: PLC0415

    from orderctl.commands import load  # noqa: PLC0415
    from orderctl.errors import OrderctlError, UsageError  # noqa: PLC0415
    from orderctl.terminal import console, usage  # noqa: PLC0415

    before_others = itertools.takewhile(lambda each: each != "--", arguments)
    console.begin(as_json="--json" in before_others)
    status = 0
    try:
        _check_text(arguments)
        app = load(*arguments[:1])
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        console.flush()
    except CycloptsError as error:
        status = 2
        console.usage_error(usage.explain(error), error.command_chain or ())
    except OrderctlError as error:
        status = 2 if isinstance(error, UsageError) else 1
        console.error(str(error), status)
    except console.NobodyReadsError:
        pass
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    except Exception as fault:  # a defect: the user sees no traceback
        status = 1
        console.report_defect(fault)
    return status


def _check_text(arguments: Sequence[str]) -> None:
    """Refuse arguments that are not valid text: AWS takes Unicode only.

    Raises:
        UsageError: an argument is not valid text.
    """
    from orderctl.errors import UsageError  # noqa: PLC0415

    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{argument} is not Unicode text.") from None


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise Ended(number)


def _say_end(end: Ended) -> None:
    by = "Ctrl-C" if end.by_ctrl_c else signal.Signals(end.number).name
    below_the_c = "\n" if sys.stderr.isatty() else ""  # a terminal prints ^C first
    with contextlib.suppress(OSError):  # the terminal itself may be gone
        sys.stderr.write(f"{below_the_c}Stopped by {by}.\n")
