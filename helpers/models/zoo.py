"""Any network of the segmentation-models-pytorch library, by ``smp:<architecture>/<encoder>``."""

import inspect
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import nn

from helpers.errors import StudyError
from helpers.models import encoders
from helpers.models.blocks import Network


class Model(Network):
    """architecture: '<architecture>/<encoder>'; options go to the library's constructor."""

    stride = 32

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        architecture: str,
        encoder_weights: str = "none",
        **options: Any,
    ) -> None:
        super().__init__(in_channels, classes)
        name, _, encoder = architecture.partition("/")
        found = smp.MODEL_ARCHITECTURES_MAPPING.get(name.lower())
        if found is None:
            there = ", ".join(sorted(c.__name__ for c in smp.MODEL_ARCHITECTURES_MAPPING.values()))
            raise StudyError(
                f"smp:{architecture}: no architecture {name!r}; the library has {there}"
            )
        known = set(inspect.signature(found).parameters) - {"in_channels", "classes", "kwargs"}
        if unknown := sorted(set(options) - known):  # the library itself ignores them
            raise StudyError(
                f"smp:{architecture} has no option {', '.join(unknown)}; it has"
                f" {', '.join(sorted(known))}"
            )
        try:
            self.network = smp.create_model(name, encoder, None, in_channels, classes, **options)
        except (KeyError, ValueError, TypeError) as error:
            raise StudyError(f"smp:{architecture}: {' '.join(str(error).split())}") from None
        self.pretrained = encoders.load(self.network.encoder, encoder_weights, encoder)

    @property
    def encoder(self) -> nn.Module:
        """The library's encoder, for freezing."""
        return self.network.encoder

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images)
