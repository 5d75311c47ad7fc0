"""What every part of a run shares."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from simulation.scheduler import Scheduler
from simulation.story import Story
from simulation.template import Topology
from simulation.weather import Weather
from simulation.witness import Witness


@dataclass(frozen=True, slots=True)
class World:
    """The chance, the time, the weather, and who writes down what happens."""

    random: Random
    scheduler: Scheduler
    weather: Weather
    story: Story
    witness: Witness
    topology: Topology
