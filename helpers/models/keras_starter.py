"""The later public Keras starter U-Net: 16 to 256 channels, ELU, dropout 0.1–0.3, 1,941,105
parameters.

Often quoted as the network of Huang 2019, whose Fig. 1 shows the earlier one (``femoral_unet``).
"""

from torch import nn

from helpers.models.keras_unet import KerasUNet


class Model(KerasUNet):
    """width: channels at full resolution."""

    def __init__(self, in_channels: int, classes: int, *, width: int = 16) -> None:
        super().__init__(in_channels, classes, width, activation=nn.ELU)
