"""A deployed pipeline as a library: it reads and drives one stack, and never prints or exits.

`Pipeline` has a part for each thing to work with: the API, orders, stock, queues, dead letters,
consumers, functions and their logs, alarms, and the archive with its replays. `steps` is the one
list of the pipeline's steps. `health` reads them all at once, `trace` collects what happened to an
order, `sender` sends orders at a rate, and `tuning` tries memory sizes.
"""

from orderctl.pipeline.pipeline import Pipeline

__all__ = ["Pipeline"]
