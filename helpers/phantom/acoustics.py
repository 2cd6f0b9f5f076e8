"""From anatomy to a B-mode picture: scatterers, point-spread function, attenuation, log compression, sector.

The sound field is computed on the probe's own grid (scan lines × samples) and then converted to pixels, as a
scanner does. Scatterers are complex Gaussian, so that the envelope has Rayleigh statistics (fully developed
speckle); interfaces are coherent reflectors, bright where the beam meets them at right angles; what lies behind
a strong absorber is dark because the loss is summed along each line. All float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

from .geometry import Scene, smooth_noise


@dataclass(frozen=True)
class Probe:
    """A curved (radius_mm finite) array and the picture it fills. Lengths in mm, angle in radians."""

    radius_mm: float
    half_angle: float
    depth_mm: float
    size: int = 224
    lines: int = 160
    samples: int = 288
    fill: float = 0.86  # share of the sector's width that the square picture shows

    @property
    def top_mm(self) -> float:
        """Depth of the upper corners of the sector: negative, the arc's ends lie above its middle."""
        return self.radius_mm * (np.cos(self.half_angle) - 1.0)

    @property
    def spacing_mm(self) -> float:
        """Side of a pixel, rounded to what a header would say."""
        width = 2 * (self.radius_mm + self.depth_mm) * np.sin(self.half_angle) * self.fill
        return round(float(max(width, (self.depth_mm - self.top_mm) * 1.02)) / self.size, 4)

    def beam_points(self) -> tuple[np.ndarray, np.ndarray]:
        """x, y (samples, lines) of every sample, in mm."""
        r = self.radius_mm + np.linspace(0, self.depth_mm, self.samples)[:, None]
        angle = np.linspace(-self.half_angle, self.half_angle, self.lines)[None]
        return r * np.sin(angle), r * np.cos(angle) - self.radius_mm

    def pixel_points(self) -> tuple[np.ndarray, np.ndarray]:
        """x, y (size, size) of every pixel centre, in mm: the sector centred in the square."""
        at = (np.arange(self.size) + 0.5) * self.spacing_mm
        half = self.size * self.spacing_mm / 2
        x, y = np.meshgrid(at - half, at - half + (self.depth_mm + self.top_mm) / 2)
        return x, y

    def grid(self, x, y) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(sample, line, inside): fractional grid position of points and whether the sector holds them."""
        r, angle = np.hypot(x, y + self.radius_mm), np.arctan2(x, y + self.radius_mm)
        sample = (r - self.radius_mm) / self.depth_mm * (self.samples - 1)
        line = (angle / self.half_angle + 1) / 2 * (self.lines - 1)
        inside = (sample >= 0) & (sample <= self.samples - 1) & (line >= 0) & (line <= self.lines - 1)
        return sample, line, inside


@dataclass(frozen=True)
class Settings:
    """What the operator and the patient's body set: the look of one image (dB unless named)."""

    gain_db: float = 0.0
    dynamic_range_db: float = 60.0
    loss: float = 1.0  # factor on the tissue's attenuation
    haze_db: float = -32.0  # reverberation clutter, strongest near the probe
    noise_db: float = -46.0  # electronic noise before time-gain compensation
    compensation_db_mm: float = 0.16  # time-gain compensation
    focus: float = 0.5  # depth of the focus as a share of the depth shown
    beam: float = 1.0  # width of the beam, factor
    dropouts: tuple = ()  # (line share 0..1, width share, loss dB) of lines shadowed at the skin


def _envelope(scene: Scene, probe: Probe, settings: Settings, rng: np.random.Generator) -> np.ndarray:
    shape = (probe.samples, probe.lines)
    step = probe.depth_mm / (probe.samples - 1)
    mottle = gaussian_filter1d(gaussian_filter1d(rng.standard_normal(shape), 2.6, axis=1), 1.1, axis=0)
    strength = scene.echo_db + mottle * (7.0 + 9.0 * scene.fibre)
    amplitude = 10 ** (strength / 20)
    field = rng.standard_normal((2, *shape)) * amplitude
    for distance, edge_db, half_width in scene.edges:
        # |d distance / d depth| is the cosine between beam and normal: a slanted interface sends sound elsewhere
        facing = np.abs(np.gradient(distance, step, axis=0))
        profile = np.exp(-0.5 * (distance / half_width) ** 2) * np.minimum(facing, 1.0) ** 1.5
        field[0] += 10 ** (edge_db / 20) * profile * (1 + 0.35 * smooth_noise(rng, shape, 24))
    field = gaussian_filter1d(field, 1.15, axis=1)
    near = gaussian_filter1d(field, 1.2 * settings.beam, axis=2)
    far = gaussian_filter1d(near, 2.0 * settings.beam, axis=2)
    share = np.minimum(np.abs(np.linspace(0, 1, probe.samples) - settings.focus) * 1.6, 1.0)[None, :, None]
    field = near * (1 - share) + far * share

    loss = np.cumsum(scene.attenuation * settings.loss, axis=0) * step * 2
    line = np.linspace(0, 1, probe.lines)
    for at, width, db in settings.dropouts:
        loss = loss + db * np.exp(-0.5 * ((line - at) / width) ** 2)
    depth = np.linspace(0, probe.depth_mm, probe.samples)[:, None]
    field *= 10 ** (-np.minimum(loss, 90.0) / 20)
    haze = 10 ** (settings.haze_db / 20) * np.exp(-depth / (0.45 * probe.depth_mm))
    noise = 10 ** (settings.noise_db / 20)
    clutter = gaussian_filter1d(gaussian_filter1d(rng.standard_normal((2, *shape)), 1.0, axis=1), 2.5, axis=2)
    field += clutter * haze + rng.standard_normal((2, *shape)) * noise
    field *= 10 ** (settings.compensation_db_mm * depth / 20)
    return np.hypot(field[0], field[1])


def b_mode(scene: Scene, probe: Probe, settings: Settings, rng: np.random.Generator) -> np.ndarray:
    """uint8 (size, size): the picture of a scene sampled at `probe.beam_points()`; 0 outside the sector."""
    envelope = _envelope(scene, probe, settings, rng)
    level = 20 * np.log10(envelope + 1e-6) + settings.gain_db
    grey = np.clip((level + settings.dynamic_range_db) / settings.dynamic_range_db, 0.0, 1.0) * 255
    sample, line, inside = probe.grid(*probe.pixel_points())
    picture = map_coordinates(grey, [sample[inside], line[inside]], order=1, mode="nearest")
    out = np.zeros((probe.size, probe.size), np.uint8)
    out[inside] = np.rint(picture).astype(np.uint8)
    return out
