"""What an algorithm sees and answers in the simulation."""

from dataclasses import dataclass
from typing import Protocol

from llm_operator.autoscale.observation import Observation


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the user asks of every algorithm alike."""

    least: int
    most: int
    target: float
    """Share of a pod that its load should fill."""


class Scaler(Protocol):
    """An algorithm."""

    period: float
    """Seconds between two looks."""

    def decide(self, observation: Observation) -> int:
        """Pods that there should be."""
        ...
