"""One network learning on one fold: the loop, its losses, its random changes, its state on disk."""

from helpers.training.fold import count, run
from helpers.training.loop import fit

__all__ = ["count", "fit", "run"]
