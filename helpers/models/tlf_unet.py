"""The U-Net of the thoracolumbar fascia study (Bonaldi 2025, Methods): 2-D, Keras, 256×256, three
classes, softmax.

Widths are not stated. 16 to 256 with dropout and ReLU follows the tutorial that the paper's tools,
loss and batch size match (1,940,851 parameters); ``width=64`` gives the classic widths
(31,030,723).
"""

from helpers.models.keras_unet import KerasUNet


class Model(KerasUNet):
    """width: channels at full resolution, 16 or 64."""

    def __init__(self, in_channels: int, classes: int, *, width: int = 16) -> None:
        super().__init__(in_channels, classes, width, sigmoid=False)
