"""The thin package behind the notebooks.

Imports point one way: ``study, readers → datasets → models, losses, augment → training → metrics →
stats, figures, published → report``. ``metrics``, ``stats``, ``figures`` and ``published`` never import
torch, so that a statistician's machine does not need it.
"""

__version__ = "0.1.0"
