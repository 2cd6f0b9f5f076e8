"""Thoracolumbar fascia over the erector spinae at L3, linear array, picture cropped to the tissue.

From the probe down: skin, fat with its superficial fascia, the thoracolumbar fascia (TLF) as three
bright layers with loose tissue between, a thin gliding gap, the epimysium of the erector spinae,
the muscle. The epimysium looks like a fourth layer and is none: it belongs to what lies below
(Bonaldi 2025, Dataset preparation).

Labels: 1 TLF, 2 below it; what lies above is 0. Patients with back pain have a thicker, duller
fascia than the volunteers on the second device, who move while they are scanned (Bonaldi 2025,
Dataset collection).
"""

from dataclasses import dataclass, replace

import numpy as np

from tools.phantom.acoustics import Probe, Settings
from tools.phantom.cohort import Person
from tools.phantom.geometry import Scene, Waves, smoothstep

CLASSES = ("TLF", "below")
ORDER = (2, 1)
DETAIL = 0.22
SECOND_DEVICE = "linear array 6-15 MHz"


@dataclass(frozen=True)
class Anatomy:
    """One patient, or one frame of one: lengths mm, strengths dB."""

    fat: float
    thickness: float
    layers: tuple[float, float, float]  # where the bright layers lie, as shares of the thickness
    gap: float  # between TLF and epimysium
    curve: float  # sag (mm) of the surface at the picture's edge: convex across the muscle
    slope: float
    septa: float
    muscle: float
    fascia: float
    contrast: float
    along: bool  # probe along the muscle fibres rather than across
    hand: tuple[float, float]
    warp: Waves
    shift: float


def draw(rng: np.random.Generator, person: Person) -> Anatomy:
    """A patient's layers; low back pain thickens the fascia."""
    n, u = rng.normal, rng.uniform
    pain = person.device != SECOND_DEVICE
    heavy = person.bmi_kg_m2 - 24
    return Anatomy(
        fat=float(np.clip(8.5 + 0.7 * heavy + n(0, 1.5), 4.0, 17)),
        thickness=float(np.clip(n(3.3, 0.5) if pain else n(2.5, 0.25), 1.8, 4.8)),
        layers=(u(0.08, 0.14), u(0.42, 0.58), u(0.86, 0.92)),
        gap=float(np.clip(n(0.75, 0.2), 0.35, 1.3)),
        curve=u(1.0, 4.0),
        slope=n(0, 0.03),
        septa=u(3.5, 6.0),
        muscle=n(-22, 1.5),
        fascia=n(-4.0 if pain else -2.0, 1.5),
        contrast=float(np.clip(n(0.55 if pain else 0.85, 0.22) - 0.02 * heavy, 0.0, 1.0)),
        along=False,
        hand=(n(0, 0.08), n(0, 0.06)),
        warp=Waves.draw(rng, 0.45, (40.0, 22.0, 11.0)),
        shift=0.0,
    )


def frame(rng: np.random.Generator, patient: Anatomy) -> Anatomy:
    """Another place on the same back: along or across the fibres, either side."""
    along = rng.random() < 0.4
    return replace(
        patient,
        along=along,
        curve=patient.curve * (0.2 if along else rng.uniform(0.7, 1.3)),
        slope=patient.slope + rng.normal(0, 0.03),
        fat=patient.fat * rng.normal(1, 0.08),
        thickness=patient.thickness * rng.normal(1, 0.07),
        contrast=patient.contrast * float(np.clip(rng.normal(1, 0.2), 0.3, 1.5)),
        warp=patient.warp + Waves.draw(rng, 0.25, (30.0, 17.0, 8.0)),
        shift=rng.normal(0, 3.0),
    )


def probe(person: Person) -> Probe:
    """Linear array of 38 mm; the second device has finer samples and another crop."""
    second = person.device == SECOND_DEVICE
    side = 30.0 if second else 32.0
    return Probe(
        radius_mm=20000.0,
        half_angle=19.0 / 20000,
        depth_mm=person.depth_cm * 10,
        size=256,
        lines=224 if second else 176,
        samples=320 if second else 272,
        side_mm=side,
    )


def settings(rng: np.random.Generator, person: Person) -> Settings:
    """One image's settings; the second device shows more of the dark (wider range) and less
    clutter.
    """
    second = person.device == SECOND_DEVICE
    lost = rng.random() < 0.3
    drops = [
        (rng.random(), rng.uniform(0.02, 0.08), rng.uniform(4, 11))
        for _ in range(rng.integers(1, 3))
    ]
    return Settings(
        gain_db=person.gain_db + rng.normal(0, 1.2),
        dynamic_range_db=rng.normal(58 if second else 50, 2.0),
        haze_db=-47 if second else rng.normal(-42, 2),
        noise_db=-62,
        compensation_db_mm=0.5,
        focus=rng.uniform(0.3, 0.6),
        beam=0.85 if second else 1.1,
        uneven_db=4.0,
        blotch_db=2.0,
        ring_mm=1.4,
        dropouts=tuple(drops) if lost else (),
    )


def _layers(a: Anatomy, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(depth below the upper edge of the TLF, depth, x) of points, in mm."""
    u, v = a.warp(x + a.shift, y)
    surface = a.fat + a.curve * ((x + a.shift) / 16.0) ** 2 + a.slope * x
    return v - surface, v, u


def regions(a: Anatomy, p: Probe, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, dict]:
    """(2, ...) distances (mm) to the TLF and to what lies deeper than its middle, and the
    coordinates.

    The TLF is labelled over what is below, so that no outline, however unsteady, leaves a gap
    between the two.
    """
    down, v, u = _layers(a, x, y)
    thick = a.thickness * (1 + 0.12 * np.sin(u / 6.0))
    return np.stack([np.maximum(-down, down - thick), thick / 2 - down]), {
        "down": down,
        "thick": thick,
        "u": u,
        "v": v,
    }


def scene(a: Anatomy, p: Probe, x: np.ndarray, y: np.ndarray) -> Scene:
    """Everything the sound meets at points x, y (mm)."""
    distances, q = regions(a, p, x, y)
    down, thick, u, v = q["down"], q["thick"], q["u"], q["v"]
    below = down - thick
    wave = np.sin(2 * np.pi * v / a.septa + 1.3 * np.sin(u / 5.0) + 0.8 * np.sin(u / 2.1))
    echo = -21.0 + 8.0 * wave**8
    fibre = np.full(x.shape, 0.25)
    inside = distances[0] < 0
    echo[inside] = -20.0 + (1 - a.contrast) * 3.0
    deep = below > 0
    # along the fibres the muscle shows long parallel strands, across them septa that come and go
    if a.along:
        strands = 8.0 * np.sin(2 * np.pi * (down + 0.06 * u) / 2.1 + 0.8 * np.sin(u / 7.0)) ** 6
    else:
        bent = down + 1.3 * np.sin(u / 3.1 + down / 2.7)
        strands = 9.0 * np.sin(np.pi * bent / 4.3) ** 20 * np.sin(u / 4.9 + down / 3.7 + 1.0) ** 2
    echo[deep] = (a.muscle + strands)[deep]
    fibre[deep] = 0.5 if a.along else 1.0
    echo[deep & (below < a.gap)] = -25.0
    echo[v < 1.6] = -10.0
    lift = a.fascia
    edges: list[tuple] = [
        (
            down - at * thick,
            lift - (1 - a.contrast) * 5.0 * (number == 1),
            0.16 + 0.05 * (number != 1),
        )
        for number, at in enumerate(a.layers)
    ]
    edges.append((below - a.gap, lift - 2.0, 0.17))
    hidden = 1 - smoothstep((np.abs(u - 4.0) - 5.0) / 8.0)  # the superficial fascia comes and goes
    edges.append((down + 0.45 * a.fat, lift - 3.0 - 14.0 * (1 - a.contrast) * hidden, 0.2))
    return Scene(distances, ORDER, echo, np.full(x.shape, 0.33), fibre, tuple(edges))
