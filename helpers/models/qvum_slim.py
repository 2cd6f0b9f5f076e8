"""Q-VUM with a decoder a quarter as wide, for live use: ours, no paper's.

The encoder, which is what learned on photographs, stays whole; most of Q-VUM's work is its decoder
(5.1 of 7.9 billion multiply-adds an image of 96 × 96; here 0.7 of 3.5).
"""

from helpers.models import qvum


class Model(qvum.Model):
    """As Q-VUM, decoder of 16, 32, 64, 128 channels (width: the finest)."""

    def __init__(
        self, in_channels: int, classes: int, *, width: int = 16, encoder_weights: str = "none"
    ) -> None:
        super().__init__(in_channels, classes, width=width, encoder_weights=encoder_weights)
