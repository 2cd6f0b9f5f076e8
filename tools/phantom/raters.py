"""Three raters who differ in a systematic way, and the senior whose decision is the reference.

As in Wang 2024, Data Annotation: three anaesthesiologists outline every image; where they differ, a
senior makes the final determination. So the consensus is their label where all three agree, and the
senior's elsewhere.
"""

from dataclasses import dataclass

import numpy as np

from tools.phantom.geometry import label, smooth_noise


@dataclass(frozen=True)
class Rater:
    """How a hand differs from the anatomy, in mm: `bias` outwards, `tilt` from left (-) to right
    (+), `tremor` SD.
    """

    name: str
    bias: float
    tilt: float
    tremor: float


RATERS = (
    Rater("A", bias=0.6, tilt=0.0, tremor=1.15),  # generous: outside the bright fascia
    Rater("B", bias=-0.6, tilt=0.0, tremor=1.15),  # strict: inside it
    Rater("C", bias=-0.1, tilt=0.8, tremor=1.5),  # loses the thin posterior ends, unsteady
)
SENIOR = Rater("senior", bias=0.0, tilt=0.0, tremor=0.9)


def outline(
    rater: Rater,
    regions: np.ndarray,
    order: tuple[int, ...],
    doubt: float,
    scale: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """uint8 (H, W) as this rater draws it. regions: distances in mm; doubt: 1 for a clear picture,
    more for a poor one; scale: size of the structures' detail against the quadratus view (thin
    layers have small errors).
    """
    height, width = regions.shape[1:]
    ramp = rater.bias + rater.tilt * np.linspace(-1, 1, width)
    hand = np.stack([smooth_noise(rng, (height, width), 9) for _ in regions])
    return label(regions - scale * (ramp + rater.tremor * doubt * hand), order)


def annotate(
    regions: np.ndarray,
    order: tuple[int, ...],
    inside: np.ndarray,
    doubt: float,
    scale: float,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """uint8 masks by rater name, and the reference under "consensus"; 0 outside the sector."""
    drawn = {r.name: outline(r, regions, order, doubt, scale, rng) * inside for r in RATERS}
    senior = outline(SENIOR, regions, order, doubt, scale, rng) * inside
    first, second, third = drawn.values()
    return drawn | {
        "consensus": np.where((first == second) & (second == third), first, senior).astype(np.uint8)
    }
