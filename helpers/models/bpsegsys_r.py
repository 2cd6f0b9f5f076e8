"""BPSegSys-R, a stand-in for BPSegSys (Wang 2024), of which only the abstract is public.

A U-Net decoder on a ResNet-34 encoder: an encoder–decoder from the kind of model collection that
laboratory compared, and distinct from the other comparators. 24,436,804 parameters with 3 channels
and 4 classes.
"""

from helpers.models import zoo


class Model(zoo.Model):
    """encoder_weights: see ``encoders.load`` (torchvision names of ResNet-34)."""

    def __init__(self, in_channels: int, classes: int, *, encoder_weights: str = "none") -> None:
        super().__init__(
            in_channels, classes, architecture="Unet/resnet34", encoder_weights=encoder_weights
        )
