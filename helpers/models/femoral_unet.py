"""The U-Net of the femoral nerve block study (Huang 2019, Fig. 1): 8 to 128 channels, ReLU, 485,673
parameters.

Grey input divided by 255 at 256×256, one sigmoid output; trained with binary cross-entropy and Adam
(1e-3, eps 1e-7), batch 32, 75 epochs, no augmentation, best weights by loss on the development
images.
"""

from helpers.models.keras_unet import NO_DROPOUT, KerasUNet


class Model(KerasUNet):
    """width: channels at full resolution (8 in the paper). Weights start as Keras starts them."""

    def __init__(self, in_channels: int, classes: int, *, width: int = 8) -> None:
        super().__init__(in_channels, classes, width, dropout=NO_DROPOUT, init="glorot")
