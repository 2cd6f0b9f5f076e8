"""One network learning on one fold: the loop, its losses, its random changes, its state on disk."""

from helpers.training.loop import count, fit, run

__all__ = ["count", "fit", "run"]
