"""Shapes as distance fields: what anatomy is drawn with.

Everything is in millimetres. `x` runs to the right of the picture, `y` is depth below the middle of
the probe; both are float64 arrays of one shape. A distance is negative inside, positive outside,
zero on the outline, and close to Euclidean near it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def ellipse(
    x: np.ndarray,
    y: np.ndarray,
    cx: float,
    cy: float,
    a: float,
    b: float,
    angle: float = 0.0,
    power: float = 2.0,
) -> np.ndarray:
    """Distance to an ellipse (power 2) or a squarer super-ellipse of half-axes a, b, turned by
    angle (radians).
    """
    c, s = np.cos(angle), np.sin(angle)
    u, v = x - cx, y - cy
    p, q = np.abs(u * c + v * s) / a, np.abs(v * c - u * s) / b
    level = np.sqrt(p * p + q * q) if power == 2.0 else (p**power + q**power) ** (1.0 / power)
    return (level - 1.0) * np.hypot(u, v) / np.maximum(level, 1e-6)


def capsule(
    x: np.ndarray,
    y: np.ndarray,
    start: tuple[float, float],
    end: tuple[float, float],
    r0: float,
    r1: float,
) -> np.ndarray:
    """Distance to a rounded rod from start (radius r0) to end (radius r1)."""
    ex, ey = end[0] - start[0], end[1] - start[1]
    u, v = x - start[0], y - start[1]
    t = np.clip((u * ex + v * ey) / (ex * ex + ey * ey), 0.0, 1.0)
    return np.hypot(u - t * ex, v - t * ey) - (r0 + t * (r1 - r0))


def union(first: np.ndarray, second: np.ndarray, blend: float) -> np.ndarray:
    """Union of two distances, rounded over `blend` mm where they meet."""
    h = np.clip(0.5 + 0.5 * (second - first) / blend, 0.0, 1.0)
    return second + (first - second) * h - blend * h * (1.0 - h)


def smoothstep(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, cubic between."""
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@dataclass(frozen=True)
class Waves:
    """A smooth random displacement of the plane: a few sine waves. Arrays have one entry a wave."""

    kx: np.ndarray
    ky: np.ndarray
    phase: np.ndarray
    dx: np.ndarray
    dy: np.ndarray

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        amplitude_mm: float,
        wavelengths_mm: Sequence[float] = (90.0, 55.0, 34.0),
    ) -> "Waves":
        """One wave a wavelength, in a random direction; the displacement has about this root mean
        square.
        """
        length = np.asarray(wavelengths_mm)
        heading = rng.uniform(0, 2 * np.pi, length.size)
        k = 2 * np.pi / length
        share = length / np.sqrt((length**2).sum())
        dx, dy = rng.normal(0.0, amplitude_mm, (2, length.size)) * share
        return cls(
            k * np.cos(heading), k * np.sin(heading), rng.uniform(0, 2 * np.pi, length.size), dx, dy
        )

    def __add__(self, other: "Waves") -> "Waves":
        fields = self.__dataclass_fields__
        return Waves(*(np.concatenate([getattr(self, f), getattr(other, f)]) for f in fields))

    def __call__(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The displaced coordinates, two arrays of the shape of x."""
        u, v = x.copy(), y.copy()
        for kx, ky, phase, dx, dy in zip(
            self.kx, self.ky, self.phase, self.dx, self.dy, strict=True
        ):
            wave = np.sin(kx * x + ky * y + phase)
            u += dx * wave
            v += dy * wave
        return u, v


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], knots: int) -> np.ndarray:
    """Unit-variance smooth noise, float64 of this shape: `knots` random values a side under
    Gaussian bumps.
    """

    def basis(n: int) -> np.ndarray:
        at, centre = np.linspace(0, knots - 1, n)[:, None], np.arange(-1, knots + 1)
        bumps = np.exp(-0.5 * ((at - centre) / 0.7) ** 2)
        return bumps / np.sqrt((bumps**2).sum(axis=1, keepdims=True))

    values = rng.standard_normal((knots + 2, knots + 2))
    # einsum without optimisation adds in a fixed order: a threaded matrix product need not
    half = np.einsum("ik,kl->il", basis(shape[0]), values, optimize=False)
    return np.einsum("il,jl->ij", half, basis(shape[1]), optimize=False)


@dataclass(frozen=True)
class Scene:
    """What the sound meets, sampled at the points asked for.

    regions: (classes - 1, ...) distances in mm, one a labelled class, class 1 first order:   class
    numbers from the one drawn first to the one drawn over all others echo_db: scatter strength
    (dB); attenuation: one-way loss (dB/mm); fibre: 0..1, how striated edges:   (distance, strength
    in dB (number or array), half-width in mm) of each reflecting interface
    """

    regions: np.ndarray
    order: tuple[int, ...]
    echo_db: np.ndarray
    attenuation: np.ndarray
    fibre: np.ndarray
    edges: tuple = ()


def label(regions: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """uint8 class map from distances (classes - 1, H, W): a pixel is in the last class of `order`
    that holds it.
    """
    out = np.zeros(regions.shape[1:], np.uint8)
    for number in order:
        out[regions[number - 1] < 0] = number
    return out
