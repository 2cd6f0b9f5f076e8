"""Random changes to training samples, drawn anew for every sample of a batch.

The Q-VUM paper (Methods, "Data preprocessing") names scaling 0.25…2, distortion, horizontal and
vertical flips and rotation 0…180°; its public look-alike adds an aspect jitter. What lies outside
the array is black, and background unless told.
"""

import math

import torch
import torch.nn.functional as F


def _uniform(
    n: int | tuple[int, int], low: float, high: float, generator: torch.Generator
) -> torch.Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low


def matrices(n: int, spec: dict, generator: torch.Generator) -> torch.Tensor:
    """n affine maps from output to input coordinates, (n, 2, 3), as ``affine_grid`` takes them.

    spec keys, each optional: scale [low, high] (2 = twice as large), aspect a (width/height ratio
    times U(1−a, 1+a)/U(1−a, 1+a)), rotation_deg [low, high] clockwise, shift s (fraction of the
    side, ±), flip_horizontal, flip_vertical (probabilities).
    """
    smallest, largest = spec.get("scale", (1, 1))
    scale = _uniform(n, smallest, largest, generator)
    a = spec.get("aspect", 0)
    ratio = torch.sqrt(_uniform(n, 1 - a, 1 + a, generator) / _uniform(n, 1 - a, 1 + a, generator))
    left, right = spec.get("rotation_deg", (0, 0))
    angle = _uniform(n, left, right, generator) * math.pi / 180
    shift = _uniform((n, 2), -2 * spec.get("shift", 0), 2 * spec.get("shift", 0), generator)
    flips = [
        1 - 2 * (torch.rand(n, generator=generator) < spec.get(key, 0)).float()
        for key in ("flip_horizontal", "flip_vertical")
    ]
    cos, sin = torch.cos(angle), torch.sin(angle)
    # output → input is the inverse of enlarge-then-turn: turn back, then shrink; rows are input x
    # and y
    x, y = flips[0] / (scale * ratio), flips[1] * ratio / scale
    return torch.stack(
        [
            torch.stack([cos * x, sin * x, shift[:, 0]], 1),
            torch.stack([-sin * y, cos * y, shift[:, 1]], 1),
        ],
        1,
    )


def augment(
    images: torch.Tensor,
    masks: torch.Tensor,
    spec: dict,
    generator: torch.Generator,
    beside: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Warp and brighten a batch: float (N, C, H, W) in 0…1 and masks, integer (N, H, W).

    spec: as ``matrices``, and distortion d (smooth random displacement, standard deviation d of the
    side), gamma [low, high] (intensity to that power), probability (share of samples that are
    warped, default 1). generator: CPU torch.Generator; the draws do not depend on the device.
    beside: label of what lies outside the array.
    """
    n, device = len(images), images.device
    theta = matrices(n, spec, generator)
    kept = torch.rand(n, generator=generator) >= spec.get("probability", 1.0)
    theta[kept] = torch.eye(2, 3)
    grid = F.affine_grid(theta.to(device), [n, 1, *images.shape[2:]], align_corners=False)
    if amount := spec.get("distortion", 0):
        coarse = torch.randn(n, 2, 5, 5, generator=generator) * 2 * amount
        coarse[kept] = 0
        field = F.interpolate(
            coarse.to(device), images.shape[2:], mode="bicubic", align_corners=True
        )
        grid = grid + field.permute(0, 2, 3, 1)
    warped = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    labels = F.grid_sample(
        masks[:, None].float() - beside,  # what lies outside becomes 0
        grid,
        mode="nearest",
        padding_mode="zeros",
        align_corners=False,
    )
    if "gamma" in spec:
        low, high = (math.log(g) for g in spec["gamma"])
        power = torch.exp(_uniform(n, low, high, generator)).to(device)
        warped = warped.clamp(0, 1) ** power[:, None, None, None]
    return warped, (labels[:, 0] + beside).round().to(masks.dtype)
