"""A deployed pipeline as a library: it reads and drives one stack, never prints and never exits."""

from orderctl.pipeline.pipeline import Pipeline

__all__ = ["Pipeline"]
