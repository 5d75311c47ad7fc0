"""The signals that end a program."""

import signal

# SIGHUP means that the terminal was closed.
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
