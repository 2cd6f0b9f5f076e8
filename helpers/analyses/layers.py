"""A network layer by layer, for a drawing of it: which convolutions it has, with how many channels,
on which size.
"""

import pandas as pd
import torch

from helpers import models


def convolutions(name, channels, classes, size, **options):
    """Every convolution of a network in the order in which it computes: columns layer, channels,
    side_px.

    name, channels (of the image), classes, options: as ``helpers.models.build``; size: side of the
    image in pixels. channels, side_px: of what it gives. Nothing is computed.
    """
    rows = []

    def note(_layer, _inputs, output):
        rows.append((len(rows) + 1, output.shape[1], output.shape[-1]))

    with torch.device("meta"):
        network = models.build(name, channels, classes, **options).eval()
        for layer in network.modules():
            if isinstance(layer, torch.nn.modules.conv._ConvNd) and len(layer.kernel_size) == 2:
                layer.register_forward_hook(note)
        with torch.no_grad():
            network(torch.zeros(1, channels, size, size))
    return pd.DataFrame(rows, columns=["layer", "channels", "side_px"])
