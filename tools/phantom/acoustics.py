"""From anatomy to a B-mode picture: scatterers, point-spread function, attenuation, log
compression, sector.

The sound field is computed on the probe's own grid (scan lines × samples) and then converted to
pixels, as a scanner does. Scatterers are complex Gaussian, so that the envelope has Rayleigh
statistics (fully developed speckle); interfaces are coherent reflectors, bright where the beam
meets them at right angles; what lies behind a strong absorber is dark because the loss is
summed along each line. All float64.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

from tools.phantom.geometry import Scene, smooth_noise

LOOKS = 2  # independent speckle patterns averaged, as spatial compounding does


@dataclass(frozen=True)
class Probe:
    """An array and the picture it fills; a linear one is curved with a very large radius. mm,
    radians.
    """

    radius_mm: float
    half_angle: float
    depth_mm: float
    size: int = 224
    lines: int = 160
    samples: int = 288
    fill: float = 0.86  # share of the sector's width that the square picture shows
    side_mm: float | None = (
        None  # side of the square picture where it is cropped to the tissue (linear arrays)
    )

    @property
    def top_mm(self) -> float:
        """Depth of the upper corners of the sector: negative, the arc's ends lie above its
        middle.
        """
        return self.radius_mm * (np.cos(self.half_angle) - 1.0)

    @property
    def spacing_mm(self) -> float:
        """Side of a pixel, rounded to what a header would say."""
        if self.side_mm is not None:
            return round(self.side_mm / self.size, 4)
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

    def grid(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(sample, line, inside): fractional grid position of points and whether the sector
        holds them.
        """
        r, angle = np.hypot(x, y + self.radius_mm), np.arctan2(x, y + self.radius_mm)
        sample = (r - self.radius_mm) / self.depth_mm * (self.samples - 1)
        line = (angle / self.half_angle + 1) / 2 * (self.lines - 1)
        inside = (
            (sample >= 0) & (sample <= self.samples - 1) & (line >= 0) & (line <= self.lines - 1)
        )
        return sample, line, inside


@lru_cache(maxsize=16)
def pixel_grid(probe: Probe) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`probe.grid` of the picture's pixels; (size, size) each. Kept, as many images share a
    probe.
    """
    return probe.grid(*probe.pixel_points())


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
    uneven_db: float = 5.5  # SD of the brightness along an interface
    blotch_db: float = 2.5  # SD of the slow variation of scatter strength
    mottle_db: float = 2.2  # SD of its fine texture
    ring_mm: float = 2.6  # distance of the reverberations under the skin
    # (line share 0..1, width share, loss dB) of lines shadowed at the skin
    dropouts: tuple = ()


def _blur(field: np.ndarray, depth: float, across: float) -> np.ndarray:
    """Gaussian blur over the last two axes (samples, lines), in grid steps."""
    return gaussian_filter1d(
        gaussian_filter1d(field, depth, axis=-2, truncate=3), across, axis=-1, truncate=3
    )


def _streaks(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(mottle, flecks): unit-variance texture, and the sparse bright strands of connective
    tissue in muscle.
    """
    fine, long = (
        _blur(rng.standard_normal(shape), 1.2, 2.2),
        _blur(rng.standard_normal(shape), 0.9, 4.5),
    )
    return fine / fine.std(), np.maximum(long / long.std() - 0.7, 0.0)


def _scattered(
    scene: Scene, probe: Probe, settings: Settings, rng: np.random.Generator
) -> np.ndarray:
    """Complex field (2, looks, samples, lines) that tissue and interfaces send back, before any
    loss.
    """
    shape = (probe.samples, probe.lines)
    step = probe.depth_mm / (probe.samples - 1)
    mottle, flecks = _streaks(rng, shape)
    blotches = settings.blotch_db * smooth_noise(rng, shape, 11)  # tissue is no even paint
    strength = (
        scene.echo_db + blotches + settings.mottle_db * mottle + scene.fibre * (9.0 * flecks - 2.0)
    )
    amplitude, mirror = 10 ** (strength / 20), np.zeros(shape)
    patches = smooth_noise(rng, shape, 17)
    for number, (distance, edge_db, half_width) in enumerate(scene.edges):
        near = np.abs(distance) < 3.5 * half_width
        # |d distance / d depth| is the cosine between beam and normal: a slanted interface
        # sends
        # sound elsewhere
        facing = np.minimum(np.abs(np.gradient(distance, step, axis=0)[near]), 1.0)
        patch = np.roll(patches, (37 * number, 53 * number), axis=(0, 1))[
            near
        ]  # fascia is uneven, even gone
        profile = np.exp(-0.5 * (distance[near] / half_width) ** 2) * facing * np.sqrt(facing)
        mirror[near] += profile * 10 ** (
            (np.broadcast_to(edge_db, shape)[near] + settings.uneven_db * patch) / 20
        )
    # an interface is part mirror, part a crowd of strong scatterers: half its sound adds up in
    # phase
    field = rng.standard_normal((2, LOOKS, *shape)) * (amplitude + 0.75 * mirror)
    field[0] += 0.5 * mirror
    near = _blur(field, 1.2, 1.3 * settings.beam)
    far = gaussian_filter1d(near, 2.1 * settings.beam, axis=-1, truncate=3)
    off_focus = np.minimum(np.abs(np.linspace(0, 1, probe.samples) - settings.focus) * 1.6, 1.0)[
        :, None
    ]
    return near + (far - near) * off_focus


def _envelope(
    scene: Scene, probe: Probe, settings: Settings, rng: np.random.Generator
) -> np.ndarray:
    field = _scattered(scene, probe, settings, rng)
    step = probe.depth_mm / (probe.samples - 1)
    loss = np.cumsum(scene.attenuation * settings.loss, axis=0) * step * 2
    line = np.linspace(0, 1, probe.lines)
    for at, width, db in settings.dropouts:
        loss = loss + db * np.exp(-0.5 * ((line - at) / width) ** 2)
    depth = np.linspace(0, probe.depth_mm, probe.samples)[:, None]
    field *= 10 ** (-np.minimum(gaussian_filter1d(loss, 1.0, axis=1), 90.0) / 20)
    # clutter: sound that bounced between probe and skin, the same in every look; noise: the
    # amplifier's
    rings = 1 + 0.8 * np.cos(2 * np.pi * depth / settings.ring_mm) * np.exp(-depth / 9.0)
    haze = 10 ** (settings.haze_db / 20) * np.exp(-depth / (0.4 * probe.depth_mm)) * rings
    field += (
        _blur(rng.standard_normal((2, 1, *depth.shape[:1], probe.lines)), 1.2, 3.0) * 4.0 * haze
    )
    field += rng.standard_normal(field.shape) * 10 ** (settings.noise_db / 20)
    field *= 10 ** (settings.compensation_db_mm * depth / 20)
    return np.hypot(field[0], field[1]).mean(axis=0)


def b_mode(scene: Scene, probe: Probe, settings: Settings, rng: np.random.Generator) -> np.ndarray:
    """uint8 (size, size): the picture of a scene sampled at `probe.beam_points()`; 0 outside
    the sector.
    """
    envelope = _envelope(scene, probe, settings, rng)
    level = 20 * np.log10(envelope + 1e-6) + settings.gain_db
    grey = np.clip((level + settings.dynamic_range_db) / settings.dynamic_range_db, 0.0, 1.0) * 255
    sample, line, inside = pixel_grid(probe)
    picture = map_coordinates(grey, [sample[inside], line[inside]], order=1, mode="nearest")
    out = np.zeros((probe.size, probe.size), np.uint8)
    out[inside] = np.rint(picture).astype(np.uint8)
    return out
